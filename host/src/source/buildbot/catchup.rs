//! Catching up: what happened while nobody listened, read from the REST API. It may be more than fits into memory, so it is
//! read in parts, each up to a time, as if the master had been read then.

use serde_json::Value;

use super::cursor::Cursor;
use super::found::{Found, may_be_cancelled, of_build, of_request, of_set};
use super::rest::{Rest, RestError};
use super::table::{BUILDS, REQUESTS, SETS};

/// What a reading found.
pub struct Reading {
    /// Everything that may not have been journalled, in order.
    pub found: Vec<Found>,
    /// All workers; none if there is more.
    pub workers: Vec<Value>,
    /// How far it read. Its absences are still those from before.
    pub cursor: Cursor,
    /// Whether there is more behind the cursor, all of it later.
    pub more: bool,
}

/// Reads what happened since `cursor`, or the first part of it.
pub async fn read(rest: &Rest, cursor: &Cursor, now: i64) -> Result<Reading, RestError> {
    // In this order a set that is found complete has its builds found finished, and a build that is
    // found started has its request found submitted.
    let sets = SETS.part(rest, &cursor.sets).await?;
    let builds = BUILDS.part(rest, &cursor.builds).await?;
    let requests = REQUESTS.part(rest, &cursor.requests).await?;
    let until = SETS.reaches(&sets).min(BUILDS.reaches(&builds)).min(REQUESTS.reaches(&requests));
    let more = until < i64::MAX;
    let (set_rows, sets) = SETS.read(rest, &cursor.sets, sets, cursor.time, until).await?;
    let (build_rows, builds) = BUILDS.read(rest, &cursor.builds, builds, cursor.time, until).await?;
    let (request_rows, requests) = REQUESTS.read(rest, &cursor.requests, requests, cursor.time, until).await?;
    let workers = if more { Vec::new() } else { rest.rows("workers").await? };

    let mut found = Vec::new();
    for row in &request_rows {
        let of_it = match row.row["buildrequestid"].as_i64() {
            Some(id) if row.ended && may_be_cancelled(&row.row) => rest.rows(&crate::event::paths::request_builds(id)).await?,
            _ => Vec::new(),
        };
        found.extend(of_request(row, &of_it));
    }
    found.extend(build_rows.iter().flat_map(of_build));
    found.extend(set_rows.iter().filter_map(of_set));
    found.sort_by_key(Found::order);
    let (generation, workers_away, catching_up) = (cursor.generation, cursor.workers.clone(), cursor.catching_up);
    let cursor = Cursor { time: now, generation, builds, requests, sets, workers: workers_away, catching_up };
    Ok(Reading { found, workers, cursor, more })
}
