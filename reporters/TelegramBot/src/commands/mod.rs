//! Commands of Telegram alone, and those of the core with buttons and questions for what is missing.

mod act;
mod force;
mod look;
mod notify;
mod talk;

use reporter_sdk::chat::{Ask, Bot, Button, Command, Line, Message, Presenter as _, Refusal};
use reporter_sdk::delivery::Terms;
use serde_json::{Value, json};

use crate::api;
use crate::present::{self, Telegram};
use crate::{kept, said};

/// All of them.
pub fn own() -> Vec<Command<Telegram>> {
    let mut all = talk::commands();
    all.extend(look::commands());
    all.extend(notify::commands());
    all.extend(act::commands());
    all.extend(force::commands());
    all
}

type Done = Result<(), Refusal>;

/// A row with one button.
fn button(caption: impl Into<String>, command: impl Into<String>) -> Vec<Button> {
    vec![Button { caption: caption.into(), command: command.into() }]
}

/// Says something with a keyboard that is made already.
fn reply_with(ask: &Ask<'_>, message: Message, markup: Option<Value>) {
    reply_on(ask, message, markup, Bot::<Telegram>::reply_terms(ask.said));
}

/// Asks with a keyboard for what the question in [`kept`] is about.
fn question_with(ask: &Ask<'_>, message: Message, markup: Option<Value>) {
    let said = ask.said;
    let tag = kept::tag(&said.place, &said::number(said), said.at);
    reply_on(ask, message, markup, Bot::<Telegram>::reply_terms(said).tag(tag));
}

fn reply_on(ask: &Ask<'_>, mut message: Message, markup: Option<Value>, terms: Terms) {
    if !ask.said.pressed {
        message.answers.clone_from(&ask.said.id);
    }
    present::send(&ask.said.place, &message, markup, terms);
}

/// The message whose button was pressed, if one was.
fn pressed(ask: &Ask<'_>) -> Option<i64> {
    ask.said.pressed.then(|| ask.said.id.parse().ok()).flatten()
}

/// The buttons of the message whose button was pressed go.
fn without_buttons(ask: &Ask<'_>) {
    if let Some(message) = pressed(ask) {
        api::change_keyboard(&ask.said.place, message, None, &ask.said.person.name);
    }
}

/// Asks for something that completes a command: `command` and, as one more word, `prefix` with the answer.
fn ask_for(bot: &Bot<Telegram>, ask: &Ask<'_>, what: &str, command: String, prefix: String) -> Done {
    if command.len() > kept::COMMAND {
        return Err(too_long());
    }
    let said = ask.said;
    kept::ask(&said.place, &said::number(said), said.at, command, prefix);
    if said.private {
        bot.presenter.send(&said.place, &Line::text(format!("{}…", capital(what))).into(), Bot::<Telegram>::reply_terms(said));
        return Ok(());
    }
    // In a group Telegram passes on what answers the bot's own message. It shows the field for that to whoever is named or answered.
    let username = said.more["from"]["username"].as_str();
    let text = match username {
        Some(name) => format!("@{name}, answer to this and {what}…"),
        None => format!("{}, answer to this message and {what}…", said.person.name),
    };
    let named = username.is_some() || !said.pressed;
    question_with(ask, Line::text(text).into(), named.then(|| json!({"force_reply": true, "selective": true})));
    Ok(())
}

fn too_long() -> Refusal {
    Refusal::new("This is more than I can remember; leave something out.")
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}
