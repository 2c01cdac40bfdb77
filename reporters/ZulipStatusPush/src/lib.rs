//! ZulipStatusPush: tells Zulip's Buildbot integration of each build that starts and ends.
//!
//! The request is the one that Zulip's `external/buildbot` webhook takes: with `stream`, the message goes there, under the project as
//! its topic; without, to the owner of the bot.

use reporter_sdk::cut;
use reporter_sdk::endpoint::{BaseUrl, HttpSettings};
use reporter_sdk::event::Event;
use reporter_sdk::filter::{BuildersSetting, Filter};
use reporter_sdk::http::{self, Request};
use reporter_sdk::kinds::EventsSetting;
use reporter_sdk::message;
use reporter_sdk::prelude::*;
use reporter_sdk::title;
use serde_json::{Value, json};

/// The endpoint's name in the plan.
const ENDPOINT: &str = "server";
/// Characters of a topic that Zulip takes.
const MOST_TOPIC: usize = 60;
/// Kinds of event that it reports.
const EVENTS: [&str; 2] = ["build-started", "build-finished"];

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Settings {
    /// The URL of the Zulip server: https://your-organization.zulipchat.com
    endpoint: String,
    /// The API key of the bot
    token: String,
    /// The stream to post to; without it, the bot's owner gets private messages
    #[serde(default)]
    stream: Option<String>,
    #[serde(flatten)]
    builders: BuildersSetting,
    #[serde(flatten)]
    events: EventsSetting,
    #[serde(flatten)]
    http: HttpSettings,
}

/// The reporter.
#[derive(Debug)]
pub struct ZulipStatusPush {
    token: String,
    stream: Option<String>,
    filter: Filter,
}

impl Reporter for ZulipStatusPush {
    type Settings = Settings;
    const NAME: &'static str = "ZulipStatusPush";
    const DESCRIPTION: &'static str = "Tells Zulip of each build that starts and ends";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        let mut problems = Problems::default();
        let url = problems.take(server(&settings.endpoint));
        let events = problems.take(settings.events.compile(&EVENTS, &EVENTS));
        if settings.token.is_empty() {
            problems.add("/token", "this is the API key of a bot: write token = { secret = \"…\" }");
        }
        let plan = Plan::events(events).endpoint(ENDPOINT, "http", Value::Object(url.endpoint(None, &settings.http)));
        let stream = settings.stream.filter(|stream| !stream.is_empty());
        problems.or((Self { token: settings.token, stream, filter: settings.builders.into() }, plan))
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let builds = event.builds();
        let Some(build) = builds.first() else { return Ok(Outcome::Skipped("the event has no build".into())) };
        if let Err(reason) = self.filter.decide_origin(build) {
            return Ok(Outcome::Skipped(reason));
        }
        let finished = build.complete();
        let mut body = json!({
            "event": if finished { "finished" } else { "new" },
            // Zulip shows it as the build's number.
            "buildid": build.id().or_else(|| build.number()),
            "buildername": build.builder(),
            "url": build.url(),
            "project": cut::to_chars(&project(build), MOST_TOPIC),
            "timestamp": if finished { build.complete_at() } else { build.started_at() },
        });
        if finished {
            body["results"] = json!(build.results());
        }
        let mut request = Request::new(ENDPOINT, "POST", ["api", "v1", "external", "buildbot"]).query("api_key", &self.token);
        if let Some(stream) = &self.stream {
            request = request.query("stream", stream);
        }
        http::send(request.json(&body), Terms::titled(title::of_build(event.kind(), build)).lane(title::lane(&event.source(), build)));
        Ok(Outcome::Sent)
    }
}

/// The property `project`; of a build with several codebases, which has none, the projects of its source stamps.
fn project(build: &Build) -> String {
    match build.property("project") {
        Some(Value::String(project)) => project,
        _ => message::projects_of(&build.sourcestamps()).join(", "),
    }
}

fn server(endpoint: &str) -> Result<BaseUrl, Problems> {
    // The page's example has the organization before an @; there is only one address that this can mean.
    let rest = endpoint.trim().rsplit_once("://").map_or(endpoint.trim(), |(_, rest)| rest).trim_end_matches('/');
    match rest.split_once('@') {
        Some((organization, host)) if host.eq_ignore_ascii_case("zulipchat.com") && !organization.contains([':', '/']) => {
            BaseUrl::api(Some(&format!("https://{organization}.zulipchat.com")), "", "/endpoint")
        }
        _ => BaseUrl::api(Some(endpoint), "", "/endpoint"),
    }
}

reporter_sdk::export_reporter!(ZulipStatusPush);

#[cfg(test)]
mod tests;
