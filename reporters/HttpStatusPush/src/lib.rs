//! HttpStatusPush: posts each build as JSON to one URL.
//!
//! A build goes out as Buildbot's own dict with what the `want…` switches add; a whole buildset as `{"buildset": …,
//! "builds": […]}`, a worker as `{"worker": …}`. `format_fn` and the message formatters put something else in the body.

mod content;
mod settings;

use reporter_sdk::event::Event;
use reporter_sdk::filter::Filter;
use reporter_sdk::http::{self, Body, Request};
use reporter_sdk::prelude::*;
use reporter_sdk::title;
use serde_json::{Map, Value, json};

use content::{Contents, Formatting, Wording};
use settings::Settings;
pub use settings::Settings as HttpStatusPushSettings;

/// The reporter.
#[derive(Debug)]
pub struct HttpStatusPush {
    query: Vec<(String, String)>,
    filter: Filter,
    contents: Contents,
    formatting: Formatting,
    of_workers: Formatting,
    watched: Watched,
}

/// Workers whose events are reported.
#[derive(Debug, PartialEq)]
enum Watched {
    All,
    Names(Vec<String>),
}

impl Reporter for HttpStatusPush {
    type Settings = Settings;
    const NAME: &'static str = "HttpStatusPush";
    const DESCRIPTION: &'static str = "Posts each build as JSON to a URL";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        settings.compile()
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let chosen = match self.choose(event) {
            Ok(chosen) => chosen,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        let document = self.document(event, &chosen);
        let mut terms = Terms::titled(title::of_event(event, &chosen));
        if let Some(lane) = lane(event, &document) {
            terms = terms.lane(lane);
        }
        let formatting = if event.worker().is_some() { &self.of_workers } else { &self.formatting };
        let wording = formatting.word(event, &chosen, self.filter.mode(), document)?;
        let mut request = Request::new::<&str>(settings::ENDPOINT, "POST", []);
        request.query.clone_from(&self.query);
        let request = match wording {
            Wording::Json(value) => request.json(&value),
            Wording::Text(text) => request.body(Body::Text(text)),
            Wording::Html(text) => request.header("content-type", "text/html; charset=utf-8").body(Body::Text(text)),
            Wording::Nothing(reason) => return Ok(Outcome::Skipped(reason)),
        };
        http::send(request, terms);
        Ok(Outcome::Sent)
    }
}

impl HttpStatusPush {
    /// The builds that are reported, by position; none of them for a worker.
    fn choose(&self, event: &Event) -> Result<Vec<usize>, String> {
        if let Some(worker) = event.worker() {
            let name = worker.name();
            return match &self.watched {
                Watched::Names(names) if !names.contains(&name) => Err(format!("worker {name} is not in watchedWorkers")),
                _ => Ok(Vec::new()),
            };
        }
        let builds = event.builds();
        if event.kind() == "buildset-complete" {
            // A formatter words builds; the set itself is in the JSON only.
            if builds.is_empty() && matches!(self.formatting, Formatting::Plain) {
                return self.filter.decide_empty_set().map(|()| Vec::new());
            }
            return self.filter.decide_set(builds);
        }
        let build = builds.first().ok_or("the event has no build")?;
        match event.kind() {
            "build-finished" => self.filter.decide(build)?,
            _ => self.filter.decide_origin(build)?,
        }
        Ok(vec![0])
    }

    /// What is posted unless a component says otherwise.
    fn document(&self, event: &Event, chosen: &[usize]) -> Value {
        if let Some(worker) = event.worker() {
            return json!({"worker": worker.document()});
        }
        let builds = event.builds();
        let mut documents = chosen.iter().filter_map(|n| builds.get(*n)).map(|build| self.contents.document(build));
        match event.buildset() {
            Some(buildset) => {
                let of_set = |document: Value| match document {
                    Value::Object(mut build) => {
                        // They are one build's own; Buildbot leaves them out where the set stands beside.
                        for key in ["buildrequest", "parentbuild", "parentbuilder"] {
                            build.shift_remove(key);
                        }
                        Value::Object(build)
                    }
                    other => other,
                };
                json!({"buildset": buildset, "builds": documents.map(of_set).collect::<Vec<_>>()})
            }
            None => documents.next().unwrap_or(Value::Object(Map::new())),
        }
    }
}

/// What keeps its order: everything of one build request, so that `new` is there before `finished`.
fn lane(event: &Event, document: &Value) -> Option<String> {
    let source = event.source();
    let id = |value: &Value| value.as_i64();
    if let Some(request) = id(&document["buildrequestid"]).or_else(|| id(&document["buildrequest"]["buildrequestid"])) {
        return Some(format!("{source}/buildrequests/{request}"));
    }
    if let Some(set) = id(&document["buildset"]["bsid"]) {
        return Some(format!("{source}/buildsets/{set}"));
    }
    if let Some(worker) = document["worker"]["name"].as_str() {
        return Some(format!("{source}/workers/{worker}"));
    }
    match (document["builder"]["name"].as_str(), id(&document["number"])) {
        (Some(builder), Some(number)) => Some(format!("{source}/builders/{builder}/builds/{number}")),
        _ => None,
    }
}

reporter_sdk::export_reporter!(HttpStatusPush);

#[cfg(test)]
mod tests;
