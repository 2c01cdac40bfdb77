//! The arguments, and the plan that they make.

use reporter_sdk::bitbucket::server;
use reporter_sdk::endpoint::{Auth, BaseUrl};
use reporter_sdk::prelude::*;
use reporter_sdk::status::StatusSettings;
use reporter_sdk::wording::Descriptions;
use serde_json::{Value, json};

use crate::BitbucketServerCoreAPIStatusPush;
use crate::status::Wanted;

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "server";

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// The server: https://bitbucket.example.org
    #[serde(rename = "base_url")]
    base_url: String,
    /// An HTTP access token that may write to repositories; not together with auth
    #[serde(default)]
    token: Option<String>,
    /// How to log in: ["user", "password"], { basic = … }, { digest = … } or { bearer = "token" }
    #[serde(default)]
    auth: Option<Auth>,
    /// The name that is displayed (default: builder, number, and what triggered it); renderable
    #[serde(default)]
    status_name: Option<Interpolate>,
    /// Appended to the name; renderable
    #[serde(default)]
    status_suffix: Option<Interpolate>,
    /// Tells statuses of one commit apart; renderable (default "%(prop:buildername)s")
    #[serde(default)]
    key: Option<Interpolate>,
    /// What the build is a part of (default: the builder of what triggered it, or its own); renderable
    #[serde(default)]
    parent_name: Option<Interpolate>,
    /// The build's number; renderable (default "%(prop:buildnumber)s")
    #[serde(default)]
    #[schemars(schema_with = "number")]
    build_number: Option<Interpolate>,
    /// The ref under which the server shows the build (default: that of the source stamp's branch); renderable
    #[serde(default, rename = "ref")]
    reference: Option<Interpolate>,
    /// How long the build took, in milliseconds (default: from its start to its end); renderable
    #[serde(default)]
    #[schemars(schema_with = "number")]
    duration: Option<Interpolate>,
    /// How many tests failed, were skipped, succeeded (default: the properties tests_failed, tests_skipped and tests_successful)
    #[serde(default)]
    test_results: Option<TestResults>,
    #[serde(flatten)]
    status: StatusSettings,
}

/// Counts of tests.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestResults {
    /// How many failed; renderable
    #[serde(default)]
    #[schemars(schema_with = "number")]
    pub failed: Option<Interpolate>,
    /// How many were skipped; renderable
    #[serde(default)]
    #[schemars(schema_with = "number")]
    pub skipped: Option<Interpolate>,
    /// How many succeeded; renderable
    #[serde(default)]
    #[schemars(schema_with = "number")]
    pub successful: Option<Interpolate>,
}

fn number(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
    let mut schema = Interpolate::json_schema(generator);
    schema.insert("type".into(), json!(["integer", "string", "object"]));
    schema
}

impl Settings {
    /// Checks everything, and makes the reporter and its plan.
    pub fn compile(self) -> Result<(BitbucketServerCoreAPIStatusPush, Plan), Problems> {
        let mut problems = Problems::default();
        let url = problems.take(BaseUrl::api(Some(&self.base_url), "", "/base_url"));
        let (filter, events) = problems.take(self.status.compile(true));
        if self.token.is_some() && self.auth.is_some() {
            problems.add("/auth", "there is a token already: leave one of the two out");
        }
        let auth = self.token.map(Auth::Bearer).or(self.auth);
        let endpoint = server(&url, auth.as_ref(), &self.status.http);
        let given = |setting: Option<Interpolate>| setting.filter(|text| *text != Interpolate::literal(""));
        let reporter = BitbucketServerCoreAPIStatusPush {
            wanted: Wanted {
                key: self.key.into(),
                name: given(self.status_name),
                suffix: self.status_suffix.unwrap_or_else(|| Interpolate::literal("")),
                parent: given(self.parent_name),
                number: given(self.build_number).unwrap_or_else(|| Interpolate::of_setting("%(prop:buildnumber)s").unwrap_or_default()),
                duration: self.duration,
                tests: self.test_results,
                descriptions: Descriptions::new(self.status.start_description, self.status.end_description),
            },
            reference: given(self.reference),
            filter,
        };
        problems.or((reporter, Plan::events(events).endpoint(ENDPOINT, "http", Value::Object(endpoint))))
    }
}
