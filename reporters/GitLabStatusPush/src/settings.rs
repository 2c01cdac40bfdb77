//! The arguments, and the plan that they make.

use reporter_sdk::context::StatusContext;
use reporter_sdk::endpoint::{Auth, BaseUrl, HttpSettings, check_token};
use reporter_sdk::filter::OriginSettings;
use reporter_sdk::interpolate::Interpolate;
use reporter_sdk::kinds::EventsSetting;
use reporter_sdk::prelude::*;
use reporter_sdk::slot::Slot;
use reporter_sdk::wording::Descriptions;
use serde_json::Value;

use crate::GitLabStatusPush;

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "api";

const GITLAB: &str = "https://gitlab.com";
/// Kinds of event, all of them reported unless `events` says otherwise.
const EVENTS: [&str; 4] = ["build-started", "build-finished", "buildrequest-new", "buildrequest-cancelled"];

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// The private token of a user or project with at least the role Developer
    token: String,
    /// The description while the build runs (default "Build started."); renderable, or a formatter component
    #[serde(default)]
    #[schemars(extend("x-slot" = "start-description"))]
    start_description: Option<Slot<Interpolate>>,
    /// The description when the build has ended (default "Build done."); renderable, or a formatter component
    #[serde(default)]
    #[schemars(extend("x-slot" = "description"))]
    end_description: Option<Slot<Interpolate>>,
    /// The status's name, which tells statuses of one commit apart; renderable (default "buildbot/%(prop:buildername)s")
    #[serde(default)]
    context: Option<Interpolate>,
    /// Where GitLab is, without /api/ (default "https://gitlab.com")
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
    pub fn compile(self) -> Result<(GitLabStatusPush, Plan), Problems> {
        let mut problems = Problems::default();
        let url = problems.take(base(self.base_url.as_deref()));
        let filter = problems.take(self.origin.compile());
        let events = problems.take(self.events.compile(&EVENTS, &EVENTS));
        problems.take(check_token(&self.token));
        let endpoint = url.endpoint(Some(&Auth::Header("PRIVATE-TOKEN".into(), self.token)), &self.http);
        let reporter = GitLabStatusPush {
            context: StatusContext::new(self.context),
            descriptions: Descriptions::new(self.start_description, self.end_description),
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
