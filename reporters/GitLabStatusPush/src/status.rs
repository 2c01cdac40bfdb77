//! One status of a commit, and what comes back with its answer.

use reporter_sdk::cut;
use reporter_sdk::delivery::{Terms, Verdict};
use reporter_sdk::http::{self, Request};
use reporter_sdk::status::newest;
use serde_json::{Map, Value, json};

use crate::pipeline;
use crate::project;
use crate::settings::ENDPOINT;
use crate::target::Target;

/// Characters that GitLab takes as ref, description, target_url and name, each.
pub const MOST: usize = 255;
/// Bytes of a tag.
const MOST_TAG: usize = 1_000;

/// What is said about a commit. What would make GitLab refuse the whole is left out, or cut where that leaves something of use.
pub fn body(state: &str, target: &Target, description: &str, url: &str, name: &str) -> Value {
    let fits = |text: &&str| !text.is_empty() && text.chars().count() <= MOST;
    let mut body = Map::new();
    body.insert("state".into(), json!(state));
    body.insert("ref".into(), json!(target.branch.as_deref().filter(fits)));
    if !description.is_empty() {
        body.insert("description".into(), json!(cut::to_chars(description, MOST)));
    }
    if fits(&url) {
        body.insert("target_url".into(), json!(url));
    }
    body.insert("name".into(), json!(name));
    Value::Object(body)
}

/// A status, of which only the project's id and the pipeline are open.
pub struct Status {
    pub sha: String,
    pub body: Value,
    pub title: String,
    /// The operator's word; none: where the build's first status is.
    pub pipeline: Option<u64>,
    /// The build; none of a build request, which has none yet.
    pub build: Option<String>,
    /// The build request; none if the source knows none.
    pub request: Option<String>,
    pub is_final: bool,
}

impl Status {
    /// Sends it.
    pub fn send(mut self, project: &project::Found) {
        let key = format!("{} {} {} {}", project.key, self.sha, self.body["name"].as_str().unwrap_or_default(), self.body["ref"]);
        let row = |of: &Option<String>| of.as_ref().map(|of| format!("{of} {} {}", project.key, self.sha));
        let (kept, row) = match self.pipeline {
            // What is kept is for when the operator's is not there.
            Some(_) => (None, None),
            None => pipeline::follow(row(&self.build), row(&self.request), self.body["state"] == "pending", self.is_final),
        };
        if let Some(id) = self.pipeline.or(kept) {
            self.body["pipeline_id"] = json!(id);
        }
        let request = Request::new(ENDPOINT, "POST", ["api", "v4", "projects", &project.id, "statuses", &self.sha]).json(&self.body);
        // It is there already, or a later one is.
        let mut terms = newest(Terms::titled(self.title.clone()), key, self.is_final).rule(400..=400, "Cannot transition status", Verdict::Done);
        // Of the first status, GitLab says where it is; of a project that was kept, and of a pipeline, that it is not there.
        let in_some = !self.body["pipeline_id"].is_null();
        if in_some || !self.is_final || project.kept_of.is_some() {
            terms = terms.tag(self.tag(project, row));
        }
        http::send(request, terms);
    }

    /// All that is needed to say it again, if it is short enough.
    fn tag(&self, project: &project::Found, row: Option<String>) -> String {
        let mut tag = json!({"id": project.id, "sha": self.sha, "body": self.body, "title": self.title, "final": self.is_final});
        for (name, value) in [("build", self.build.as_ref()), ("request", self.request.as_ref()), ("by", Some(&project.key).filter(|key| **key != project.id))]
        {
            if let Some(value) = value {
                tag[name] = json!(value);
            }
        }
        let mut known = Map::new();
        if let Some(path) = &project.kept_of {
            known.insert("path".into(), json!(path));
        }
        if self.pipeline.is_some() {
            known.insert("given".into(), json!(true));
        }
        if let Some(row) = row {
            known.insert("key".into(), json!(row));
        }
        let short = Value::Object(known.clone()).to_string();
        tag.as_object_mut().into_iter().for_each(|tag| tag.extend(known.clone()));
        let fits = |tag: &Value| Some(tag.to_string()).filter(|tag| tag.len() <= MOST_TAG);
        // A status that says less is better than none.
        let whole = fits(&tag).or_else(|| {
            tag["body"].as_object_mut()?.remove("description");
            fits(&tag)
        });
        whole.or(Some(short).filter(|tag| tag.len() <= MOST_TAG)).unwrap_or_else(|| "{}".into())
    }

    /// The status of a tag that has the whole of it.
    pub fn of_tag(tag: &Value) -> Option<Self> {
        let mut body = tag.get("body").filter(|body| body.is_object())?.clone();
        if let Some(body) = body.as_object_mut() {
            body.remove("pipeline_id");
        }
        let text = |key: &str| tag[key].as_str().map(str::to_owned);
        Some(Self {
            sha: text("sha")?,
            body,
            title: text("title")?,
            pipeline: None,
            build: text("build"),
            request: text("request"),
            is_final: tag["final"].as_bool()?,
        })
    }
}
