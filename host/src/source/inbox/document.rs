//! A posted document, turned into an event and into what each REST path would have answered.

use serde_json::{Map, Number, Value, json};
use sha2::{Digest, Sha256};

use crate::event::{Event, Kind, Rows, paths};

/// The longest id of an event.
const LONGEST_ID: usize = 200;

/// A document that is no event, though it satisfies the schema.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Where: a JSON pointer.
    pub member: &'static str,
    /// What, and what to write instead.
    pub why: String,
}

/// The document with each number that is an integer by the schema as one: `2.0` and `1e3` are. Properties stay as they are: of what they are
/// nothing is said.
pub fn with_integers(mut document: Value) -> Value {
    make_integers(&mut document);
    document
}

fn make_integers(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(make_integers),
        Value::Object(members) => members.iter_mut().filter(|(key, _)| *key != "properties").for_each(|(_, value)| make_integers(value)),
        Value::Number(number) => {
            if let Some(float) = number.as_f64().filter(|float| number.is_f64() && float.fract() == 0.0 && float.abs() < 2_f64.powi(63)) {
                *number = Number::from(float as i64);
            }
        }
        _ => {}
    }
}

/// An event of a validated document. `key` is the id from the header, `now` the time in seconds since 1970.
///
/// # Errors
/// No id, an id that is none, or an end without results.
pub fn event(source: &str, key: Option<&str>, document: &Value, now: i64) -> Result<(Event, Vec<(String, Rows)>), Wrong> {
    let results = results(document)?;
    let kind = if results.is_some() { Kind::BuildFinished } else { Kind::BuildStarted };
    let build = Build::new(source, document, results, now);
    let id = match key.or(document["id"].as_str()) {
        Some(id) => id.to_owned(),
        None if document["buildid"].is_i64() => paths::build(build.id),
        None => {
            return Err(Wrong {
                member: "/id",
                why: "there is neither an `id` nor a `buildid`; give an `id` that is the event's own, here or in the header Idempotency-Key".to_owned(),
            });
        }
    };
    if id.is_empty() || id.chars().any(char::is_control) {
        return Err(Wrong { member: "/id", why: "an id is not empty and has no control characters".to_owned() });
    }
    let id = format!("{source}/{id}/{}", kind.verb());
    if id.len() > LONGEST_ID {
        return Err(Wrong { member: "/id", why: format!("the id makes {} bytes together with the inbox's name; {LONGEST_ID} is the most", id.len()) });
    }
    let occurred_at = build.message[if results.is_some() { "complete_at" } else { "started_at" }].as_i64().unwrap_or(now);
    let details = build.details(document);
    Ok((Event { id, kind, source: source.to_owned(), occurred_at, late: false, message: build.message }, details))
}

/// What became of the build; none if it begins.
fn results(document: &Value) -> Result<Option<i64>, Wrong> {
    let word = match document["state"].as_str() {
        Some("success" | "passed") => Some(0),
        Some("warnings") => Some(1),
        Some("failure" | "failed") => Some(2),
        Some("skipped") => Some(3),
        Some("exception" | "error") => Some(4),
        Some("retry") => Some(5),
        Some("cancelled" | "canceled") => Some(6),
        _ => None,
    };
    let begins = matches!(document["state"].as_str(), Some("started" | "running"));
    let results = document["results"].as_i64().or(word);
    match (results, document["complete"].as_bool()) {
        (Some(_), _) if begins => {
            Err(Wrong { member: "/results", why: "a build that begins has no results; leave out `results`, or give another `state`".to_owned() })
        }
        (Some(_), Some(false)) => Err(Wrong { member: "/complete", why: "false, though there are results; leave it out, or leave out `results`".to_owned() }),
        (None, Some(true)) => Err(Wrong { member: "/results", why: "missing, though `complete` is true; give `results` (0 to 6) or a `state`".to_owned() }),
        (results, _) => Ok(results),
    }
}

struct Build {
    id: i64,
    number: i64,
    builder: i64,
    builder_name: String,
    request: i64,
    set: i64,
    message: Value,
}

