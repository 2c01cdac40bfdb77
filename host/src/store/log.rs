//! The delivery log, as an operator reads it.

use serde::Serialize;

use crate::transport::Payload;

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
    /// The endpoint's name; empty: this is the dead letter of a call, which never came to a delivery.
    pub endpoint: String,
    /// Throttle key; empty as well then.
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
    /// The content, placeholders instead of secrets; none: this is the dead letter of a call.
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
    /// Events of which everything ended longer ago than this, in seconds; with them their deliveries.
    pub age: u64,
    /// The whole store may be this large, in bytes; the oldest that has ended goes first.
    pub size: u64,
}
