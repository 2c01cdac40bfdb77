//! The status of a build, the same for each of its commits but for the ref.

use reporter_sdk::bitbucket::{Api, MOST, OrBuilder, State};
use reporter_sdk::cut;
use reporter_sdk::event::Event;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::wording::Descriptions;
use serde_json::{Value, json};

use crate::TestResults;

/// What the settings want in it.
#[derive(Debug)]
pub struct Wanted {
    /// Tells statuses of one commit apart.
    pub key: OrBuilder,
    /// The name; none: that of builder, number, and what triggered it.
    pub name: Option<Interpolate>,
    /// Appended to the name.
    pub suffix: Interpolate,
    /// The parent; none: the builder of what triggered it, or its own.
    pub parent: Option<Interpolate>,
    /// The build's number.
    pub number: Interpolate,
    /// Milliseconds; none: as long as it took.
    pub duration: Option<Interpolate>,
    /// Counts of tests; none: those of properties.
    pub tests: Option<TestResults>,
    /// What is said about it.
    pub descriptions: Descriptions,
}

/// At most as long as a field may be.
fn cut(text: &str) -> String {
    cut::to_chars(text, MOST).into_owned()
}

impl Wanted {
    /// The body in the words of a server's API, with a ref of null.
    pub fn status(&self, event: &Event, build: &Build, url: &str, api: Api) -> Result<Value, Failure> {
        let state = State::of(build).word(api);
        let parents = if self.name.is_none() || self.parent.is_none() { build.document(&[]) } else { Value::Null };
        let name = match &self.name {
            Some(name) => name.render(build)?,
            None => name_of(&OrBuilder::from(None).of(build)?, build, &parents),
        };
        let parent = match &self.parent {
            Some(parent) => parent.render(build)?,
            None => parents["parentbuilder"]["name"].as_str().map_or_else(|| build.builder(), str::to_owned),
        };
        let ended = build.complete();
        Ok(json!({
            "state": state,
            "url": url,
            "key": cut(&self.key.of(build)?),
            "parent": cut(&parent),
            "ref": null,
            "buildNumber": cut(&self.number.render(build)?),
            "description": cut(&self.descriptions.of(event, build, state)?),
            "name": cut(&format!("{name}{}", self.suffix.render(build)?)),
            "duration": if ended { self.duration(build)? } else { None },
            "testResults": if ended { self.tests(build)? } else { None },
        }))
    }

    fn duration(&self, build: &Build) -> Result<Option<u64>, Failure> {
        if let Some(duration) = number("duration", self.duration.as_ref(), build)? {
            return Ok(Some(duration));
        }
        let times = build.started_at().zip(build.complete_at());
        Ok(times.map(|(started, ended)| ended.saturating_sub(started).saturating_mul(1000)))
    }

    fn tests(&self, build: &Build) -> Result<Option<Value>, Failure> {
        if let Some(TestResults { failed, skipped, successful }) = &self.tests {
            let count = |what, text: &Option<Interpolate>| Ok(number(what, text.as_ref(), build)?.unwrap_or_default());
            return Ok(Some(json!({
                "failed": count("testResults.failed", failed)?,
                "skipped": count("testResults.skipped", skipped)?,
                "successful": count("testResults.successful", successful)?,
            })));
        }
        let [failed, skipped, successful] = ["tests_failed", "tests_skipped", "tests_successful"].map(|name| match build.property(name) {
            Some(Value::String(text)) => text.trim().parse().unwrap_or_default(),
            value => value.and_then(|value| value.as_u64()).unwrap_or_default(),
        });
        Ok((failed.saturating_add(skipped).saturating_add(successful) > 0).then(|| json!({"failed": failed, "skipped": skipped, "successful": successful})))
    }
}

/// `parent #3 » linux #12`
fn name_of(builder: &str, build: &Build, parents: &Value) -> String {
    let number = build.number().map_or_else(|| "(build request)".into(), |number| number.to_string());
    let own = format!("{builder} #{number}");
    match (parents["parentbuilder"]["name"].as_str(), parents["parentbuild"]["number"].as_u64()) {
        (Some(builder), Some(number)) => format!("{builder} #{number} » {own}"),
        _ => own,
    }
}

/// A renderable that is to be a number; none if it is left out or empty.
fn number(what: &str, text: Option<&Interpolate>, build: &Build) -> Result<Option<u64>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let text = text.render(build)?;
    let number = text.trim().parse().ok();
    if number.is_none() && !text.trim().is_empty() {
        log(Level::Warn, &format!("{what} renders to {text:?}, which is no whole number"));
    }
    Ok(number)
}
