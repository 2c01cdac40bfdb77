//! IRC: a bot that announces builds in channels, answers questions about them, and forces and stops them.
//!
//! The core of chat bots does the talking ([`reporter_sdk::chat`]); here is what is IRC's own: settings, colours, and
//! commands that only make sense in channels.

mod commands;
mod present;
mod settings;

use reporter_sdk::chat::{Channel, ChatReporter, Identity, Person, Said, Update};
use reporter_sdk::event::Event;
use reporter_sdk::prelude::*;
use serde_json::Value;

use present::{fold, is_channel};

pub use present::Irc;
pub use settings::Settings;

/// What every list of authorized nicks comes down to where the server vouches for accounts.
const LOG_IN: &str = "I go by services accounts here, and you are not logged in to one.";
/// What it is if somebody is logged in.
const OTHER_ACCOUNT: &str = "I go by services accounts here, not by nicks.";

/// The reporter.
#[derive(Debug)]
pub struct IrcBot {
    bot: reporter_sdk::chat::Bot<Irc>,
    /// Whether rights go by services accounts where the server tells them.
    use_accounts: bool,
}

impl Reporter for IrcBot {
    type Settings = Settings;
    const NAME: &'static str = "IRC";
    const DESCRIPTION: &'static str = "Announces builds on IRC, answers questions, forces and stops builds";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        settings.compile(reporter_sdk::chat::Bot::default())
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        self.bot.report(event)
    }

    fn answered(&self, tag: &str, answer: &Answer) -> Result<Outcome, Failure> {
        match commands::joined(&self.bot, tag, answer) {
            Some(outcome) => Ok(outcome),
            None => self.bot.answered(tag, answer),
        }
    }
}

impl ChatReporter for IrcBot {
    fn heard(&self, update: &Update) -> Result<Outcome, Failure> {
        match update.kind() {
            "started" => {
                // The connection is new: the host joins what the settings name, and nothing else.
                for (place, _) in Channel::all().into_iter().filter(|(place, _)| is_channel(place)) {
                    Channel::set_left(&place, !self.bot.configured.contains(&place));
                }
                self.bot.begin()
            }
            "message" => match command(update) {
                Some(text) => self.bot.hear(&self.said(update, text)),
                None => Ok(Outcome::Skipped("it is not said to the bot".into())),
            },
            "action" => commands::acted(&self.bot, &self.said(update, text(update, "text")), &text(update, "me")),
            // An answer to a notice would begin a conversation of bots (RFC 1459, 4.4.2).
            other => Ok(Outcome::Skipped(format!("nothing is to be done about {other:?}"))),
        }
    }
}

impl IrcBot {
    fn said(&self, update: &Update, what: String) -> Said {
        let document = update.document();
        let from = &document["from"];
        let part = |key: &str| from[key].as_str().unwrap_or_default();
        let nick = part("nick").to_owned();
        let account = from.get("account").filter(|_| self.use_accounts);
        let (identity, advice) = match account {
            None => (Identity { sure: None, claimed: Some(fold(&nick)) }, ""),
            Some(Value::String(account)) => (Identity { sure: Some(fold(account)), claimed: None }, OTHER_ACCOUNT),
            Some(_) => (Identity::default(), LOG_IN),
        };
        let mut full = format!("{nick}!{}@{}", part("user"), part("host"));
        if let Some(Value::String(account)) = from.get("account") {
            full.push_str(&format!(" (account {account})"));
        }
        let person = Person { identity, name: nick, full, operator: part("prefixes").contains(['~', '&', '@', '%']), advice };
        let private = document["private"].as_bool() == Some(true);
        Said { person, place: fold(&text(update, "target")), private, text: what, at: update.at(), ..Said::default() }
    }
}

/// What is said to the bot: all of it in private, what follows its nick in a channel.
fn command(update: &Update) -> Option<String> {
    let (said, me) = (text(update, "text"), text(update, "me"));
    let said = said.trim();
    let addressed = said.get(..me.len()).filter(|start| start.eq_ignore_ascii_case(&me)).and_then(|_| said[me.len()..].strip_prefix([':', ',']));
    match addressed {
        Some(rest) => Some(rest.trim().to_owned()),
        None => (update.document()["private"].as_bool() == Some(true)).then(|| said.trim().to_owned()),
    }
}

fn text(update: &Update, key: &str) -> String {
    update.document()[key].as_str().unwrap_or_default().to_owned()
}

#[cfg(feature = "export")]
reporter_sdk::export_chat_reporter!(IrcBot);

#[cfg(test)]
mod tests;
