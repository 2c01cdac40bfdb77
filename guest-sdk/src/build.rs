//! Builds, their steps and logs.

use std::cell::OnceCell;

use serde_json::{Map, Value, json};

use crate::bindings::formatter::reporter_host::reporter::events as wit;
use crate::lazy;
use crate::template::value_of;

/// A build. State and results are those of the event's own message.
#[derive(Debug)]
pub struct Build(Of<wit::Build>, Known);

/// What was asked already: each question to the host is a call out of the sandbox.
#[derive(Debug, Default)]
struct Known {
    builder: OnceCell<String>,
    results: OnceCell<Option<u8>>,
    state_string: OnceCell<String>,
    sourcestamps: OnceCell<Vec<Value>>,
    users: OnceCell<Vec<String>>,
}

/// A step of a build.
#[derive(Debug)]
pub struct Step(Of<wit::Step>);

/// A log. Its bytes stay in the host until they are read.
#[derive(Debug)]
pub struct Log(Of<wit::Log>);

#[derive(Debug)]
enum Of<H> {
    Host(H),
    Json(Value),
}

macro_rules! ask {
    ($self:ident, $host:ident => $of_host:expr, $json:ident => $of_json:expr) => {
        match &$self.0 {
            Of::Host($host) => $of_host,
            Of::Json($json) => $of_json,
        }
    };
}

/// The text of a JSON string, else empty.
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn results(value: &Value) -> Option<u8> {
    value.as_u64().and_then(|results| u8::try_from(results).ok())
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}

fn parse_all(documents: Vec<String>) -> Vec<Value> {
    documents.iter().filter_map(|document| serde_json::from_str(document).ok()).collect()
}

impl Build {
    /// Wraps the host's handle.
    pub fn from_host(build: wit::Build) -> Self {
        Self(Of::Host(build), Known::default())
    }

    /// A build for a test: a document in Buildbot's shape, with `changes` and `users` beside.
    pub fn from_json(build: Value) -> Self {
        Self(Of::Json(build), Known::default())
    }

