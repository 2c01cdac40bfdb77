//! The SQLite store: by itself, and beside the reference.

mod crash;
mod journal;
mod model;
mod outbox;

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::{Mode, SqliteStore};
use crate::event::{Event, Kind};
use crate::store::{
    AttemptLine, Delivery, End, Filter, NewDelivery, NewEvent, NewUnit, Settle, Settled, Store, Unit, UnitEnd, now_ms,
};
use crate::transport::{Body, HttpRequest, Payload};

/// A store in a folder of its own.
struct Fixture {
    folder: TempDir,
    store: SqliteStore,
}

impl Fixture {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let store = host(&folder.path().join("store.db")).await;
        Self { folder, store }
    }

    /// Journals an event with a unit for entry `e`.
    async fn unit(&self, id: &str) -> Unit {
        let journalled = self.store.journal("main", None, vec![event(id, &["e"])]).await.expect("journalled");
        journalled[0].units[0].clone()
    }

    /// A unit that sent these.
    async fn sent(&self, id: &str, sends: Vec<NewDelivery>) -> Vec<Delivery> {
        self.store.end_unit(end(self.unit(id).await, sends)).await.expect("ended")
    }

    async fn state(&self, id: i64) -> String {
        self.store.delivery(id).await.expect("read").expect("there").row.state
    }
}

async fn host(path: &Path) -> SqliteStore {
    SqliteStore::open(path, Mode::Host).await.expect("opened")
}

fn event(id: &str, entries: &[&str]) -> NewEvent {
    NewEvent {
        event: Event {
            id: id.into(),
            kind: Kind::BuildFinished,
            source: "main".into(),
            occurred_at: 1,
            late: false,
            message: serde_json::json!({ "number": 1 }),
        },
        details: vec![("builds/1".into(), vec![serde_json::json!({ "a": 1 })])],
        units: entries.iter().map(|entry| NewUnit { entry: (*entry).into(), order: "1".into() }).collect(),
    }
}

fn payload(text: &str) -> Arc<Payload> {
    Arc::new(Payload::Http(HttpRequest {
        method: "POST".into(),
        path: vec!["hook".into()],
        query: vec![],
        headers: vec![],
        body: Body::Text(text.into()),
    }))
}

fn new(uid: &str) -> NewDelivery {
    NewDelivery {
        uid: uid.into(),
        entry: "e".into(),
        endpoint: "main".into(),
        destination: "https://example.org".into(),
        lane: None,
        supersede: None,
        tag: None,
        title: format!("title of {uid}"),
        expires_ms: now_ms() + 1_000_000,
        payload: payload(uid),
        rules: vec![],
    }
}

fn keyed(uid: &str, key: &str) -> NewDelivery {
    NewDelivery { supersede: Some(key.into()), lane: Some(key.into()), ..new(uid) }
}

fn end(unit: Unit, sends: Vec<NewDelivery>) -> UnitEnd {
    UnitEnd { unit, end: End::Sent, sends, state: vec![], log: vec![("info".into(), "line".into())] }
}

fn settled(delivery: i64, settle: Settle) -> Settled {
    let attempt = Some(AttemptLine { at_ms: 1, took_ms: 2, status: 200, text: "answer".into() });
    Settled { delivery, attempt, settle, split: vec![], answer: None }
}

fn retry() -> Settle {
    Settle::Retry { due_ms: 5, why: "busy".into(), payload: None }
}

async fn waiting(store: &dyn Store) -> Vec<i64> {
    store.waiting(0, 1_000_000).await.expect("read").iter().map(|delivery| delivery.id).collect()
}

fn all() -> Filter {
    Filter { limit: 1_000_000, ..Filter::default() }
}
