//! The arguments, and the plan that they make.

use reporter_sdk::context::StatusContext;
use reporter_sdk::github;
use reporter_sdk::prelude::*;
use reporter_sdk::status::StatusSettings;
use reporter_sdk::wording::Descriptions;

use crate::GitHubStatusPush;

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "api";

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// A token that may write commit statuses; renderable
    token: Interpolate,
    /// Tells statuses of one commit apart; renderable (default "buildbot/%(prop:buildername)s")
    #[serde(default)]
    context: Option<Interpolate>,
    /// The API of GitHub Enterprise (default "https://api.github.com")
    #[serde(default, rename = "baseURL")]
    base_url: Option<String>,
    #[serde(flatten)]
    status: StatusSettings,
}

impl Settings {
    /// Checks everything, and makes the reporter and its plan.
    pub fn compile(self) -> Result<(GitHubStatusPush, Plan), Problems> {
        let mut problems = Problems::default();
        let (filter, events) = problems.take(self.status.compile(true));
        let (token, endpoint) = problems.take(github::account(self.token, self.base_url.as_deref(), &self.status.http));
        let reporter = GitHubStatusPush {
            token,
            context: StatusContext::new(self.context),
            descriptions: Descriptions::new(self.status.start_description, self.status.end_description),
            filter,
        };
        problems.or((reporter, Plan::events(events).endpoint(ENDPOINT, "http", endpoint)))
    }
}
