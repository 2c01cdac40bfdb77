//! Conversations that real bots of Buildbot 4.3 had (`tests/conformance/recordings`), to be had again with ours, beside the master that
//! they were about. Facts are compared, and not sentences.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use reporter_host::event::{Event, Fetch, FetchError, Kind, Rows};
use reporter_host::sandbox::Outcome;
use reporter_host::transport::{Payload, Sources};
use serde_json::{Value, json};

use crate::{Kit, Mapped, Ready, details};

fn recordings() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("conformance/recordings/buildbot-4.3")
}

/// A conversation's exchanges.
pub fn conversation(kind: &str, name: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(recordings().join(kind).join(format!("{name}.json"))).expect("a recording");
    let mut all: Value = serde_json::from_str(&text).expect("JSON");
    match all["exchange"].take() {
        Value::Array(exchanges) => exchanges,
        other => panic!("{name}: {other}"),
    }
}

/// The recorded master's REST API, when nothing ran.
pub struct Master(BTreeMap<String, Vec<Value>>);

impl Master {
    /// Reads it.
    pub fn read() -> Self {
        let read = |table: &str| {
            let text = std::fs::read_to_string(recordings().join("rest-dump").join(format!("{table}.json"))).expect("a table");
            let document: Value = serde_json::from_str(&text).expect("JSON");
            document["json"][table].as_array().expect("rows").clone()
        };
        let mut tables: BTreeMap<String, Vec<Value>> =
            ["builders", "workers", "forceschedulers", "changes", "builds"].map(|table| (table.to_owned(), read(table))).into();
        tables.insert(
            "config".into(),
            vec![json!({"title": "t", "titleURL": "", "buildbotURL": "http://127.0.0.1:38510/", "versions": [["Buildbot", "4.3.0"]]})],
        );
        tables.insert("shutdown".into(), vec![json!({"state": "running"})]);
        Self(tables)
    }

    /// The names of a table.
    pub fn names(&self, table: &str) -> Vec<String> {
        self.0[table].iter().filter_map(|row| row["name"].as_str().map(str::to_owned)).collect()
    }
}

#[async_trait]
impl Fetch for Master {
    async fn fetch(&self, path: &str) -> Result<Rows, FetchError> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let segments: Vec<&str> = path.split('/').collect();
        let missing = || FetchError::Missing(path.to_owned());
        let mut rows = match segments[..] {
            [table] => self.0.get(table).ok_or_else(missing)?.clone(),
            ["builders", id, "forceschedulers"] => {
                let of = self.0["builders"].iter().find(|row| row["builderid"].to_string() == id).ok_or_else(missing)?;
                let lists = |row: &&Value| row["builder_names"].as_array().is_some_and(|names| names.contains(&of["name"]));
                self.0["forceschedulers"].iter().filter(lists).cloned().collect()
            }
            ["builds", _, "steps" | "changes"] => Vec::new(),
            _ => return Err(missing()),
        };
        let mut limit = usize::MAX;
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()).into_owned() {
            match name.as_str() {
                "limit" => limit = value.parse().unwrap_or(limit),
                "order" => {
                    let key = value.trim_start_matches('-').to_owned();
                    rows.sort_by_key(|row| row[key.as_str()].as_i64());
                    if value.starts_with('-') {
                        rows.reverse();
                    }
                }
                _ => rows.retain(|row| row[name.as_str()].to_string() == value),
            }
        }
        rows.truncate(limit);
        Ok(rows)
    }
}

/// A bot in the sandbox that remembers what was said.
pub struct Talk<'a> {
    ready: Ready<'a>,
    state: BTreeMap<String, String>,
    number: u64,
}

impl<'a> Talk<'a> {
    /// Configures a built-in bot that follows the recorded master. It hears that it has begun.
    pub async fn begin(kit: &'a mut Kit, reporter: &str, settings: &Value, master: &Arc<Master>) -> Self {
        let sources = Sources::default();
        sources.set(vec![("main".into(), master.clone() as Arc<dyn Fetch>)]);
        kit.masters = Arc::new(sources);
        let kit = &*kit;
        let ready = kit.configure(&kit.built_in(reporter), settings).await.unwrap_or_else(|error| panic!("{error}"));
        let mut talk = Self { ready, state: BTreeMap::new(), number: 0 };
        talk.hears(json!({"kind": "started", "endpoint": "", "at": 0})).await;
        talk
    }

    /// What it sends when it hears this.
    pub async fn hears(&mut self, update: Value) -> Vec<Payload> {
        self.number += 1;
        let event =
            Event { id: format!("/heard/{}", self.number), kind: Kind::Heard, source: String::new(), occurred_at: 0, late: false, message: update.clone() };
        let details = details(event, Arc::new(Mapped::default()));
        let mut occasion = self.ready.occasion(&details);
        occasion.state = self.state.clone();
        let ran = self.ready.reporter.heard(occasion, &update.to_string()).await;
        assert!(matches!(ran.answer, Ok(Outcome::Sent | Outcome::Skipped(_))), "{update}: {:?}", ran.answer);
        for (key, value) in ran.writes {
            match value {
                Some(value) => _ = self.state.insert(key, value),
                None => _ = self.state.remove(&key),
            }
        }
        ran.sends.iter().map(|send| send.payload.as_ref().clone()).collect()
    }
}
