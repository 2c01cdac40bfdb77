//! Catching up: what happened while nobody listened, read from the REST API.

use serde_json::Value;

use super::cursor::Cursor;
use super::found::{Found, may_be_cancelled, of_build, of_request, of_set};
use super::rest::{Rest, RestError};
use super::table::{BUILDS, REQUESTS, SETS};

/// What a reading found.
pub struct Reading {
    /// Everything that may not have been journalled, in order.
    pub found: Vec<Found>,
    /// All workers.
    pub workers: Vec<Value>,
    /// How far it read. Its absences are still those from before.
    pub cursor: Cursor,
}

/// Reads what happened since `cursor`.
pub async fn read(rest: &Rest, cursor: &Cursor, now: i64) -> Result<Reading, RestError> {
    // In this order a set that is found complete has its builds found finished, and a build that is
    // found started has its request found submitted.
    let (set_rows, sets) = SETS.read(rest, &cursor.sets, cursor.time).await?;
    let (build_rows, builds) = BUILDS.read(rest, &cursor.builds, cursor.time).await?;
    let (request_rows, requests) = REQUESTS.read(rest, &cursor.requests, cursor.time).await?;
    let workers = rest.rows("workers").await?;

    let mut found = Vec::new();
    for row in &request_rows {
        let of_it = match row.row["buildrequestid"].as_i64() {
            Some(id) if may_be_cancelled(&row.row) => rest.rows(&crate::event::paths::request_builds(id)).await?,
            _ => Vec::new(),
        };
        found.extend(of_request(&row.row, row.fresh, &of_it));
    }
    found.extend(build_rows.iter().flat_map(|row| of_build(&row.row, row.fresh)));
    found.extend(set_rows.iter().filter_map(|row| of_set(&row.row)));
    found.sort_by_key(Found::order);
    let cursor = Cursor { time: now, generation: cursor.generation, builds, requests, sets, workers: cursor.workers.clone() };
    Ok(Reading { found, workers, cursor })
}
