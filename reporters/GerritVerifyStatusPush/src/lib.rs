//! GerritVerifyStatusPush: tells Gerrit's verify-status plugin how each build of a change stands.
//!
//! `POST /a/changes/{change}/revisions/{revision}/verify-status~verifications` with name, value, comment, url and duration. The plugin keeps
//! one verification for each name and reporter of a patch set, so a newer one replaces those that still wait.

mod change;
mod settings;

use reporter_sdk::event::Event;
use reporter_sdk::filter::Filter;
use reporter_sdk::http::{self, Request};
use reporter_sdk::interpolate::Interpolate;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::wording::Wording;
use reporter_sdk::{status, title};
use serde_json::{Map, Value, json};

use change::{Revision, revisions};
use settings::Settings;
pub use settings::Settings as GerritVerifyStatusPushSettings;

/// The reporter.
#[derive(Debug)]
pub struct GerritVerifyStatusPush {
    start: Wording,
    end: Wording,
    name: Interpolate,
    abstain: Interpolate,
    category: Option<Interpolate>,
    reporter: Interpolate,
    filter: Filter,
}

impl Reporter for GerritVerifyStatusPush {
    type Settings = Settings;
    const NAME: &'static str = "GerritVerifyStatusPush";
    const DESCRIPTION: &'static str = "Tells Gerrit's verify-status plugin how builds of a change stand";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        settings.compile()
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let build = match self.filter.build(event) {
            Ok(build) => build,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        let (revisions, reasons) = revisions(build);
        if revisions.is_empty() {
            return Ok(Outcome::Skipped(reasons.join("; ")));
        }
        for reason in &reasons {
            log(Level::Info, reason);
        }
        let verification = self.verification(event, build)?;
        for revision in &revisions {
            send(event, build, revision, &verification);
        }
        Ok(Outcome::Sent)
    }
}

impl GerritVerifyStatusPush {
    /// The body, the same for every change of the build.
    fn verification(&self, event: &Event, build: &Build) -> Result<Value, Failure> {
        let value = value(build);
        let state = match (build.complete(), value) {
            (false, _) => "pending",
            (true, 1) => "success",
            (true, -1) => "failure",
            (true, _) => "neutral",
        };
        let wording = if build.complete() { &self.end } else { &self.start };
        let mut body = Map::new();
        body.insert("name".into(), json!(self.name.render(build)?));
        body.insert("value".into(), json!(value));
        body.insert("abstain".into(), json!(is_true(&self.abstain.render(build)?)));
        body.insert("comment".into(), json!(wording.text(event, build, state)?));
        let url = build.url();
        if !url.is_empty() {
            body.insert("url".into(), json!(url));
        }
        body.insert("reporter".into(), json!(self.reporter.render(build)?));
        if let Some(category) = &self.category {
            let category = category.render(build)?;
            if !category.is_empty() {
                body.insert("category".into(), json!(category));
            }
        }
        if let Some(duration) = duration(build) {
            body.insert("duration".into(), json!(duration));
        }
        Ok(Value::Object(body))
    }
}

fn send(event: &Event, build: &Build, revision: &Revision, verification: &Value) {
    let path = ["a", "changes", &revision.change, "revisions", &revision.revision, "verify-status~verifications"];
    let text = |key: &str| verification[key].as_str().unwrap_or_default();
    // How the plugin tells verifications apart.
    let key = format!("{}/{} {} {}", revision.change, revision.revision, text("name"), text("reporter"));
    let what = format!("{} to {},{}", title::of_build(event.kind(), build), revision.change, revision.revision);
    log(Level::Info, &format!("{what}: {verification}"));
    let terms = status::newest(Terms::titled(what), key, build.complete());
    http::send(Request::new(settings::ENDPOINT, "POST", path).json(verification), terms);
}

/// The vote: results that say nothing about the change are 0.
fn value(build: &Build) -> i8 {
    match build.results() {
        _ if !build.complete() => 0,
        Some(SUCCESS | WARNINGS) => 1,
        Some(SKIPPED | EXCEPTION | RETRY | CANCELLED) => 0,
        _ => -1,
    }
}

/// A renderable truth value, as text.
fn is_true(text: &str) -> bool {
    !["", "0", "false", "no", "none", "off"].contains(&text.trim().to_lowercase().as_str())
}

/// `pending`, `0m 1s`, `1h 0m 5s`, `2 days 3h 4m 5s`; none if the times are unknown.
fn duration(build: &Build) -> Option<String> {
    if !build.complete() {
        return Some("pending".into());
    }
    let seconds = build.complete_at()?.saturating_sub(build.started_at()?);
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    let clock = format!("{minutes}m {}s", seconds % 60);
    Some(match (days, hours) {
        (0, 0) => clock,
        (0, hours) => format!("{hours}h {clock}"),
        (1, hours) => format!("1 day {hours}h {clock}"),
        (days, hours) => format!("{days} days {hours}h {clock}"),
    })
}

reporter_sdk::export_reporter!(GerritVerifyStatusPush);

#[cfg(test)]
mod tests;
