//! The bot: who says what, and what becomes of it.

use serde_json::Value;

use super::authz::{Authz, Identity};
use super::channel::Channel;
use super::commands;
use super::events::EventWord;
use super::text::{Line, Message};
use super::words::{Plain, Words};
use crate::component::{Failure, Outcome};
use crate::cut;
use crate::delivery::Terms;
use crate::services::{Level, log};

/// Seconds after which nobody waits for a reply any more.
const REPLY_EXPIRES: u32 = 3_600;
/// Characters of what somebody said that are said back.
const QUOTED: usize = 40;

/// What a protocol adds to the core.
pub trait Presenter: Sized + 'static {
    /// What commands begin with. If it is empty, everything that is said to the bot is a command.
    fn prefix(&self) -> &str {
        ""
    }

    /// Sends a message to a channel or a private conversation.
    fn send(&self, place: &str, message: &Message, terms: Terms);

    /// Lines of one message at most, where each holds up what comes after it; none: lines cost nothing. What is more is for
    /// [`Presenter::send`] to leave out, and to tell.
    fn most_lines(&self) -> Option<usize> {
        None
    }

    /// Commands beside the core's, or in their place.
    fn commands(&self) -> Vec<Command<Self>> {
        Vec::new()
    }

    /// Commands of the core that make no sense there.
    fn leaves_out(&self) -> &[&str] {
        &[]
    }

    /// The wording.
    fn words(&self) -> &dyn Words {
        &Plain
    }
}

/// A bot.
#[derive(Clone, Debug, Default)]
pub struct Bot<P> {
    /// The protocol.
    pub presenter: P,
    /// Who may do what.
    pub authz: Authz,
    /// Only builders with one of these tags; empty: all.
    pub tags: Vec<String>,
    /// Events that are switched on in the configured places when the bot begins.
    pub notify_events: Vec<EventWord>,
    /// Channels and people of the settings.
    pub configured: Vec<String>,
    /// Whether a build is named by its revisions.
    pub use_revisions: bool,
    /// Whether it is said who is responsible for a build that did not succeed.
    pub show_blame_list: bool,
    /// Commands of a component of one's own, beside the protocol's and the core's, or in their place.
    pub more: Vec<Command<P>>,
    /// A wording of one's own, in place of the protocol's.
    pub wording: Option<&'static dyn Words>,
}

/// A command.
#[derive(Debug)]
pub struct Command<P> {
    /// Its name, in lower case.
    pub name: &'static str,
    /// One line for the list; empty: not listed by `help`.
    pub doc: &'static str,
    /// How to use it: `watch BUILDER`, and what it does.
    pub usage: &'static str,
    /// Whether nobody may use it unless the settings say so.
    pub dangerous: bool,
    /// Does it.
    pub run: fn(&Bot<P>, &Ask<'_>) -> Result<(), Refusal>,
}

impl<P> Clone for Command<P> {
    fn clone(&self) -> Self {
        Self { ..*self }
    }
}

/// Somebody who speaks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// By what rights are given.
    pub identity: Identity,
    /// As people call them.
    pub name: String,
    /// With what they are told apart in the audit log: `alice!~a@host (account alice)`.
    pub full: String,
    /// Whether they may change what the channel is told.
    pub operator: bool,
    /// What they could do to be known, said when something is denied to them; or empty.
    pub advice: &'static str,
}

/// Something that was said to the bot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// Who.
    pub person: Person,
    /// Where; the answer goes there.
    pub place: String,
    /// Whether nobody else is there.
    pub private: bool,
    /// The place as people call it, where that is another word.
    pub room: String,
    /// What.
    pub text: String,
    /// The message, as the protocol names it; or empty.
    pub id: String,
    /// Whether a button of that message was pressed, instead of something being written.
    pub pressed: bool,
    /// What else the protocol knows, for commands of its own.
    pub more: Value,
    /// When, in seconds since 1970.
    pub at: u64,
}

impl Said {
    /// Who asks, for others to read: `alice on #ci`, or `alice` in private.
    pub fn who(&self) -> String {
        if self.private { self.person.name.clone() } else { format!("{} on {}", self.person.name, self.at_place()) }
    }

    /// The place, for others to read.
    pub fn at_place(&self) -> &str {
        if self.room.is_empty() { &self.place } else { &self.room }
    }
}

/// A command that is to be done.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// Who, where and when.
    pub said: &'a Said,
    /// What stands behind the command.
    pub args: &'a str,
}

impl Ask<'_> {
    /// The arguments as words.
    ///
    /// # Errors
    ///
    /// A quote is not closed.
    pub fn words(&self) -> Result<Vec<String>, Refusal> {
        super::split(self.args).map_err(Refusal::new)
    }
}

/// Why a command is not done, for the person.
#[derive(Clone, Debug, PartialEq)]
pub struct Refusal(pub Message);

impl Refusal {
    /// A sentence.
    pub fn new(text: impl Into<String>) -> Self {
        Self(Message::from(text.into()))
    }
}

impl From<Line> for Refusal {
    fn from(line: Line) -> Self {
        Self(line.into())
    }
}

