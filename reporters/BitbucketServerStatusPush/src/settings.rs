//! The arguments, and the plan that they make.

use reporter_sdk::bitbucket::ServerSettings;
use reporter_sdk::prelude::*;
use reporter_sdk::status::StatusSettings;
use reporter_sdk::wording::Descriptions;

use crate::BitbucketServerStatusPush;

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "server";

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    #[serde(flatten)]
    server: ServerSettings,
    /// Tells statuses of one commit apart; renderable (default "%(prop:buildername)s")
    #[serde(default)]
    key: Option<Interpolate>,
    /// The name that is displayed (default: the key); renderable
    #[serde(default)]
    status_name: Option<Interpolate>,
    #[serde(flatten)]
    status: StatusSettings,
}

impl Settings {
    /// Checks everything, and makes the reporter and its plan.
    pub fn compile(self) -> Result<(BitbucketServerStatusPush, Plan), Problems> {
        let mut problems = Problems::default();
        let (_, endpoint) = problems.take(self.server.compile(&self.status.http));
        let (filter, events) = problems.take(self.status.compile(false));
        let reporter = BitbucketServerStatusPush {
            key: self.key.into(),
            name: self.status_name.unwrap_or_else(|| Interpolate::literal("")),
            descriptions: Descriptions::new(self.status.start_description, self.status.end_description),
            filter,
        };
        problems.or((reporter, Plan::events(events).endpoint(ENDPOINT, "http", endpoint)))
    }
}
