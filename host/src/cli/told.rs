//! What `run` and `test-send` print as it happens.

use serde::Serialize;

use super::output::{Output, Paint, clock, payload_lines, plain};
use crate::transport::Payload;

/// Lines of a content that are shown as it goes out; `deliveries show` has all of it.
const SHOWN: usize = 18;

/// What came of a delivery, or of an event for an entry.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The service entry.
    pub entry: String,
    /// Where to; empty if nothing was sent.
    pub destination: String,
    /// What it is, in one line.
    pub title: String,
    /// What came of it.
    #[serde(flatten)]
    pub came: Came,
    /// The content, where it is worth showing: with `[host] sink`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Payload>,
}

/// What can come of it.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "came", rename_all = "lowercase")]
pub enum Came {
    /// It was delivered.
    Delivered {
        /// HTTP status or SMTP reply code.
        status: u16,
        /// How long the attempt took.
        took_ms: i64,
    },
    /// It will be tried again.
    Retry {
        /// When, in milliseconds since 1970.
        due_ms: i64,
        /// Why.
        why: String,
    },
    /// It is a dead letter.
    Dead {
        /// Why.
        why: String,
    },
    /// A newer one replaced it.
    Superseded {
        /// Which.
        by: i64,
    },
    /// The entry keeps silent about the event.
    Skipped {
        /// Why.
        why: String,
    },
    /// The entry's component failed.
    Failed {
        /// Why.
        why: String,
    },
}

impl Told {
    /// One line: `HH:MM:SS  entry  → destination  title  201 in 12 ms`, and the content. Printed at once: others print as well.
    pub fn print(&self, output: &Output) {
        if output.json() {
            return output.object(self);
        }
        let (paint, came) = match &self.came {
            Came::Delivered { status, took_ms } => (Paint::Good, format!("{status} in {took_ms} ms")),
            Came::Retry { due_ms, why } => (Paint::Doubtful, format!("again in {} s: {why}", (due_ms - self.at_ms).max(0) / 1_000)),
            Came::Dead { why } => (Paint::Bad, format!("dead: {why}")),
            Came::Superseded { by } => (Paint::Dim, format!("superseded by {by}")),
            Came::Skipped { why } => (Paint::Dim, format!("skipped: {why}")),
            Came::Failed { why } => (Paint::Bad, format!("failed: {why}")),
        };
        let arrow = if self.destination.is_empty() { String::new() } else { format!("  → {}", plain(&self.destination)) };
        let time = output.paint(Paint::Dim, &clock(self.at_ms));
        let head = format!("{time}  {}{arrow}  {}  {}", plain(&self.entry), plain(&self.title), output.paint(paint, &plain(&came)));
        let content = self.content.iter().flat_map(|content| payload_lines(content, "    ", SHOWN, output));
        output.line(&std::iter::once(head).chain(content).collect::<Vec<_>>().join("\n"));
    }
}
