//! Retention: what has ended goes when it is old, or when the store is too large.

use sqlx::{Connection as _, Executor as _, QueryBuilder, Row as _, Sqlite, SqliteConnection};

use super::super::failed;
use crate::store::{Result, Retention, now_ms};

/// Events of one step; steps are small so that other writes are not kept waiting.
const STEP: i64 = 200;
/// Steps of one call.
const STEPS: u32 = 50;

/// An event whose units and deliveries have all ended.
const ENDED: &str = "NOT EXISTS (SELECT 1 FROM units u WHERE u.event = e.seq AND u.state = 'waiting') \
                     AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.event = e.seq AND d.state = 'waiting')";

pub(super) async fn retain(connection: &mut SqliteConnection, retention: &Retention) -> Result<(u64, u64)> {
    let age = i64::try_from(retention.age.saturating_mul(1_000)).unwrap_or(i64::MAX);
    let oldest = now_ms().saturating_sub(age);
    let (mut events, mut deliveries) = (0, 0);
    for _ in 0..STEPS {
        let before = if size(connection).await? > retention.size { i64::MAX } else { oldest };
        let (gone, with_them) = step(connection, before).await?;
        events += gone;
        deliveries += with_them;
        if gone == 0 {
            break;
        }
    }
    Ok((events, deliveries))
}

/// Bytes in use; pages that are free again do not count.
async fn size(connection: &mut SqliteConnection) -> Result<u64> {
    let query = "SELECT (p.page_count - f.freelist_count) * s.page_size \
                 FROM pragma_page_count p, pragma_freelist_count f, pragma_page_size s";
    let row = connection.fetch_one(query).await.map_err(failed)?;
    let size: i64 = row.try_get(0).map_err(failed)?;
    Ok(u64::try_from(size).unwrap_or_default())
}

async fn step(connection: &mut SqliteConnection, before: i64) -> Result<(u64, u64)> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(failed)?;
    let mut query = QueryBuilder::<Sqlite>::new("SELECT e.seq FROM events e WHERE e.journalled_ms < ");
    query.push_bind(before).push(format!(" AND {ENDED} ORDER BY e.seq LIMIT ")).push_bind(STEP);
    let rows = transaction.fetch_all(query.build()).await.map_err(failed)?;
    let seqs = rows.iter().map(|row| row.try_get(0).map_err(failed)).collect::<Result<Vec<i64>>>()?;
    if seqs.is_empty() {
        return Ok((0, 0));
    }
    let list = seqs.iter().map(i64::to_string).collect::<Vec<_>>().join(", ");
    let mut deliveries = 0;
    for (table, column) in [
        ("attempts", "delivery IN (SELECT id FROM deliveries WHERE event"),
        ("deliveries", "(event"),
        ("units", "(event"),
        ("details", "(event"),
        ("events", "(seq"),
    ] {
        let mut query = QueryBuilder::<Sqlite>::new(format!("DELETE FROM {table} WHERE {column} IN ({list}))"));
        let done = transaction.execute(query.build()).await.map_err(failed)?;
        if table == "deliveries" {
            deliveries = done.rows_affected();
        }
    }
    transaction.commit().await.map_err(failed)?;
    Ok((seqs.len() as u64, deliveries))
}
