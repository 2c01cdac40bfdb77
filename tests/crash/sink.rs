//! A receiver on the loopback that remembers what it was sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::Value;

/// What came: for each build's number the idempotency keys, as often as it came.
type Came = BTreeMap<u64, Vec<String>>;

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
        let router = Router::new().route("/hook", post(take)).with_state(shared.clone());
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

    pub fn numbers(&self) -> BTreeSet<u64> {
        self.came().into_keys().collect()
    }

    pub fn twice(&self) -> Vec<u64> {
        self.came().into_iter().filter(|(_, keys)| keys.len() > 1).map(|(number, _)| number).collect()
    }

    pub fn keys_per_build_at_most(&self) -> usize {
        self.came().values().map(|keys| keys.iter().collect::<BTreeSet<_>>().len()).max().unwrap_or_default()
    }
}

async fn take(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: String) -> StatusCode {
    let status = shared.answer.load(Ordering::SeqCst);
    if !(200..300).contains(&status) {
        shared.refused.fetch_add(1, Ordering::SeqCst);
        return StatusCode::from_u16(status).unwrap();
    }
    let build: Value = serde_json::from_str(&body).unwrap();
    let key = headers["idempotency-key"].to_str().unwrap().to_owned();
    let number = build["number"].as_u64().unwrap();
    shared.came.lock().unwrap_or_else(PoisonError::into_inner).entry(number).or_default().push(key);
    StatusCode::OK
}