impl Build {
    fn new(source: &str, document: &Value, results: Option<i64>, now: i64) -> Self {
        let name = document["builder"].as_str().or(document["builder"]["name"].as_str()).unwrap_or_default().to_owned();
        let number = document["number"].as_i64().unwrap_or_default();
        let given = |values: &[&Value]| values.iter().find_map(|value| value.as_i64());
        let builder = given(&[&document["builderid"], &document["builder"]["builderid"]]).unwrap_or_else(|| made(&[source, "builder", &name]));
        let id = given(&[&document["buildid"]]).unwrap_or_else(|| made(&[source, "build", &builder.to_string(), &number.to_string()]));
        let request =
            given(&[&document["buildrequestid"], &document["buildrequest"]["buildrequestid"]]).unwrap_or_else(|| made(&[source, "request", &id.to_string()]));
        let set = given(&[&document["buildset"]["bsid"], &document["buildrequest"]["buildsetid"]]).unwrap_or_else(|| made(&[source, "set", &id.to_string()]));
        let started = document["started_at"].as_i64().unwrap_or_else(|| document["complete_at"].as_i64().unwrap_or(now));
        let complete = results.map(|_| document["complete_at"].as_i64().unwrap_or(now));
        let words = ["build successful", "warnings", "failed", "skipped", "exception", "retry", "cancelled"];
        let state = results.and_then(|results| words.get(usize::try_from(results).ok()?)).unwrap_or(&"starting");
        let mut message = json!({
            "buildid": id,
            "number": number,
            "builderid": builder,
            "buildrequestid": request,
            "workerid": document["workerid"],
            "masterid": document["masterid"],
            "started_at": started,
            "complete_at": complete,
            "complete": results.is_some(),
            "state_string": document["state_string"].as_str().unwrap_or(state),
            "results": results,
            "properties": {},
        });
        if let Some(url) = document["url"].as_str().filter(|url| leads_somewhere(url)) {
            message["url"] = json!(url);
        }
        Self { id, number, builder, builder_name: name, request, set, message }
    }

    fn details(&self, document: &Value) -> Vec<(String, Rows)> {
        let stamps = self.sourcestamps(document);
        let mut all = vec![
            (
                paths::builder(self.builder),
                vec![merged(
                    json!({"builderid": self.builder, "name": self.builder_name, "masterids": [], "description": null, "tags": []}),
                    &document["builder"],
                )],
            ),
            (paths::properties(self.id), vec![self.properties(document, &stamps)]),
            (paths::buildrequest(self.request), vec![self.buildrequest(document)]),
            (paths::buildset(self.set), vec![self.buildset(document, &stamps)]),
        ];
        if let Some(changes) = document["changes"].as_array() {
            let mut changes = changes.clone();
            changes.iter_mut().for_each(|change| only_links(change.get_mut("revlink")));
            all.push((paths::changes(self.id), changes));
        }
        if document["prev_build"].is_object() {
            let plain = json!({"buildid": null, "number": self.number - 1, "builderid": self.builder, "complete": true, "results": null, "properties": {}});
            all.push((paths::earlier_builds(self.builder, self.number), vec![merged(plain, &document["prev_build"])]));
        }
        if let (Some(id), parent @ Value::Object(_)) = (document["parentbuild"]["buildid"].as_i64(), &document["parentbuild"]) {
            all.push((paths::build(id), vec![parent.clone()]));
        }
        if let (Some(id), parent @ Value::Object(_)) = (document["parentbuilder"]["builderid"].as_i64(), &document["parentbuilder"]) {
            all.push((paths::builder(id), vec![parent.clone()]));
        }
        self.steps(document, &mut all);
        all
    }

    fn sourcestamps(&self, document: &Value) -> Vec<Value> {
        let given = document["sourcestamps"].as_array().or(document["buildset"]["sourcestamps"].as_array());
        let keys = ["branch", "revision", "repository", "project", "codebase"];
        let stamps = match given {
            Some(stamps) => stamps.clone(),
            None if keys.iter().any(|key| document.get(key).is_some()) => {
                vec![keys.iter().filter_map(|key| Some(((*key).to_owned(), document.get(key)?.clone()))).collect::<Map<_, _>>().into()]
            }
            None => Vec::new(),
        };
        let whole = |(number, stamp): (usize, Value)| {
            let plain = json!({
                "ssid": made(&["stamp", &self.id.to_string(), &number.to_string()]),
                "branch": null, "revision": null, "project": "", "repository": "", "codebase": "",
                "created_at": self.message["started_at"], "patch": null,
            });
            merged(plain, &stamp)
        };
        stamps.into_iter().enumerate().map(whole).collect()
    }

    /// As given, and those that a master sets by itself and that filters look at.
    fn properties(&self, document: &Value, stamps: &[Value]) -> Value {
        let mut all = Map::new();
        let mut set = |name: &str, value: &Value, source: &str| {
            all.insert(name.to_owned(), json!([value, source]));
        };
        set("buildername", &json!(self.builder_name), "Builder");
        set("buildnumber", &json!(self.number), "Build");
        if let [stamp] = stamps {
            for key in ["branch", "revision", "repository", "project", "codebase"] {
                set(key, &stamp[key], "Build");
            }
        }
        if let Some(reason) = document.get("reason") {
            set("reason", reason, "Inbox");
        }
        if let Some(owner) = document.get("owner") {
            set("owner", owner, "Inbox");
        }
        for (name, value) in document["properties"].as_object().into_iter().flatten() {
            match value.as_array().map(Vec::as_slice) {
                Some([value, Value::String(source)]) => set(name, value, source),
                _ => set(name, value, "Inbox"),
            }
        }
        Value::Object(all)
    }

