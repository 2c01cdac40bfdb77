//! The store against what it promises.

mod full;
mod groups;
mod model;
mod operators;
mod ops;
mod outbox;
mod parts;
mod retention;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::json;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tempfile::TempDir;

use super::{Mode, SqliteStore};
use crate::event::{Event, Kind};
use crate::store::{AttemptLine, Delivery, End, NewDelivery, NewEvent, NewUnit, Settle, Settled, Store as _, Unit, UnitEnd, now_ms};
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

    async fn operator(&self) -> SqliteStore {
        SqliteStore::open(&self.file(), Mode::Operator).await.unwrap()
    }

    /// Changes the file beside the store.
    async fn run(&self, statements: &'static str) {
        let mut connection = SqliteConnection::connect_with(&SqliteConnectOptions::new().filename(self.file())).await.unwrap();
        connection.execute(statements).await.unwrap();
        connection.close().await.unwrap();
    }

    /// How many transactions the write-ahead log holds: frames that say how large the file is after them
    /// (<https://www.sqlite.org/fileformat2.html#walformat>).
    fn commits(&self) -> usize {
        let log = std::fs::read(self.folder.path().join("store.sqlite-wal")).unwrap();
        let page = u32::from_be_bytes(log[8..12].try_into().unwrap()) as usize;
        // A frame of an earlier round has another salt.
        log[32..].chunks_exact(24 + page).filter(|frame| frame[8..16] == log[16..24] && frame[4..8] != [0; 4]).count()
    }
}

fn event(id: &str) -> Event {
    let message = json!({ "buildid": 1 });
    Event { id: id.into(), kind: Kind::BuildFinished, source: "main".into(), occurred_at: 1, late: false, message }
}

fn new_event(id: &str, entries: &[&str]) -> NewEvent {
    let units = entries.iter().map(|entry| NewUnit { entry: (*entry).into(), order: "main/buildrequests/1".into() }).collect();
    NewEvent { event: Arc::new(event(id)), details: Vec::new(), units }
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
    UnitEnd { unit: unit.clone(), end: End::Sent, sends, state: Vec::new(), log: Vec::new(), reminders: Vec::new(), letter: None }
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
    store.end_unit(sent(&journalled[0].units[0], sends)).await.unwrap().deliveries
}

/// A delivery's state and why.
async fn state(store: &SqliteStore, id: i64) -> (String, Option<String>) {
    let row = store.delivery(id).await.unwrap().unwrap().row;
    (row.state, row.why)
}
