//! The store against what it promises.

mod model;
mod outbox;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;

use super::{Mode, SqliteStore};
use crate::event::{Event, Kind};
use crate::store::{
    AttemptLine, Delivery, End, NewDelivery, NewEvent, NewUnit, Settle, Settled, Store as _, Unit, UnitEnd, now_ms,
};
use crate::transport::{Body, HttpRequest, Payload};

/// A store in a folder of its own.
struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("store.sqlite")
    }

    async fn open(&self) -> SqliteStore {
        SqliteStore::open(&self.file(), Mode::Host).await.unwrap()
    }
}

fn event(id: &str) -> Event {
    let message = json!({ "buildid": 1 });
    Event { id: id.into(), kind: Kind::BuildFinished, source: "main".into(), occurred_at: 1, late: false, message }
}

fn new_event(id: &str, entries: &[&str]) -> NewEvent {
    let units = entries.iter().map(|entry| NewUnit { entry: (*entry).into(), order: "b".into() }).collect();
    NewEvent { event: event(id), details: Vec::new(), units }
}

fn payload(text: &str) -> Arc<Payload> {
    let request = HttpRequest { method: "POST".into(), path: vec![], query: vec![], headers: vec![], body: Body::Text(text.into()) };
    Arc::new(Payload::Http(request))
}

fn new_delivery(uid: &str) -> NewDelivery {
    NewDelivery {
        uid: uid.into(),
        entry: "mail".into(),
        endpoint: "main".into(),
        destination: "example.org".into(),
        lane: None,
        supersede: None,
        tag: None,
        title: uid.into(),
        expires_ms: now_ms() + 3_600_000,
        payload: payload(uid),
        rules: Vec::new(),
    }
}

fn sent(unit: &Unit, sends: Vec<NewDelivery>) -> UnitEnd {
    UnitEnd { unit: unit.clone(), end: End::Sent, sends, state: Vec::new(), log: Vec::new() }
}

fn line(text: &str) -> AttemptLine {
    AttemptLine { at_ms: 1, took_ms: 2, status: 200, text: text.into() }
}

fn settled(delivery: i64, settle: Settle) -> Settled {
    Settled { delivery, attempt: Some(line("it said so")), settle, split: Vec::new(), answer: None }
}

/// Journals an event with one unit, and ends that with these sends.
async fn send(store: &SqliteStore, id: &str, sends: Vec<NewDelivery>) -> Vec<Delivery> {
    let journalled = store.journal("main", None, vec![new_event(id, &["mail"])]).await.unwrap();
    store.end_unit(sent(&journalled[0].units[0], sends)).await.unwrap()
}
