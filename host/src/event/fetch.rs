//! Where an event's details come from, and where they are kept.
//!
//! A detail is named by its path in Buildbot's REST API (`builds/12/properties`,
//! `builders/3/builds?number__lt=7&order=-number&limit=10`), and its value is the list under the
//! plural key of the answer. An inbox and a recording answer the same paths from what they hold,
//! so that everything above reads one shape.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Value;

/// What a path answers: the objects under the plural key. A single object is a list of one.
pub type Rows = Vec<Value>;

/// Where details come from.
#[async_trait]
pub trait Fetch: Send + Sync {
    /// Reads one path, relative to `/api/v2/`, or `config` for the master's title, URL and version
    /// (one row with Buildbot's `title`, `titleURL`, `buildbotURL`, `versions`).
    ///
    /// `logs/ID/contents` answers with one row whose `content` is the whole log up to the source's
    /// cap, `cut: true` if it was cut there.
    async fn fetch(&self, path: &str) -> Result<Rows, FetchError>;

    /// Does a control call: `method` on the path below `api/v2/`. Tried once.
    async fn act(&self, _path: &str, _method: &str, _parameters: Value) -> Acted {
        Acted::Refused(501, "this source takes no control calls: it is no master".into())
    }
}

/// What came of a control call.
#[derive(Clone, Debug, PartialEq)]
pub enum Acted {
    /// It was done; the call's result.
    Done(Value),
    /// It was not done: status, and why.
    Refused(u16, String),
    /// Nobody could be asked.
    NotAsked(String),
    /// It was asked, and what came of it is not known.
    Lost(String),
}

/// Where details are kept; the journal.
pub trait Keep: Send + Sync {
    /// Keeps a fetched detail with its event, before anything is committed that was made from it.
    fn keep(&self, event: i64, path: &str, rows: &Arc<Rows>);
}

/// Why a detail cannot be had.
#[derive(Clone, Debug, thiserror::Error)]
pub enum FetchError {
    /// For now: the master is away, busy, or answers 5xx.
    #[error("{0}")]
    NotNow(String),
    /// Never: the source has no such thing.
    #[error("{0}")]
    Missing(String),
}
