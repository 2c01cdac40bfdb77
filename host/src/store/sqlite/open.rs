//! Opening: the lock, the connections, the schema.

use std::fs::{File, OpenOptions};
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection as _, Executor as _, Row as _, SqliteConnection, SqlitePool};

use super::failed;
use crate::store::{Result, StoreError};

/// The version of the schema, as `PRAGMA user_version`. A new one is a new step in [`migrate`].
const VERSION: i64 = 3;
/// How long a connection waits for another process's transaction.
const BUSY: Duration = Duration::from_secs(10);

/// A lock that keeps a second host out.
pub(super) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // To close the file is not enough: a process that is being started has it open, too, until it is another program.
        self.0.unlock().ok();
    }
}

/// Takes the lock of a store.
pub(super) fn lock(path: &Path) -> Result<Lock> {
    let lock = path.with_extension("lock");
    let said = |error: std::io::Error| StoreError::Failed(format!("{}: {error}", lock.display()));
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&lock).map_err(said)?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(std::fs::TryLockError::WouldBlock) => {
            Err(StoreError::Failed(format!("another reporter-host runs on {}; stop it, or give this one a `state_dir` of its own", path.display())))
        }
        Err(std::fs::TryLockError::Error(error)) => Err(said(error)),
    }
}

pub(super) fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(BUSY)
}

/// The writer's connection, with the schema in place.
pub(super) async fn writer(path: &Path) -> Result<SqliteConnection> {
    let options = options(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        // The log is copied back beside the writer (a host) and when it closes. This is for when it grows all the same,
        // and quick then, because most of it has been copied.
        .pragma("wal_autocheckpoint", "20000");
    let mut connection = SqliteConnection::connect_with(&options).await.map_err(failed)?;
    migrate(&mut connection, path).await?;
    Ok(connection)
}

/// A connection that copies the write-ahead log back beside the writer.
pub(super) async fn checkpoints(path: &Path) -> Result<SqliteConnection> {
    SqliteConnection::connect_with(&options(path).synchronous(SqliteSynchronous::Full)).await.map_err(failed)
}

/// Connections that only read.
pub(super) async fn readers(path: &Path) -> Result<SqlitePool> {
    let options = options(path).read_only(true);
    SqlitePoolOptions::new().max_connections(4).connect_with(options).await.map_err(failed)
}

async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<()> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let row = transaction.fetch_one("PRAGMA user_version").await.map_err(failed)?;
    let version: i64 = row.try_get(0).map_err(failed)?;
    match version {
        0 => {
            transaction.execute(include_str!("schema.sql")).await.map_err(failed)?;
        }
        version => known(version, path)?,
    }
    if version == 1 {
        transaction.execute("ALTER TABLE deliveries ADD COLUMN throttled INTEGER NOT NULL DEFAULT 0").await.map_err(failed)?;
    }
    if version == 1 || version == 2 {
        transaction.execute("DROP INDEX IF EXISTS deliveries_of_key").await.map_err(failed)?;
        let index = "CREATE INDEX deliveries_of_key ON deliveries (entry, endpoint, supersede, event, id) WHERE supersede IS NOT NULL";
        transaction.execute(index).await.map_err(failed)?;
    }
    if version < VERSION {
        transaction.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(format!("PRAGMA user_version = {VERSION}")))).await.map_err(failed)?;
    }
    transaction.commit().await.map_err(failed)
}

/// Refuses a store whose schema this host does not know. Events are read alike in all that it knows.
pub(super) fn known(version: i64, path: &Path) -> Result<()> {
    match version {
        1..=VERSION => Ok(()),
        0 => Err(StoreError::Failed(format!("{} is no store of reporter-host", path.display()))),
        newer => {
            Err(StoreError::Failed(format!("{} was written by a newer reporter-host (schema {newer}, this one knows {VERSION}); run that one", path.display())))
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_given_back_while_processes_are_started() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.sqlite");
        let starts = std::thread::spawn(|| (0..200).for_each(|_| assert!(std::process::Command::new("true").status().unwrap().success())));
        while !starts.is_finished() {
            drop(lock(&path).unwrap());
        }
        starts.join().unwrap();
    }
}
