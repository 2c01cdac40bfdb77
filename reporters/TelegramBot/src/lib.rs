//! TelegramBot: a bot that announces builds in chats, answers questions about them, and forces and stops them.
//!
//! The core of chat bots does the talking ([`reporter_sdk::chat`]); here is what is Telegram's own: settings, requests of the Bot API
//! (`api`), markup (`markup`), buttons and questions (`kept`), and commands that ask for what is missing (`commands`).
//!
//! A component of one's own takes this crate without its feature `export`, and adds to it:
//!
//! ```
//! use reporter_sdk::chat::{Bot, ChatReporter, Command, Line, Message, Update, Words};
//! use reporter_sdk::event::Event;
//! use reporter_sdk::prelude::*;
//! use telegram_bot::{Settings, Telegram, TelegramBot};
//!
//! /// A wording: every sentence that is not here stays as it is.
//! #[derive(Debug)]
//! struct Short;
//! impl Words for Short {
//!     fn build_started(&self, build: Line) -> Line {
//!         build.and(" goes")
//!     }
//! }
//!
//! /// A command, which `authz` knows as `coffee`.
//! const COFFEE: Command<Telegram> = Command {
//!     name: "coffee",
//!     doc: "make coffee",
//!     usage: "coffee - Make coffee for everybody",
//!     dangerous: true,
//!     run: |bot, ask| {
//!         bot.reply(ask.said, Message::from("It is made."));
//!         Ok(())
//!     },
//! };
//!
//! struct Mine(TelegramBot);
//!
//! impl Reporter for Mine {
//!     type Settings = Settings;
//!     const NAME: &'static str = "Mine";
//!     const DESCRIPTION: &'static str = "TelegramBot with coffee";
//!
//!     fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
//!         let (bot, plan) = settings.compile(Bot { more: vec![COFFEE], wording: Some(&Short), ..Bot::default() })?;
//!         Ok((Self(bot), plan))
//!     }
//!     fn report(&self, event: &Event) -> Result<Outcome, Failure> {
//!         self.0.report(event)
//!     }
//!     fn answered(&self, tag: &str, answer: &Answer) -> Result<Outcome, Failure> {
//!         self.0.answered(tag, answer)
//!     }
//! }
//!
//! impl ChatReporter for Mine {
//!     fn heard(&self, update: &Update) -> Result<Outcome, Failure> {
//!         self.0.heard(update)
//!     }
//! }
//!
//! // In a component: reporter_sdk::export_chat_reporter!(Mine);
//! # use serde_json::{json, Value};
//! # let settings = json!({"bot_token": "1:t", "bot_username": "b", "chat_ids": [5], "notify_events": ["started"], "authz": {"coffee": [9001]}});
//! # let it = reporter_sdk::testing::configure::<Mine>(settings).unwrap();
//! # it.heard(json!({"kind": "started"}));
//! # let ask = |who: i64| json!({"kind": "update", "at": 1, "update": {"message": {"message_id": 1, "from": {"id": who, "first_name": "A"},
//! #     "chat": {"id": who, "type": "private"}, "text": "/coffee"}}});
//! # let text = |report: &reporter_sdk::testing::Report| match &report.only().http().body {
//! #     reporter_sdk::http::Body::Json(text) => serde_json::from_str::<Value>(text).unwrap()["text"].as_str().unwrap().to_owned(),
//! #     other => panic!("{other:?}"),
//! # };
//! # assert_eq!(text(&it.heard(ask(9001))), r"It is made\.");
//! # assert!(text(&it.heard(ask(7))).contains("may not use"));
//! # let build = json!({"builder": {"name": "linux"}, "id": 1, "number": 12, "url": ""});
//! # assert_eq!(text(&it.report(json!({"kind": "build-started", "source": "main", "builds": [build]}))), r"Build \#12 of `linux` goes");
//! ```

mod api;
mod commands;
mod kept;
mod markup;
mod present;
mod said;
mod settings;

use reporter_sdk::chat::{Bot, Channel, ChatReporter, Said, Update};
use reporter_sdk::event::Event;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log, state};
use serde_json::Value;

pub use present::Telegram;
pub use settings::Settings;

/// The key of the state under which the bot's own name is kept.
const ME: &str = "me";
/// Characters of an answer to a question.
const ANSWER: usize = 1_000;

/// The reporter.
#[derive(Debug)]
pub struct TelegramBot {
    bot: Bot<Telegram>,
    /// The bot's name, if the settings have it.
    username: Option<String>,
}

impl Reporter for TelegramBot {
    type Settings = Settings;
    const NAME: &'static str = "TelegramBot";
    const DESCRIPTION: &'static str = "Announces builds on Telegram, answers questions, forces and stops builds";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        settings.compile(Bot::default())
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        self.bot.report(event)
    }

    fn answered(&self, tag: &str, answer: &Answer) -> Result<Outcome, Failure> {
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        if kept::is_message(tag, body["result"]["message_id"].as_i64()) {
            return Ok(Outcome::Skipped("the question's message is noted".into()));
        }
        if tag != api::ME {
            return self.bot.answered(tag, answer);
        }
        match body["result"]["username"].as_str() {
            Some(name) => {
                state::set(ME, Some(name));
                Ok(Outcome::Skipped(format!("the bot is @{name}")))
            }
            None => Ok(Outcome::Skipped("Telegram does not say who the bot is".into())),
        }
    }
}

