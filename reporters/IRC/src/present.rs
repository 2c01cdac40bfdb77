//! How messages look on IRC.

use reporter_sdk::chat::{Command, Line, Message, Presenter, Span};
use reporter_sdk::delivery::Terms;
use reporter_sdk::irc::{self, Verb};
use reporter_sdk::results::{CANCELLED, EXCEPTION, FAILURE, RETRY, SKIPPED, SUCCESS, WARNINGS};

use crate::commands;

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "server";

/// IRC.
#[derive(Clone, Copy, Debug, Default)]
pub struct Irc {
    /// Whether results have colours.
    pub colors: bool,
    /// Whether channels are sent notices.
    pub notice: bool,
}

impl Presenter for Irc {
    fn send(&self, place: &str, message: &Message, terms: Terms) {
        let text = message.lines.iter().map(|line| self.line(line)).filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n");
        let text = if text.is_empty() { "(There is nothing to say.)".to_owned() } else { text };
        let verb = match (message.action, self.notice && is_channel(place)) {
            (true, _) => Verb::Action,
            (false, true) => Verb::Notice,
            (false, false) => Verb::Message,
        };
        irc::send(ENDPOINT, place, verb, &text, terms);
    }

    fn commands(&self) -> Vec<Command<Self>> {
        commands::own()
    }
}

impl Irc {
    fn line(&self, line: &Line) -> String {
        let mut text = String::new();
        for span in &line.0 {
            match span {
                Span::Text(words) => text.push_str(&clean(words)),
                Span::Gap => text.push(' '),
                Span::Name(name) => text.push_str(&format!("`{}`", clean(name))),
                Span::Link { text: words, url } if url.is_empty() => text.push_str(&clean(words)),
                Span::Link { text: words, url } => text.push_str(&format!("{} ({})", clean(words), clean(url))),
                Span::Result(results, words) => match color(*results).filter(|_| self.colors) {
                    Some(color) => text.push_str(&format!("\u{3}{color:02}{}\u{f}", clean(words))),
                    None => text.push_str(&clean(words)),
                },
            }
        }
        text
    }
}

/// A channel's name begins with one of these (RFC 2812, 1.3).
pub fn is_channel(place: &str) -> bool {
    place.starts_with(['#', '&', '!', '+'])
}

/// A name or a commit message brings no colours and no line breaks of its own.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// mIRC's number of the colour of a result.
fn color(results: Option<u8>) -> Option<u8> {
    match results? {
        SUCCESS => Some(3),
        WARNINGS => Some(8),
        FAILURE => Some(4),
        SKIPPED => Some(12),
        EXCEPTION => Some(6),
        RETRY => Some(11),
        CANCELLED => Some(13),
        _ => None,
    }
}
