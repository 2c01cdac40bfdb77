//! What is read beside the writer.

use std::collections::HashMap;

use sqlx::sqlite::SqliteRow;
use sqlx::{Executor as _, QueryBuilder, Row as _, Sqlite, SqlitePool};

use super::failed;
use super::rows::{DELIVERY, delivery, delivery_row, get, json, unit};
use crate::event::{Event, Rows};
use crate::store::{AttemptRow, Delivery, DeliveryRow, DeliveryStory, Filter, Result, SOON, Unit, UnitRow, now_ms, shared};

/// Columns of [`DeliveryRow`].
const ROW: &str = "d.id, d.state, d.entry, d.endpoint, d.destination, d.title, d.uid, d.lane, d.attempts, d.queued_ms, d.due_ms, \
                   d.ended_ms, d.why, (SELECT e.id FROM events e WHERE e.seq = d.event) AS event_id";

async fn all(pool: &SqlitePool, query: &mut QueryBuilder<Sqlite>) -> Result<Vec<SqliteRow>> {
    pool.fetch_all(query.build()).await.map_err(failed)
}

pub(super) async fn cursor(pool: &SqlitePool, source: &str) -> Result<Option<String>> {
    let mut query = QueryBuilder::new("SELECT cursor FROM cursors WHERE source = ");
    query.push_bind(source);
    all(pool, &mut query).await?.first().map(|row| get(row, "cursor")).transpose()
}

pub(super) async fn known(pool: &SqlitePool, ids: &[String]) -> Result<Vec<String>> {
    let mut known = Vec::new();
    for ids in ids.chunks(1_000) {
        for table in ["events", "past"] {
            let mut query = QueryBuilder::new(format!("SELECT id FROM {table} WHERE id IN ("));
            let mut list = query.separated(", ");
            ids.iter().for_each(|id| {
                list.push_bind(id);
            });
            query.push(")");
            for row in all(pool, &mut query).await? {
                known.push(get(&row, "id")?);
            }
        }
    }
    Ok(known)
}

pub(super) async fn event(pool: &SqlitePool, seq: i64) -> Result<Option<(Event, Vec<(String, Rows)>)>> {
    let mut query = QueryBuilder::new("SELECT body FROM events WHERE seq = ");
    query.push_bind(seq);
    let rows = all(pool, &mut query).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let event = json(get(row, "body")?)?;
    let mut query = QueryBuilder::new("SELECT path, rows FROM details WHERE event = ");
    query.push_bind(seq);
    let details = all(pool, &mut query).await?;
    let details = details.iter().map(|row| Ok((get(row, "path")?, json(get(row, "rows")?)?)));
    Ok(Some((event, details.collect::<Result<_>>()?)))
}

pub(super) async fn events(pool: &SqlitePool, text: Option<&str>, before: Option<i64>, limit: u32) -> Result<Vec<(i64, Event)>> {
    let mut query = QueryBuilder::new("SELECT seq, body FROM events WHERE seq < ");
    query.push_bind(before.unwrap_or(i64::MAX));
    if let Some(text) = text {
        query.push(" AND instr(id, ").push_bind(text).push(") > 0");
    }
    query.push(" ORDER BY seq DESC LIMIT ").push_bind(limit);
    all(pool, &mut query).await?.iter().map(|row| Ok((get(row, "seq")?, json(get(row, "body")?)?))).collect()
}

pub(super) async fn units(pool: &SqlitePool, after: i64, limit: u32) -> Result<Vec<Unit>> {
    let mut query = QueryBuilder::new("SELECT * FROM units WHERE state = 'waiting' AND id > ");
    query.push_bind(after).push(" ORDER BY id LIMIT ").push_bind(limit);
    all(pool, &mut query).await?.iter().map(unit).collect()
}

pub(super) async fn state(pool: &SqlitePool, entry: &str) -> Result<Vec<(String, String)>> {
    let mut query = QueryBuilder::new("SELECT key, value FROM state WHERE entry = ");
    query.push_bind(entry);
    all(pool, &mut query).await?.iter().map(|row| Ok((get(row, "key")?, get(row, "value")?))).collect()
}

