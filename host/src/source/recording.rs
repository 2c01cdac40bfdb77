//! Recordings: JSON Lines, an event with its details a line, written from a master or an inbox and played
//! without either.
//!
//! ```json
//! {"event": {"id": "main/builds/1/finished", "kind": "build-finished", …}, "details": {"builders/2": [{…}]}}
//! ```

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;

use super::{Arrived, Journal, SourceError, journal_or_wait};
use crate::event::{Event, Fetch, FetchError, Kind, Rows, paths};
use crate::store::{self, StoreError};

/// Events that are read and journalled at a time.
const AT_ONCE: usize = 64;

/// One line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// The event.
    pub event: Event,
    /// Its details by REST path. What is not here is empty.
    #[serde(default)]
    pub details: BTreeMap<String, Rows>,
}

/// Appends lines to a file.
pub struct Writer {
    file: File,
    path: PathBuf,
}

impl Writer {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn append(path: &Path) -> Result<Self, SourceError> {
        let file = OpenOptions::new().append(true).create(true).open(path);
        let file = file.map_err(|cause| SourceError::File { file: path.to_owned(), cause })?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Writes one line, whole or (if it fails) as a broken last line.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&mut self, event: &Event, details: &[(String, Rows)]) -> Result<(), SourceError> {
        let line = Line { event: event.clone(), details: details.iter().cloned().collect() };
        let failed = |cause: std::io::Error| SourceError::File { file: self.path.clone(), cause };
        let mut text = serde_json::to_vec(&line).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        self.file.write_all(&text).and_then(|()| self.file.flush()).map_err(failed)
    }
}

/// Plays a recording. It is its own [`Fetch`], which has nothing: details are journalled with their events.
pub struct Recording {
    name: String,
    file: PathBuf,
}

impl Recording {
    /// A recording to be played as the source `name`.
    pub fn new(name: &str, file: &Path) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), file: file.to_owned() })
    }

    /// The events with their details, read one line at a time. Sources and ids are those of
    /// this source: the prefix of an id that is its event's source is replaced by this one's name.
    ///
    /// # Errors
    /// The file cannot be opened. Each line that is not an event is an error of its own.
    pub fn lines(&self) -> Result<impl Iterator<Item = Result<Arrived, SourceError>> + '_, SourceError> {
        let file = File::open(&self.file).map_err(|cause| SourceError::File { file: self.file.clone(), cause })?;
        let lines = BufReader::new(file).split(b'\n').enumerate();
        Ok(lines.filter_map(move |(number, line)| match line {
            Ok(line) if line.trim_ascii().is_empty() => None,
            Ok(line) => Some(self.parse(number + 1, &line)),
            Err(cause) => Some(Err(SourceError::File { file: self.file.clone(), cause })),
        }))
    }

    fn parse(&self, number: usize, line: &[u8]) -> Result<Arrived, SourceError> {
        let wrong = |why: String| SourceError::Line { file: self.file.clone(), line: number, why };
        let line: Line = serde_json::from_slice(line).map_err(|error| {
            let why = error.to_string();
            // serde_json counts lines within the line.
            wrong(why.replace(" at line 1 column", " at column"))
        })?;
        let mut event = line.event;
        if !event.message.is_object() {
            return Err(wrong("the event's message is not an object".to_owned()));
        }
        let rest = event.id.strip_prefix(&event.source).and_then(|rest| rest.strip_prefix('/')).unwrap_or(&event.id);
        event.id = format!("{}/{rest}", self.name);
        if event.id.len() > 200 {
            return Err(wrong(format!("the event's id is longer than 200 bytes: {}", event.id)));
        }
        event.source.clone_from(&self.name);
        Ok((event, line.details.into_iter().collect()))
    }

    /// Journals the recording's events in order, and ends. Answers with how many were new. Nothing is journalled of
    /// a recording with a broken line.
    ///
    /// # Errors
    /// The file cannot be read, or a line is not an event.
    pub async fn run(self: Arc<Self>, journal: Arc<dyn Journal>, mut shutdown: watch::Receiver<bool>) -> Result<usize, SourceError> {
        for line in self.lines()? {
            line?;
        }
        let mut new = 0;
        let mut lines = self.lines()?;
        loop {
            // Many in a transaction: each waits for the disk.
            let events = lines.by_ref().take(AT_ONCE).collect::<Result<Vec<_>, _>>()?;
            if events.is_empty() {
                return Ok(new);
            }
            match journal_or_wait(journal.as_ref(), &self.name, None, events, &mut shutdown).await {
                Some(journalled) => new += journalled,
                None => return Ok(new),
            }
        }
    }
}

