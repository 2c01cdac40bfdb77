//! Events in the journal, and the units of work made from them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Delivery, NewDelivery};
use crate::event::{Event, HEARD, Rows};

/// An event on its way into the journal, with the entries that are to see it.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The event.
    pub event: Arc<Event>,
    /// Details that came with it.
    pub details: Vec<(String, Arc<Rows>)>,
    /// One unit of work for each interested entry.
    pub units: Vec<NewUnit>,
}

/// A unit of work to be made: one entry is to see one event.
#[derive(Clone, Debug)]
pub struct NewUnit {
    /// The service entry's name.
    pub entry: String,
    /// Units of one entry with equal keys run in journal order: the build's key below its source's name, or one that begins with a slash
    /// where there is no source.
    pub order: String,
}

/// A unit of work.
#[derive(Clone, Debug)]
pub struct Unit {
    /// Its number, in journal order.
    pub id: i64,
    /// The event's number in the journal.
    pub event: i64,
    /// The service entry's name.
    pub entry: String,
    /// See [`NewUnit::order`].
    pub order: String,
    /// What it is to do.
    pub job: Job,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: i64,
    /// How often it was tried.
    pub attempts: u32,
    /// How often of these for [`Cause::Failed`].
    pub failed: u32,
    /// How often of these for [`Cause::Waited`].
    pub waited: u32,
    /// Not before, in milliseconds since 1970.
    pub due_ms: i64,
}

impl Unit {
    /// Whether it is a reminder, which waits for its time apart from other work.
    pub fn is_reminder(&self) -> bool {
        matches!(&self.job, Job::Answered { answer, .. } if answer.ended == DUE)
    }

    /// Whether what it leads to has a budget of sends of its own.
    pub fn has_own_budget(&self) -> bool {
        self.is_reminder() && !self.order.starts_with(SOON)
    }

    /// Puts it off until `due_ms`, and counts that.
    pub fn put_off(&mut self, due_ms: i64, cause: Cause) {
        self.due_ms = due_ms;
        self.attempts += 1;
        match cause {
            Cause::NotNow => {}
            Cause::Failed => self.failed += 1,
            Cause::Waited => self.waited += 1,
        }
    }
}

/// What a unit of work is tried again for. Each has a count of its own, so that none uses up the tries of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Something it needs cannot be had for now.
    NotNow,
    /// The component failed and said that it may go better later.
    Failed,
    /// It ran out of time waiting.
    Waited,
}

/// What a unit of work calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Job {
    /// `report` with the unit's event.
    Report,
    /// `answered` for a delivery that was sent with a tag.
    Answered {
        /// The tag.
        tag: String,
        /// The answer as the component will see it.
        answer: TaggedAnswer,
    },
}

/// An answer kept for `answered`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaggedAnswer {
    /// HTTP status or SMTP reply code; 0 for none.
    pub status: u16,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The beginning of the body, as text (invalid UTF-8 replaced).
    pub body: String,
    /// `delivered`, `superseded`, `dead`; of a reminder [`DUE`].
    pub ended: String,
}

/// What the order keys of all that can hold each other up begin with: those of one source (`main/`), or of what people say. A key that stands
/// alone is its own.
pub fn shared(order: &str) -> &str {
    match order.find('/') {
        Some(0) if order.starts_with(HEARD) => HEARD,
        Some(0) | None => order,
        Some(slash) => &order[..=slash],
    }
}

/// What the order key of a reminder that counts as a send begins with.
pub const SOON: &str = "/soon/";

/// How the answer ended that a reminder brings.
pub const DUE: &str = "due";

/// A journalled event, and the units made from it.
#[derive(Clone, Debug)]
pub struct Journalled {
    /// Its number in the journal.
    pub seq: i64,
    /// The event.
    pub event: Arc<Event>,
    /// Details that came with it.
    pub details: Vec<(String, Arc<Rows>)>,
    /// Its units.
    pub units: Vec<Unit>,
}

/// What came of a unit of work; committed in one transaction.
#[derive(Clone, Debug)]
pub struct UnitEnd {
    /// The unit.
    pub unit: Unit,
    /// How it ended.
    pub end: End,
    /// What it sent. Empty unless `end` is [`End::Sent`] or [`End::Skipped`].
    pub sends: Vec<NewDelivery>,
    /// Its state writes: key, and value or deletion.
    pub state: Vec<(String, Option<String>)>,
    /// Lines for the operator: level and text.
    pub log: Vec<(String, String)>,
    /// What it is to be reminded of.
    pub reminders: Vec<Reminder>,
    /// The title of a dead letter that stands for the call, where it failed for good and nothing was sent in its place.
    pub letter: Option<String>,
}

/// A call of `answered` at a later time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reminder {
    /// The tag that it comes with.
    pub tag: String,
    /// When, in milliseconds since 1970.
    pub due_ms: i64,
    /// Whether it counts as a send of the event.
    pub soon: bool,
}

/// What was made when a unit of work ended.
#[derive(Clone, Debug, Default)]
pub struct Follows {
    /// Its deliveries.
    pub deliveries: Vec<Delivery>,
    /// Its reminders.
    pub units: Vec<Unit>,
}

/// How a unit of work ended.
#[derive(Clone, Debug)]
pub enum End {
    /// The component sent.
    Sent,
    /// It kept silent, because of this.
    Skipped(String),
    /// To be tried again at this time (milliseconds since 1970).
    Again {
        /// When.
        due_ms: i64,
        /// Why, in words.
        why: String,
        /// Why, to be counted.
        cause: Cause,
    },
    /// It failed for good (the plain built-in message, if any, is among the sends).
    Failed(String),
}
