//! A recorded scenario: what was to be seen from outside (events and the REST API's rows), and what each
//! reporter sent. The layout is the one of `tests/conformance/README.md`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use reporter_host::event::paths;
use reporter_host::event::{Event, Kind, Rows};
use reporter_host_tests::Mapped;
use serde_json::{Map, Value, json};

use crate::answers::Answers;
use crate::wire::Sent;

/// The name under which the master is followed.
pub const MASTER: &str = "main";

/// A recorded scenario.
pub struct Case {
    /// Its folder's name.
    pub name: String,
    /// What happened, in order, each with what REST had then.
    pub moments: Vec<Moment>,
    /// What was sent, in order of arrival.
    pub sent: Vec<Recorded>,
    /// Words of which one is in the name of each reporter that was recorded; `word$` is its end. Empty: all were.
    kept_only: Vec<String>,
    /// Whether its builds have `prev_build`.
    tells_previous: bool,
}

/// An event.
#[derive(Clone)]
pub struct Moment {
    /// The event.
    pub event: Event,
    /// Details.
    pub rows: BTreeMap<String, Rows>,
}

/// What a reporter sent.
pub struct Recorded {
    /// Its `name=` in master.cfg.
    pub reporter: String,
    /// The event that it was sent for (`builds/5/finished`), if the recording knows it.
    pub event: Option<String>,
    /// What arrived.
    pub sent: Sent,
    /// The file, for messages.
    pub file: String,
}

/// A message of the WebSocket.
struct Message {
    at: f64,
    key: String,
    body: Value,
}

/// What cases know of each other.
#[derive(Default)]
pub struct World {
    /// The builders that any case tells of, by id: a request that got no build names one all the same.
    builders: BTreeMap<i64, Value>,
    /// Builds by builder and number, for the cases that do not tell the previous one.
    builds: BTreeMap<i64, BTreeMap<i64, Value>>,
    /// What reporters asked, by path, and what they were answered.
    pub answers: Answers,
}

impl World {
    /// What the recordings' own folder tells beside the cases: builders that never had a build.
    pub fn of(root: &Path) -> Result<Self, String> {
        let mut world = Self::default();
        let dump = root.join("rest-dump/builders.json");
        if dump.exists() {
            let dump = json(&dump)?;
            let rows = [&dump["json"]["builders"], &dump["builders"]].into_iter().flat_map(|rows| array(rows));
            world.builders = rows.map(|row| (id(row, "builderid"), row.clone())).collect();
        }
        Ok(world)
    }

    /// Adds what a case tells.
    pub fn add(&mut self, folder: &Path) -> Result<(), String> {
        for build in array(&json(&folder.join("build.json"))?["builds"]) {
            self.builders.insert(id(&build["builder"], "builderid"), build["builder"].clone());
            let row = &build["build"];
            self.builds.entry(id(row, "builderid")).or_default().insert(id(row, "number"), row.clone());
        }
        self.answers.add(folder)
    }

    fn before(&self, row: &Value) -> Rows {
        let of_builder = self.builds.get(&id(row, "builderid"));
        of_builder.map(|builds| builds.range(..id(row, "number")).rev().take(10).map(|(_, row)| row.clone()).collect()).unwrap_or_default()
    }
}

impl Case {
    /// Reads a case's folder. `config` is the row of `/api/v2/config`, `world` what all cases know.
    pub fn read(folder: &Path, config: &Value, world: &World) -> Result<Self, String> {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let known: Value = json(&folder.join("build.json"))?;
        let messages = match fs::read_to_string(folder.join("ws-events.jsonl")) {
            Ok(text) => text.lines().map(message).collect::<Result<Vec<_>, _>>()?,
            Err(_) => from_builds(&known),
        };
        let moments = messages.iter().enumerate().filter_map(|(n, message)| moment(message, &messages, n, &known, config, world)).collect();
        let sent = sent_files(folder).iter().map(|path| recorded(path)).collect::<Result<Vec<_>, _>>()?;
        let kept_only = known["kept_only"].as_str().map(|words| words.split('|').map(str::to_owned).collect()).unwrap_or_default();
        let tells_previous = array(&known["builds"]).iter().any(|build| build.get("prev_build").is_some());
        Ok(Self { name, moments, sent: sent.into_iter().flatten().collect(), kept_only, tells_previous })
    }

    /// Whether the build before that of an event is in no case.
    pub fn lacks_the_build_before(&self, event: &str) -> bool {
        // Without attribution it may be any of them.
        self.moments.iter().filter(|moment| event.is_empty() || moment.event.id.ends_with(&format!("/{event}"))).any(|moment| {
            let message = &moment.event.message;
            let earlier = moment.rows.get(&paths::earlier_builds(id(message, "builderid"), id(message, "number")));
            let last = earlier.and_then(|rows| rows.first()).map_or(0, |row| id(row, "number"));
            !self.tells_previous && last + 1 < id(message, "number")
        })
    }

