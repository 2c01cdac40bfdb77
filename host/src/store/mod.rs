//! The store: the journal of events, the units of work made from them, the outbox, and the
//! delivery log. One trait; SQLite is the embedded backend.
//!
//! Writes go through one writer that commits in groups; a method that writes returns when its
//! group is durable. [`Keep::keep`] only queues, but in order: whatever is
//! committed after it was committed with or after it.

mod sqlite;

pub use sqlite::{Mode, SqliteStore};

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::event::{Event, Keep, Rows};
use crate::transport::Payload;

/// What can go wrong in a store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, or a quota is used up. Nothing of the group was written; try again later.
    #[error("the state folder is full: {0}; free some room, nothing is lost meanwhile")]
    Full(String),
    /// Anything else.
    #[error("store: {0}")]
    Failed(String),
}

/// A store's answer.
pub type Result<T> = std::result::Result<T, StoreError>;

/// An event on its way into the journal, with the entries that are to see it.
#[derive(Clone, Debug)]
pub struct NewEvent {
    /// The event.
    pub event: Event,
    /// Details that came with it.
    pub details: Vec<(String, Rows)>,
    /// One unit of work for each interested entry.
    pub units: Vec<NewUnit>,
}

/// A unit of work to be made: one entry is to see one event.
#[derive(Clone, Debug)]
pub struct NewUnit {
    /// The service entry's name.
    pub entry: String,
    /// Units of one entry with equal keys run in journal order: the build's key, or the empty string for all of an entry.
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
    /// How often it was tried.
    pub attempts: u32,
    /// Not before, in milliseconds since 1970.
    pub due_ms: i64,
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
    /// `delivered`, `superseded`, `dead`.
    pub ended: String,
}

/// A journalled event, and the units made from it.
#[derive(Clone, Debug)]
pub struct Journalled {
    /// Its number in the journal.
    pub seq: i64,
    /// The event.
    pub event: Arc<Event>,
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
        /// Why.
        why: String,
    },
    /// It failed for good (the plain built-in message, if any, is among the sends).
    Failed(String),
}

/// A delivery on its way into the outbox.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Stable over all attempts and restarts: `<event id>/<entry>/<n>`, hashed to 32 hex digits.
    pub uid: String,
    /// The service entry.
    pub entry: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// What the throttle counts by; see [`crate::transport::Endpoint::destination`].
    pub destination: String,
    /// The lane's key; none for no order.
    pub lane: Option<String>,
    /// The supersede key.
    pub supersede: Option<String>,
    /// The tag that asks for the answer.
    pub tag: Option<String>,
    /// One line for the log.
    pub title: String,
    /// When it is of no use any more, in milliseconds since 1970.
    pub expires_ms: i64,
    /// The content.
    pub payload: Arc<Payload>,
    /// How to read certain answers.
    pub rules: Vec<Rule>,
}

/// See `delivery.rule` in the contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rule {
    /// Lowest status.
    pub from: u16,
    /// Highest status.
    pub to: u16,
    /// Part of the body, or empty.
    pub contains: String,
    /// What it means.
    pub verdict: RuleVerdict,
}

/// See `delivery.verdict` in the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleVerdict {
    /// Delivered.
    Done,
    /// Try again.
    Retry,
    /// Dead letter.
    Dead,
    /// Pause the destination for so many seconds.
    Throttle(u32),
}

/// A delivery in the outbox.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its number: order of sending.
    pub id: i64,
    /// The event it was made from.
    pub event: i64,
    /// Attempts so far.
    pub attempts: u32,
    /// Not before, in milliseconds since 1970.
    pub due_ms: i64,
    /// The rest.
    pub new: NewDelivery,
}

/// What an attempt, or the lack of one, led to.
#[derive(Clone, Debug)]
pub enum Settle {
    /// Delivered.
    Delivered,
    /// Replaced by this newer delivery.
    Superseded(i64),
    /// A dead letter, because of this.
    Dead(String),
    /// To be tried again; the payload is replaced if some recipients are done.
    Retry {
        /// When, in milliseconds since 1970.
        due_ms: i64,
        /// Why.
        why: String,
        /// What is left of it.
        payload: Option<Arc<Payload>>,
    },
}

