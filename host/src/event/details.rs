//! An event's details: fetched from its source once, when first asked for, whatever the number of
//! entries, and kept with the event.

use std::collections::{HashMap, VecDeque};
use std::panic::AssertUnwindSafe;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};

use super::build::{Role, Texts};
use super::weight::TEXT;
use super::{Event, Fetch, FetchError, Keep, Row, Rows, paths, weight};

/// Bytes of the contents of logs that are kept with one event. Logs beyond that are in memory only, and are fetched
/// again when they are asked for and have gone from there: the source still has them, and the journal stays small.
const KEPT_LOGS: usize = 1 << 20;
/// Bytes of the logs beyond that one event has in memory. The log read last stays whatever it weighs.
const LOGS: usize = 32 << 20;

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
    paths: Mutex<Paths>,
    texts: Mutex<HashMap<About, Shares>>,
    weight: AtomicUsize,
}

/// A build in its role and by its id, and which texts about it.
type About = (Role, u64, Texts);
/// Texts that entries share.
pub(super) type Shares = Arc<[Box<str>]>;

#[derive(Default)]
struct Paths {
    all: HashMap<String, Detail>,
    /// Bytes of the logs that are kept with the event.
    kept_logs: usize,
    /// Logs that are not, the one read last at the end, with their bytes.
    passing_logs: VecDeque<(String, usize)>,
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
    pub fn new(event: Arc<Event>, seq: i64, kept: impl IntoIterator<Item = (String, Arc<Rows>)>, source: Arc<dyn Fetch>, journal: Arc<dyn Keep>) -> Self {
        let mut paths = Paths::default();
        let mut bytes = weight(&event.message);
        for (path, rows) in kept {
            let of_path = weigh(&rows);
            bytes += of_path;
            if paths::is_contents(&path) {
                paths.kept_logs += of_path;
            }
            paths.all.insert(path, Detail::Known(rows));
        }
        Self { event, seq, source, journal, paths: Mutex::new(paths), texts: Mutex::default(), weight: AtomicUsize::new(bytes) }
    }

    /// Bytes of the event and its details in memory, roughly.
    pub fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    fn paths(&self) -> MutexGuard<'_, Paths> {
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
            match paths.all.get(path) {
                Some(Detail::Known(rows)) => return Ok(rows.clone()),
                Some(Detail::Coming(coming)) => coming.clone(),
                None => {
                    let coming = self.begin(path);
                    paths.all.insert(path.to_owned(), Detail::Coming(coming.clone()));
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
            Ok(rows) => self.learn(path, rows),
            Err(_) => drop(self.paths().all.remove(&path)),
        }
        fetched
    }

    fn learn(&self, path: String, rows: &Arc<Rows>) {
        let bytes = weigh(rows);
        let mut paths = self.paths();
        let is_log = paths::is_contents(&path);
        if is_log && paths.kept_logs + bytes > KEPT_LOGS {
            paths.passing_logs.push_back((path.clone(), bytes));
        } else {
            paths.kept_logs += if is_log { bytes } else { 0 };
            self.journal.keep(self.seq, &path, rows);
        }
        paths.all.insert(path, Detail::Known(rows.clone()));
        let gone = paths.let_go();
        self.weight.fetch_add(bytes, Ordering::Relaxed);
        self.weight.fetch_sub(gone, Ordering::Relaxed);
    }

    /// The first row of a path, or null.
    ///
    /// # Errors
    /// As [`Details::get`].
    pub async fn one(self: &Arc<Self>, path: &str) -> Result<Row, FetchError> {
        Ok(Row::nth(&self.get(path).await?, 0))
    }

    /// Texts about the event: those that an entry made before, or what `make` comes to.
    ///
    /// # Errors
    /// Those of `make`, with nothing kept.
    pub(super) async fn texts(&self, about: About, make: impl Future<Output = Result<Shares, FetchError>>) -> Result<Shares, FetchError> {
        if let Some(known) = self.all_texts().get(&about) {
            return Ok(known.clone());
        }
        let texts = make.await?;
        if self.all_texts().insert(about, texts.clone()).is_none() {
            self.weight.fetch_add(texts.iter().map(|text| text.len() + TEXT).sum(), Ordering::Relaxed);
        }
        Ok(texts)
    }