    /// Whether a source stamp has such a repository.
    pub fn has_repository(&self, fits: fn(&str) -> bool) -> bool {
        let rows = self.moments.iter().flat_map(|moment| moment.rows.iter()).filter(|(path, _)| path.starts_with("buildsets/")).flat_map(|(_, rows)| rows);
        rows.flat_map(|row| array(&row["sourcestamps"])).any(|stamp| stamp["repository"].as_str().is_some_and(fits))
    }

    /// The result of the build of an event.
    pub fn results(&self, event: &str) -> Option<i64> {
        self.moments.iter().find(|moment| moment.event.id.ends_with(&format!("/{event}"))).and_then(|moment| moment.event.message["results"].as_i64())
    }

    /// Whether the recording of this scenario has what a reporter sent.
    pub fn kept(&self, reporter: &str) -> bool {
        let fits = |word: &String| word.strip_suffix('$').map_or_else(|| reporter.contains(word.as_str()), |end| reporter.ends_with(end));
        self.kept_only.is_empty() || self.kept_only.iter().any(fits)
    }
}

/// What was sent, in order; nothing was where there is no folder.
pub fn sent_files(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder.join("sent")).into_iter().flatten().flatten().map(|file| file.path());
    let mut files: Vec<_> = files.filter(|path| path.extension().is_some_and(|extension| extension == "json")).collect();
    files.sort();
    files
}

pub fn json(path: &Path) -> Result<Value, String> {
    let bytes = fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}

fn message(line: &str) -> Result<Message, String> {
    let mut line: Value = serde_json::from_str(line).map_err(|error| format!("ws-events.jsonl: {error}"))?;
    let key = line["k"].as_str().unwrap_or_default().to_owned();
    Ok(Message { at: line["t"].as_f64().unwrap_or_default(), key, body: line["m"].take() })
}

/// A recording without WebSocket messages: each build began and ended, each set ended.
fn from_builds(known: &Value) -> Vec<Message> {
    let mut messages = Vec::new();
    let mut sets = BTreeMap::new();
    for build in array(&known["builds"]) {
        let (row, set) = (&build["build"], &build["buildset"]);
        let mut started = row.clone();
        for (key, value) in [("complete", json!(false)), ("complete_at", Value::Null), ("results", Value::Null), ("state_string", json!("starting"))] {
            started[key] = value;
        }
        let at = |key: &str| row[key].as_f64().unwrap_or_default();
        messages.push(Message { at: at("started_at"), key: format!("builds/{}/new", row["buildid"]), body: started });
        messages.push(Message { at: at("complete_at") + 0.1, key: format!("builds/{}/finished", row["buildid"]), body: row.clone() });
        sets.insert(set["bsid"].as_i64().unwrap_or_default(), set.clone());
    }
    for (id, set) in sets {
        messages.push(Message { at: set["complete_at"].as_f64().unwrap_or_default() + 0.2, key: format!("buildsets/{id}/complete"), body: set });
    }
    messages.sort_by(|a, b| a.at.total_cmp(&b.at));
    messages
}

fn moment(message: &Message, all: &[Message], n: usize, known: &Value, config: &Value, world: &World) -> Option<Moment> {
    let parts: Vec<&str> = message.key.split('/').collect();
    let kind = match parts[..] {
        ["builds", _, "new"] => Kind::BuildStarted,
        ["builds", _, "finished"] => Kind::BuildFinished,
        ["buildrequests", _, "new"] => Kind::BuildrequestNew,
        ["buildrequests", _, "cancel"] => Kind::BuildrequestCancelled,
        ["buildsets", _, "complete"] => Kind::BuildsetComplete,
        ["workers", _, "missing"] => Kind::WorkerMissing,
        _ => return None,
    };
    let mut rows = rows(known, config, world);
    // `cancel` comes without a message, and the host reads the row.
    let body = if message.body.is_null() { rows.get(&message.key.rsplit_once('/')?.0.to_owned())?.first()?.clone() } else { message.body.clone() };
    let event = Event { id: format!("{MASTER}/{}", message.key), kind, source: MASTER.into(), occurred_at: message.at as i64, late: false, message: body };
    for (id, builder) in &world.builders {
        rows.entry(paths::builder(*id)).or_insert_with(|| vec![builder.clone()]);
    }
    as_then(&mut rows, message, all, n);
    Some(Moment { event, rows })
}