    fn buildrequest(&self, document: &Value) -> Value {
        let started = &self.message["started_at"];
        let plain = json!({
            "priority": 0, "claimed": true, "claimed_at": started, "claimed_by_masterid": null, "complete": false, "results": -1,
            "submitted_at": started, "complete_at": null, "waited_for": false, "properties": null,
        });
        let mut whole = merged(plain, &document["buildrequest"]);
        whole["buildrequestid"] = json!(self.request);
        whole["buildsetid"] = json!(self.set);
        whole["builderid"] = json!(self.builder);
        whole
    }

    fn buildset(&self, document: &Value, stamps: &[Value]) -> Value {
        let plain = json!({
            "external_idstring": null, "reason": document["reason"].as_str().unwrap_or_default(), "submitted_at": self.message["started_at"],
            "complete": false, "complete_at": null, "results": -1, "parent_buildid": document["parentbuild"]["buildid"], "parent_relationship": null,
        });
        let mut whole = merged(plain, &document["buildset"]);
        whole["bsid"] = json!(self.set);
        whole["sourcestamps"] = json!(stamps);
        whole
    }

    fn steps(&self, document: &Value, all: &mut Vec<(String, Rows)>) {
        let mut steps = Rows::new();
        for (number, step) in document["steps"].as_array().into_iter().flatten().enumerate() {
            let id = step["stepid"].as_i64().unwrap_or_else(|| made(&["step", &self.id.to_string(), &number.to_string()]));
            let complete = self.message["complete"].clone();
            let plain = json!({
                "number": number, "buildid": self.id, "started_at": self.message["started_at"], "complete": complete,
                "complete_at": self.message["complete_at"], "state_string": "", "results": null, "urls": [], "hidden": false,
            });
            let mut whole = merged(plain, step);
            whole["stepid"] = json!(id);
            if let Some(whole) = whole.as_object_mut() {
                whole.remove("logs");
            }
            let urls = whole.get_mut("urls").and_then(Value::as_array_mut).into_iter().flatten();
            urls.for_each(|url| only_links(url.get_mut("url")));
            steps.push(whole);
            let logs = step["logs"].as_array().map(Vec::as_slice).unwrap_or_default();
            let logs = logs.iter().enumerate().map(|(number, log)| self.log(id, number, log, all)).collect();
            all.push((paths::logs(id), logs));
        }
        all.push((paths::steps(self.id), steps));
    }

    fn log(&self, step: i64, number: usize, log: &Value, all: &mut Vec<(String, Rows)>) -> Value {
        let id = log["logid"].as_i64().unwrap_or_else(|| made(&["log", &step.to_string(), &number.to_string()]));
        let content = log["content"].as_str().or(log["content"]["content"].as_str());
        let lines = content.map_or(0, |content| content.lines().count());
        let slug: String = log["name"].as_str().unwrap_or_default().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let plain = json!({"slug": slug, "complete": true, "num_lines": lines, "type": "t"});
        let mut whole = merged(plain, log);
        whole["logid"] = json!(id);
        whole["stepid"] = json!(step);
        if let Some(whole) = whole.as_object_mut() {
            whole.remove("content");
        }
        if let Some(content) = content {
            all.push((paths::contents(id), vec![json!({"logid": id, "firstline": 0, "content": content})]));
        }
        whole
    }
}

/// Whether an address is one to follow. What else is called a URL (`javascript:`) would be code in the links of a message.
fn leads_somewhere(url: &str) -> bool {
    let url = url.trim_start();
    match url.split_once(':') {
        Some((scheme, _)) if scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.')) => {
            matches!(scheme.to_ascii_lowercase().as_str(), "http" | "https" | "mailto" | "ftp")
        }
        // One without a scheme leads to a place on the same server; what a browser reads over is no part of one.
        _ => !url.contains(char::is_control),
    }
}

fn only_links(url: Option<&mut Value>) {
    if let Some(url) = url
        && url.as_str().is_some_and(|url| !leads_somewhere(url))
    {
        *url = json!("");
    }
}

/// `over` laid over `plain`, if it is an object.
fn merged(mut plain: Value, over: &Value) -> Value {
    if let (Some(plain), Some(over)) = (plain.as_object_mut(), over.as_object()) {
        plain.extend(over.iter().map(|(key, value)| (key.clone(), value.clone())));
    }
    plain
}

/// A stable number for what has none: the same for the same names, above all numbers that a master counts to, exact in any JSON.
fn made(names: &[&str]) -> i64 {
    let mut hash = Sha256::new();
    for name in names {
        hash.update((name.len() as u64).to_be_bytes());
        hash.update(name.as_bytes());
    }
    let digest = hash.finalize();
    let number = digest.iter().take(6).fold(0_i64, |number, byte| number << 8 | i64::from(*byte));
    number | 1 << 48
}
