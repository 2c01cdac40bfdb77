//! GitHub: what GitHubStatusPush and GitHubCommentPush have in common.

mod commit;
mod state;

use serde_json::{Value, json};

use crate::build::Build;
use crate::component::{Failure, Problems};
use crate::delivery::{Terms, Verdict};
use crate::endpoint::{Auth, BaseUrl, HttpSettings, check_token};
use crate::http::Request;
use crate::interpolate::Interpolate;

pub use commit::commit;
pub use state::State;

/// Where the API of github.com is.
pub const API: &str = "https://api.github.com";

/// The token of requests, where the endpoint does not have it.
#[derive(Clone, Debug, Default)]
pub struct Token(Option<Interpolate>);

/// Takes the settings `token` and `baseURL`: the token for requests, and the endpoint's settings.
///
/// # Errors
///
/// A token that is none; what is no URL of an API.
pub fn account(token: Interpolate, base_url: Option<&str>, http: &HttpSettings) -> Result<(Token, Value), Problems> {
    let mut problems = Problems::default();
    let url = problems.take(BaseUrl::api(base_url, API, "/baseURL"));
    let constant = if token.is_static() { token.render(&()).ok() } else { None };
    problems.take(constant.as_deref().map_or(Ok(()), check_token));
    let auth = constant.as_ref().map(|token| Auth::Header("Authorization".into(), format!("token {token}")));
    let mut endpoint = url.endpoint(auth.as_ref(), http);
    endpoint.insert("headers".into(), json!([["Accept", "application/vnd.github+json"]]));
    if constant.is_some() {
        endpoint.insert("probe".into(), json!(["user"]));
    }
    if url.url == API {
        // Its secondary limits: 80 writes a minute and 500 an hour, one at a time, a second apart. An Enterprise server has its own.
        endpoint.insert("most_per_minute".into(), json!(60));
        endpoint.insert("most_per_hour".into(), json!(500));
        endpoint.insert("most_at_once".into(), json!(1));
    }
    problems.or((Token(constant.is_none().then_some(token)), Value::Object(endpoint)))
}

impl Token {
    /// Whether it is made anew for each build.
    pub fn is_rendered(&self) -> bool {
        self.0.is_some()
    }

    /// The token for a build; none if the endpoint has it.
    ///
    /// # Errors
    ///
    /// One that renders to what cannot be a token.
    pub fn of(&self, build: &Build) -> Result<Option<String>, Failure> {
        let Some(token) = &self.0 else { return Ok(None) };
        let token = token.render(build)?;
        if token.is_empty() || token.contains(|c: char| c.is_control()) {
            return Err(Failure::for_good("the token renders to nothing, or to several lines"));
        }
        Ok(Some(token))
    }
}

/// A request that says who it is from, if the endpoint does not.
pub fn authorized(request: Request, token: Option<&str>) -> Request {
    match token {
        Some(token) => request.header("authorization", format!("token {token}")),
        None => request,
    }
}

/// Terms that believe what GitHub refuses: it suspends who asks again.
pub fn terms(title: impl Into<String>) -> Terms {
    [401, 404, 422].into_iter().fold(Terms::titled(title), |terms, status| terms.rule(status..=status, "", Verdict::Dead))
}

/// The number of the pull request that a branch is: `refs/pull/7/merge` or `refs/pull/7/head`, as GitHub's hook calls it.
pub fn pull_request(branch: &str) -> Option<u64> {
    let after = branch.split_once("refs/pull/")?.1;
    let (number, rest) = after.split_once('/')?;
    let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (digits && (rest.starts_with("merge") || rest.starts_with("head"))).then(|| number.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::pull_request;

    #[test]
    fn pull_requests() {
        for (branch, number) in [("refs/pull/7/merge", 7), ("refs/pull/77/head", 77), ("refs/pull/4294967296/merge", 4_294_967_296)] {
            assert_eq!(pull_request(branch), Some(number), "{branch}");
        }
        for branch in ["", "main", "refs/pull/", "refs/pull//merge", "refs/pull/x/merge", "refs/pull/7", "refs/pull/7/other", "refs/pull-requests/7/merge"] {
            assert_eq!(pull_request(branch), None, "{branch}");
        }
    }
}
