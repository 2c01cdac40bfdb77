//! Looking at a store without leaving a trace in its folder.

use std::path::Path;

use sqlx::sqlite::SqlitePoolOptions;
use sqlx::{Row as _, SqlitePool};

use super::{failed, open, read};
use crate::event::{Event, Rows};
use crate::store::Result;

/// A store that is only read: beside a running host, or while none runs.
pub struct Look(SqlitePool);

impl Look {
    /// Opens a store that is there.
    ///
    /// # Errors
    /// The file is not a store or of a newer version, or what the disk says.
    pub async fn open(path: &Path) -> Result<Self> {
        // A reader makes the files of a write-ahead log where there are none. Without a log the file is whole by
        // itself, and can be read as one that nobody changes: a host that starts meanwhile writes to its log first.
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        let whole = !Path::new(&log).exists();
        let options = open::options(path).read_only(true).immutable(whole);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.map_err(failed)?;
        let row = sqlx::Executor::fetch_one(&pool, "PRAGMA user_version").await.map_err(failed)?;
        open::known(row.try_get(0).map_err(failed)?, path)?;
        Ok(Self(pool))
    }

    /// The newest event whose id contains `text`, with its kept details.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn newest(&self, text: &str) -> Result<Option<(Event, Vec<(String, Rows)>)>> {
        match read::events(&self.0, Some(text), None, 1).await?.first() {
            Some((seq, _)) => read::event(&self.0, *seq).await,
            None => Ok(None),
        }
    }

    /// An entry's state.
    ///
    /// # Errors
    /// What the disk says.
    pub async fn state(&self, entry: &str) -> Result<Vec<(String, String)>> {
        read::state(&self.0, entry).await
    }

    /// Closes it.
    pub async fn close(&self) {
        self.0.close().await;
    }
}
