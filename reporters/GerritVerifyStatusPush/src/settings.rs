//! The arguments, and the plan that they make.

use reporter_sdk::endpoint::{Auth, BaseUrl, HttpSettings};
use reporter_sdk::filter::OriginSettings;
use reporter_sdk::interpolate::Interpolate;
use reporter_sdk::kinds::EventsSetting;
use reporter_sdk::prelude::*;
use reporter_sdk::slot::Slot;
use reporter_sdk::wording::Wording;

use serde_json::{Value, json};

use crate::GerritVerifyStatusPush;

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "gerrit";

const EVENTS: [&str; 2] = ["build-started", "build-finished"];

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Settings {
    /// Gerrit's HTTP address: https://gerrit.example.org
    #[serde(rename = "baseURL")]
    base_url: String,
    /// How to log in: ["user", "password"], { basic = … } or { digest = { user = …, password = … } }
    auth: Auth,
    /// The comment while the build runs (default "Build started."); renderable, or a formatter component
    #[serde(default, rename = "startDescription")]
    #[schemars(extend("x-slot" = "start-description"))]
    start_description: Option<Slot<Interpolate>>,
    /// The comment when the build has ended (default "Build done."); renderable, or a formatter component
    #[serde(default, rename = "endDescription")]
    #[schemars(extend("x-slot" = "description"))]
    end_description: Option<Slot<Interpolate>>,
    /// The name of the job in Gerrit (default "%(prop:buildername)s"); renderable
    #[serde(default)]
    verification_name: Option<Interpolate>,
    /// Whether the result is no vote (default false); renderable
    #[serde(default)]
    #[schemars(schema_with = "abstain")]
    abstain: Option<Interpolate>,
    /// The category of the build; renderable
    #[serde(default)]
    category: Option<Interpolate>,
    /// Who verified (default "buildbot"), the page's `reporter`; renderable
    #[serde(default)]
    verification_reporter: Option<Interpolate>,
    #[serde(flatten)]
    origin: OriginSettings,
    #[serde(flatten)]
    events: EventsSetting,
    #[serde(flatten)]
    http: HttpSettings,
}

fn abstain(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let mut schema = Interpolate::json_schema(generator);
    schema.insert("type".into(), json!(["boolean", "string", "object"]));
    schema
}

impl Settings {
    /// Checks everything, and makes the reporter and its plan.
    pub fn compile(self) -> Result<(GerritVerifyStatusPush, Plan), Problems> {
        let mut problems = Problems::default();
        let url = problems.take(BaseUrl::api(Some(&self.base_url), "", "/baseURL"));
        let filter = problems.take(self.origin.compile());
        let events = problems.take(self.events.compile(&EVENTS, &EVENTS));
        let given = |setting: Option<Interpolate>| setting.filter(|text| *text != Interpolate::literal(""));
        let reporter = GerritVerifyStatusPush {
            start: Wording::new("start-description", self.start_description, "Build started."),
            end: Wording::new("description", self.end_description, "Build done."),
            name: given(self.verification_name).unwrap_or_else(builder),
            abstain: given(self.abstain).unwrap_or_else(|| Interpolate::literal("")),
            category: given(self.category),
            reporter: given(self.verification_reporter).unwrap_or_else(|| Interpolate::literal("buildbot")),
            filter,
        };
        let mut endpoint = url.endpoint(Some(&self.auth), &self.http);
        endpoint.insert("probe".into(), json!(["a", "accounts", "self"]));
        problems.or((reporter, Plan::events(events).endpoint(ENDPOINT, "http", Value::Object(endpoint))))
    }
}

fn builder() -> Interpolate {
    Interpolate::of_setting("%(prop:buildername)s").unwrap_or_default()
}
