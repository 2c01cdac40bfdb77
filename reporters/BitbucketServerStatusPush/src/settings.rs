//! The arguments, and the plan that they make.

use reporter_sdk::bitbucket::StatusSettings;
use reporter_sdk::endpoint::{Auth, BaseUrl, Login};
use reporter_sdk::prelude::*;
use reporter_sdk::wording::Descriptions;
use serde_json::Value;

use crate::BitbucketServerStatusPush;

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "server";

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// The server: https://bitbucket.example.org
    #[serde(rename = "base_url")]
    base_url: String,
    /// The user to post as
    user: String,
    /// That user's password, or an HTTP access token of theirs
    password: String,
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
        let url = problems.take(BaseUrl::api(Some(&self.base_url), "", "/base_url"));
        let (filter, events) = problems.take(self.status.compile(false));
        let auth = Auth::Basic(Login { user: self.user, password: self.password });
        let endpoint = url.endpoint(Some(&auth), &self.status.http);
        let reporter = BitbucketServerStatusPush {
            key: self.key.into(),
            name: self.status_name.unwrap_or_else(|| Interpolate::literal("")),
            descriptions: Descriptions::new(self.status.start_description, self.status.end_description),
            filter,
        };
        problems.or((reporter, Plan::events(events).endpoint(ENDPOINT, "http", Value::Object(endpoint))))
    }
}
