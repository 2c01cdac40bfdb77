//! Retention: what has ended goes when it is old, or when the store is too large.
//!
//! What is to go is looked for beside the writer, and removed by it in small steps, so that no other
//! write waits long.

use sqlx::{Executor as _, QueryBuilder, Row as _, Sqlite, SqlitePool};

use super::failed;
use super::rows::get;
use super::writer::Writer;
use crate::store::{Result, Retention, now_ms};

/// Events of one step.
const STEP: i64 = 50;
/// Steps of one call.
const STEPS: u32 = 200;
/// How long ids of removed events are remembered at least, in milliseconds: 30 days.
const REMEMBERED: i64 = 30 * 24 * 3_600 * 1_000;

/// Removes what may go. Answers with the number of events and deliveries removed.
pub(super) async fn retain(readers: &SqlitePool, writer: &Writer, retention: &Retention) -> Result<(u64, u64)> {
    let now = now_ms();
    let age = i64::try_from(retention.age.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let (mut events, mut deliveries) = (0, 0);
    for _ in 0..STEPS {
        let before = if size(readers).await? > retention.size { i64::MAX } else { now.saturating_sub(age) };
        let found = ended(readers, before).await?;
        if found.is_empty() {
            break;
        }
        let (gone, with_them) = writer.remove(found, before).await?;
        events += gone;
        deliveries += with_them;
        if gone == 0 {
            break;
        }
    }
    while writer.forget(now.saturating_sub(age.max(REMEMBERED))).await? > 0 {}
    Ok((events, deliveries))
}

/// Bytes in use; pages that are free again do not count.
async fn size(readers: &SqlitePool) -> Result<u64> {
    let query = "SELECT (p.page_count - f.freelist_count) * s.page_size \
                 FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s";
    let row = readers.fetch_one(query).await.map_err(failed)?;
    let size: i64 = row.try_get(0).map_err(failed)?;
    Ok(u64::try_from(size).unwrap_or_default())
}

/// The oldest events of which everything ended before that time (milliseconds since 1970).
async fn ended(readers: &SqlitePool, before: i64) -> Result<Vec<i64>> {
    let mut query = QueryBuilder::new("SELECT e.seq FROM events e WHERE ");
    push_ended(&mut query, before);
    query.push(" ORDER BY e.journalled_ms, e.seq LIMIT ").push_bind(STEP);
    let rows = readers.fetch_all(query.build()).await.map_err(failed)?;
    rows.iter().map(|row| get(row, "seq")).collect()
}

/// The condition that an event `e`, its units and its deliveries have all ended before that time.
pub(super) fn push_ended(query: &mut QueryBuilder<Sqlite>, before: i64) {
    query.push("e.journalled_ms < ").push_bind(before);
    for table in ["units", "deliveries"] {
        query.push(format!(" AND NOT EXISTS (SELECT 1 FROM {table} t WHERE t.event = e.seq AND (t.state = 'waiting' OR t.ended_ms >= "));
        query.push_bind(before).push("))");
    }
}