    /// The host's handle, to pass it on; none in a test.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn into_host(self) -> Option<wit::Build> {
        match self.0 {
            Of::Host(handle) => Some(handle),
            Of::Json(_) => None,
        }
    }

    /// The database id; none for the pseudo-build of a build request.
    pub fn id(&self) -> Option<u64> {
        ask!(self, h => h.id(), j => j["buildid"].as_u64())
    }

    /// The database id of its build request, which a pseudo-build has as well; none if the source knows none. *Fetches.*
    pub fn request_id(&self) -> Option<u64> {
        let document = self.document(&[]);
        document["buildrequestid"].as_u64().or_else(|| document["buildrequest"]["buildrequestid"].as_u64())
    }

    /// The number within its builder; none for a pseudo-build.
    pub fn number(&self) -> Option<u64> {
        ask!(self, h => h.number(), j => j["number"].as_u64())
    }

    /// The builder's name; empty if unknown.
    pub fn builder(&self) -> String {
        self.1.builder.get_or_init(|| ask!(self, h => h.builder(), j => text(&j["builder"]["name"]))).clone()
    }

    /// The builder's tags.
    pub fn tags(&self) -> Vec<String> {
        ask!(self, h => h.tags(), j => texts(&j["builder"]["tags"]))
    }

    /// The result; none while it runs.
    pub fn results(&self) -> Option<u8> {
        *self.1.results.get_or_init(|| ask!(self, h => h.results(), j => results(&j["results"])))
    }

    /// Whether it has ended.
    pub fn complete(&self) -> bool {
        ask!(self, h => h.complete(), j => j["complete"].as_bool().unwrap_or(!j["results"].is_null()))
    }

    /// The state in words; empty for a pseudo-build.
    pub fn state_string(&self) -> String {
        self.1.state_string.get_or_init(|| ask!(self, h => h.state_string(), j => text(&j["state_string"]))).clone()
    }

    /// Its page; empty if the source has no URL.
    pub fn url(&self) -> String {
        ask!(self, h => h.url(), j => text(&j["url"]))
    }

    /// When it started, in seconds since 1970.
    pub fn started_at(&self) -> Option<u64> {
        ask!(self, h => h.started_at(), j => j["started_at"].as_u64())
    }

    /// When it ended, in seconds since 1970.
    pub fn complete_at(&self) -> Option<u64> {
        ask!(self, h => h.complete_at(), j => j["complete_at"].as_u64())
    }

    /// The value of a property; none if there is no such property. *Fetches.*
    pub fn property(&self, name: &str) -> Option<Value> {
        self.property_and_source(name).map(|(value, _)| value)
    }

    /// The value of a property and who set it. *Fetches.*
    pub fn property_and_source(&self, name: &str) -> Option<(Value, String)> {
        let pair = ask!(self, h => h.property(name).and_then(|p| serde_json::from_str(&p).ok()), j => j["properties"].get(name).cloned());
        match pair {
            Some(Value::Array(pair)) => {
                let mut pair = pair.into_iter();
                let value = pair.next()?;
                Some((value, pair.next().as_ref().map(text).unwrap_or_default()))
            }
            _ => None,
        }
    }

    /// The source stamps, in Buildbot's shape and order. *Fetches.*
    pub fn sourcestamps(&self) -> Vec<Value> {
        let asked = || ask!(self, h => parse_all(h.sourcestamps()), j => j["buildset"]["sourcestamps"].as_array().cloned().unwrap_or_default());
        self.1.sourcestamps.get_or_init(asked).clone()
    }

    /// The newest earlier build of this builder that is not RETRY. *Fetches.*
    pub fn previous(&self) -> Option<Build> {
        ask!(self, h => h.previous().map(Build::from_host), j => j.get("prev_build").filter(|p| p.is_object()).cloned().map(Build::from_json))
    }

    /// The changes since the last success, in Buildbot's shape. *Fetches.*
    pub fn changes(&self) -> Vec<Value> {
        ask!(self, h => parse_all(h.changes()), j => j["changes"].as_array().cloned().unwrap_or_default())
    }

    /// The responsible users, sorted and unique. *Fetches.*
    pub fn users(&self) -> Vec<String> {
        self.1.users.get_or_init(|| ask!(self, h => h.users(), j => texts(&j["users"]))).clone()
    }

    /// The steps in order. *Fetches.*
    pub fn steps(&self) -> Vec<Step> {
        ask!(self, h => h.steps().into_iter().map(|s| Step(Of::Host(s))).collect(),
            j => j["steps"].as_array().into_iter().flatten().cloned().map(|s| Step(Of::Json(s))).collect())
    }

    /// The build as Buildbot's reporters see it, with what `want` names (see `build.document` in the contract). *Fetches.*
    pub fn document(&self, want: &[&str]) -> Value {
        match &self.0 {
            Of::Host(handle) => {
                let want: Vec<String> = want.iter().map(|word| (*word).to_owned()).collect();
                serde_json::from_str(&handle.document(&want)).unwrap_or(Value::Null)
            }
            Of::Json(build) => sample_document(build, want),
        }
    }
}

/// For templates: read from the host's text at once, without JSON in between.
impl Build {
    /// [`Build::document`].
    pub(crate) fn document_value(&self, want: &[&str]) -> minijinja::Value {
        match &self.0 {
            Of::Host(handle) => {
                let want: Vec<String> = want.iter().map(|word| (*word).to_owned()).collect();
                lazy::value(handle.document(&want))
            }
            Of::Json(build) => value_of(&sample_document(build, want)),
        }
    }

    /// [`Build::changes`].
    pub(crate) fn changes_value(&self) -> minijinja::Value {
        match &self.0 {
            Of::Host(handle) => handle.changes().into_iter().map(lazy::value).collect(),
            Of::Json(_) => self.changes().iter().map(value_of).collect(),
        }
    }
}

