//! The arguments, and the plan that they make.

use reporter_sdk::context::StatusContext;
use reporter_sdk::endpoint::{Auth, BaseUrl, check_token};
use reporter_sdk::prelude::*;
use reporter_sdk::status::StatusSettings;
use reporter_sdk::wording::Descriptions;
use serde_json::{Value, json};

use crate::GitLabStatusPush;

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "api";

const GITLAB: &str = "https://gitlab.com";

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// The private token of a user or project with at least the role Developer
    token: String,
    /// The status's name, which tells statuses of one commit apart; renderable (default "buildbot/%(prop:buildername)s")
    #[serde(default)]
    context: Option<Interpolate>,
    /// Where GitLab is, without /api/ (default "https://gitlab.com")
    #[serde(default, rename = "baseURL")]
    base_url: Option<String>,
    /// The id of GitLab's pipeline that the status belongs to, as %(prop:pipeline_id)s (default: the one that GitLab put the build's first status in); renderable
    #[serde(default)]
    pipeline_id: Option<Interpolate>,
    #[serde(flatten)]
    status: StatusSettings,
}

impl Settings {
    /// Checks everything, and makes the reporter and its plan.
    pub fn compile(self) -> Result<(GitLabStatusPush, Plan), Problems> {
        let mut problems = Problems::default();
        let url = problems.take(base(self.base_url.as_deref()));
        let (filter, events) = problems.take(self.status.compile(true));
        problems.take(check_token(&self.token));
        let mut endpoint = url.endpoint(Some(&Auth::Header("PRIVATE-TOKEN".into(), self.token)), &self.status.http);
        endpoint.insert("probe".into(), json!(["api", "v4", "user"]));
        let reporter = GitLabStatusPush {
            context: StatusContext::new(self.context),
            descriptions: Descriptions::new(self.status.start_description, self.status.end_description),
            pipeline: self.pipeline_id,
            filter,
        };
        problems.or((reporter, Plan::events(events).endpoint(ENDPOINT, "http", Value::Object(endpoint)).uses(["state"])))
    }
}

/// The base URL; the reporter itself goes below /api/v4.
fn base(setting: Option<&str>) -> Result<BaseUrl, Problems> {
    let url = BaseUrl::api(setting, GITLAB, "/baseURL")?;
    let path = url.url.split_once("://").map_or("", |(_, rest)| rest);
    match path.split('/').skip(1).position(|segment| segment == "api") {
        None => Ok(url),
        Some(_) => {
            let end = url.url.rfind("/api").unwrap_or(url.url.len());
            Err(Problems::at("/baseURL", format!("the API below it is added here: write {}", &url.url[..end])))
        }
    }
}
