//! An event's details: fetched from its source once, when first asked for, whatever the number of
//! entries, and kept with the event.
//!
//! A detail is named by its path in Buildbot's REST API (`builds/12/properties`,
//! `builders/3/builds?number__lt=7&order=-number&limit=10`), and its value is the list under the
//! plural key of the answer. An inbox and a recording answer the same paths from what they hold,
//! so that everything above reads one shape.

use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use serde_json::Value;

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
///
/// What is fetched is fetched in a task of its own: it goes on when nobody waits for it any more, and whoever asks later
/// finds it under way or done.
pub struct Details {
    /// The event.
    pub event: Arc<Event>,
    /// Its number in the journal.
    pub seq: i64,
    source: Arc<dyn Fetch>,
    journal: Arc<dyn Keep>,
    paths: Mutex<HashMap<String, Detail>>,
}

/// What is known of one path.
enum Detail {
    Known(Arc<Rows>),
    Coming(Coming),
}

/// What a fetch comes to.
type Fetched = Result<Arc<Rows>, FetchError>;
/// A fetch under way.
type Coming = Shared<BoxFuture<'static, Fetched>>;

impl Details {
    /// An event with what the journal already holds of its details.
    pub fn new(
        event: Arc<Event>,
        seq: i64,
        kept: impl IntoIterator<Item = (String, Rows)>,
        source: Arc<dyn Fetch>,
        journal: Arc<dyn Keep>,
    ) -> Self {
        let known = |(path, rows)| (path, Detail::Known(Arc::new(rows)));
        Self { event, seq, source, journal, paths: Mutex::new(kept.into_iter().map(known).collect()) }
    }

    fn paths(&self) -> MutexGuard<'_, HashMap<String, Detail>> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One path's rows. What the source does not have is empty, and kept as such. All who ask for one path share one
    /// fetch, which goes on when they have gone.
    ///
    /// # Errors
    /// [`FetchError::NotNow`], with nothing kept: the next call asks again.
    pub async fn get(self: &Arc<Self>, path: &str) -> Result<Arc<Rows>, FetchError> {
        let coming = {
            let mut paths = self.paths();
            match paths.get(path) {
                Some(Detail::Known(rows)) => return Ok(rows.clone()),
                Some(Detail::Coming(coming)) => coming.clone(),
                None => {
                    let coming = self.begin(path);
                    paths.insert(path.to_owned(), Detail::Coming(coming.clone()));
                    coming
                }
            }
        };
        coming.await
    }

    fn begin(self: &Arc<Self>, path: &str) -> Coming {
        let (this, path) = (self.clone(), path.to_owned());
        let broke_off = |error| FetchError::NotNow(format!("reading from the source broke off: {error}"));
        let task = tokio::spawn(async move { this.fetch(path).await });
        task.map(move |fetched| fetched.unwrap_or_else(|error| Err(broke_off(error)))).boxed().shared()
    }

    async fn fetch(&self, path: String) -> Fetched {
        // A source that panics must not leave its path as one that is coming for ever.
        let fetched = AssertUnwindSafe(self.source.fetch(&path)).catch_unwind().await;
        let fetched = match fetched {
            Ok(Ok(rows)) => Ok(Arc::new(rows)),
            Ok(Err(FetchError::Missing(_))) => Ok(Arc::default()),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(FetchError::NotNow(format!("reading {path} from the source panicked"))),
        };
        match &fetched {
            Ok(rows) => {
                self.journal.keep(self.seq, &path, rows);
                self.paths().insert(path, Detail::Known(rows.clone()));
            }
            Err(_) => drop(self.paths().remove(&path)),
        }
        fetched
    }

    /// The first row of a path, or null.
    ///
    /// # Errors
    /// As [`Details::get`].
    pub async fn one(self: &Arc<Self>, path: &str) -> Result<Value, FetchError> {
        Ok(self.get(path).await?.first().cloned().unwrap_or(Value::Null))
    }

    /// Whether something is being fetched.
    pub fn is_fetching(&self) -> bool {
        self.paths().values().any(|detail| matches!(detail, Detail::Coming(_)))
    }

    /// A path's rows, if they have been fetched.
    pub fn kept(&self, path: &str) -> Option<Arc<Rows>> {
        match self.paths().get(path) {
            Some(Detail::Known(rows)) => Some(rows.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;
    use tokio::sync::Semaphore;

    use super::*;
    use crate::event::Kind;

    /// A source that answers when it is let, and what it says.
    struct Held {
        let_go: Semaphore,
        asked: AtomicUsize,
        says: fn(usize) -> Result<Rows, FetchError>,
    }

    #[async_trait]
    impl Fetch for Held {
        async fn fetch(&self, _: &str) -> Result<Rows, FetchError> {
            let n = self.asked.fetch_add(1, Ordering::SeqCst);
            self.let_go.acquire().await.unwrap().forget();
            (self.says)(n)
        }
    }

    #[derive(Default)]
    struct Kept(Mutex<Vec<String>>);

    impl Keep for Kept {
        fn keep(&self, _: i64, path: &str, _: &Arc<Rows>) {
            self.0.lock().unwrap().push(path.to_owned());
        }
    }

    fn made(says: fn(usize) -> Result<Rows, FetchError>) -> (Arc<Details>, Arc<Held>, Arc<Kept>) {
        let event = Event { id: "m/1".into(), kind: Kind::BuildFinished, source: "m".into(), occurred_at: 0, late: false, message: json!({}) };
        let source = Arc::new(Held { let_go: Semaphore::new(0), asked: AtomicUsize::new(0), says });
        let kept = Arc::new(Kept::default());
        (Arc::new(Details::new(Arc::new(event), 1, [], source.clone(), kept.clone())), source, kept)
    }

    #[tokio::test(start_paused = true)]
    async fn a_fetch_goes_on_when_nobody_waits_for_it_any_more() {
        let (details, source, kept) = made(|_| Ok(vec![json!(7)]));
        for _ in 0..3 {
            let given_up = tokio::time::timeout(std::time::Duration::from_secs(60), details.get("a")).await;
            assert!(given_up.is_err());
        }
        let weak = Arc::downgrade(&details);
        drop(details);
        let details = weak.upgrade().expect("a fetch holds its event");
        assert!(details.is_fetching() && details.kept("a").is_none());
        source.let_go.add_permits(1);
        assert_eq!(*details.get("a").await.unwrap(), [json!(7)]);
        assert!(!details.is_fetching());
        assert_eq!(*details.kept("a").unwrap(), [json!(7)]);
        assert_eq!(source.asked.load(Ordering::SeqCst), 1);
        assert_eq!(*kept.0.lock().unwrap(), ["a"]);
    }

    #[tokio::test]
    async fn all_share_a_failure_and_the_next_asks_again() {
        let (details, source, kept) = made(|n| match n {
            0 => Err(FetchError::NotNow("away".into())),
            1 => panic!("a source breaks"),
            _ => Err(FetchError::Missing("gone".into())),
        });
        source.let_go.add_permits(3);
        let (one, two) = futures_util::future::join(details.get("a"), details.get("a")).await;
        assert_eq!((one.unwrap_err().to_string(), two.unwrap_err().to_string()), ("away".into(), "away".into()));
        assert!(details.get("a").await.unwrap_err().to_string().contains("panicked"));
        assert!(details.get("a").await.unwrap().is_empty(), "what is missing is empty");
        assert_eq!(source.asked.load(Ordering::SeqCst), 3);
        assert_eq!(*kept.0.lock().unwrap(), ["a"]);
    }
}
