//! What the Bot API refuses, by its published rules.
//!
//! <https://core.telegram.org/bots/api>, <https://core.telegram.org/bots/faq>

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::markdown;

/// A refusal: error code, description, and seconds after which it may be tried again.
pub type Refused = (u16, String, Option<u64>);

/// Messages that one group gets in a minute.
const IN_A_GROUP: (usize, Duration) = (20, Duration::from_secs(60));
/// A message a second in one chat, with short bursts.
const IN_A_CHAT: (usize, Duration) = (4, Duration::from_secs(3));

pub fn bad(description: impl Into<String>) -> Refused {
    (400, description.into(), None)
}

/// What is shown of a message, if it is one.
pub fn text(body: &Value) -> Result<String, Refused> {
    let text = body["text"].as_str().unwrap_or_default();
    let shown = match body["parse_mode"].as_str() {
        None => text.to_owned(),
        Some("MarkdownV2") => markdown::shown(text).map_err(bad)?,
        Some(_) => return Err(bad("Bad Request: unsupported parse_mode")),
    };
    if shown.trim().is_empty() {
        return Err(bad("Bad Request: message text is empty"));
    }
    if shown.encode_utf16().count() > 4_096 {
        return Err(bad("Bad Request: message is too long"));
    }
    Ok(shown)
}

/// A keyboard's buttons can be sent.
pub fn keyboard(markup: &Value) -> Result<(), Refused> {
    let mut count = 0;
    for row in markup["inline_keyboard"].as_array().into_iter().flatten() {
        let row = row.as_array().ok_or_else(|| bad("Bad Request: can't parse inline keyboard: field \"inline_keyboard\" must be an Array of Arrays"))?;
        for button in row {
            let data = button["callback_data"].as_str().unwrap_or_default();
            if !(1..=64).contains(&data.len()) {
                return Err(bad("Bad Request: BUTTON_DATA_INVALID"));
            }
            if button["text"].as_str().is_none_or(|text| text.trim().is_empty()) {
                return Err(bad("Bad Request: can't parse inline keyboard button: text is empty"));
            }
            count += 1;
        }
    }
    if count > 100 { Err(bad("Bad Request: reply markup is too long")) } else { Ok(()) }
}

/// Commands that BotFather would take.
pub fn commands(body: &Value) -> Result<(), Refused> {
    let all = body["commands"].as_array().ok_or_else(|| bad("Bad Request: can't parse commands"))?;
    for one in all {
        let (name, about) = (one["command"].as_str().unwrap_or_default(), one["description"].as_str().unwrap_or_default());
        let plain = (1..=32).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !plain || !(1..=256).contains(&about.chars().count()) {
            return Err(bad("Bad Request: BOT_COMMAND_INVALID"));
        }
    }
    if all.len() > 100 { Err(bad("Bad Request: BOT_COMMANDS_TOO_MUCH")) } else { Ok(()) }
}

/// An address that can be called, and a secret.
pub fn webhook(url: &str, secret: &str) -> Result<(), Refused> {
    let parsed = url::Url::parse(url).map_err(|_| bad("Bad Request: bad webhook: invalid webhook URL specified"))?;
    if parsed.scheme() != "https" {
        return Err(bad("Bad Request: bad webhook: An HTTPS URL must be provided for webhook"));
    }
    if ![443, 80, 88, 8443].contains(&parsed.port_or_known_default().unwrap_or_default()) {
        return Err(bad("Bad Request: bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443"));
    }
    let plain = secret.len() <= 256 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    if plain { Ok(()) } else { Err(bad("Bad Request: secret token contains unallowed characters")) }
}

/// When messages went to one chat.
#[derive(Default)]
pub struct Pace(VecDeque<Instant>);

impl Pace {
    /// One more goes there.
    pub fn one(&mut self, group: bool, now: Instant) -> Result<(), Refused> {
        for (most, within) in [IN_A_CHAT, IN_A_GROUP].into_iter().take(if group { 2 } else { 1 }) {
            let recent = self.0.iter().filter(|at| now.duration_since(**at) < within).count();
            if recent >= most {
                let first = self.0[self.0.len() - most];
                let left = (within - now.duration_since(first)).as_secs() + 1;
                return Err((429, format!("Too Many Requests: retry after {left}"), Some(left)));
            }
        }
        self.0.push_back(now);
        if self.0.len() > 50 {
            self.0.pop_front();
        }
        Ok(())
    }
}
