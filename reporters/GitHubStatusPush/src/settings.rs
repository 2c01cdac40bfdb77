//! The arguments, and the plan that they make.

use reporter_sdk::endpoint::{Auth, BaseUrl, HttpSettings};
use reporter_sdk::filter::FilterSettings;
use reporter_sdk::interpolate::Interpolate;
use reporter_sdk::kinds::EventsSetting;
use reporter_sdk::prelude::*;
use reporter_sdk::settings::OneOrMany;
use reporter_sdk::slot::Slot;
use reporter_sdk::wording::Wording;
use serde_json::{Value, json};

use crate::GitHubStatusPush;

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "api";

const GITHUB: &str = "https://api.github.com";
const CONTEXT: &str = "buildbot/%(prop:buildername)s";
const START: &str = "Build started.";
const END: &str = "Build done.";
/// Kinds of event, all of them reported unless `events` says otherwise.
const EVENTS: [&str; 4] = ["build-started", "build-finished", "buildrequest-new", "buildrequest-cancelled"];

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// A token that may write commit statuses; renderable
    token: Interpolate,
    /// Tells statuses of one commit apart; renderable (default "buildbot/%(prop:buildername)s")
    #[serde(default)]
    context: Option<Interpolate>,
    /// The description while the build runs (default "Build started."); renderable, or a formatter component
    #[serde(default)]
    #[schemars(extend("x-slot" = "start-description"))]
    start_description: Option<Slot<Interpolate>>,
    /// The description when the build has ended (default "Build done."); renderable, or a formatter component
    #[serde(default)]
    #[schemars(extend("x-slot" = "description"))]
    end_description: Option<Slot<Interpolate>>,
    /// The API of GitHub Enterprise (default "https://api.github.com")
    #[serde(default, rename = "baseURL")]
    base_url: Option<String>,
    /// Names of builders; without it, all
    #[serde(default)]
    builders: Option<OneOrMany<String>>,
    /// Tags, of which the builder must have one; not together with builders
    #[serde(default)]
    tags: Option<OneOrMany<String>>,
    #[serde(flatten)]
    events: EventsSetting,
    #[serde(flatten)]
    http: HttpSettings,
}

impl Settings {
    /// Checks everything, and makes the reporter and its plan.
    pub fn compile(self) -> Result<(GitHubStatusPush, Plan), Problems> {
        let mut problems = Problems::default();
        let url = problems.take(BaseUrl::api(self.base_url.as_deref(), GITHUB, "/baseURL"));
        let filter = problems.take(FilterSettings { builders: self.builders, tags: self.tags, ..FilterSettings::default() }.compile(&[]));
        let events = problems.take(self.events.compile(&EVENTS, &EVENTS));
        let context = match self.context {
            Some(context) if context != Interpolate::literal("") => context,
            _ => interpolate(CONTEXT),
        };
        let constant = if self.token.is_static() { self.token.render(&()).ok() } else { None };
        if constant.as_ref().is_some_and(|token| token.is_empty() || token.contains(|c: char| c.is_whitespace() || c.is_control())) {
            problems.add("/token", "a token has at least one character, and no blanks: write token = { secret = \"…\" }");
        }
        let auth = constant.as_ref().map(|token| Auth::Header("Authorization".into(), format!("token {token}")));
        let mut endpoint = url.endpoint(auth.as_ref(), &self.http);
        endpoint.insert("headers".into(), json!([["Accept", "application/vnd.github+json"]]));
        if url.url == GITHUB {
            // Its secondary limits: 80 writes a minute, one at a time, a second apart. An Enterprise server has its own.
            endpoint.insert("most_per_minute".into(), json!(60));
            endpoint.insert("most_at_once".into(), json!(1));
        }
        let reporter = GitHubStatusPush {
            token: constant.is_none().then_some(self.token),
            context,
            start: Wording::new("start-description", self.start_description, START),
            end: Wording::new("description", self.end_description, END),
            filter,
        };
        problems.or((reporter, Plan::events(events).endpoint(ENDPOINT, "http", Value::Object(endpoint))))
    }
}

/// A renderable of ours.
fn interpolate(text: &str) -> Interpolate {
    Interpolate::of_setting(text).unwrap_or_else(|_| Interpolate::literal(text))
}
