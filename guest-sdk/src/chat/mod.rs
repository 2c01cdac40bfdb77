//! The core of chat bots: commands, rights, notifications. What a protocol adds is a [`Presenter`].
//!
//! A bot is a [`Bot`] with a presenter, wrapped in a type that implements [`Reporter`] and [`ChatReporter`]:
//!
//! - [`Bot::report`] announces an event in the channels that asked for it;
//! - [`Bot::hear`] does what somebody said, as far as [`Authz`] allows;
//! - [`Bot::answered`] tells what came of an action on a master.
//!
//! A component of one's own adds commands with [`Bot::more`], and words things in another way with [`Bot::wording`]; a protocol of one's own is a
//! [`Presenter`] of one's own.
//!
//! What is kept in the entry's state: `channel/ID` ([`Channel`]), `watch/MASTER/BUILD` and `request/MASTER/REQUEST` (who waits for a result).

mod announce;
mod answer;
mod authz;
mod bot;
mod channel;
mod commands;
mod events;
mod read;
mod shell;
mod text;
mod update;
mod words;

pub use authz::{Authz, Identity, User};
pub use bot::{Ask, Bot, Command, Person, Presenter, Refusal, Said, readable};
pub use channel::Channel;
pub use events::{EventWord, Occasion};
pub use read::{Builder, Builders, Last, Running, rows, shutdown as shutdown_state};
pub use shell::{quote, split};
pub use text::{Button, Line, Message, Span};
pub use update::Update;
pub use words::{Plain, Words, ago, date};

use crate::component::{Failure, Outcome, Reporter};

/// Forcing builds, for protocols that ask for one thing after another.
pub mod force {
    pub use super::commands::force::fields::{Field, Scheduler};
    pub use super::commands::force::{Parameters, reason, schedulers, send};
}

/// A reporter that holds conversations.
pub trait ChatReporter: Reporter {
    /// Something happened in a conversation.
    fn heard(&self, update: &Update) -> Result<Outcome, Failure>;
}

#[cfg(test)]
mod tests;
