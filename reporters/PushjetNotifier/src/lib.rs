//! PushjetNotifier: a push message when a build, or a buildset, ends, and when a watched worker goes missing.
//!
//! Pushjet's own service is gone; `base_url` is a server of one's own.

use std::collections::BTreeMap;

use reporter_sdk::endpoint::{BaseUrl, HttpSettings};
use reporter_sdk::event::Event;
use reporter_sdk::http::{self, Body, Request};
use reporter_sdk::notice::{Levels, NoticeSettings, Notifier};
use reporter_sdk::prelude::*;
use reporter_sdk::template::TemplateType;
use serde_json::{Value, json};

/// The endpoint's name in the plan.
const ENDPOINT: &str = "server";
const PUSHJET: &str = "https://api.pushjet.io";

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Settings {
    /// The secret of the Pushjet service
    secret: String,
    /// How much a message matters (0 to 5), by change, failing, passing, warnings, exception, cancelled, worker_missing
    #[serde(default)]
    levels: Levels,
    /// The Pushjet server (default "https://api.pushjet.io", which is gone)
    #[serde(default)]
    base_url: Option<String>,
    #[serde(flatten)]
    notice: NoticeSettings,
    #[serde(flatten)]
    http: HttpSettings,
}

/// The reporter.
#[derive(Debug)]
pub struct PushjetNotifier {
    secret: String,
    levels: BTreeMap<&'static str, i64>,
    notifier: Notifier,
}

impl Reporter for PushjetNotifier {
    type Settings = Settings;
    const NAME: &'static str = "PushjetNotifier";
    const DESCRIPTION: &'static str = "Pushes a message through Pushjet when a build ends or a worker goes missing";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        let mut problems = Problems::default();
        let url = problems.take(BaseUrl::api(settings.base_url.as_deref(), PUSHJET, "/base_url"));
        let levels = problems.take(settings.levels.compile(0..=5, "/levels"));
        if settings.secret.is_empty() {
            problems.add("/secret", "this is the secret of a Pushjet service: write secret = { secret = \"…\" }");
        }
        let notice = settings.notice.compile(TemplateType::Plain).map_err(|found| problems.0.extend(found.0)).ok();
        let (Some((notifier, events, words)), []) = (notice, &problems.0[..]) else { return Err(problems) };
        let plain =
            json!({"method": "POST", "path": ["message"], "body": {"form": [["message", "{text}"], ["title", "{subject}"], ["secret", settings.secret]]}});
        let plan = Plan::events(events).endpoint(ENDPOINT, "http", Value::Object(url.endpoint(None, &settings.http))).fallback(ENDPOINT, plain).uses(words);
        Ok((Self { secret: settings.secret, levels, notifier }, plan))
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let notice = match self.notifier.notice(event)? {
            Ok(notice) => notice,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        let level = notice.words.iter().find_map(|word| self.levels.get(word));
        let mut form = vec![("message".to_owned(), notice.text), ("title".to_owned(), notice.title)];
        form.extend(level.map(|level| ("level".to_owned(), level.to_string())));
        form.push(("secret".into(), self.secret.clone()));
        http::send(Request::new(ENDPOINT, "POST", ["message"]).body(Body::Form(form)), Terms::titled(notice.about));
        Ok(Outcome::Sent)
    }
}

reporter_sdk::export_reporter!(PushjetNotifier);

#[cfg(test)]
mod tests;