#[async_trait]
impl Fetch for Recording {
    async fn fetch(&self, path: &str) -> Result<Rows, FetchError> {
        Err(FetchError::Missing(format!("the recording {} has no {path} for this event", self.file.display())))
    }
}

/// A journal that records: the journal of `reporter-host record`. What a source journals is written with all
/// details that anybody may ask for.
pub struct Recorder {
    fetch: Arc<dyn Fetch>,
    state: Mutex<Recorded>,
    writer: Mutex<Writer>,
    told: Box<dyn Fn(&Event) + Send + Sync>,
    logs: bool,
}

#[derive(Default)]
struct Recorded {
    ids: HashSet<String>,
    cursors: HashMap<String, String>,
}

impl Recorder {
    /// Records to `writer`, with details from `fetch`, and what logs say if `logs`; `told` hears of each event written.
    pub fn new(writer: Writer, fetch: Arc<dyn Fetch>, told: impl Fn(&Event) + Send + Sync + 'static, logs: bool) -> Self {
        Self { fetch, state: Mutex::default(), writer: Mutex::new(writer), told: Box::new(told), logs }
    }
}

#[async_trait]
impl Journal for Recorder {
    async fn cursor(&self, source: &str) -> store::Result<Option<String>> {
        Ok(self.state.lock().unwrap_or_else(PoisonError::into_inner).cursors.get(source).cloned())
    }

    async fn known(&self, ids: Vec<String>) -> store::Result<Vec<String>> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(ids.into_iter().filter(|id| state.ids.contains(id)).collect())
    }

    async fn journal(&self, source: &str, cursor: Option<String>, events: Vec<Arrived>) -> store::Result<usize> {
        let mut new = 0;
        for (event, came) in events {
            if self.state.lock().unwrap_or_else(PoisonError::into_inner).ids.contains(&event.id) {
                continue;
            }
            let unread = |error: FetchError| StoreError::NotRecorded(format!("{}: its details cannot be read: {error}", event.id));
            let details = gather(&event, came, self.fetch.as_ref(), self.logs).await.map_err(unread)?;
            let unwritten = |error: SourceError| StoreError::NotRecorded(format!("{}: {error}", event.id));
            self.writer.lock().unwrap_or_else(PoisonError::into_inner).write(&event, &details).map_err(unwritten)?;
            self.state.lock().unwrap_or_else(PoisonError::into_inner).ids.insert(event.id.clone());
            (self.told)(&event);
            new += 1;
        }
        if let Some(cursor) = cursor {
            self.state.lock().unwrap_or_else(PoisonError::into_inner).cursors.insert(source.to_owned(), cursor);
        }
        Ok(new)
    }
}

/// Reads everything about an event that a component may ask for, logs included.
///
/// # Errors
/// [`FetchError::NotNow`]; what the source does not have is left out.
pub async fn gather(event: &Event, came: Vec<(String, Rows)>, fetch: &dyn Fetch, logs: bool) -> Result<Vec<(String, Rows)>, FetchError> {
    let mut all = Gathered { fetch, rows: came.into_iter().collect(), logs };
    all.get(paths::CONFIG).await?;
    let message = &event.message;
    match event.kind {
        Kind::BuildStarted | Kind::BuildFinished => all.build(message).await?,
        Kind::BuildrequestNew | Kind::BuildrequestCancelled => {
            if let Some(builder) = message["builderid"].as_i64() {
                all.get(&paths::builder(builder)).await?;
            }
            all.set(message["buildsetid"].as_i64()).await?;
        }
        Kind::BuildsetComplete => {
            if let Some(set) = message["bsid"].as_i64() {
                all.get(&paths::buildset_properties(set)).await?;
                all.parent(message).await?;
                for request in all.get(&paths::buildset_requests(set)).await? {
                    let Some(request) = request["buildrequestid"].as_i64() else { continue };
                    for build in all.get(&paths::request_builds(request)).await? {
                        all.build(&build).await?;
                    }
                }
            }
        }
        Kind::WorkerMissing | Kind::WorkerConnected | Kind::Heard => {}
    }
    Ok(all.rows.into_iter().collect())
}

