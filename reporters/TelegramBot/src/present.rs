//! How messages look on Telegram.

use reporter_sdk::chat::{Button, Command, Message, Presenter, Words};
use reporter_sdk::delivery::Terms;
use serde_json::{Value, json};

use crate::api::{self, Text, is_group};
use crate::{commands, kept, markup};

/// Telegram.
#[derive(Clone, Copy, Debug, Default)]
pub struct Telegram;

impl Presenter for Telegram {
    fn prefix(&self) -> &str {
        "/"
    }

    fn send(&self, place: &str, message: &Message, terms: Terms) {
        let keyboard = (!message.buttons.is_empty()).then(|| keyboard(&message.buttons));
        send(place, message, keyboard, terms);
    }

    fn commands(&self) -> Vec<Command<Self>> {
        commands::own()
    }

    fn leaves_out(&self) -> &[&str] {
        // In a group that anybody could silence, nobody would be told anything.
        &["mute", "unmute"]
    }

    fn words(&self) -> &dyn Words {
        &Signs
    }
}

/// The defaults.
#[derive(Debug)]
struct Signs;

impl Words for Signs {
    fn denied(&self, name: &str, command: &str, advice: &str) -> Message {
        let mut message = reporter_sdk::chat::Plain.denied(name, command, advice);
        if let Some(line) = message.lines.first_mut() {
            line.0.insert(0, reporter_sdk::chat::Span::Text("⛔ ".into()));
        }
        message
    }
}

/// Sends a message in as many parts as it needs. What it answers goes with the first, the buttons with the last.
pub fn send(place: &str, message: &Message, markup: Option<Value>, terms: Terms) {
    // In private it is clear who is answered.
    let answers = message.answers.parse().ok().filter(|_| is_group(place));
    let mut parts = markup::parts(message);
    if parts.len() > PARTS {
        let left_out = parts.len() - (PARTS - 1);
        parts.truncate(PARTS - 1);
        parts.push(markup::escaped(&format!("({left_out} more messages are left out.)")));
    }
    let last = parts.len() - 1;
    let plain = Terms { tag: None, ..terms.clone() };
    for (n, text) in parts.iter().enumerate() {
        let text = Text { text, answers: answers.filter(|_| n == 0), markup: markup.clone().filter(|_| n == last) };
        api::say(place, &text, if n == last { terms.clone() } else { plain.clone() });
    }
}

/// Buttons as the API has them.
pub fn keyboard(rows: &[Vec<Button>]) -> Value {
    raw_keyboard(rows.iter().map(|row| row.iter().map(|button| (button.caption.clone(), kept::data(&button.command))).collect()))
}

/// Buttons by caption and by what they carry.
pub fn raw_keyboard(rows: impl Iterator<Item = Vec<(String, String)>>) -> Value {
    let rows: Vec<Value> = rows
        .map(|row| {
            row.into_iter()
                .map(|(caption, data)| json!({"text": reporter_sdk::cut::to_chars(&markup::clean(&caption), CAPTION), "callback_data": data}))
                .collect()
        })
        .collect();
    json!({"inline_keyboard": rows})
}

/// Messages that one answer takes: in a group there are twenty in a minute.
const PARTS: usize = 40;
/// Characters of what is on a button.
const CAPTION: usize = 60;
