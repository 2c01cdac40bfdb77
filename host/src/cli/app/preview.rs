//! `preview`: runs entries on one event and their state, and keeps nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::cli::preview::{Preview, Send, What};
use crate::contract::Spool;
use crate::event::{Details, Event, Fetch, FetchError, Keep, Kind, Rows};
use crate::host::{Wires, Workbench, diagnostics, master, store_file};
use crate::sandbox::{Occasion, Outcome};
use crate::source::recording::Recording;
use crate::store::Look;
use crate::tenant::settings::{Settings, SourceKind};
use crate::tenant::{Entry, Shared};

/// Details that are fetched for a preview, and logs that are attached in it, are forgotten with it.
struct Nowhere;

impl Keep for Nowhere {
    fn keep(&self, _: i64, _: &str, _: &Arc<Rows>) {}
}

impl Spool for Nowhere {
    fn put(&self, _: &str, _: &mut dyn Iterator<Item = &str>) -> std::io::Result<()> {
        Ok(())
    }
}

/// A source that has nothing beyond what came with the event.
struct Nothing;

#[async_trait::async_trait]
impl Fetch for Nothing {
    async fn fetch(&self, path: &str) -> Result<Rows, FetchError> {
        Err(FetchError::Missing(path.to_owned()))
    }
}

pub(super) async fn preview(workbench: &Workbench, settings: &Settings, names: &[String], what: What) -> Result<Vec<Preview>, String> {
    let store = look(settings).await?;
    let Some((event, kept, source)) = find(store.as_ref(), settings, what).await? else { return Ok(Vec::new()) };
    let wires = Wires::new(settings).map_err(super::words)?;
    let shared = Shared { spool: Arc::new(Nowhere), ..workbench.shared(&wires) };
    let details = Arc::new(Details::new(Arc::new(event), 0, kept.into_iter().map(|(path, rows)| (path, Arc::new(rows))), source, Arc::new(Nowhere)));
    let mut previews = Vec::new();
    for service in settings.services.iter().filter(|service| names.is_empty() || names.contains(&service.name)) {
        let entry = Entry::new(service.clone(), &shared)
            .await
            .map_err(|error| diagnostics(settings, &service.name, &error).iter().map(|it| it.render(false)).collect::<Vec<_>>().join("\n\n"))?;
        let state = match &store {
            Some(store) if entry.plan.state => store.state(&service.name).await.map_err(|error| error.to_string())?,
            _ => Vec::new(),
        };
        previews.push(one(entry, details.clone(), state.into_iter().collect()).await);
    }
    if let Some(store) = store {
        store.close().await;
    }
    Ok(previews)
}

/// The store of the settings, if a host has made it already.
async fn look(settings: &Settings) -> Result<Option<Look>, String> {
    let file = store_file(settings);
    if !file.exists() {
        return Ok(None);
    }
    Look::open(&file).await.map(Some).map_err(|error| error.to_string())
}

async fn one(entry: Entry, details: Arc<Details>, state: BTreeMap<String, String>) -> Preview {
    let (name, event) = (entry.service.name.clone(), details.event.id.clone());
    let mut preview = Preview { entry: name, event, why: None, failed: false, sends: Vec::new(), log: Vec::new() };
    if !entry.follows(&details.event) {
        preview.why = Some(format!("it does not follow {} of {}", details.event.kind, details.event.source));
        return preview;
    }
    let unit = details.event.id.clone();
    let ran = entry.reporter.report(Occasion { entry: entry.view.clone(), details, state, awaited: Vec::new(), unit, patience: Duration::MAX }).await;
    preview.failed = ran.answer.is_err();
    preview.why = match ran.answer {
        Ok(Outcome::Sent) => None,
        Ok(Outcome::Skipped(why)) => Some(why),
        Err(error) => Some(format!("it failed: {error}")),
    };
    preview.log = ran.log;
    let sends = ran.sends.into_iter();
    preview.sends = sends.map(|send| Send { destination: send.destination, title: send.title, payload: send.payload.as_ref().clone() }).collect();
    preview
}

type Found = (Event, Vec<(String, Rows)>, Arc<dyn Fetch>);

async fn find(store: Option<&Look>, settings: &Settings, what: What) -> Result<Option<Found>, String> {
    match what {
        What::Journalled(text) => {
            let store = store.ok_or_else(|| super::no_store(settings))?;
            let Some((event, kept)) = store.newest(&text).await.map_err(|error| error.to_string())? else { return Ok(None) };
            let live = settings.sources.iter().find(|source| source.name == event.source && matches!(source.kind, SourceKind::Master(_)));
            let source: Arc<dyn Fetch> = match live {
                Some(source) => master(source, settings).map_err(|error| error.to_string())?.fetcher(),
                None => Arc::new(Nothing),
            };
            Ok(Some((event, kept, source)))
        }
        What::Recorded { file, event: text } => {
            let recording = Recording::new("recording", &file);
            let mut found = None;
            for line in recording.lines().map_err(|error| error.to_string())? {
                let (event, kept) = line.map_err(|error| error.to_string())?;
                // Its source is called otherwise in the file.
                let rest = |id: &str| id.split_once('/').map_or("", |(_, rest)| rest).to_owned();
                if event.id.contains(&text) || (!rest(&text).is_empty() && rest(&event.id) == rest(&text)) {
                    found = Some((event, kept));
                }
            }
            Ok(found.map(|(event, kept)| (event, kept, Arc::new(Nothing) as Arc<dyn Fetch>)))
        }
        What::Build { build, master: named } => live_build(settings, &build, named.as_deref()).await,
    }
}

async fn live_build(settings: &Settings, build: &str, named: Option<&str>) -> Result<Option<Found>, String> {
    let mut masters = settings.sources.iter().filter(|source| matches!(source.kind, SourceKind::Master(_)));
    let chosen = match named {
        Some(name) => masters.find(|source| source.name == name).ok_or_else(|| format!("there is no master {name:?}"))?,
        None => match (masters.next(), masters.next()) {
            (Some(only), None) => only,
            (None, _) => return Err("the settings have no master".to_owned()),
            (Some(_), Some(_)) => return Err("there are several masters; name one with --master".to_owned()),
        },
    };
    let source = master(chosen, settings).map_err(|error| error.to_string())?.fetcher();
    let path = match build.rsplit_once('/') {
        Some((builder, number)) => format!("builders/{}/builds/{number}", encode(builder)),
        None => format!("builds/{build}"),
    };
    let rows = match source.fetch(&path).await {
        Ok(rows) => rows,
        Err(FetchError::Missing(_)) => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    let Some(message) = rows.into_iter().next() else { return Ok(None) };
    let kind = if message["complete"] == true { Kind::BuildFinished } else { Kind::BuildStarted };
    let at = if kind == Kind::BuildFinished { &message["complete_at"] } else { &message["started_at"] };
    let event = Event {
        id: format!("{}/builds/{}/{}", chosen.name, message["buildid"], kind.verb()),
        kind,
        source: chosen.name.clone(),
        occurred_at: at.as_i64().unwrap_or_default(),
        late: false,
        message: Value::clone(&message),
    };
    Ok(Some((event, Vec::new(), source)))
}

/// A path segment.
fn encode(text: &str) -> String {
    let mut url = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            url.push(char::from(byte));
        } else {
            url.push_str(&format!("%{byte:02X}"));
        }
    }
    url
}