/// The REST API's rows at the end of the scenario.
fn rows(known: &Value, config: &Value, world: &World) -> BTreeMap<String, Rows> {
    let mut rows = BTreeMap::from([(paths::CONFIG.to_owned(), vec![config.clone()])]);
    let mut put = |path: String, found: Rows| {
        rows.insert(path, found);
    };
    for set in array(&known["buildsets"]) {
        put(paths::buildset(id(set, "bsid")), vec![set.clone()]);
    }
    let mut of_set: BTreeMap<i64, BTreeMap<i64, Value>> = BTreeMap::new();
    let mut of_request: BTreeMap<i64, Rows> = BTreeMap::new();
    for request in array(&known["buildrequests"]) {
        put(paths::buildrequest(id(request, "buildrequestid")), vec![request.clone()]);
        of_set.entry(id(request, "buildsetid")).or_default().insert(id(request, "buildrequestid"), request.clone());
        of_request.entry(id(request, "buildrequestid")).or_default();
    }
    for build in array(&known["builds"]) {
        let (row, request, set) = (&build["build"], &build["buildrequest"], &build["buildset"]);
        let build_id = id(row, "buildid");
        put(paths::build(build_id), vec![row.clone()]);
        put(paths::builder(id(row, "builderid")), vec![build["builder"].clone()]);
        put(paths::buildrequest(id(request, "buildrequestid")), vec![request.clone()]);
        let mut whole = set.clone();
        if whole["sourcestamps"].is_null() {
            whole["sourcestamps"] = build["sourcestamps"].clone();
        }
        put(paths::buildset(id(set, "bsid")), vec![whole]);
        put(paths::buildset_properties(id(set, "bsid")), vec![build["buildset_properties"].clone()]);
        put(
            paths::properties(build_id),
            match &build["properties"] {
                Value::Array(rows) => rows.clone(),
                row => vec![row.clone()],
            },
        );
        put(paths::changes(build_id), array(&build["changes"]).to_vec());
        let earlier = match build.get("prev_build") {
            Some(previous) => previous.is_object().then(|| previous.clone()).into_iter().collect(),
            None => world.before(row),
        };
        put(paths::earlier_builds(id(row, "builderid"), id(row, "number")), earlier);
        let parent = &build["parentbuild"];
        if parent.is_object() {
            put(paths::build(id(parent, "buildid")), vec![parent.clone()]);
        }
        if build["parentbuilder"].is_object() {
            put(paths::builder(id(&build["parentbuilder"], "builderid")), vec![build["parentbuilder"].clone()]);
        }
        let mut steps = Vec::new();
        for step in array(&build["steps"]) {
            steps.push(without(step, "logs"));
            put(paths::logs(id(step, "stepid")), array(&step["logs"]).iter().map(|log| without(log, "contents")).collect());
            for log in array(&step["logs"]) {
                let text: String = array(&log["contents"]).iter().filter_map(|chunk| chunk["content"].as_str()).collect();
                put(paths::contents(id(log, "logid")), vec![json!({"logid": log["logid"], "firstline": 0, "content": text})]);
            }
        }
        put(paths::steps(build_id), steps);
        of_set.entry(id(request, "buildsetid")).or_default().insert(id(request, "buildrequestid"), request.clone());
        of_request.entry(id(request, "buildrequestid")).or_default().push(row.clone());
    }
    for (set, requests) in of_set {
        put(paths::buildset_requests(set), requests.into_values().collect());
    }
    for (request, builds) in of_request {
        put(paths::request_builds(request), builds);
    }
    rows
}

/// What REST had at the moment of a message: rows as the WebSocket told them last.
fn as_then(rows: &mut BTreeMap<String, Rows>, told: &Message, all: &[Message], n: usize) {
    let before = &all[..n];
    for (path, found) in rows.iter_mut() {
        // The subject's own row is the message; a request and a set are of their end (`unfinished` makes them alike).
        let last = before.iter().rev().find(|message| ["new", "update", "finished"].iter().any(|verb| message.key == format!("{path}/{verb}")));
        if let (Some(["builds", _]), Some(last)) = (path.split('/').collect::<Vec<_>>().get(..), last) {
            *found = vec![last.body.clone()];
        }
    }
    if !told.key.starts_with("builds/") || !told.key.ends_with("/new") {
        return;
    }
    let build = id(&told.body, "buildid");
    let updates = format!("builds/{build}/properties/update");
    let mut properties = Map::new();
    // `owners` is written a moment after the message, and before anybody has read.
    let owners = |message: &&Message| message.body.as_object().is_some_and(|body| body.len() == 1 && body.contains_key("owners"));
    let late = all[n..].iter().filter(|message| message.key == updates).find(owners);
    for message in before.iter().filter(|message| message.key == updates).chain(late) {
        properties.extend(message.body.as_object().cloned().unwrap_or_default());
    }
    if !properties.is_empty() {
        rows.insert(paths::properties(build), vec![Value::Object(properties)]);
    }
    if let Some(steps) = rows.get_mut(&paths::steps(build)) {
        let then = |step: &Value| {
            let of_step = format!("steps/{}/", step["stepid"]);
            before.iter().rev().find(|message| message.key.starts_with(&of_step)).map(|message| message.body.clone())
        };
        *steps = steps.iter().filter_map(then).collect();
    }
}

