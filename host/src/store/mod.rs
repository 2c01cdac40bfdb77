//! The store: the journal of events, the units of work made from them, the outbox, and the
//! delivery log. One trait; SQLite is the embedded backend.
//!
//! Writes go through one writer that commits in groups; a method that writes returns when its
//! group is durable. [`Keep::keep`] only queues, but in order: no unit of its event ends before it
//! is durable, and what cannot be written for now is written when there is room again.

mod log;
mod outbox;
mod sqlite;
mod work;

pub use log::{AttemptRow, DeliveryRow, DeliveryStory, Filter, Retention, UnitRow};
pub use outbox::{AttemptLine, Delivery, NewDelivery, Nudged, Rule, RuleVerdict, Settle, Settled, SplitOff};
pub use sqlite::{Look, Mode, SqliteStore};
pub use work::{Cause, DUE, End, Follows, Job, Journalled, NewEvent, NewUnit, Reminder, SOON, TaggedAnswer, Unit, UnitEnd, shared};

use async_trait::async_trait;

use crate::event::{Event, Keep, Rows};

/// What can go wrong in a store.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full, or a quota is used up. Nothing of the group was written; try again later.
    #[error("the state folder is full: {0}; free some room, nothing is lost meanwhile")]
    Full(String),
    /// Anything else.
    #[error("store: {0}")]
    Failed(String),
    /// A recording stands in for the store, and cannot take the event.
    #[error("cannot be recorded: {0}")]
    NotRecorded(String),
}

/// A store's answer.
pub type Result<T> = std::result::Result<T, StoreError>;

/// The store.
#[async_trait]
pub trait Store: Keep {
    /// A source's cursor, as it was last journalled.
    async fn cursor(&self, source: &str) -> Result<Option<String>>;

    /// Journals events and moves the cursor, in one transaction. Events that the journal has already (by id) are left
    /// out, also those that retention has removed since; those that are new come back.
    async fn journal(&self, source: &str, cursor: Option<String>, events: Vec<NewEvent>) -> Result<Vec<Journalled>>;

    /// Which of these event ids the journal has, or had: ids are remembered for 30 days at least.
    async fn known(&self, ids: Vec<String>) -> Result<Vec<String>>;

    /// An event with its kept details.
    async fn event(&self, seq: i64) -> Result<Option<(Event, Vec<(String, Rows)>)>>;

    /// The newest events, or those whose id contains `text`: number and event.
    async fn events(&self, text: Option<&str>, before: Option<i64>, limit: u32) -> Result<Vec<(i64, Event)>>;

    /// Units that wait, in order, with numbers above `after`.
    async fn units(&self, after: i64, limit: u32) -> Result<Vec<Unit>>;

    /// An entry's state.
    async fn state(&self, entry: &str) -> Result<Vec<(String, String)>>;

    /// How many deliveries, and reminders that count as one, an entry has made of an event since this time.
    async fn sent(&self, event: i64, entry: &str, since_ms: i64) -> Result<u32>;

    /// Ends (or postpones) a unit, in one transaction with what it sent and wrote. Answers with what was made:
    /// nothing, and nothing is written, if the unit has ended already.
    /// Which waiting ones they supersede is the delivery engine's to settle.
    async fn end_unit(&self, end: UnitEnd) -> Result<Follows>;

    /// Deliveries that wait, in order, with numbers above `after`.
    async fn waiting(&self, after: i64, limit: u32) -> Result<Vec<Delivery>>;

    /// Waiting deliveries that have a newer one of their supersede key, waiting or not: number, and the newest's. Newer is what
    /// was made from a later event of the journal, or later from the same.
    async fn replaced(&self) -> Result<Vec<(i64, i64)>>;

    /// The newest delivery of this one's supersede key, waiting or not, if there is a newer one.
    async fn newer(&self, id: i64) -> Result<Option<i64>>;

    /// Settles an attempt. Answers with the unit made for a tag. A delivery that has ended stays as it is and only gets
    /// its line; but an end that an attempt came to counts more than an operator's drop while it was under way.
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

    /// Puts the unit back of which a call failed for good, by the number of the dead letter that stands for it. Answers with
    /// an explanation if it does not. [`Store::nudged`] tells the host.
    async fn call_again(&self, id: i64, by: &str) -> Result<std::result::Result<(), String>>;

    /// Makes a waiting delivery a dead letter, dropped by `by`. Answers with an explanation if it does not wait. A unit
    /// for its tag is made when [`Store::nudged`] tells of it.
    async fn drop_delivery(&self, id: i64, by: &str) -> Result<std::result::Result<(), String>>;

    /// Deliveries that operators changed since this was last told. Of those that are `busy` it is told later.
    async fn nudged(&self, busy: Vec<i64>) -> Result<Vec<Nudged>>;

    /// Removes what retention allows. Answers with the number of events and deliveries removed.
    async fn retain(&self, retention: &Retention) -> Result<(u64, u64)>;

    /// Makes everything queued durable, checkpoints and closes.
    async fn close(&self);
}

/// Now, in milliseconds since 1970.
pub fn now_ms() -> i64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX))
}
