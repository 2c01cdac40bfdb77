//! HTTP endpoints in settings: the arguments that all HTTP reporters share, and what becomes of them in a plan.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::component::Problems;

/// Arguments of every HTTP reporter. Flatten them into settings.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct HttpSettings {
    /// false: the certificate of the server is not verified; or the PEM file of the authorities to trust
    #[serde(default)]
    pub verify: Option<Verify>,
    /// Whether every request and answer is logged
    #[serde(default)]
    pub debug: bool,
    /// Whether every success is logged
    #[serde(default)]
    pub verbose: bool,
}

/// TLS verification: `true`, `false`, or a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Verify(pub Value);

impl<'de> Deserialize<'de> for Verify {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            value @ (Value::Bool(_) | Value::String(_)) => Ok(Self(value)),
            _ => Err(D::Error::custom("write true, false, or the path of a PEM file")),
        }
    }
}

impl JsonSchema for Verify {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Verify".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["boolean", "string"], "format": "path"})
    }
}

/// `["user", "password"]`, `{ basic = { user, password } }`, `{ digest = { user, password } }`, `{ bearer = "token" }` or
/// `{ oauth2 = { token_url, client_id, client_secret } }`.
#[derive(Clone, Debug, PartialEq)]
pub enum Auth {
    /// HTTP Basic.
    Basic(Login),
    /// HTTP Digest.
    Digest(Login),
    /// A bearer token.
    Bearer(String),
    /// Any header, by name and value.
    Header(String, String),
    /// A bearer token that the host asks for.
    OAuth2(Client),
}

/// Who asks for a token with OAuth 2 client credentials (RFC 6749, 4.4), and where.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The URL that hands out tokens.
    pub token_url: String,
    /// The client's name.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

/// A user and a password.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl Auth {
    /// As it stands in an endpoint's settings.
    pub fn to_json(&self) -> Value {
        let login = |login: &Login| json!({"user": login.user, "password": login.password});
        match self {
            Self::Basic(of) => json!({"basic": login(of)}),
            Self::Digest(of) => json!({"digest": login(of)}),
            Self::Bearer(token) => json!({"bearer": token}),
            Self::Header(name, value) => json!({"header": {"name": name, "value": value}}),
            Self::OAuth2(of) => json!({"oauth2": {"token_url": of.token_url, "client_id": of.client_id, "client_secret": of.client_secret}}),
        }
    }
}

impl<'de> Deserialize<'de> for Auth {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        const FORMS: &str = "write [\"user\", \"password\"], { basic = { user = …, password = … } }, { digest = { user = …, password = … } }, { bearer = \"token\" } or { oauth2 = { token_url = …, client_id = …, client_secret = … } }";
        match Value::deserialize(deserializer)? {
            Value::Array(pair) => match &pair[..] {
                [Value::String(user), Value::String(password)] => Ok(Self::Basic(Login { user: user.clone(), password: password.clone() })),
                _ => Err(D::Error::custom(FORMS)),
            },
            Value::Object(table) if table.len() == 1 => {
                let (kind, value) = table.into_iter().next().ok_or_else(|| D::Error::custom(FORMS))?;
                match (kind.as_str(), value) {
                    ("bearer", Value::String(token)) => Ok(Self::Bearer(token)),
                    ("basic", login) => serde_json::from_value(login).map(Self::Basic).map_err(D::Error::custom),
                    ("digest", login) => serde_json::from_value(login).map(Self::Digest).map_err(D::Error::custom),
                    ("oauth2", client) => {
                        let client: Client = serde_json::from_value(client).map_err(D::Error::custom)?;
                        BaseUrl::parse(&client.token_url, "").map_err(|problems| D::Error::custom(format!("token_url: {}", problems.0[0].message)))?;
                        Ok(Self::OAuth2(client))
                    }
                    _ => Err(D::Error::custom(FORMS)),
                }
            }
            _ => Err(D::Error::custom(FORMS)),
        }
    }
}

impl JsonSchema for Auth {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Auth".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let login = json!({"type": "object", "properties": {"user": {"type": "string"}, "password": {"type": "string"}}, "required": ["user", "password"], "additionalProperties": false});
        let text = json!({"type": "string"});
        let client = json!({"type": "object", "properties": {"token_url": text, "client_id": text, "client_secret": text}, "required": ["token_url", "client_id", "client_secret"], "additionalProperties": false});
        json_schema!({
            "type": ["array", "object"],
            "items": {"type": "string"}, "minItems": 2, "maxItems": 2,
            "properties": {"basic": login, "digest": login, "bearer": {"type": "string"}, "oauth2": client},
            "minProperties": 1, "maxProperties": 1,
            "additionalProperties": false
        })
    }
}

/// Checks the setting `token`.
///
/// # Errors
///
/// One that is empty, or has blanks.
pub fn check_token(token: &str) -> Result<(), Problems> {
    if token.is_empty() || token.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(Problems::at("/token", "a token has at least one character, and no blanks: write token = { secret = \"…\" }"));
    }
    Ok(())
}

/// A URL of the operator's, taken apart for a plan (`base_url`) and the requests (`query`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BaseUrl {
    /// Scheme, host and path, as written.
    pub url: String,
    /// The pairs of its query, decoded.
    pub query: Vec<(String, String)>,
}