/// What the host would answer, from a test's build.
fn sample_document(build: &Value, want: &[&str]) -> Value {
    let mut document = build.as_object().cloned().unwrap_or_default();
    let contents = want.contains(&"log-contents");
    let logs = contents || want.contains(&"logs");
    document.remove("changes");
    document.remove("users");
    if !want.contains(&"properties") {
        document.insert("properties".into(), json!({}));
    } else {
        document.entry("properties").or_insert_with(|| json!({}));
    }
    if want.contains(&"previous-build") {
        document.entry("prev_build").or_insert(Value::Null);
    } else {
        document.remove("prev_build");
    }
    if !(logs || want.contains(&"steps")) {
        document.remove("steps");
    } else if let Some(steps) = document.entry("steps").or_insert_with(|| json!([])).as_array_mut() {
        for step in steps.iter_mut().filter_map(Value::as_object_mut) {
            trim_logs(step, logs, contents);
        }
    }
    Value::Object(document)
}

fn trim_logs(step: &mut Map<String, Value>, logs: bool, contents: bool) {
    if !logs {
        step.remove("logs");
    } else if let Some(logs) = step.entry("logs").or_insert_with(|| json!([])).as_array_mut() {
        for log in logs.iter_mut().filter_map(Value::as_object_mut).filter(|_| !contents) {
            log.remove("content");
        }
    }
}

impl Step {
    /// The name.
    pub fn name(&self) -> String {
        ask!(self, h => h.name(), j => text(&j["name"]))
    }

    /// The position in the build, from 0.
    pub fn number(&self) -> u32 {
        ask!(self, h => h.number(), j => j["number"].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or_default())
    }

    /// The result; none if it has not ended.
    pub fn results(&self) -> Option<u8> {
        ask!(self, h => h.results(), j => results(&j["results"]))
    }

    /// The state in words.
    pub fn state_string(&self) -> String {
        ask!(self, h => h.state_string(), j => text(&j["state_string"]))
    }

    /// Whether the page hides it.
    pub fn hidden(&self) -> bool {
        ask!(self, h => h.hidden(), j => j["hidden"].as_bool().unwrap_or_default())
    }

    /// Its links: name and URL.
    pub fn urls(&self) -> Vec<(String, String)> {
        ask!(self, h => h.urls(), j => j["urls"].as_array().into_iter().flatten().map(|u| (text(&u["name"]), text(&u["url"]))).collect())
    }

    /// Its logs. *Fetches.*
    pub fn logs(&self) -> Vec<Log> {
        ask!(self, h => h.logs().into_iter().map(|l| Log(Of::Host(l))).collect(), j => {
            let of_step = |log: &Value| {
                let mut log = log.clone();
                log["step"] = j["name"].clone();
                Log(Of::Json(log))
            };
            j["logs"].as_array().into_iter().flatten().filter(|log| log.is_object()).map(of_step).collect()
        })
    }

    /// The step in Buildbot's shape.
    pub fn document(&self) -> Value {
        ask!(self, h => serde_json::from_str(&h.document()).unwrap_or(Value::Null), j => j.clone())
    }
}

impl Log {
    /// The host's handle, to pass it on; none in a test.
    #[cfg(target_arch = "wasm32")]
    pub(crate) fn into_host(self) -> Option<wit::Log> {
        match self.0 {
            Of::Host(handle) => Some(handle),
            Of::Json(_) => None,
        }
    }

    /// The name, `stdio`.
    pub fn name(&self) -> String {
        ask!(self, h => h.name(), j => text(&j["name"]))
    }

    /// The name as it stands in URLs.
    pub fn slug(&self) -> String {
        ask!(self, h => h.slug(), j => text(&j["slug"]))
    }

    /// The name of its step.
    pub fn step(&self) -> String {
        ask!(self, h => h.step(), j => text(&j["step"]))
    }

