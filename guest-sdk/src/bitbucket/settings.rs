//! Arguments that reporters to Bitbucket share.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::build::Build;
use crate::component::{Failure, Problems};
use crate::endpoint::{Auth, BaseUrl, HttpSettings, Login};
use crate::interpolate::Interpolate;

/// A Bitbucket server, and who writes there. Flatten it into a reporter's settings.
#[derive(Debug, Default, Deserialize, JsonSchema)]
pub struct ServerSettings {
    /// The server: https://bitbucket.example.org
    pub base_url: String,
    /// The user to write as
    pub user: String,
    /// That user's password, or an HTTP access token of theirs
    pub password: String,
}

impl ServerSettings {
    /// The base URL, and the settings of its endpoint.
    ///
    /// # Errors
    ///
    /// What is no URL of a server.
    pub fn compile(&self, http: &HttpSettings) -> Result<(String, Value), Problems> {
        let url = BaseUrl::api(Some(&self.base_url), "", "/base_url")?;
        let auth = Auth::Basic(Login { user: self.user.clone(), password: self.password.clone() });
        let endpoint = server(&url, Some(&auth), http);
        Ok((url.url, Value::Object(endpoint)))
    }
}

/// The settings of an endpoint at a server.
pub fn server(url: &BaseUrl, auth: Option<&Auth>, http: &HttpSettings) -> Map<String, Value> {
    let mut endpoint = url.endpoint(auth, http);
    if auth.is_some() {
        // For whoever is logged in; what anybody may ask is answered to a token that is none as well.
        endpoint.insert("probe".into(), json!(["rest", "api", "1.0", "users"]));
    }
    endpoint
}

/// A renderable; `%(prop:buildername)s` where it is left out or empty, and the builder's own name where it renders to nothing: what is the same
/// for all builders would make them overwrite each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrBuilder(Interpolate);

impl From<Option<Interpolate>> for OrBuilder {
    fn from(setting: Option<Interpolate>) -> Self {
        let given = setting.filter(|text| *text != Interpolate::literal(""));
        Self(given.unwrap_or_else(|| Interpolate::of_setting("%(prop:buildername)s").unwrap_or_default()))
    }
}

impl OrBuilder {
    /// The text for a build.
    ///
    /// # Errors
    ///
    /// A renderable that does not fit its values.
    pub fn of(&self, build: &Build) -> Result<String, Failure> {
        let text = self.0.render(build)?;
        Ok(if text.is_empty() { build.builder() } else { text })
    }
}
