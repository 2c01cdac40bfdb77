//! Rows to values.

use std::sync::Arc;

use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;

use super::failed;
use crate::store::{Delivery, DeliveryRow, Job, NewDelivery, Result, StoreError, Unit};

/// Columns of [`Delivery`], from `deliveries`. The part for some recipients has their addresses alone, and the content from the delivery of which it is a part.
pub(super) const DELIVERY: &str = "id, uid, event, entry, endpoint, destination, lane, supersede, tag, title, attempts, throttled, due_ms, expires_ms, rules, \
     CASE WHEN deliveries.payload LIKE '[%' THEN json_set((SELECT w.payload FROM deliveries w WHERE w.id = deliveries.part_of), '$.only', \
     json(deliveries.payload)) ELSE deliveries.payload END AS payload";

pub(super) fn json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(|error| StoreError::Failed(format!("a row does not read: {error}")))
}

pub(super) fn text<T: serde::Serialize>(value: &T) -> Result<String> {
    serde_json::to_string(value).map_err(|error| StoreError::Failed(format!("a value cannot be written: {error}")))
}

pub(super) fn get<'r, T>(row: &'r SqliteRow, column: &str) -> Result<T>
where
    T: sqlx::Decode<'r, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    row.try_get(column).map_err(failed)
}

pub(super) fn delivery(row: &SqliteRow) -> Result<Delivery> {
    Ok(Delivery {
        id: get(row, "id")?,
        event: get(row, "event")?,
        attempts: get(row, "attempts")?,
        throttled: get(row, "throttled")?,
        due_ms: get(row, "due_ms")?,
        new: NewDelivery {
            uid: get(row, "uid")?,
            entry: get(row, "entry")?,
            endpoint: get(row, "endpoint")?,
            destination: get(row, "destination")?,
            lane: get(row, "lane")?,
            supersede: get(row, "supersede")?,
            tag: get(row, "tag")?,
            title: get(row, "title")?,
            expires_ms: get(row, "expires_ms")?,
            payload: Arc::new(json(get(row, "payload")?)?),
            rules: json(get(row, "rules")?)?,
        },
    })
}

pub(super) fn unit(row: &SqliteRow) -> Result<Unit> {
    Ok(Unit {
        id: get(row, "id")?,
        event: get(row, "event")?,
        entry: get(row, "entry")?,
        order: get(row, "ordering")?,
        job: json::<Job>(get(row, "job")?)?,
        made_ms: get(row, "made_ms")?,
        attempts: get(row, "attempts")?,
        failed: get(row, "failed")?,
        waited: get(row, "waited")?,
        due_ms: get(row, "due_ms")?,
    })
}

pub(super) fn delivery_row(row: &SqliteRow) -> Result<DeliveryRow> {
    let state: String = get(row, "state")?;
    Ok(DeliveryRow {
        id: get(row, "id")?,
        entry: get(row, "entry")?,
        event: get::<Option<String>>(row, "event_id")?.unwrap_or_default(),
        endpoint: get(row, "endpoint")?,
        destination: get(row, "destination")?,
        title: get(row, "title")?,
        uid: get(row, "uid")?,
        lane: get(row, "lane")?,
        attempts: get(row, "attempts")?,
        queued_ms: get(row, "queued_ms")?,
        due_ms: if state == "waiting" { Some(get(row, "due_ms")?) } else { None },
        ended_ms: get(row, "ended_ms")?,
        why: get(row, "why")?,
        state,
    })
}