pub(super) async fn sent(pool: &SqlitePool, event: i64, entry: &str, since_ms: i64) -> Result<u32> {
    let mut query = QueryBuilder::new("SELECT (SELECT count(*) FROM deliveries WHERE part_of IS NULL AND endpoint <> '' AND event = ");
    query.push_bind(event).push(" AND entry = ").push_bind(entry).push(" AND queued_ms >= ").push_bind(since_ms);
    query.push(") + (SELECT count(*) FROM units WHERE event = ").push_bind(event).push(" AND entry = ").push_bind(entry);
    query.push(" AND made_ms >= ").push_bind(since_ms).push(" AND ordering LIKE ").push_bind(format!("{SOON}%")).push(") AS sent");
    all(pool, &mut query).await?.first().map_or(Ok(0), |row| get(row, "sent"))
}

pub(super) async fn waiting(pool: &SqlitePool, after: i64, limit: u32) -> Result<Vec<Delivery>> {
    let mut query = QueryBuilder::new(format!("SELECT {DELIVERY} FROM deliveries WHERE state = 'waiting' AND id > "));
    query.push_bind(after).push(" ORDER BY id LIMIT ").push_bind(limit);
    all(pool, &mut query).await?.iter().map(delivery).collect()
}

/// The newest delivery of the supersede key of `d`, if it is newer: made from a later event, or later from the same. Results of
/// some recipients are no newer word than the whole that they are a part of.
const NEWER: &str = "(SELECT n.id FROM deliveries n WHERE n.entry = d.entry AND n.endpoint = d.endpoint AND n.supersede = d.supersede \
                      AND n.part_of IS NULL AND (n.event, n.id) > (d.event, d.id) ORDER BY n.event DESC, n.id DESC LIMIT 1)";

pub(super) async fn replaced(pool: &SqlitePool) -> Result<Vec<(i64, i64)>> {
    let mut query = QueryBuilder::new(format!(
        "SELECT id, newer FROM (SELECT d.id AS id, {NEWER} AS newer FROM deliveries d WHERE d.state = 'waiting' AND d.supersede IS NOT NULL) \
         WHERE newer IS NOT NULL ORDER BY id"
    ));
    all(pool, &mut query).await?.iter().map(|row| Ok((get(row, "id")?, get(row, "newer")?))).collect()
}

pub(super) async fn newer(pool: &SqlitePool, id: i64) -> Result<Option<i64>> {
    let mut query = QueryBuilder::new(format!("SELECT {NEWER} AS newer FROM deliveries d WHERE d.supersede IS NOT NULL AND d.id = "));
    query.push_bind(id);
    all(pool, &mut query).await?.first().map_or(Ok(None), |row| get(row, "newer"))
}

/// A delivery, if it waits.
pub(super) async fn by_id(pool: &SqlitePool, id: i64) -> Result<Option<Delivery>> {
    let mut query = QueryBuilder::new(format!("SELECT {DELIVERY} FROM deliveries WHERE state = 'waiting' AND id = "));
    query.push_bind(id);
    all(pool, &mut query).await?.first().map(delivery).transpose()
}

pub(super) async fn has_nudges(pool: &SqlitePool) -> Result<bool> {
    let row = pool.fetch_one("SELECT EXISTS (SELECT 1 FROM nudges)").await.map_err(failed)?;
    row.try_get(0).map_err(failed)
}

pub(super) async fn deliveries(pool: &SqlitePool, filter: &Filter) -> Result<Vec<DeliveryRow>> {
    let mut query = QueryBuilder::new(format!("SELECT {ROW} FROM deliveries d WHERE d.id < "));
    query.push_bind(filter.before.unwrap_or(i64::MAX));
    if let Some(state) = &filter.state {
        query.push(" AND d.state = ").push_bind(state);
    }
    if let Some(entry) = &filter.entry {
        query.push(" AND d.entry = ").push_bind(entry);
    }
    if let Some(event) = &filter.event {
        query.push(" AND d.event IN (SELECT seq FROM events WHERE instr(id, ").push_bind(event).push(") > 0)");
    }
    if let Some(text) = &filter.text {
        let text = text.to_lowercase();
        query.push(
            " AND instr(lower(d.title || ' ' || d.destination || ' ' || coalesce(d.why, '') || ' ' || d.payload || \
                    coalesce((SELECT w.payload FROM deliveries w WHERE w.id = d.part_of AND d.payload LIKE '[%'), '')), ",
        );
        query.push_bind(text).push(") > 0");
    }
    query.push(" ORDER BY d.id DESC LIMIT ").push_bind(filter.limit);
    all(pool, &mut query).await?.iter().map(delivery_row).collect()
}