impl BaseUrl {
    /// Takes a URL apart; `at` is the pointer to its setting.
    ///
    /// # Errors
    ///
    /// No http or https, no host, a user in it, a fragment, blanks.
    pub fn parse(text: &str, at: &str) -> Result<Self, Problems> {
        let refuse = |message: String| Err(Problems::at(at, message));
        let text = text.trim();
        let lower = text.to_ascii_lowercase();
        if !lower.starts_with("http://") && !lower.starts_with("https://") {
            return refuse(match text.split_once("://") {
                Some((scheme, _)) => format!("{scheme} is not spoken here: write http:// or https://"),
                None => format!("this URL has no scheme: write https://{text}"),
            });
        }
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return refuse("a URL has no blanks: write %20".into());
        }
        if let Some((before, _)) = text.split_once('#') {
            return refuse(format!("what follows # is never sent to a server: write {before}"));
        }
        let (url, query) = text.split_once('?').unwrap_or((text, ""));
        let after = url.split_once("://").map_or("", |(_, after)| after);
        let authority = after.split('/').next().unwrap_or_default();
        if authority.contains('@') {
            return refuse("a user and a password do not belong in the URL, where they would be logged: use the settings for them".into());
        }
        if authority.is_empty() || authority.starts_with(':') {
            return refuse("this URL has no host".into());
        }
        let pair = |pair: &str| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        };
        let query = query.split('&').filter(|text| !text.is_empty()).map(pair).collect();
        Ok(Self { url: url.into(), query })
    }

    /// The base URL of an API: the setting at `at`, or `default`; without a slash at its end.
    ///
    /// # Errors
    ///
    /// As [`BaseUrl::parse`], and a query.
    pub fn api(setting: Option<&str>, default: &str, at: &str) -> Result<Self, Problems> {
        let base = setting.map(str::trim).filter(|base| !base.is_empty()).unwrap_or(default);
        let url = Self::parse(base.trim_end_matches('/'), at)?;
        if url.query.is_empty() { Ok(url) } else { Err(Problems::at(at, format!("an API's base URL has no query: write {}", url.url))) }
    }

    /// The settings of an endpoint of kind `http`.
    pub fn endpoint(&self, auth: Option<&Auth>, http: &HttpSettings) -> Map<String, Value> {
        let mut endpoint = Map::new();
        endpoint.insert("base_url".into(), json!(self.url));
        if let Some(auth) = auth {
            endpoint.insert("auth".into(), auth.to_json());
        }
        if let Some(Verify(verify)) = &http.verify {
            endpoint.insert("verify".into(), verify.clone());
        }
        endpoint
    }
}

/// Decodes a part of a query (application/x-www-form-urlencoded); what is no valid escape stays.
fn decode(text: &str) -> String {
    String::from_utf8_lossy(&crate::giturl::bytes(&text.replace('+', " "))).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let parse = |text| BaseUrl::parse(text, "/serverUrl");
        let url = |url: &str, query: &[(&str, &str)]| BaseUrl { url: url.into(), query: query.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect() };
        assert_eq!(parse("http://example.com/submit"), Ok(url("http://example.com/submit", &[])));
        assert_eq!(parse("HTTPS://[::1]:8010/a/?x=1&y=a%20b+c&z"), Ok(url("HTTPS://[::1]:8010/a/", &[("x", "1"), ("y", "a b c"), ("z", "")])));
        assert_eq!(parse("http://e/?%zz=%4&%c3%bc=%ff"), Ok(url("http://e/", &[("%zz", "%4"), ("ü", "\u{fffd}")])));
        for (text, advice) in [
            ("example.com/submit", "write https://example.com/submit"),
            ("ftp://example.com", "http:// or https://"),
            ("http://u:p@example.com/", "use the settings"),
            ("http:///x", "no host"),
            ("http://:80/x", "no host"),
            ("http://e/a b", "%20"),
            ("http://e/a#b", "write http://e/a"),
        ] {
            let problem = parse(text).unwrap_err().0.remove(0);
            assert!(problem.at == "/serverUrl" && problem.message.contains(advice), "{text}: {}", problem.message);
        }
    }

    #[test]
    fn authentication() {
        let auth = |value: Value| serde_json::from_value::<Auth>(value).map(|auth| auth.to_json()).map_err(|error| error.to_string());
        let login = json!({"user": "u", "password": "p"});
        assert_eq!(auth(json!(["u", "p"])), Ok(json!({"basic": login})));
        assert_eq!(auth(json!({"digest": login})), Ok(json!({"digest": login})));
        assert_eq!(auth(json!({"bearer": "t"})), Ok(json!({"bearer": "t"})));
        let client = |url: &str| json!({"oauth2": {"token_url": url, "client_id": "i", "client_secret": "s"}});
        assert_eq!(auth(client("https://id.example/token?realm=ci")), Ok(client("https://id.example/token?realm=ci")));
        assert_eq!(auth(client("id.example/token")), Err("token_url: this URL has no scheme: write https://id.example/token".into()));
        for wrong in [
            json!({"oauth2": {"token_url": "https://id.example/token", "client_id": "i"}}),
            json!(["u"]),
            json!("u"),
            json!({}),
            json!({"basic": login, "bearer": "t"}),
            json!({"oauth": "t"}),
            json!({"basic": {"user": "u"}}),
        ] {
            assert!(auth(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