impl<P: Presenter> Bot<P> {
    /// Does what somebody said.
    pub fn hear(&self, said: &Said) -> Result<Outcome, Failure> {
        let text = said.text.trim();
        let (word, args) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let prefix = self.presenter.prefix();
        let Some(word) = word.strip_prefix(prefix).filter(|word| !word.is_empty()) else {
            return self.said_something_else(said, text);
        };
        let name = word.to_lowercase();
        let Some(command) = self.command(&name) else {
            return self.said_something_else(said, text);
        };
        if Channel::load(&said.place).muted && command.name != "unmute" {
            return Ok(Outcome::Skipped(format!("{} is muted", said.place)));
        }
        if !self.authz.allows(command.name, command.dangerous, &said.person.identity) {
            log(Level::Warn, &format!("{} may not use {}, which was asked for by {}", said.person.name, command.name, said.person.full));
            self.reply(said, self.words().denied(&said.person.name, command.name, said.person.advice));
            return Ok(Outcome::Sent);
        }
        log(Level::Info, &format!("{} of {} ({})", command.name, said.who(), said.person.full));
        if let Err(refusal) = (command.run)(self, &Ask { said, args: args.trim() }) {
            self.reply(said, refusal.0);
        }
        Ok(Outcome::Sent)
    }

    fn said_something_else(&self, said: &Said, text: &str) -> Result<Outcome, Failure> {
        if text.is_empty() {
            return Ok(Outcome::Skipped("nothing was said".into()));
        }
        if Channel::load(&said.place).muted {
            return Ok(Outcome::Skipped(format!("{} is muted", said.place)));
        }
        let prefix = self.presenter.prefix();
        if !text.starts_with(prefix) && !said.private {
            return Ok(Outcome::Skipped("it is no command".into()));
        }
        if text.ends_with('!') {
            self.reply(said, self.words().shouted());
        } else {
            let word = text.split_whitespace().next().unwrap_or_default();
            let commands = self.names();
            self.reply(said, self.words().unknown(&readable(word), &commands));
        }
        Ok(Outcome::Sent)
    }

    /// The wording.
    pub fn words(&self) -> &dyn Words {
        self.wording.unwrap_or_else(|| self.presenter.words())
    }

    /// All commands by name, prefix included, sorted.
    pub fn names(&self) -> Vec<String> {
        self.commands().iter().map(|command| format!("{}{}", self.presenter.prefix(), command.name)).collect()
    }

    /// All commands, sorted by name.
    pub fn commands(&self) -> Vec<Command<P>> {
        let mut all = self.more.clone();
        let own: Vec<&str> = all.iter().map(|command| command.name).collect();
        all.extend(self.presenter.commands().into_iter().filter(|command| !own.contains(&command.name)));
        let not: Vec<&str> = all.iter().map(|command| command.name).chain(self.presenter.leaves_out().iter().copied()).collect();
        let core: Vec<_> = commands::core().into_iter().filter(|command| !not.contains(&command.name)).collect();
        all.extend(core);
        all.sort_by_key(|command| command.name);
        all
    }

    /// A command by its name in lower case.
    pub fn command(&self, name: &str) -> Option<Command<P>> {
        self.commands().into_iter().find(|command| command.name == name)
    }

    /// Does a command of the core, for one of the protocol's that adds to it.
    ///
    /// # Errors
    ///
    /// The command's, or that there is none of this name.
    pub fn core(&self, name: &str, ask: &Ask<'_>) -> Result<(), Refusal> {
        match commands::core::<P>().into_iter().find(|command| command.name == name) {
            Some(command) => (command.run)(self, ask),
            None => Err(Line::text("There is no command ").name(name).and(".").into()),
        }
    }

    /// Says something where somebody spoke.
    pub fn reply(&self, said: &Said, message: impl Into<Message>) {
        let mut message = message.into();
        if !said.pressed {
            message.answers.clone_from(&said.id);
        }
        self.presenter.send(&said.place, &message, Self::reply_terms(said));
    }

    /// The terms of a reply: it holds up other replies there, and no announcement.
    pub fn reply_terms(said: &Said) -> Terms {
        Terms::titled(format!("reply to {}", said.who())).expire_after(REPLY_EXPIRES).lane(format!("replies to {}", said.place))
    }

    /// Switches on what the settings say, in the places that they name: when the bot begins.
    pub fn begin(&self) -> Result<Outcome, Failure> {
        if self.notify_events.is_empty() || self.configured.is_empty() {
            return Ok(Outcome::Skipped("the settings switch no events on".into()));
        }
        for place in &self.configured {
            let mut channel = Channel::load(place);
            channel.notify.extend(self.notify_events.iter().cloned());
            if let Err(refusal) = channel.save_beside(place, &self.configured) {
                return Err(Failure::for_good(refusal.0.lines.iter().map(Line::plain).collect::<String>()));
            }
        }
        Ok(Outcome::Skipped(format!("the events of the settings are announced in {}", self.configured.join(", "))))
    }

    /// Whether somebody may change what a channel is told: everybody in private, a channel's operators, and whom the settings name for the command.
    pub fn may_change(&self, said: &Said, command: &str) -> bool {
        said.private || said.person.operator || self.authz.names(command, &said.person.identity)
    }
}

/// What somebody said, fit to be said back.
pub fn readable(text: &str) -> String {
    let clean: String = text.chars().filter(|c| !c.is_control()).collect();
    cut::to_chars(&clean, QUOTED).into_owned()
}