struct Gathered<'a> {
    fetch: &'a dyn Fetch,
    rows: BTreeMap<String, Rows>,
    logs: bool,
}

impl Gathered<'_> {
    async fn get(&mut self, path: &str) -> Result<Rows, FetchError> {
        if let Some(rows) = self.rows.get(path) {
            return Ok(rows.clone());
        }
        match self.fetch.fetch(path).await {
            Ok(rows) => {
                self.rows.insert(path.to_owned(), rows.clone());
                Ok(rows)
            }
            Err(FetchError::Missing(_)) => Ok(Rows::new()),
            Err(error) => Err(error),
        }
    }

    async fn build(&mut self, build: &Value) -> Result<(), FetchError> {
        if let Some(builder) = build["builderid"].as_i64() {
            self.get(&paths::builder(builder)).await?;
            if let Some(number) = build["number"].as_i64() {
                self.get(&paths::earlier_builds(builder, number)).await?;
            }
        }
        if let Some(id) = build["buildid"].as_i64() {
            self.get(&paths::properties(id)).await?;
            self.get(&paths::changes(id)).await?;
            for step in self.get(&paths::steps(id)).await? {
                let Some(step) = step["stepid"].as_i64() else { continue };
                for log in self.get(&paths::logs(step)).await? {
                    if self.logs
                        && let Some(log) = log["logid"].as_i64()
                    {
                        self.get(&paths::contents(log)).await?;
                    }
                }
            }
        }
        if let Some(request) = build["buildrequestid"].as_i64() {
            let request = self.get(&paths::buildrequest(request)).await?;
            self.set(request.first().and_then(|request| request["buildsetid"].as_i64())).await?;
        }
        Ok(())
    }

    async fn set(&mut self, set: Option<i64>) -> Result<(), FetchError> {
        let Some(set) = set else { return Ok(()) };
        self.get(&paths::buildset_properties(set)).await?;
        let sets = self.get(&paths::buildset(set)).await?;
        self.parent(sets.first().unwrap_or(&Value::Null)).await
    }

    async fn parent(&mut self, set: &Value) -> Result<(), FetchError> {
        let Some(parent) = set["parent_buildid"].as_i64() else { return Ok(()) };
        let builds = self.get(&paths::build(parent)).await?;
        if let Some(builder) = builds.first().and_then(|build| build["builderid"].as_i64()) {
            self.get(&paths::builder(builder)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::memory::Memory;
    use serde_json::json;

    fn event(id: &str) -> Event {
        Event {
            id: id.to_owned(),
            kind: Kind::WorkerMissing,
            source: "main".to_owned(),
            occurred_at: 7,
            late: false,
            message: json!({"workerid": 3, "name": "w"}),
        }
    }

    #[tokio::test]
    async fn what_was_written_is_played_once_under_the_sources_own_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        let details = vec![("config".to_owned(), vec![json!({"title": "T"})])];
        let mut writer = Writer::append(&path).unwrap();
        writer.write(&event("main/workers/3/missing/7"), &details).unwrap();
        drop(writer);
        Writer::append(&path).unwrap().write(&event("main/workers/3/missing/8"), &[]).unwrap();

        let journal = Arc::new(Memory::default());
        let (_stop, shutdown) = watch::channel(false);
        let recording = Recording::new("demo", &path);
        assert_eq!(recording.clone().run(journal.clone(), shutdown.clone()).await.unwrap(), 2);
        assert_eq!(recording.run(journal.clone(), shutdown).await.unwrap(), 0);
        let events = journal.events();
        assert_eq!(events[0].0.id, "demo/workers/3/missing/7");
        assert_eq!(events[0].0.source, "demo");
        assert_eq!(events[0].1, details);
        assert_eq!(events[1].0.id, "demo/workers/3/missing/8");
    }

    #[tokio::test]
    async fn a_broken_line_is_named_and_nothing_is_played() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        Writer::append(&path).unwrap().write(&event("main/workers/3/missing/7"), &[]).unwrap();
        std::fs::write(&path, [std::fs::read(&path).unwrap(), b"\n{\"event\": 3}\n".to_vec()].concat()).unwrap();
        let journal = Arc::new(Memory::default());
        let (_stop, shutdown) = watch::channel(false);
        let error = Recording::new("demo", &path).run(journal.clone(), shutdown).await.unwrap_err().to_string();
        assert!(error.contains("r.jsonl, line 3: "), "{error}");
        assert!(journal.events().is_empty());
    }
}
