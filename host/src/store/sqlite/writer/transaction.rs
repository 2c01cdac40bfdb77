//! Transactions. Not sqlx's: SQLite rolls back by itself when the disk is full
//! (<https://www.sqlite.org/lang_transaction.html#response_to_errors_within_a_transaction>), and sqlx then takes the
//! connection for being inside a transaction ever after.

use sqlx::{Executor as _, SqliteConnection};

use super::super::failed;
use crate::store::Result;

/// Begins one that may write. Each is followed by [`end`].
pub(super) async fn begin(connection: &mut SqliteConnection) -> Result<()> {
    connection.execute("BEGIN IMMEDIATE").await.map(drop).map_err(failed)
}

/// Makes what was done durable, or undoes it.
pub(super) async fn end<T>(connection: &mut SqliteConnection, done: Result<T>) -> Result<T> {
    let ended = match done {
        Ok(value) => connection.execute("COMMIT").await.map(|_| value).map_err(failed),
        Err(error) => Err(error),
    };
    if ended.is_err()
        && let Err(error) = connection.execute("ROLLBACK").await
    {
        tracing::debug!("SQLite has rolled back by itself: {error}");
    }
    ended
}
