//! The arguments, and the plan that they make.

use reporter_sdk::endpoint::{Auth, BaseUrl, Client};
use reporter_sdk::prelude::*;
use reporter_sdk::status::StatusSettings;
use reporter_sdk::wording::Descriptions;
use serde_json::{Value, json};

use crate::BitbucketStatusPush;

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "api";

const BITBUCKET: &str = "https://api.bitbucket.org/2.0/repositories";
/// What the page's base URL ends with, and not all of the API is below.
const REPOSITORIES: &str = "repositories";
const TOKENS: &str = "https://bitbucket.org/site/oauth2/access_token";

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Settings {
    /// The key of an OAuth consumer that may write to repositories
    #[serde(default)]
    oauth_key: Option<String>,
    /// Its secret
    #[serde(default)]
    oauth_secret: Option<String>,
    /// Instead of OAuth: ["you@example.org", "an API token"], or { bearer = "an access token" }
    #[serde(default)]
    auth: Option<Auth>,
    /// The API (default "https://api.bitbucket.org/2.0/repositories")
    #[serde(default)]
    base_url: Option<String>,
    /// What hands out tokens (default "https://bitbucket.org/site/oauth2/access_token")
    #[serde(default)]
    oauth_url: Option<String>,
    /// Tells statuses of one commit apart; renderable (default "%(prop:buildername)s")
    #[serde(default)]
    status_key: Option<Interpolate>,
    /// The name that is displayed; renderable (default "%(prop:buildername)s")
    #[serde(default)]
    status_name: Option<Interpolate>,
    #[serde(flatten)]
    status: StatusSettings,
}

impl Settings {
    /// Checks everything, and makes the reporter and its plan.
    pub fn compile(self) -> Result<(BitbucketStatusPush, Plan), Problems> {
        let mut problems = Problems::default();
        let mut url = problems.take(BaseUrl::api(self.base_url.as_deref(), BITBUCKET, "/base_url"));
        let api = url.url.strip_suffix(REPOSITORIES).and_then(|url| url.strip_suffix('/')).filter(|url| url.contains("://")).map(str::to_owned);
        let is_whole = api.is_some();
        url.url = api.unwrap_or(url.url);
        let (filter, events) = problems.take(self.status.compile(false));
        let auth = match authentication(self.oauth_key, self.oauth_secret, self.oauth_url, self.auth) {
            Ok(auth) => Some(auth),
            Err(found) => {
                problems.0.extend(found.0);
                None
            }
        };
        let mut endpoint = url.endpoint(auth.as_ref(), &self.status.http);
        if is_whole {
            endpoint.insert("probe".into(), json!(["user"]));
        }
        let reporter = BitbucketStatusPush {
            key: self.status_key.into(),
            name: self.status_name.into(),
            descriptions: Descriptions::or_none(self.status.start_description, self.status.end_description),
            filter,
            below: if is_whole { &[REPOSITORIES] } else { &[] },
        };
        problems.or((reporter, Plan::events(events).endpoint(ENDPOINT, "http", Value::Object(endpoint))))
    }
}

fn authentication(key: Option<String>, secret: Option<String>, url: Option<String>, auth: Option<Auth>) -> Result<Auth, Problems> {
    let missing = |at: &str, what: &str| Err(Problems::at(at, format!("an OAuth consumer has a key and a secret: write {what} as well")));
    match (key, secret, auth) {
        (Some(client_id), Some(client_secret), None) => {
            let token_url = url.filter(|url| !url.trim().is_empty()).unwrap_or_else(|| TOKENS.into()).trim().to_owned();
            BaseUrl::parse(&token_url, "/oauth_url")?;
            Ok(Auth::OAuth2(Client { token_url, client_id, client_secret }))
        }
        (None, None, Some(auth)) => Ok(auth),
        (Some(_), None, None) => missing("/oauth_key", "oauth_secret"),
        (None, Some(_), None) => missing("/oauth_secret", "oauth_key"),
        (_, _, Some(_)) => Err(Problems::at("/auth", "there are oauth_key and oauth_secret already: leave one of the two ways out")),
        (None, None, None) => Err(Problems::at(
            "",
            "Bitbucket wants to know who writes: write oauth_key and oauth_secret, or auth = [\"you@example.org\", { secret = \"api-token\" }], or auth = { bearer = { secret = \"access-token\" } }",
        )),
    }
}