    fn all_texts(&self) -> MutexGuard<'_, HashMap<About, Shares>> {
        self.texts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something is being fetched.
    pub fn is_fetching(&self) -> bool {
        self.paths().all.values().any(|detail| matches!(detail, Detail::Coming(_)))
    }

    /// Returns when everything that is being fetched now has come, or cannot be had. Tells whether anything has come.
    pub async fn answered(&self) -> bool {
        let coming = |detail: &Detail| if let Detail::Coming(coming) = detail { Some(coming.clone()) } else { None };
        let all: Vec<Coming> = self.paths().all.values().filter_map(coming).collect();
        futures_util::future::join_all(all).await.iter().any(Result::is_ok)
    }

    /// A path's rows, if they have been fetched.
    pub fn kept(&self, path: &str) -> Option<Arc<Rows>> {
        match self.paths().all.get(path) {
            Some(Detail::Known(rows)) => Some(rows.clone()),
            _ => None,
        }
    }
}

impl Paths {
    /// Lets logs go that are too much. Answers with their bytes.
    fn let_go(&mut self) -> usize {
        let mut bytes: usize = self.passing_logs.iter().map(|(_, bytes)| bytes).sum();
        let before = bytes;
        while bytes > LOGS && self.passing_logs.len() > 1 {
            if let Some((path, of_path)) = self.passing_logs.pop_front() {
                self.all.remove(&path);
                bytes -= of_path;
            }
        }
        before - bytes
    }
}

fn weigh(rows: &Rows) -> usize {
    rows.iter().map(weight).sum()
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::sync::Semaphore;

    use async_trait::async_trait;

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
    async fn logs_beyond_a_bound_are_not_kept_and_are_fetched_again() {
        let (details, source, kept) = made(|_| Ok(vec![json!({"content": "x".repeat(900 << 10)})]));
        source.let_go.add_permits(1_000);
        let log = |n: usize| paths::contents(n);
        for n in 0..3 {
            details.get(&log(n)).await.unwrap();
        }
        details.get("builds/1/properties").await.unwrap();
        assert_eq!(*kept.0.lock().unwrap(), [log(0), "builds/1/properties".into()], "the first fits");
        assert_eq!(*details.get(&log(2)).await.unwrap(), *details.get(&log(0)).await.unwrap());
        assert_eq!(source.asked.load(Ordering::SeqCst), 4, "all are in memory");
        for n in 3..100 {
            details.get(&log(n)).await.unwrap();
        }
        assert!((LOGS..LOGS + (4 << 20)).contains(&details.weight()), "{}", details.weight());
        assert!(details.kept(&log(0)).is_some() && details.kept(&log(99)).is_some() && details.kept(&log(1)).is_none());
        let asked = source.asked.load(Ordering::SeqCst);
        details.get(&log(1)).await.unwrap();
        assert_eq!(source.asked.load(Ordering::SeqCst), asked + 1);
        assert_eq!(kept.0.lock().unwrap().len(), 2);
    }

    #[tokio::test]
    async fn a_log_larger_than_all_bounds_is_there_for_who_asked() {
        let (details, source, _) = made(|n| Ok(vec![json!("x".repeat((40 + n) << 20))]));
        source.let_go.add_permits(2);
        details.get(&paths::contents(1)).await.unwrap();
        assert!(details.kept(&paths::contents(1)).is_some());
        details.get(&paths::contents(2)).await.unwrap();
        assert!(details.kept(&paths::contents(1)).is_none() && details.kept(&paths::contents(2)).is_some());
        assert!(details.weight() < 42 << 20);
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

    #[tokio::test]
    async fn who_waits_is_told_whether_anything_came() {
        let (details, source, _) = made(|n| if n == 0 { Err(FetchError::NotNow("away".into())) } else { Ok(vec![json!(7)]) });
        for came in [false, true] {
            let answered = async {
                tokio::task::yield_now().await;
                source.let_go.add_permits(1);
                details.answered().await
            };
            let (fetched, answered) = futures_util::future::join(details.get("a"), answered).await;
            assert_eq!((fetched.is_ok(), answered), (came, came));
        }
        assert!(!details.answered().await, "nothing is being fetched");
    }
}
