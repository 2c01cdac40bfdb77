//! Events: what happened, and its details, fetched once and kept.

mod build;
mod details;
mod fetch;
mod kind;
pub mod paths;
mod row;
mod step;
mod weight;

pub use build::{Build, Want};
pub use details::Details;
pub use fetch::{Acted, Fetch, FetchError, Keep, Rows};
pub use kind::Kind;
pub use row::Row;
pub use step::{Log, LogText, Step};
pub use weight::weight;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Buildbot's words for results, by number.
pub const RESULTS: [&str; 7] = ["success", "warnings", "failure", "skipped", "exception", "retry", "cancelled"];

/// What the ids of events begin with that people's words are; no source has such a name.
pub const HEARD: &str = "/heard/";

/// One event of a source, as it stands in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Unique and stable, at most 200 bytes: `main/builds/12/finished`.
    pub id: String,
    /// What happened.
    pub kind: Kind,
    /// The name of the master or inbox.
    pub source: String,
    /// When it happened, in seconds since 1970.
    pub occurred_at: i64,
    /// Found after an absence instead of being heard as it happened.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// The object that the event is about, in the REST API's shape: a build (its state and results
    /// are the event's own, never those of a later read), a build request, a buildset, or a worker
    /// (with `notify` and `last_connection` where the master said so).
    pub message: Value,
}

impl Event {
    /// The key by which work about it is ordered: what concerns one build (its request), one buildset or one worker, below the source's name.
    pub fn order(&self) -> String {
        let id = |key: &str| self.message[key].as_u64();
        match (id("buildrequestid"), id("bsid"), id("workerid")) {
            _ if self.kind == Kind::Heard => self.id.clone(),
            (Some(request), ..) => format!("{}/buildrequests/{request}", self.source),
            (_, Some(set), _) => format!("{}/buildsets/{set}", self.source),
            (.., Some(worker)) => format!("{}/workers/{worker}", self.source),
            _ => format!("{}/{}", self.source, self.id),
        }
    }
}
