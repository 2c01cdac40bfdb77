//! The arguments, and the plan that they make.

use reporter_sdk::endpoint::{BaseUrl, HttpSettings};
use reporter_sdk::notice::{Levels, NoticeSettings};
use reporter_sdk::prelude::*;
use reporter_sdk::settings::{Table, pointer};
use reporter_sdk::template::TemplateType;
use serde_json::{Value, json};

use crate::{EMERGENCY, PushoverNotifier};

/// The endpoint that takes messages.
pub const API: &str = "api";
/// The endpoint that is asked whether an emergency was acknowledged: the same server at its own pace.
pub const RECEIPTS: &str = "receipts";

const PUSHOVER: &str = "https://api.pushover.net";
/// `otherParams`: what Buildbot takes, and what Pushover has besides.
const OTHER: [&str; 12] = ["sound", "callback", "timestamp", "url", "url_title", "device", "retry", "expire", "html", "monospace", "ttl", "tags"];
/// Characters of a link and of its title.
const MOST_URL: (usize, usize) = (crate::text::MOST_LINK, 100);
/// Seconds that a message stays on the telephones, at most: a year.
const MOST_TTL: u32 = 31_536_000;
/// Seconds between two repetitions of an emergency, at least.
const LEAST_RETRY: u32 = 30;
/// Seconds until an emergency is given up, at most.
const MOST_EXPIRE: u32 = 10_800;
/// Requests at a time that Pushover asks not to exceed.
const AT_ONCE: u32 = 2;
/// Receipts are not to be asked about more often than every five seconds.
const RECEIPTS_PER_MINUTE: u32 = 12;

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Settings {
    /// The key of the user or group that gets the messages
    user_key: String,
    /// The API token of the application that sends them
    api_token: String,
    /// How much a message matters (-2 to 2), by change, failing, passing, warnings, exception, cancelled, worker_missing
    #[serde(default)]
    priorities: Levels,
    /// Further parameters: sound, callback, timestamp, url, url_title, device, retry, expire, html, monospace, ttl, tags
    #[serde(default, rename = "otherParams")]
    #[schemars(extend("x-secret" = true))]
    other_params: Table,
    /// A proxy of one's own before Pushover (default "https://api.pushover.net")
    #[serde(default)]
    base_url: Option<String>,
    #[serde(flatten)]
    notice: NoticeSettings,
    #[serde(flatten)]
    http: HttpSettings,
}

impl Settings {
    /// Checks everything, and makes the reporter and its plan.
    pub fn compile(self) -> Result<(PushoverNotifier, Plan), Problems> {
        let mut problems = Problems::default();
        let url = problems.take(BaseUrl::api(self.base_url.as_deref(), PUSHOVER, "/base_url"));
        let priorities = problems.take(self.priorities.compile(-2..=EMERGENCY, "/priorities"));
        let other = problems.take(other(&self.other_params));
        for (setting, value, what) in
            [("/user_key", &self.user_key, "the key of a user or group"), ("/api_token", &self.api_token, "the token of an application")]
        {
            if value.is_empty() {
                problems.add(setting, format!("this is {what} at Pushover: write {} = {{ secret = \"…\" }}", &setting[1..]));
            }
        }
        let emergency = priorities.values().any(|priority| *priority == EMERGENCY);
        let seconds = |name: &str| self.other_params.get(name).and_then(number);
        let (retry, expire) = (seconds("retry"), seconds("expire"));
        if emergency && (retry.is_none() || expire.is_none()) {
            problems.add(
                "/priorities",
                "priority 2 is repeated until somebody acknowledges it: write otherParams = { retry = 60, expire = 3600 } (seconds) as well",
            );
        }
        let notice = self.notice.compile(TemplateType::Html).map_err(|found| problems.0.extend(found.0)).ok();
        let (Some((notifier, events, words)), []) = (notice, &problems.0[..]) else { return Err(problems) };

        let mut endpoint = url.endpoint(None, &self.http);
        endpoint.insert("most_at_once".into(), json!(AT_ONCE));
        let form = json!([["message", "{text}"], ["title", "{subject}"], ["user", self.user_key], ["token", self.api_token]]);
        let plain = json!({"method": "POST", "path": ["1", "messages.json"], "body": {"form": form}});
        let mut plan = Plan::events(events).endpoint(API, "http", Value::Object(endpoint.clone())).fallback(API, plain).uses(words);
        if emergency {
            endpoint.insert("most_per_minute".into(), json!(RECEIPTS_PER_MINUTE));
            plan = plan.endpoint(RECEIPTS, "http", Value::Object(endpoint));
        }
        let expire = expire.and_then(|expire| u32::try_from(expire).ok()).unwrap_or(MOST_EXPIRE);
        Ok((PushoverNotifier { user: self.user_key, token: self.api_token, priorities, other, expire, notifier }, plan))
    }
}

fn other(params: &Table) -> Result<Vec<(String, String)>, Problems> {
    let mut problems = Problems::default();
    let mut other = Vec::new();
    for (name, value) in params {
        let at = pointer("/otherParams", name);
        if !OTHER.contains(&name.as_str()) {
            problems.add(at, format!("Pushover has no {name} here: there are {}", OTHER.join(", ")));
            continue;
        }
        let range = match name.as_str() {
            "retry" => Some(LEAST_RETRY..=MOST_EXPIRE),
            "expire" => Some(1..=MOST_EXPIRE),
            "ttl" => Some(1..=MOST_TTL),
            _ => None,
        };
        let most = match name.as_str() {
            "url" => MOST_URL.0,
            "url_title" => MOST_URL.1,
            _ => usize::MAX,
        };
        if let Some(range) = range
            && !number(value).and_then(|seconds| u32::try_from(seconds).ok()).is_some_and(|seconds| range.contains(&seconds))
        {
            problems.add(at, format!("write seconds from {} to {}", range.start(), range.end()));
            continue;
        }
        match value {
            Value::String(text) if text.chars().count() > most => problems.add(at, format!("Pushover takes {most} characters of it")),
            Value::String(text) => other.push((name.clone(), text.clone())),
            Value::Number(number) => other.push((name.clone(), number.to_string())),
            Value::Bool(flag) => other.push((name.clone(), u8::from(*flag).to_string())),
            _ => problems.add(at, "write a text or a number"),
        }
    }
    let on = |name: &str| other.iter().any(|(key, value)| key == name && value == "1");
    if on("html") && on("monospace") {
        problems.add("/otherParams/monospace", "a message is either HTML or monospace: leave one of them out");
    }
    problems.or(other)
}

fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str().and_then(|text| text.parse().ok()))
}
