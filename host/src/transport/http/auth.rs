//! Authentication to HTTP endpoints.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use digest_auth::{AuthContext, HttpMethod};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};

use super::super::{Auth, HttpEndpoint};
use super::oauth2::Grant;
use super::request::{Ready, RequestError, header};
use crate::secret::{Encode, SubstituteError, Vault, substitute};

/// An endpoint's authentication with its secrets, for one attempt.
pub(super) enum Credentials {
    None,
    /// A header that goes with the first request.
    Header(HeaderName, HeaderValue),
    /// User and password for a challenge.
    Digest(String, String),
    /// What a token is asked for with.
    OAuth2(Grant),
}

impl Credentials {
    pub(super) fn new(name: &str, endpoint: &HttpEndpoint, vault: &dyn Vault) -> Result<Self, RequestError> {
        let secret = |text: &str, place| substitute(text, name, vault, place);
        let authorization = |value: String| header("authorization", &value).map(|(n, v)| Self::Header(n, v));
        match &endpoint.auth {
            Auth::None => Ok(Self::None),
            Auth::Basic { user, password } => {
                let (user, password) = pair(user, password, secret)?;
                authorization(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
            Auth::Digest { user, password } => {
                let (user, password) = pair(user, password, secret)?;
                Ok(Self::Digest(user, password))
            }
            Auth::Bearer(token) => authorization(format!("Bearer {}", secret(token, Encode::Header)?)),
            Auth::Header { name, value } => header(name, &secret(value, Encode::Header)?).map(|(n, v)| Self::Header(n, v)),
            Auth::OAuth2 { token_url, client_id, client_secret } => {
                let (id, secret) = pair(client_id, client_secret, secret)?;
                Ok(Self::OAuth2(Grant::new(token_url, &id, &secret, &endpoint.verify)?))
            }
        }
    }

    /// Puts in what goes with the first request.
    pub(super) fn apply(&self, request: &mut Ready) {
        if let Self::Header(name, value) = self {
            request.headers.insert(name.clone(), value.clone());
        }
    }

    /// The request again, with an answer to the server's challenge, if that is a Digest challenge that we can answer.
    pub(super) fn answer(&self, request: &Ready, challenges: &HeaderMap) -> Option<Ready> {
        let Self::Digest(user, password) = self else { return None };
        let target = match request.url.query() {
            Some(query) => format!("{}?{query}", request.url.path()),
            None => request.url.path().to_owned(),
        };
        let mut prompts: Vec<_> = challenges
            .get_all(WWW_AUTHENTICATE)
            .iter()
            // `to_str` lets visible ASCII through only; the parser slices bytes at character positions.
            .filter_map(|value| value.to_str().ok())
            .filter(|value| value.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("digest ")))
            .filter_map(|value| digest_auth::parse(&format!("Digest {}", &value[7..])).ok())
            .collect();
        // RFC 7616: the strongest that both know; MD5 is what is left.
        prompts.sort_by_key(|prompt| prompt.algorithm.algo == digest_auth::AlgorithmType::MD5);
        let context = AuthContext::new_with_method(user, password, target, Some(&request.body[..]), HttpMethod::from(request.method.as_str()));
        let answer = prompts.first_mut()?.respond(&context).ok()?.to_header_string();
        let mut value = HeaderValue::from_str(&answer).ok()?;
        value.set_sensitive(true);
        let mut again = request.clone();
        again.headers.insert(AUTHORIZATION, value);
        Some(again)
    }
}

fn pair(user: &str, password: &str, secret: impl Fn(&str, Encode) -> Result<String, SubstituteError>) -> Result<(String, String), SubstituteError> {
    Ok((secret(user, Encode::Credential)?, secret(password, Encode::Credential)?))
}