/// One line of a delivery's story.
#[derive(Clone, Debug)]
pub struct Settled {
    /// The delivery.
    pub delivery: i64,
    /// When the attempt began, in milliseconds since 1970; none if there was none.
    pub attempt: Option<AttemptLine>,
    /// What follows.
    pub settle: Settle,
    /// Results that differ by recipient: address, and how that one ended. Each becomes a delivery of
    /// its own in the log, delivered or dead, beside this one.
    pub split: Vec<SplitOff>,
    /// A unit for the answer, if the delivery has a tag and has ended.
    pub answer: Option<TaggedAnswer>,
}

/// A recipient whose result is final while others wait, or differs from theirs.
#[derive(Clone, Debug)]
pub struct SplitOff {
    /// The delivery that it was a part of.
    pub of: NewDelivery,
    /// The event's number.
    pub event: i64,
    /// The payload with this recipient only.
    pub payload: Arc<Payload>,
    /// The title of its line in the log.
    pub title: String,
    /// None: delivered; some: a dead letter, because of this.
    pub dead: Option<String>,
}

/// One attempt, for the log.
#[derive(Clone, Debug)]
pub struct AttemptLine {
    /// When it began, in milliseconds since 1970.
    pub at_ms: i64,
    /// How long it took.
    pub took_ms: i64,
    /// The status, or 0.
    pub status: u16,
    /// The answer's beginning or the error, scrubbed, at most 2,000 characters.
    pub text: String,
}

/// A delivery as an operator sees it.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryRow {
    /// Its number.
    pub id: i64,
    /// `waiting`, `delivered`, `superseded`, `dead`.
    pub state: String,
    /// The service entry.
    pub entry: String,
    /// The event's id.
    pub event: String,
    /// The endpoint's name and destination.
    pub endpoint: String,
    /// Throttle key.
    pub destination: String,
    /// The line that says what it is.
    pub title: String,
    /// Stable id.
    pub uid: String,
    /// The lane.
    pub lane: Option<String>,
    /// Attempts so far.
    pub attempts: u32,
    /// When it was queued, in milliseconds since 1970.
    pub queued_ms: i64,
    /// When it is due, if it waits.
    pub due_ms: Option<i64>,
    /// When it ended.
    pub ended_ms: Option<i64>,
    /// Why it is dead or waits, or by which it was superseded.
    pub why: Option<String>,
}

/// One delivery whole: its row, its attempts and its content.
#[derive(Clone, Debug, Serialize)]
pub struct DeliveryStory {
    /// The row.
    #[serde(flatten)]
    pub row: DeliveryRow,
    /// Attempts, the oldest first.
    pub log: Vec<AttemptRow>,
    /// The content, placeholders instead of secrets; none once retention has removed it.
    pub payload: Option<Payload>,
}

/// An attempt as an operator sees it.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptRow {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// How long.
    pub took_ms: i64,
    /// Status, or 0.
    pub status: u16,
    /// What came back.
    pub text: String,
}

/// What one entry did with one event.
#[derive(Clone, Debug, Serialize)]
pub struct UnitRow {
    /// The event's id.
    pub event: String,
    /// The event's kind.
    pub kind: String,
    /// The service entry.
    pub entry: String,
    /// `waiting`, `sent`, `skipped`, `failed`.
    pub state: String,
    /// Because of what.
    pub why: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it ended, in milliseconds since 1970.
    pub ended_ms: Option<i64>,
    /// What the component wrote: level and text.
    pub log: Vec<(String, String)>,
    /// The numbers of its deliveries.
    pub deliveries: Vec<i64>,
}

