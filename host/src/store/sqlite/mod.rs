//! SQLite, the embedded store: WAL with `synchronous=FULL`, one writer that commits in groups with
//! one statement per table and group, and a few readers beside it.

mod look;
mod open;
mod read;
mod retain;
mod rows;
#[cfg(test)]
mod tests;
mod writer;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use sqlx::SqlitePool;

use super::{
    Delivery, DeliveryRow, DeliveryStory, Filter, Follows, Journalled, NewEvent, Nudged, Result, Retention, Settled, Store, StoreError, Unit, UnitEnd, UnitRow,
};
use crate::event::{Event, Keep, Rows};
pub use look::Look;
use writer::Writer;

/// Who opens a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A host: one at a time, for as long as it runs.
    Host,
    /// A command of an operator, also beside a running host.
    Operator,
}

/// A store in one SQLite file.
pub struct SqliteStore {
    readers: SqlitePool,
    writer: Writer,
    mode: Mode,
    /// Held by the host until it closes: a fetch under way may outlast that, and holds what it keeps its answer in.
    lock: Mutex<Option<open::Lock>>,
}

impl SqliteStore {
    /// Opens the store, and makes it if it is not there.
    ///
    /// # Errors
    /// Another host has it, the file is not a store or of a newer version, or what the disk says.
    pub async fn open(path: &Path, mode: Mode) -> Result<Self> {
        let lock = match mode {
            Mode::Host => Some(open::lock(path)?),
            Mode::Operator => None,
        };
        let connection = open::writer(path).await?;
        let checkpoints = match mode {
            Mode::Host => Some(open::checkpoints(path).await?),
            Mode::Operator => None,
        };
        let readers = open::readers(path).await?;
        let writer = Writer::start(connection, checkpoints).await?;
        Ok(Self { readers, writer, mode, lock: Mutex::new(lock) })
    }
}

impl Keep for SqliteStore {
    fn keep(&self, event: i64, path: &str, rows: &Arc<Rows>) {
        self.writer.keep(event, path.to_owned(), rows.clone());
    }
}

#[async_trait]
impl Store for SqliteStore {
    async fn cursor(&self, source: &str) -> Result<Option<String>> {
        read::cursor(&self.readers, source).await
    }

    async fn journal(&self, source: &str, cursor: Option<String>, events: Vec<NewEvent>) -> Result<Vec<Journalled>> {
        self.writer.journal(source.to_owned(), cursor, events).await
    }

    async fn known(&self, ids: Vec<String>) -> Result<Vec<String>> {
        read::known(&self.readers, &ids).await
    }

    async fn event(&self, seq: i64) -> Result<Option<(Event, Vec<(String, Rows)>)>> {
        read::event(&self.readers, seq).await
    }

    async fn events(&self, text: Option<&str>, before: Option<i64>, limit: u32) -> Result<Vec<(i64, Event)>> {
        read::events(&self.readers, text, before, limit).await
    }

    async fn units(&self, after: i64, limit: u32) -> Result<Vec<Unit>> {
        read::units(&self.readers, after, limit).await
    }

    async fn state(&self, entry: &str) -> Result<Vec<(String, String)>> {
        read::state(&self.readers, entry).await
    }

    async fn sent(&self, event: i64, entry: &str, since_ms: i64) -> Result<u32> {
        read::sent(&self.readers, event, entry, since_ms).await
    }

    async fn end_unit(&self, end: UnitEnd) -> Result<Follows> {
        self.writer.end_unit(end).await
    }

    async fn waiting(&self, after: i64, limit: u32) -> Result<Vec<Delivery>> {
        read::waiting(&self.readers, after, limit).await
    }

    async fn replaced(&self) -> Result<Vec<(i64, i64)>> {
        read::replaced(&self.readers).await
    }

    async fn newer(&self, id: i64) -> Result<Option<i64>> {
        read::newer(&self.readers, id).await
    }

    async fn settle(&self, settled: Settled) -> Result<Option<Unit>> {
        self.writer.settle(settled).await
    }

    async fn deliveries(&self, filter: Filter) -> Result<Vec<DeliveryRow>> {
        read::deliveries(&self.readers, &filter).await
    }

    async fn delivery(&self, id: i64) -> Result<Option<DeliveryStory>> {
        read::story(&self.readers, id).await
    }

    async fn explain(&self, event: &str, entry: Option<&str>, limit: u32) -> Result<Vec<UnitRow>> {
        read::explain(&self.readers, event, entry, limit).await
    }

    async fn redeliver(&self, id: i64, insist: bool, expires_ms: i64, by: &str) -> Result<std::result::Result<Delivery, String>> {
        let Some(story) = read::story(&self.readers, id).await? else {
            return Ok(Err(format!("there is no delivery {id}")));
        };
        let refused = match story.row.state.as_str() {
            _ if story.payload.is_none() => Some("it never came to a delivery".to_owned()),
            "waiting" => Some("it waits for its turn already".to_owned()),
            "superseded" if !insist => Some(format!("{}; a receiver would take it for the newest. Insist with --insist", story.row.why.unwrap_or_default())),
            _ => match read::newer(&self.readers, id).await? {
                Some(newer) if !insist => Some(format!("delivery {newer} is newer and says the same place something else. Insist with --insist")),
                _ => None,
            },
        };
        if let Some(refused) = refused {
            return Ok(Err(format!("delivery {id} is not sent again: {refused}")));
        }
        self.writer.redeliver(id, expires_ms, format!("sent again by {by}")).await?;
        match read::by_id(&self.readers, id).await? {
            Some(delivery) => Ok(Ok(delivery)),
            None => Ok(Err(format!("delivery {id} has been removed meanwhile"))),
        }
    }

    async fn call_again(&self, id: i64, by: &str) -> Result<std::result::Result<(), String>> {
        Ok(match self.writer.call_again(id, format!("called again by {by}")).await? {
            true => Ok(()),
            false => Err(format!("what {id} stands for is not called again: it has been already; `deliveries explain` tells what came of it")),
        })
    }

    async fn drop_delivery(&self, id: i64, by: &str) -> Result<std::result::Result<(), String>> {
        Ok(match self.writer.drop_waiting(id, format!("dropped by {by}")).await? {
            true => Ok(()),
            false => Err(format!("delivery {id} does not wait; `deliveries show {id}` tells what came of it")),
        })
    }

    async fn nudged(&self, busy: Vec<i64>) -> Result<Vec<Nudged>> {
        match self.mode == Mode::Host && read::has_nudges(&self.readers).await? {
            true => self.writer.nudged(busy).await,
            false => Ok(Vec::new()),
        }
    }

    async fn retain(&self, retention: &Retention) -> Result<(u64, u64)> {
        retain::retain(&self.readers, &self.writer, retention).await
    }

    async fn close(&self) {
        self.writer.close().await;
        self.readers.close().await;
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

fn failed(error: sqlx::Error) -> StoreError {
    /// <https://www.sqlite.org/rescode.html#full>
    const FULL: &str = "13";
    match &error {
        sqlx::Error::Database(database) if database.code().as_deref() == Some(FULL) => StoreError::Full(database.to_string()),
        _ => StoreError::Failed(error.to_string()),
    }
}
