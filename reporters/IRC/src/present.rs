//! How messages look on IRC.

use reporter_sdk::chat::{Command, Line, Message, Presenter, Span};
use reporter_sdk::cut::to_bytes;
use reporter_sdk::delivery::Terms;
use reporter_sdk::irc::{self, Verb};
use reporter_sdk::results::{CANCELLED, EXCEPTION, FAILURE, RETRY, SKIPPED, SUCCESS, WARNINGS};

use crate::commands;

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "server";

/// Lines of one message: at a line in a second, what goes to the same place waits a minute for it.
const LINES: usize = 60;
/// Bytes that fit into a line beside a channel's and the bot's own name.
const BYTES: usize = 380;

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
        let lines = message.lines.iter().map(|line| self.line(line)).filter(|line| !line.trim().is_empty()).collect();
        let text = few(lines).join("\n");
        let text = if text.is_empty() { "(There is nothing to say.)".to_owned() } else { text };
        let verb = match (message.action, self.notice && is_channel(place)) {
            (true, _) => Verb::Action,
            (false, true) => Verb::Notice,
            (false, false) => Verb::Message,
        };
        irc::send(ENDPOINT, place, verb, &text, terms);
    }

    fn most_lines(&self) -> Option<usize> {
        Some(LINES)
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

/// As many of the lines as one message has, and how many are left out.
fn few(lines: Vec<String>) -> Vec<String> {
    let size = |line: &String| line.len().div_ceil(BYTES).max(1);
    let all: usize = lines.iter().map(size).sum();
    if all <= LINES {
        return lines;
    }
    let mut room = LINES - 1;
    let mut few = Vec::new();
    for line in lines {
        if size(&line) <= room {
            room -= size(&line);
            few.push(line);
            continue;
        }
        if room > 0 {
            few.push(to_bytes(&line, room * BYTES).into_owned());
        }
        break;
    }
    few.push(format!("({} more lines are left out.)", all - (LINES - 1)));
    few
}

/// How names are compared: servers fold ASCII alone, as the host does.
pub fn fold(name: &str) -> String {
    name.to_ascii_lowercase()
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
