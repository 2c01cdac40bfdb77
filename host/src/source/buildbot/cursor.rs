//! How far a master was read, as it stands in the journal.

use serde::{Deserialize, Serialize};

use super::rest::{Rest, RestError};
use super::table::{BUILDS, Mark, REQUESTS, SETS};
use super::workers::Absences;

/// A master's cursor. Moved only by readings of the REST API; what was heard since is known to
/// the journal by id.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cursor {
    /// When the master was last read, in our seconds since 1970.
    pub time: i64,
    /// Counts the databases that the master has had; from 1.
    pub generation: u32,
    /// Builds.
    pub builds: Mark,
    /// Build requests.
    pub requests: Mark,
    /// Buildsets.
    pub sets: Mark,
    /// Workers that are away.
    pub workers: Absences,
    /// There is more to be read that has happened already: events older than this are left out of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catching_up: Option<i64>,
}

impl Cursor {
    /// A cursor that stands at a time; none: now.
    pub async fn at(rest: &Rest, time: Option<i64>, now: i64) -> Result<Self, RestError> {
        Ok(Self {
            time: time.unwrap_or(now),
            generation: 1,
            sets: SETS.at(rest, time).await?,
            builds: BUILDS.at(rest, time).await?,
            requests: REQUESTS.at(rest, time).await?,
            workers: Absences::default(),
            catching_up: None,
        })
    }

    /// Whether the master's database is another one than this cursor was made of: its ids began again.
    pub async fn replaced(&self, rest: &Rest) -> Result<bool, RestError> {
        Ok(BUILDS.replaced(rest, &self.builds).await? || REQUESTS.replaced(rest, &self.requests).await? || SETS.replaced(rest, &self.sets).await?)
    }

    /// Reads what the journal keeps. None: it is not ours (written by something else), begin anew.
    pub fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// What the journal keeps.
    pub fn text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}