impl ChatReporter for TelegramBot {
    fn heard(&self, update: &Update) -> Result<Outcome, Failure> {
        match update.kind() {
            "started" => self.begin(),
            "update" => self.update(&update.document()["update"], update.at()),
            other => Ok(Outcome::Skipped(format!("nothing is to be done about {other:?}"))),
        }
    }
}

impl TelegramBot {
    fn begin(&self) -> Result<Outcome, Failure> {
        self.bot.begin()?;
        if self.username.is_none() {
            api::ask_who();
        }
        let commands = self.bot.commands();
        let shown: Vec<(&str, &str)> = commands.iter().filter(|it| !it.doc.is_empty() && it.name != "start").map(|it| (it.name, it.doc)).collect();
        api::set_commands(&shown);
        Ok(Outcome::Sent)
    }

    fn update(&self, update: &Value, at: u64) -> Result<Outcome, Failure> {
        if let Some(press) = update.get("callback_query") {
            return self.pressed(press, at);
        }
        let Some(message) = update.get("message") else { return Ok(Outcome::Skipped("it is neither a message nor a button".into())) };
        if let Some(outcome) = moved(message) {
            return Ok(outcome);
        }
        let Some(text) = message["text"].as_str() else { return Ok(Outcome::Skipped("the message has no text".into())) };
        let mut said = match said::said(&message["from"], message, text, false, at) {
            Ok(said) => said,
            Err(why) => return Ok(Outcome::Skipped(why.into())),
        };
        let who = said::number(&said);
        if kept::too_much(&who, at) {
            return Ok(Outcome::Skipped(format!("{} says too much at once", said.person.name)));
        }
        if said.text.starts_with('/') {
            let Some(text) = self.for_me(&said) else { return Ok(Outcome::Skipped("it is said to another bot".into())) };
            said.text = text;
            // Whoever begins something else does not answer any more.
            if !said.text.eq_ignore_ascii_case("/nay") {
                kept::drop_question(&said.place, &who);
            }
        } else if !said.text.is_empty() && said.text.chars().count() <= ANSWER {
            let replies_to = (!said.private).then_some(&said.more["replies_to"]);
            if let Some(command) = kept::answer(&said.place, &who, &said.text, at, replies_to) {
                said.text = command;
            }
        }
        self.bot.hear(&said)
    }

    /// The command without the name of the bot that it is for; none: it is for another one.
    fn for_me(&self, said: &Said) -> Option<String> {
        let (word, rest) = said.text.split_once(char::is_whitespace).unwrap_or((&said.text, ""));
        let Some((command, name)) = word.split_once('@') else { return Some(said.text.clone()) };
        let me = self.username.clone().or_else(|| state::get(ME));
        // A bot that does not know its name yet takes what is said to it in private for its own.
        let mine = me.map_or(said.private, |me| me.eq_ignore_ascii_case(name));
        match (mine, said.private) {
            (true, _) => Some(format!("{command} {rest}").trim_end().to_owned()),
            (false, true) => Some(said.text.clone()),
            (false, false) => None,
        }
    }

    fn pressed(&self, press: &Value, at: u64) -> Result<Outcome, Failure> {
        let Some(id) = press["id"].as_str() else { return Ok(Outcome::Skipped("it is no button".into())) };
        let (message, from) = (&press["message"], &press["from"]);
        let data = press["data"].as_str().unwrap_or_default();
        let mut said = match said::said(from, message, data, true, at) {
            Ok(said) => said,
            Err(why) => return Ok(Outcome::Skipped(why.into())),
        };
        if kept::too_much(&said::number(&said), at) {
            return Ok(Outcome::Skipped(format!("{} presses too much at once", said.person.name)));
        }
        let name = said.person.name.clone();
        let Some(command) = kept::command(data) else {
            api::noticed(id, Some("This button is no longer of use."), &name);
            if let Ok(message) = said.id.parse() {
                api::change_keyboard(&said.place, message, None, &name);
            }
            log(Level::Info, &format!("{} pressed a button that is no longer of use", said.person.full));
            return Ok(Outcome::Sent);
        };
        api::noticed(id, None, &name);
        said.text = said::plain(&command);
        kept::drop_question(&said.place, &said::number(&said));
        self.bot.hear(&said)
    }
}

/// A group that became a supergroup has another number.
fn moved(message: &Value) -> Option<Outcome> {
    let (old, new) = (message["chat"]["id"].as_i64()?, message["migrate_to_chat_id"].as_i64()?);
    let (old, new) = (old.to_string(), new.to_string());
    let channel = Channel::load(&old);
    if channel != Channel::default() {
        Channel::default().save(&old).ok();
        channel.save(&new).ok();
    }
    log(Level::Warn, &format!("the chat {old} has the number {new} now: write that in chat_ids and wherever {old} stands"));
    Some(Outcome::Skipped(format!("the chat {old} is {new} now")))
}

#[cfg(feature = "export")]
reporter_sdk::export_chat_reporter!(TelegramBot);

#[cfg(test)]
mod tests;
