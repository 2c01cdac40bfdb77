//! A receiver on the loopback that remembers what it was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;

/// What came: for each build's number and each thing that is said of it the idempotency keys, as often as it came.
type Came = BTreeMap<(u64, String), Vec<String>>;

#[derive(Default)]
struct Shared {
    came: Mutex<Came>,
    refused: AtomicUsize,
    answer: AtomicU16,
}

/// The receiver.
pub struct Sink {
    shared: Arc<Shared>,
    port: u16,
}

impl Sink {
    /// Begins to listen.
    pub async fn start() -> Self {
        let shared = Arc::new(Shared { answer: AtomicU16::new(200), ..Shared::default() });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router = Router::new().route("/hook", post(take)).route("/repos/octo/repo/statuses/{sha}", post(status)).with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { shared, port }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it answers from now on; only 2xx counts as having come.
    pub fn answer(&self, status: u16) {
        self.shared.answer.store(status, Ordering::SeqCst);
    }

    /// Waits until so many were refused.
    pub async fn refused(&self, count: usize) {
        while self.shared.refused.load(Ordering::SeqCst) < count {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn came(&self) -> Came {
        self.shared.came.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Builds that were told of by post.
    pub fn numbers(&self) -> BTreeSet<u64> {
        self.of("post")
    }

    /// Builds whose commit has its last status.
    pub fn statuses(&self) -> BTreeSet<u64> {
        self.of("ended")
    }

    fn of(&self, what: &str) -> BTreeSet<u64> {
        self.came().into_keys().filter(|(_, said)| said == what).map(|(number, _)| number).collect()
    }

    /// Keys of everything that came.
    pub fn keys(&self) -> BTreeSet<String> {
        self.came().into_values().flatten().collect()
    }

    /// Keys of what came more than once.
    pub fn twice(&self) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        self.came().into_values().flatten().filter(|key| !seen.insert(key.clone())).collect()
    }

    pub fn keys_per_build_at_most(&self) -> usize {
        self.came().values().map(|keys| keys.iter().collect::<BTreeSet<_>>().len()).max().unwrap_or_default()
    }
}

/// A status of a commit, whose hash is the build's number.
async fn status(State(shared): State<Arc<Shared>>, Path(sha): Path<String>, headers: HeaderMap, body: String) -> (StatusCode, &'static str) {
    let said: Value = serde_json::from_str(&body).unwrap();
    let ended = if said["state"] == "pending" { "began" } else { "ended" };
    keep(&shared, u64::from_str_radix(&sha, 16).unwrap(), ended, &headers);
    (StatusCode::CREATED, "{}")
}

fn keep(shared: &Shared, number: u64, said: &str, headers: &HeaderMap) {
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    shared.came.lock().unwrap_or_else(PoisonError::into_inner).entry((number, said.to_owned())).or_default().push(key);
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> StatusCode {
    let status = shared.answer.load(Ordering::SeqCst);
    if !(200..300).contains(&status) {
        shared.refused.fetch_add(1, Ordering::SeqCst);
        return StatusCode::from_u16(status).unwrap();
    }
    let build: Value = serde_json::from_str(&body).unwrap();
    keep(&shared, build["number"].as_u64().unwrap(), "post", &headers);
    StatusCode::OK
}
