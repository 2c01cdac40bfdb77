//! The arguments, and the plan that they make.

use reporter_sdk::context::StatusContext;
use reporter_sdk::endpoint::HttpSettings;
use reporter_sdk::filter::OriginSettings;
use reporter_sdk::github;
use reporter_sdk::interpolate::Interpolate;
use reporter_sdk::kinds::EventsSetting;
use reporter_sdk::prelude::*;
use reporter_sdk::slot::Slot;
use reporter_sdk::wording::Descriptions;

use crate::GitHubStatusPush;

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "api";

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
    #[serde(flatten)]
    origin: OriginSettings,
    #[serde(flatten)]
    events: EventsSetting,
    #[serde(flatten)]
    http: HttpSettings,
}

impl Settings {
    /// Checks everything, and makes the reporter and its plan.
    pub fn compile(self) -> Result<(GitHubStatusPush, Plan), Problems> {
        let mut problems = Problems::default();
        let filter = problems.take(self.origin.compile());
        let events = problems.take(self.events.compile(&EVENTS, &EVENTS));
        let (token, endpoint) = problems.take(github::account(self.token, self.base_url.as_deref(), &self.http));
        let reporter = GitHubStatusPush {
            token,
            context: StatusContext::new(self.context),
            descriptions: Descriptions::new(self.start_description, self.end_description),
            filter,
        };
        problems.or((reporter, Plan::events(events).endpoint(ENDPOINT, "http", endpoint)))
    }
}