pub(super) async fn story(pool: &SqlitePool, id: i64) -> Result<Option<DeliveryStory>> {
    let mut query = QueryBuilder::new(format!("SELECT {ROW} FROM deliveries d WHERE d.id = "));
    query.push_bind(id);
    let rows = all(pool, &mut query).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let mut query = QueryBuilder::new(format!("SELECT {DELIVERY} FROM deliveries WHERE id = "));
    query.push_bind(id);
    let contents = all(pool, &mut query).await?;
    let payload = match contents.first() {
        Some(row) => json(get(row, "payload")?)?,
        None => None,
    };
    let mut query = QueryBuilder::new("SELECT * FROM attempts WHERE delivery = ");
    query.push_bind(id).push(" ORDER BY rowid");
    let log = all(pool, &mut query).await?;
    let attempt =
        |row: &SqliteRow| Ok(AttemptRow { at_ms: get(row, "at_ms")?, took_ms: get(row, "took_ms")?, status: get(row, "status")?, text: get(row, "answer")? });
    let log = log.iter().map(attempt).collect::<Result<_>>()?;
    Ok(Some(DeliveryStory { row: delivery_row(row)?, log, payload }))
}

/// What may hold up a unit that was not tried yet: an earlier one of its entry and source that is to be tried again.
async fn waits_for(pool: &SqlitePool, entry: &str, unit: i64, order: &str) -> Result<Option<String>> {
    let shared = shared(order);
    let mut query = QueryBuilder::new("SELECT u.why, e.id AS event_id FROM units u JOIN events e ON e.seq = u.event WHERE u.state = 'waiting' AND u.entry = ");
    query.push_bind(entry).push(" AND u.id < ").push_bind(unit).push(" AND u.why IS NOT NULL AND substr(u.ordering, 1, length(");
    query.push_bind(shared).push(")) = ").push_bind(shared).push(" ORDER BY u.id LIMIT 1");
    let rows = all(pool, &mut query).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let (event, why): (String, String) = (get(row, "event_id")?, get(row, "why")?);
    Ok(Some(format!("an earlier one of this entry waits, {event}: {why}")))
}

pub(super) async fn explain(pool: &SqlitePool, event: &str, entry: Option<&str>, limit: u32) -> Result<Vec<UnitRow>> {
    let mut query = QueryBuilder::new("SELECT u.*, e.id AS event_id, e.body FROM units u JOIN events e ON e.seq = u.event WHERE instr(e.id, ");
    query.push_bind(event).push(") > 0");
    if let Some(entry) = entry {
        query.push(" AND u.entry = ").push_bind(entry);
    }
    query.push(" ORDER BY u.id DESC LIMIT ").push_bind(limit);
    let rows = all(pool, &mut query).await?;
    let ids = rows.iter().map(|row| get::<i64>(row, "id")).collect::<Result<Vec<_>>>()?;
    let mut sent: HashMap<i64, Vec<i64>> = HashMap::new();
    for ids in ids.chunks(1_000) {
        let mut query = QueryBuilder::new("SELECT id, unit FROM deliveries WHERE unit IN (");
        let mut list = query.separated(", ");
        ids.iter().for_each(|id| {
            list.push_bind(id);
        });
        query.push(") ORDER BY id");
        for row in all(pool, &mut query).await? {
            sent.entry(get(&row, "unit")?).or_default().push(get(&row, "id")?);
        }
    }
    let mut units = Vec::new();
    for (row, id) in rows.iter().zip(ids) {
        let event: Event = json(get(row, "body")?)?;
        let log: Option<String> = get(row, "log")?;
        let (state, why): (String, Option<String>) = (get(row, "state")?, get(row, "why")?);
        let why = match why {
            None if state == "waiting" && get::<i64>(row, "due_ms")? <= now_ms() => waits_for(pool, get(row, "entry")?, id, get(row, "ordering")?).await?,
            why => why,
        };
        units.push(UnitRow {
            event: get(row, "event_id")?,
            kind: event.kind.to_string(),
            entry: get(row, "entry")?,
            state,
            why,
            attempts: get(row, "attempts")?,
            ended_ms: get(row, "ended_ms")?,
            log: log.map(|log| json(&log)).transpose()?.unwrap_or_default(),
            deliveries: sent.remove(&id).unwrap_or_default(),
        });
    }
    Ok(units)
}
