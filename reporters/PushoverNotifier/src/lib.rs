//! PushoverNotifier: a push message when a build, or a buildset, ends, and when a watched worker goes missing.
//!
//! <https://pushover.net/api>. A message of emergency priority is followed: its receipt is asked about until somebody has
//! acknowledged it, and is a dead letter if nobody did.

mod settings;
mod text;

use std::collections::BTreeMap;

use reporter_sdk::event::Event;
use reporter_sdk::http::{self, Answer, Body, Request};
use reporter_sdk::notice::Notifier;
use reporter_sdk::prelude::*;
use serde_json::Value;

pub use settings::Settings;
use settings::{API, RECEIPTS};

/// Priority of messages that are repeated until somebody acknowledges them.
const EMERGENCY: i64 = 2;
/// Before the title in the tag of an emergency.
const TAG: &str = "receipt of ";
/// Seconds for which a receipt is asked about when its message has expired already.
const AFTERWARDS: u32 = 600;

/// The reporter.
#[derive(Debug)]
pub struct PushoverNotifier {
    user: String,
    token: String,
    priorities: BTreeMap<&'static str, i64>,
    other: Vec<(String, String)>,
    /// Seconds until an emergency is given up.
    expire: u32,
    notifier: Notifier,
}

impl Reporter for PushoverNotifier {
    type Settings = Settings;
    const NAME: &'static str = "PushoverNotifier";
    const DESCRIPTION: &'static str = "Pushes a message through Pushover when a build ends or a worker goes missing";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        settings.compile()
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let notice = match self.notifier.notice(event)? {
            Ok(notice) => notice,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        let priority = notice.words.iter().find_map(|word| self.priorities.get(word)).copied();
        let about = notice.about.clone();
        let given = |name: &str| self.other.iter().any(|(key, _)| key == name);
        let switched = |name: &str, to: &str| self.other.iter().any(|(key, value)| key == name && value == to);
        let text = text::fit(notice, !given("url"), !switched("html", "0") && !switched("monospace", "1"));
        if text.message.is_empty() {
            // It was nothing but tags.
            return Ok(Outcome::Skipped("the message is empty".into()));
        }
        let mut form = vec![("message", text.message), ("title", text.title)];
        form.extend(text.html.then(|| ("html", "1".to_owned())));
        form.extend(text.link.map(|link| ("url", link)));
        form.extend(priority.map(|priority| ("priority", priority.to_string())));
        form.extend([("user", self.user.clone()), ("token", self.token.clone())]);
        let mut form: Vec<(String, String)> = form.into_iter().filter(|(name, _)| !given(name)).map(|(name, value)| (name.to_owned(), value)).collect();
        // They belong to an emergency.
        let emergency = priority == Some(EMERGENCY);
        form.extend(self.other.iter().filter(|(name, _)| emergency || !["retry", "expire"].contains(&name.as_str())).cloned());
        let mut terms = Terms::titled(about.clone());
        if emergency {
            terms = terms.tag(format!("{TAG}{about}"));
        }
        http::send(Request::new(API, "POST", ["1", "messages.json"]).body(Body::Form(form)), terms);
        Ok(Outcome::Sent)
    }

    fn answered(&self, tag: &str, answer: &Answer) -> Result<Outcome, Failure> {
        let skip = |why: &str| Ok(Outcome::Skipped(why.into()));
        let Some(about) = tag.strip_prefix(TAG) else { return skip("this is no message of emergency priority") };
        if answer.ended != "delivered" {
            return skip("it was not delivered, so there is nothing to follow");
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let Some(receipt) = body["receipt"].as_str().filter(|receipt| !receipt.is_empty() && receipt.chars().all(|c| c.is_ascii_alphanumeric())) else {
            return skip("the answer has no receipt");
        };
        let mut terms = Terms::titled(format!("acknowledgement of {about}")).expire_after(self.expire.saturating_add(AFTERWARDS));
        for blank in ["", " "] {
            terms = terms.rule(200..=200, &format!("\"acknowledged\":{blank}1"), Verdict::Done);
        }
        for blank in ["", " "] {
            // Nobody has: somebody should look at it.
            terms = terms.rule(200..=200, &format!("\"expired\":{blank}1"), Verdict::Dead);
        }
        terms = terms.rule(200..=200, "", Verdict::Retry);
        http::send(Request::new(RECEIPTS, "GET", ["1", "receipts", &format!("{receipt}.json")]).query("token", &self.token), terms);
        Ok(Outcome::Sent)
    }
}

reporter_sdk::export_reporter!(PushoverNotifier);

#[cfg(test)]
mod tests;
