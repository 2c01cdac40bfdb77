//! Deliveries in the outbox, and how they end.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{TaggedAnswer, Unit};
use crate::transport::Payload;

/// A delivery on its way into the outbox.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Stable over all attempts and restarts, and unique: unit, entry and the how manieth, hashed to 32 hex digits.
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
    /// Its number: order of sending. Never used again, also after retention.
    pub id: i64,
    /// The event it was made from.
    pub event: i64,
    /// Attempts so far.
    pub attempts: u32,
    /// How many of these came to a throttle: the remote was well, and wanted fewer.
    pub throttled: u32,
    /// Not before, in milliseconds since 1970.
    pub due_ms: i64,
    /// The rest.
    pub new: NewDelivery,
}

/// A delivery that an operator changed.
#[derive(Clone, Debug)]
pub struct Nudged {
    /// Its number.
    pub id: i64,
    /// It waits now; none: it does not any more.
    pub waits: Option<Delivery>,
    /// The unit for its tag, if it has one and was dropped; of a call's dead letter the unit that is to be called again.
    pub answer: Option<Unit>,
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
        /// Whether the remote only wanted fewer.
        throttled: bool,
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
