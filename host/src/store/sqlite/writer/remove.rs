//! Removing what retention allows.

use sqlx::{Executor as _, QueryBuilder, Sqlite, SqliteConnection};

use super::super::failed;
use super::super::retain::push_ended;
use super::super::rows::get;
use super::transaction;
use crate::store::Result;

/// Ids that are forgotten in one step.
const STEP: i64 = 1_000;

/// Removes those of these events of which everything ended before that time. Their ids are remembered.
/// Answers with the number of events and deliveries removed.
pub(super) async fn remove(connection: &mut SqliteConnection, events: &[i64], ended_before: i64) -> Result<(u64, u64)> {
    transaction::begin(connection).await?;
    let done = take_away(connection, events, ended_before).await;
    transaction::end(connection, done).await
}

async fn take_away(connection: &mut SqliteConnection, events: &[i64], ended_before: i64) -> Result<(u64, u64)> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT e.seq FROM events e WHERE ");
    push_ended(&mut query, ended_before);
    query.push(" AND e.seq IN (");
    let mut list = query.separated(", ");
    events.iter().for_each(|seq| {
        list.push_bind(*seq);
    });
    query.push(")");
    let rows = connection.fetch_all(query.build()).await.map_err(failed)?;
    let seqs = rows.iter().map(|row| get(row, "seq")).collect::<Result<Vec<i64>>>()?;
    let list = seqs.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    let mut deliveries = 0;
    for (of_deliveries, statement) in [
        (false, format!("INSERT OR IGNORE INTO past (id, journalled_ms) SELECT id, journalled_ms FROM events WHERE seq IN ({list})")),
        (false, format!("DELETE FROM attempts WHERE delivery IN (SELECT id FROM deliveries WHERE event IN ({list}))")),
        (true, format!("DELETE FROM deliveries WHERE event IN ({list})")),
        (false, format!("DELETE FROM units WHERE event IN ({list})")),
        (false, format!("DELETE FROM details WHERE event IN ({list})")),
        (false, format!("DELETE FROM events WHERE seq IN ({list})")),
    ] {
        let done = connection.execute(sqlx::raw_sql(sqlx::AssertSqlSafe(statement))).await.map_err(failed)?;
        if of_deliveries {
            deliveries = done.rows_affected();
        }
    }
    Ok((seqs.len() as u64, deliveries))
}

/// Forgets some ids of removed events that were journalled before that time. Answers with their number.
pub(super) async fn forget(connection: &mut SqliteConnection, before: i64) -> Result<u64> {
    let mut query = QueryBuilder::<Sqlite>::new("DELETE FROM past WHERE id IN (SELECT id FROM past WHERE journalled_ms < ");
    query.push_bind(before).push(" LIMIT ").push_bind(STEP).push(")");
    Ok(connection.execute(query.build()).await.map_err(failed)?.rows_affected())
}
