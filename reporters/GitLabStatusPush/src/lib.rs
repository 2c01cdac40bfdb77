//! GitLabStatusPush: sets a commit status on GitLab for each source stamp of a build.
//!
//! `POST /api/v4/projects/{id}/statuses/{sha}` with state, ref, description, target_url and name. The project's id is asked for once and kept.
//! GitLab updates the status of the same name and ref while it runs and refuses steps back, so all statuses of one are in one lane, and a
//! newer one replaces those that still wait.

mod project;
mod settings;
mod state;
mod target;

use reporter_sdk::context::StatusContext;
use reporter_sdk::cut;
use reporter_sdk::event::Event;
use reporter_sdk::filter::Filter;
use reporter_sdk::http::{self, Request};
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::title;
use reporter_sdk::wording::Descriptions;
use serde_json::{Map, Value, json};

use project::Project;
use settings::Settings;
pub use settings::Settings as GitLabStatusPushSettings;
use target::{Target, targets};

/// Characters that GitLab takes as ref, description, target_url and name, each.
const MOST: usize = 255;
/// Seconds after which it is of no use that a build waits or runs: by then it has a result, or nobody waits for it.
const UNFINISHED_EXPIRES: u32 = 3600;
/// Bytes of a tag.
const MOST_TAG: usize = 1_000;

/// The reporter.
#[derive(Debug)]
pub struct GitLabStatusPush {
    context: StatusContext,
    descriptions: Descriptions,
    filter: Filter,
}

impl Reporter for GitLabStatusPush {
    type Settings = Settings;
    const NAME: &'static str = "GitLabStatusPush";
    const DESCRIPTION: &'static str = "Sets commit statuses on GitLab";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        settings.compile()
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let (build, targets) = match self.filter.build(event).and_then(|build| Ok((build, targets(build)?))) {
            Ok(found) => found,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        let mut refused = None;
        let mut statuses = Vec::new();
        for target in targets {
            match target.project.find() {
                Ok(project) => statuses.push((target, project)),
                Err(reason) => {
                    log(Level::Error, &reason);
                    refused = Some(reason);
                }
            }
        }
        if let Some(reason) = refused.filter(|_| statuses.is_empty()) {
            return Err(Failure::for_good(reason));
        }
        let state = state::of(build);
        let description = self.descriptions.of(event, build, state)?;
        let name = self.context.of(build, MOST)?;
        let is_final = build.complete() && build.results() != Some(RETRY);
        for (target, project) in statuses {
            let status = Status {
                body: body(state, &target, &description, &build.url(), &name),
                title: format!("{} to {}@{}", title::of_build(event.kind(), build), target.project.name(), cut_sha(&target.sha)),
                sha: target.sha,
                is_final,
            };
            status.send(&project);
        }
        Ok(Outcome::Sent)
    }

    fn answered(&self, tag: &str, answer: &Answer) -> Result<Outcome, Failure> {
        let skip = |why: &str| Ok(Outcome::Skipped(why.into()));
        if answer.ended != "dead" || answer.status != 404 || !String::from_utf8_lossy(&answer.body).contains("Project Not Found") {
            return skip("the project is known");
        }
        let tag: Value = serde_json::from_str(tag).unwrap_or_default();
        let Some(path) = tag["path"].as_str() else { return skip("the project was not looked up") };
        let project = Project::Path(path.into());
        project.forget();
        let Some(status) = Status::of_tag(&tag) else { return skip("the project has moved: the next status asks for it again") };
        match project.find() {
            Ok(found) if Some(found.id.as_str()) != tag["id"].as_str() => {
                status.send(&found);
                Ok(Outcome::Sent)
            }
            Ok(_) => skip("GitLab says that the project is there, and does not know it"),
            Err(reason) => Ok(Outcome::Skipped(reason)),
        }
    }
}

fn cut_sha(sha: &str) -> String {
    sha.chars().take(7).collect()
}

/// What is said about a commit. What would make GitLab refuse the whole is left out, or cut where that leaves something of use.
fn body(state: &str, target: &Target, description: &str, url: &str, name: &str) -> Value {
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

/// A status, of which only the project's id is open.
struct Status {
    sha: String,
    body: Value,
    title: String,
    is_final: bool,
}

impl Status {
    fn send(self, project: &project::Found) {
        let request = Request::new(settings::ENDPOINT, "POST", ["api", "v4", "projects", &project.id, "statuses", &self.sha]).json(&self.body);
        let key = format!("{} {} {} {}", project.id, self.sha, self.body["name"].as_str().unwrap_or_default(), self.body["ref"]);
        // It is there already, or a later one is.
        let mut terms = Terms::titled(self.title.clone()).lane(key.clone()).supersede(key).rule(400..=400, "Cannot transition status", Verdict::Done);
        if !self.is_final {
            terms = terms.expire_after(UNFINISHED_EXPIRES);
        }
        if let Some(path) = &project.kept_of {
            terms = terms.tag(self.tag(path, &project.id));
        }
        http::send(request, terms);
    }

    /// For a project that may have another id by now: all that is needed to say it again, if it is short enough.
    fn tag(&self, path: &str, id: &str) -> String {
        let whole = json!({"path": path, "id": id, "sha": self.sha, "body": self.body, "title": self.title, "final": self.is_final}).to_string();
        if whole.len() <= MOST_TAG { whole } else { json!({"path": path}).to_string() }
    }

    fn of_tag(tag: &Value) -> Option<Self> {
        let body = tag.get("body").filter(|body| body.is_object())?.clone();
        let text = |key: &str| tag[key].as_str().map(str::to_owned);
        Some(Self { sha: text("sha")?, body, title: text("title")?, is_final: tag["final"].as_bool()? })
    }
}

reporter_sdk::export_reporter!(GitLabStatusPush);

#[cfg(test)]
mod tests;