    /// `s` stdio, `t` text, `h` HTML, `d` deleted; an unknown kind is text.
    pub fn kind(&self) -> String {
        ask!(self, h => h.kind(), j => text(&j["type"]))
    }

    /// How many lines it has.
    pub fn lines(&self) -> u64 {
        ask!(self, h => h.lines(), j => sample_lines(j).len() as u64)
    }

    /// Its page; empty if the source has no URL.
    pub fn url(&self) -> String {
        ask!(self, h => h.url(), j => text(&j["url"]))
    }

    /// `count` lines from `first` on, without stream prefixes. *Fetches.*
    pub fn read(&self, first: u64, count: u32) -> String {
        ask!(self, h => h.read(first, count), j => {
            let first = usize::try_from(first).unwrap_or(usize::MAX);
            sample_lines(j).into_iter().skip(first).take(count as usize).collect()
        })
    }

    /// The last `count` lines. *Fetches.*
    pub fn tail(&self, count: u32) -> String {
        ask!(self, h => h.tail(count), j => {
            let lines = sample_lines(j);
            let skip = lines.len().saturating_sub(count as usize);
            lines.into_iter().skip(skip).collect()
        })
    }

    /// Lines that contain any of `needles`, case ignored, with their numbers; the last `most`. What the CI itself wrote into a log of kind `s`
    /// (commands, environment) has no needle but an empty one. *Fetches.*
    pub fn find(&self, needles: &[String], most: u32) -> Vec<(u64, String)> {
        ask!(self, h => h.find(needles, most), j => {
            let found = sample_found(j, needles);
            let skip = found.len().saturating_sub(most as usize);
            found.into_iter().skip(skip).collect()
        })
    }

    /// The same from line `from` on, but the first `most`; an empty needle is in every line. *Fetches.*
    pub fn find_first(&self, needles: &[String], from: u64, most: u32) -> Vec<(u64, String)> {
        ask!(self, h => h.find_first(needles, from, most), j => {
            sample_found(j, needles).into_iter().filter(|(number, _)| *number >= from).take(most as usize).collect()
        })
    }
}

impl Log {
    /// How many bytes its text has, without stream prefixes. *Fetches.*
    pub fn size(&self) -> u64 {
        ask!(self, h => h.size(), j => sample_lines(j).iter().map(|line| line.len() as u64).sum())
    }

    /// The same log from the beginning of a line on, of which at most `bytes` bytes are left.
    pub fn end(&self, bytes: u64) -> Self {
        Self(ask!(self, h => Of::Host(h.end(bytes)), j => {
            let mut lines = sample_lines(j);
            while lines.iter().map(|line| line.len() as u64).sum::<u64>() > bytes {
                lines.remove(0);
            }
            let mut end = j.clone();
            end["type"] = "t".into();
            end["content"] = json!({"content": lines.concat()});
            Of::Json(end)
        }))
    }
}

/// The lines of a test's log that contain any of these.
fn sample_found(log: &Value, needles: &[String]) -> Vec<(u64, String)> {
    let wanted = |line: &str| needles.iter().any(|needle| line.to_lowercase().contains(&needle.to_lowercase()));
    let content = text(&log["content"]["content"]);
    let prefixed = log["type"] == "s";
    let mut headers = content.split_inclusive('\n').map(|line| prefixed && line.starts_with('h'));
    let in_every_line = needles.iter().any(String::is_empty);
    (0..).zip(sample_lines(log)).filter(|(_, line)| (!headers.next().unwrap_or(false) || in_every_line) && wanted(line)).collect()
}

/// The lines of a test's log, without stream prefixes.
fn sample_lines(log: &Value) -> Vec<String> {
    let content = text(&log["content"]["content"]);
    let prefixed = log["type"] == "s";
    content.split_inclusive('\n').map(|line| if prefixed { line.chars().skip(1).collect() } else { line.to_owned() }).collect()
}
