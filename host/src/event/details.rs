//! An event's details: fetched from its source once, when first asked for, whatever the number of
//! entries, and kept with the event.
//!
//! A detail is named by its path in Buildbot's REST API (`builds/12/properties`,
//! `builders/3/builds?number__lt=7&order=-number&limit=10`), and its value is the list under the
//! plural key of the answer. An inbox and a recording answer the same paths from what they hold,
//! so that everything above reads one shape.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde_json::Value;
use tokio::sync::OnceCell;

use super::Event;

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

/// One event with its details.
pub struct Details {
    /// The event.
    pub event: Arc<Event>,
    /// Its number in the journal.
    pub seq: i64,
    source: Arc<dyn Fetch>,
    journal: Arc<dyn Keep>,
    cells: Mutex<HashMap<String, Arc<OnceCell<Arc<Rows>>>>>,
}

impl Details {
    /// An event with what the journal already holds of its details.
    pub fn new(
        event: Arc<Event>,
        seq: i64,
        kept: impl IntoIterator<Item = (String, Rows)>,
        source: Arc<dyn Fetch>,
        journal: Arc<dyn Keep>,
    ) -> Self {
        let cells = kept
            .into_iter()
            .map(|(path, rows)| (path, Arc::new(OnceCell::new_with(Some(Arc::new(rows))))))
            .collect();
        Self { event, seq, source, journal, cells: Mutex::new(cells) }
    }

    /// One path's rows. What the source does not have is empty, and kept as such. Concurrent calls
    /// for one path share one fetch.
    ///
    /// # Errors
    /// [`FetchError::NotNow`], with nothing kept: the next call asks again.
    pub async fn get(&self, path: &str) -> Result<Arc<Rows>, FetchError> {
        let cell = {
            let mut cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
            match cells.get(path) {
                Some(cell) => cell.clone(),
                None => cells.entry(path.to_owned()).or_default().clone(),
            }
        };
        cell.get_or_try_init(|| async {
            let rows = match self.source.fetch(path).await {
                Ok(rows) => Arc::new(rows),
                Err(FetchError::Missing(_)) => Arc::default(),
                Err(error) => return Err(error),
            };
            self.journal.keep(self.seq, path, &rows);
            Ok(rows)
        })
        .await
        .cloned()
    }

    /// The first row of a path, or null.
    ///
    /// # Errors
    /// As [`Details::get`].
    pub async fn one(&self, path: &str) -> Result<Value, FetchError> {
        Ok(self.get(path).await?.first().cloned().unwrap_or(Value::Null))
    }

    /// A path's rows, if they have been fetched.
    pub fn kept(&self, path: &str) -> Option<Arc<Rows>> {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.get(path).and_then(|cell| cell.get().cloned())
    }

    /// What has been fetched so far, for a recording.
    pub fn fetched(&self) -> Vec<(String, Arc<Rows>)> {
        let cells = self.cells.lock().unwrap_or_else(PoisonError::into_inner);
        cells.iter().filter_map(|(path, cell)| Some((path.clone(), cell.get()?.clone()))).collect()
    }
}