fn recorded(path: &Path) -> Result<Option<Recorded>, String> {
    let mut whole = json(path)?;
    // How often something is asked for is nobody's business.
    if whole["method"] == "GET" {
        return Ok(None);
    }
    // Named by the path that it went to; where several share one, as Pushover's do, by who sent it.
    let path_name = whole["reporter"].as_str().unwrap_or_default();
    let sender = whole["attribution"]["reporter"].as_str().filter(|sender| sender.strip_prefix(path_name).is_some_and(|rest| rest.starts_with('-')));
    let reporter = match by_server(&whole) {
        Some(reporter) if path_name == "ssh" => reporter.to_owned(),
        _ => sender.unwrap_or(path_name).to_owned(),
    };
    // Long bodies are packed beside; a reporter that is covered has none (README).
    let key = array(&whole["attribution"]["key"]).iter().map(|part| part.as_str().map_or_else(|| part.to_string(), str::to_owned)).collect::<Vec<_>>();
    let event = (!key.is_empty()).then(|| key.join("/"));
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    unpack(&mut whole, path)?;
    Ok(Sent::recorded(&whole).map(|sent| Recorded { reporter, event, sent, file }))
}

/// Whose the server of a command is, where nothing else tells.
fn by_server(whole: &Value) -> Option<&'static str> {
    let (_, server) = array(&whole["argv"]).iter().filter_map(Value::as_str).find_map(|word| word.split_once('@'))?;
    let of = [
        ("gerrit.oracle.test", "gerrit-summary"),
        ("rev.oracle.test", "gerrit-review"),
        ("old.oracle.test", "gerrit-old"),
        ("leg.oracle.test", "gerrit-legacy"),
    ];
    of.into_iter().find(|(name, _)| *name == server).map(|(_, reporter)| reporter)
}

/// Bodies over 60 kB stand gzipped beside the file that tells of them.
fn unpack(whole: &mut Value, path: &Path) -> Result<(), String> {
    for (key, target) in [("json_file", "json"), ("body_file", "body"), ("raw_file", "raw")] {
        let Some(name) = whole[key].as_str() else { continue };
        let beside = path.with_file_name(name);
        let output = std::process::Command::new("gzip").arg("-dc").arg(&beside).output().map_err(|error| format!("gzip: {error}"))?;
        if !output.status.success() {
            return Err(format!("{}: gzip cannot read it", beside.display()));
        }
        whole[target] = match target {
            "json" => serde_json::from_slice(&output.stdout).map_err(|error| format!("{}: {error}", beside.display()))?,
            _ => String::from_utf8_lossy(&output.stdout).into_owned().into(),
        };
    }
    Ok(())
}

fn without(row: &Value, key: &str) -> Value {
    let mut row = row.clone();
    if let Some(row) = row.as_object_mut() {
        row.shift_remove(key);
    }
    row
}

pub fn array(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn id(row: &Value, key: &str) -> i64 {
    row[key].as_i64().unwrap_or_default()
}

impl Moment {
    /// The event with its details behind it.
    pub fn details(&self) -> Arc<reporter_host::event::Details> {
        reporter_host_tests::details(self.event.clone(), Arc::new(Mapped::new(self.rows.clone())))
    }

    /// The same with pull requests on the Bitbucket server at `base`, in place of the recording's own.
    pub fn on_bitbucket(mut self, base: &str) -> Self {
        for value in self.rows.values_mut().flatten().chain([&mut self.event.message]) {
            moved(value, "https://bbs.oracle.test/projects/", &format!("{base}/projects/"));
        }
        self
    }
}

/// Puts `to` in place of `from` at the beginning of texts.
fn moved(value: &mut Value, from: &str, to: &str) {
    match value {
        Value::String(text) => {
            if let Some(rest) = text.strip_prefix(from) {
                *text = format!("{to}{rest}");
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| moved(value, from, to)),
        Value::Object(members) => members.values_mut().for_each(|value| moved(value, from, to)),
        _ => {}
    }
}
