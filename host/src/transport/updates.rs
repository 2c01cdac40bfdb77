//! `updates` of an `http` endpoint: how the host gets what is said to a component, by asking again and again or by being called.
//!
//! The requests are the component's, and so is every word of what they bring; the host knows where in an answer the updates are, and
//! which number each has.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use url::Url;

use super::HttpRequest;
use super::http::check_request;
use super::payload::Body;

/// Seconds that a request for updates may wait at the remote.
const LONGEST_WAIT: u32 = 600;
/// Seconds between two tries.
const PAUSES: std::ops::RangeInclusive<u32> = 1..=3_600;

/// How updates come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Updates {
    /// The host asks for them, and the remote answers when there are some.
    Poll(Poll),
    /// The remote posts each to the host.
    Webhook(Webhook),
}

/// Asking for updates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Poll {
    /// Made first, until it succeeds.
    #[serde(default)]
    pub before: Option<HttpRequest>,
    /// Made again and again. Its body is a JSON object.
    pub request: HttpRequest,
    /// JSON Pointer to the list of updates in an answer.
    pub items: String,
    /// The member of an update that is its number, higher than those before.
    pub number: String,
    /// The member of the request's body that takes the number after the highest so far: by it the remote knows what has arrived.
    pub next: String,
    /// Seconds that the remote waits for updates before it answers.
    #[serde(default)]
    pub wait: u32,
    /// Seconds before the next try after one that failed.
    pub pause: u32,
}

/// Being called with updates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// The public address below which the host can be reached.
    pub url: Url,
    /// Tells the remote the address, made first until it succeeds. In values of its query and form, `{url}` is replaced by the address
    /// (`url` and a segment that nobody can guess) and `{secret}` by what its posts have to carry.
    pub register: HttpRequest,
    /// The header in which posts carry the secret.
    pub secret_header: String,
    /// The member of an update that is its number, which no other has.
    pub number: String,
    /// Seconds before the next try after one that failed.
    pub pause: u32,
}

/// Everything that is wrong with them whatever the secrets are.
///
/// # Errors
/// The first thing wrong, in words.
pub fn check_updates(updates: &Updates) -> Result<(), String> {
    let request = |of: &str, request: &HttpRequest| check_request(request).map_err(|wrong| format!("{of}: {wrong}"));
    let pause = |pause: u32| PAUSES.contains(&pause).then_some(()).ok_or_else(|| format!("pause: {} to {} seconds", PAUSES.start(), PAUSES.end()));
    match updates {
        Updates::Poll(poll) => {
            poll.before.as_ref().map_or(Ok(()), |before| request("before", before))?;
            request("request", &poll.request)?;
            let body = match &poll.request.body {
                Body::Json(text) => serde_json::from_str::<Value>(text).ok(),
                _ => None,
            };
            if !body.is_some_and(|body| body.is_object()) {
                return Err("request: its body is to be a JSON object, into which the next number is put".into());
            }
            if !(poll.items.is_empty() || poll.items.starts_with('/')) {
                return Err(format!("items: {:?} is no JSON Pointer, such as \"/result\"", poll.items));
            }
            if poll.wait > LONGEST_WAIT {
                return Err(format!("wait: {LONGEST_WAIT} seconds at most"));
            }
            pause(poll.pause)
        }
        Updates::Webhook(hook) => {
            request("register", &hook.register)?;
            let fits = matches!(hook.url.scheme(), "http" | "https") && hook.url.has_host() && hook.url.query().is_none() && hook.url.fragment().is_none();
            if !fits {
                return Err(format!("url {}: write https://, a host and a path", hook.url));
            }
            if reqwest::header::HeaderName::from_bytes(hook.secret_header.as_bytes()).is_err() {
                return Err(format!("secret_header: {:?} is no header's name", hook.secret_header));
            }
            pause(hook.pause)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(updates: Value) -> Result<(), String> {
        check_updates(&serde_json::from_value(updates).map_err(|error| error.to_string())?)
    }

    #[test]
    fn what_could_not_work_is_refused() {
        let poll = json!({"request": {"method": "POST", "path": ["getUpdates"], "body": {"json": "{\"timeout\": 5}"}}, "items": "/result",
                          "number": "update_id", "next": "offset", "wait": 5, "pause": 1});
        let hook = json!({"url": "https://ci.example:8443/hook", "register": {"method": "POST", "path": ["setWebhook"], "query": [["url", "{url}"]]},
                          "secret_header": "X-Secret", "number": "update_id", "pause": 30});
        assert_eq!(check(json!({"poll": poll})), Ok(()));
        assert_eq!(check(json!({"webhook": hook})), Ok(()));
        for (kind, good, pointer, value, part) in [
            ("poll", &poll, "/request/path", json!([".."]), "leaves the endpoint"),
            ("poll", &poll, "/request/body", json!({"json": "[]"}), "JSON object"),
            ("poll", &poll, "/request/body", json!("empty"), "JSON object"),
            ("poll", &poll, "/items", json!("result"), "JSON Pointer"),
            ("poll", &poll, "/wait", json!(601), "600 seconds"),
            ("poll", &poll, "/pause", json!(0), "pause"),
            ("webhook", &hook, "/url", json!("https://h/?q"), "a host and a path"),
            ("webhook", &hook, "/secret_header", json!("a b"), "no header"),
            ("webhook", &hook, "/register/method", json!("SET"), "use GET"),
            ("webhook", &hook, "/pause", json!(3_601), "pause"),
        ] {
            let mut updates = json!({kind: good});
            *updates.pointer_mut(&format!("/{kind}{pointer}")).unwrap() = value;
            let said = check(updates).unwrap_err();
            assert!(said.contains(part), "{kind}{pointer}: {said}");
        }
        assert!(check(json!({"poll": poll, "webhook": hook})).is_err(), "one or the other");
    }
}
