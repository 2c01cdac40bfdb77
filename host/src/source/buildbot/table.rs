//! What is new in one of the master's tables since it was last read, exactly: by ids and by what was
//! open then, so that neither clocks nor lost messages matter.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::rest::{PAGE, Rest, RestError};
use crate::event::Rows;

/// A collection whose rows are born, and then complete.
pub struct Table {
    /// Its path.
    pub path: &'static str,
    /// The key of a row's id, which grows.
    pub id: &'static str,
    /// The key of the time when a row was made.
    pub born: &'static str,
}

/// Builds.
pub const BUILDS: Table = Table { path: "builds", id: "buildid", born: "started_at" };
/// Build requests.
pub const REQUESTS: Table = Table { path: "buildrequests", id: "buildrequestid", born: "submitted_at" };
/// Buildsets.
pub const SETS: Table = Table { path: "buildsets", id: "bsid", born: "submitted_at" };

/// Several masters may share a database, in which a lower id can become visible after a higher one: so
/// many ids are read once more …
const OVERLAP: i64 = 100;
/// … if they are not older than this, in seconds.
const OVERLAP_TIME: i64 = 600;
/// Rows that are read at a time: what was missed may be much.
const PART: usize = 1_000;
/// Ids asked for by name in one request.
const NAMED: usize = 40;

/// How far a table was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Mark {
    /// The highest id seen.
    pub last: i64,
    /// When that row was made; if another row bears its id, the database is another one.
    pub born: i64,
    /// Up to this id everything was there before the beginning: how it began is of no interest.
    pub first: i64,
    /// Rows that were not complete.
    pub open: BTreeSet<i64>,
}

/// A row worth looking at.
#[derive(Debug)]
pub struct Row {
    /// As the master has it.
    pub row: Value,
    /// Whether its beginning may not have been journalled.
    pub fresh: bool,
    /// Whether it has ended.
    pub ended: bool,
}

/// Rows behind a mark, the first of them or all.
pub struct Part {
    rows: Rows,
    whole: bool,
    /// All that are open.
    open: BTreeSet<i64>,
}

impl Table {
    fn id(&self, row: &Value) -> i64 {
        row[self.id].as_i64().unwrap_or_default()
    }

    async fn open(&self, rest: &Rest) -> Result<BTreeSet<i64>, RestError> {
        let filter = format!("complete=false&field={}&field=complete", self.id);
        let rows = rest.all(self.path, self.id, 0, &filter).await?;
        Ok(rows.iter().map(|row| self.id(row)).collect())
    }

    /// A mark that stands at a time: what began later is new, what was open then is open.
    /// None: now.
    pub async fn at(&self, rest: &Rest, time: Option<i64>) -> Result<Mark, RestError> {
        let before = time.map(|time| format!("{}__lt={time}&", self.born)).unwrap_or_default();
        let newest = rest.rows(&format!("{}?{before}order=-{}&limit=1", self.path, self.id)).await?;
        let (last, born) = newest.first().map_or((0, 0), |row| (self.id(row), row[self.born].as_i64().unwrap_or_default()));
        let mut open: BTreeSet<i64> = self.open(rest).await?.into_iter().filter(|id| *id <= last).collect();
        if let Some(time) = time {
            let filter = format!("complete_at__ge={time}&{}__le={last}", self.id);
            let since = rest.all(self.path, self.id, 0, &filter).await?;
            open.extend(since.iter().map(|row| self.id(row)));
        }
        Ok(Mark { last, born, first: last, open })
    }

    /// Rows behind a mark: the first part of them.
    pub async fn part(&self, rest: &Rest, mark: &Mark) -> Result<Part, RestError> {
        let open = self.open(rest).await?;
        let (rows, whole) = rest.some(self.path, self.id, mark.first.max(mark.last - OVERLAP), "", PART).await?;
        Ok(Part { rows, whole, open })
    }

    /// Up to when a part has everything that began, in the master's seconds.
    pub fn reaches(&self, part: &Part) -> i64 {
        let last = part.rows.iter().filter_map(|row| row[self.born].as_i64()).max().unwrap_or(i64::MAX);
        if part.whole { i64::MAX } else { last }
    }

    /// Rows of a part that are new or have completed since `mark` was made at `time`, as they were at `until`, and the next
    /// mark: what began later is behind it, what completed later is still open.
    pub async fn read(&self, rest: &Rest, mark: &Mark, part: Part, time: i64, until: i64) -> Result<(Vec<Row>, Mark), RestError> {
        let mut rows = Vec::new();
        let mut next = mark.clone();
        next.open.retain(|id| part.open.contains(id));
        for row in part.rows {
            let (id, born) = (self.id(&row), row[self.born].as_i64().unwrap_or_default());
            if born > until {
                break;
            }
            let fresh = id > mark.last || born >= time - OVERLAP_TIME;
            if !fresh && !mark.open.contains(&id) {
                continue;
            }
            let ended = ended(&row, until);
            if ended {
                next.open.remove(&id);
            } else {
                next.open.insert(id);
            }
            if id > next.last {
                (next.last, next.born) = (id, born);
            }
            rows.push(Row { row, fresh, ended });
        }
        let seen: BTreeSet<i64> = rows.iter().map(|row| self.id(&row.row)).collect();
        let closed: Vec<i64> = mark.open.iter().filter(|id| !part.open.contains(id) && !seen.contains(id)).copied().collect();
        for ids in closed.chunks(NAMED) {
            let named: Vec<String> = ids.iter().map(|id| format!("{}={id}", self.id)).collect();
            for row in rest.rows(&format!("{}?{}&limit={PAGE}", self.path, named.join("&"))).await? {
                if ended(&row, until) {
                    rows.push(Row { row, fresh: false, ended: true });
                } else {
                    next.open.insert(self.id(&row));
                }
            }
        }
        Ok((rows, next))
    }

    /// Whether the database is not the one that `mark` was made of: the last row is another one, or it is gone
    /// and everything there is has lower ids.
    pub async fn replaced(&self, rest: &Rest, mark: &Mark) -> Result<bool, RestError> {
        if mark.last == 0 {
            return Ok(false);
        }
        match rest.rows(&format!("{}/{}", self.path, mark.last)).await {
            Ok(rows) if !rows.is_empty() => Ok(rows[0][self.born].as_i64() != Some(mark.born)),
            Ok(_) | Err(RestError::Missing(_)) => {
                let newest = rest.rows(&format!("{}?order=-{}&limit=1", self.path, self.id)).await?;
                Ok(newest.first().is_none_or(|row| self.id(row) < mark.last))
            }
            Err(error) => Err(error),
        }
    }
}

/// Whether a row was complete at that time.
fn ended(row: &Value, until: i64) -> bool {
    row["complete"].as_bool() == Some(true) && row["complete_at"].as_i64().is_none_or(|at| at <= until)
}