/// Which deliveries to list.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Only in this state.
    pub state: Option<String>,
    /// Only of this entry.
    pub entry: Option<String>,
    /// Only of events whose id contains this.
    pub event: Option<String>,
    /// Only where title, destination, why or payload contains this.
    pub text: Option<String>,
    /// Only with numbers below this (for paging).
    pub before: Option<i64>,
    /// At most so many, the newest first.
    pub limit: u32,
}

/// What may be thrown away.
#[derive(Clone, Debug)]
pub struct Retention {
    /// Ended deliveries and finished events older than this, in seconds.
    pub age: u64,
    /// The whole store may be this large, in bytes; the oldest that has ended goes first.
    pub size: u64,
}

/// The store.
#[async_trait]
pub trait Store: Keep {
    /// A source's cursor, as it was last journalled.
    async fn cursor(&self, source: &str) -> Result<Option<String>>;

    /// Journals events and moves the cursor, in one transaction. Events that the journal has already (by id) are left
    /// out, whatever happened in between; those that are new come back.
    async fn journal(&self, source: &str, cursor: Option<String>, events: Vec<NewEvent>) -> Result<Vec<Journalled>>;

    /// Which of these event ids the journal has.
    async fn known(&self, ids: Vec<String>) -> Result<Vec<String>>;

    /// An event with its kept details.
    async fn event(&self, seq: i64) -> Result<Option<(Event, Vec<(String, Rows)>)>>;

    /// The newest events, or those whose id contains `text`: number and event.
    async fn events(&self, text: Option<&str>, before: Option<i64>, limit: u32) -> Result<Vec<(i64, Event)>>;

    /// Units that wait, in order, with numbers above `after`.
    async fn units(&self, after: i64, limit: u32) -> Result<Vec<Unit>>;

    /// An entry's state.
    async fn state(&self, entry: &str) -> Result<Vec<(String, String)>>;

    /// Ends (or postpones) a unit, in one transaction with what it sent and wrote. Answers with the deliveries made.
    /// Which waiting ones they supersede is the delivery engine's to settle.
    async fn end_unit(&self, end: UnitEnd) -> Result<Vec<Delivery>>;

    /// Deliveries that wait, in order, with numbers above `after`.
    async fn waiting(&self, after: i64, limit: u32) -> Result<Vec<Delivery>>;

    /// Waiting deliveries that have a newer one of their supersede key, waiting or not: number, and the newest's.
    async fn replaced(&self) -> Result<Vec<(i64, i64)>>;

    /// Settles an attempt. Answers with the unit made for a tag.
    async fn settle(&self, settled: Settled) -> Result<Option<Unit>>;

    /// Deliveries, the newest first.
    async fn deliveries(&self, filter: Filter) -> Result<Vec<DeliveryRow>>;

    /// One delivery whole.
    async fn delivery(&self, id: i64) -> Result<Option<DeliveryStory>>;

    /// Units of events whose id contains `event`, the newest first.
    async fn explain(&self, event: &str, entry: Option<&str>, limit: u32) -> Result<Vec<UnitRow>>;

    /// Puts a dead (or delivered, or with `insist` superseded) delivery back in the outbox, due now, expiring at `expires_ms`.
    /// Answers with an explanation if it does not.
    async fn redeliver(&self, id: i64, insist: bool, expires_ms: i64, by: &str) -> Result<std::result::Result<Delivery, String>>;

    /// Makes a waiting delivery a dead letter, dropped by `by`. Answers with an explanation if it does not wait.
    async fn drop_delivery(&self, id: i64, by: &str) -> Result<std::result::Result<(), String>>;

    /// Deliveries that operators changed beside this host since the last call: now waiting (some), or not (none).
    async fn nudged(&self) -> Result<Vec<(i64, Option<Delivery>)>>;

    /// Removes what retention allows. Answers with the number of events and deliveries removed.
    async fn retain(&self, retention: &Retention) -> Result<(u64, u64)>;

    /// Makes everything queued durable, checkpoints and closes.
    async fn close(&self);
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
