//! What sources see of the host: the journal, with the fan-out made in the same transaction.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use async_trait::async_trait;
use serde_json::Value;

use super::Dispatch;
use crate::event::{Event, HEARD, Kind, Rows};
use crate::source::Journal;
use crate::store::{NewEvent, NewUnit, Result, now_ms};
use crate::transport::Ears;

/// The way into the host for conversations.
#[async_trait]
impl Ears for Dispatch {
    async fn heard(self: Arc<Self>, entry: &str, endpoint: &str, at: i64, number: Option<&str>, update: Value) -> bool {
        let Some(found) = self.entries.load().get(entry).cloned() else { return true };
        if !found.reporter.chats() {
            return true;
        }
        let own = match number {
            Some(number) => number.to_owned(),
            // Unique over restarts.
            None => format!("{}-{}", now_ms(), self.heard.fetch_add(1, Ordering::Relaxed)),
        };
        let short = |name: &str| name[..name.floor_char_boundary(60)].to_owned();
        let id = format!("{HEARD}{}/{}/{own}", short(entry), short(endpoint));
        let event = Event { id, kind: Kind::Heard, source: String::new(), occurred_at: at, late: false, message: update };
        let unit = NewUnit { entry: entry.to_owned(), order: event.order() };
        let new = NewEvent { event: Arc::new(event), details: Vec::new(), units: vec![unit] };
        match self.store.journal("", None, vec![new]).await {
            Ok(journalled) => {
                for event in journalled {
                    self.hold(event.seq, event.event, event.details);
                    self.push(event.units);
                }
                true
            }
            Err(error) => {
                tracing::error!(entry, "what was said cannot be journalled: {error}");
                false
            }
        }
    }
}

/// The way into the host for sources.
pub struct Intake(pub Arc<Dispatch>);

#[async_trait]
impl Journal for Intake {
    async fn cursor(&self, source: &str) -> Result<Option<String>> {
        self.0.store.cursor(source).await
    }

    async fn known(&self, ids: Vec<String>) -> Result<Vec<String>> {
        self.0.store.known(ids).await
    }

    async fn journal(&self, source: &str, cursor: Option<String>, events: Vec<(Event, Vec<(String, Rows)>)>) -> Result<usize> {
        let (entries, out) = (self.0.entries.load_full(), self.0.out.load_full());
        let events = events.into_iter().map(|(event, details)| {
            let following = entries.iter().filter(|(_, entry)| entry.follows(&event));
            let units = following.map(|(name, _)| NewUnit { entry: name.clone(), order: event.order() });
            // What those that cannot run would follow is not known: they see everything when they can.
            let waiting = out.iter().filter(|(_, out)| out.follows.is_empty() || out.follows.contains(&event.source));
            let waiting = waiting.map(|(name, _)| NewUnit { entry: name.clone(), order: event.order() });
            let units = units.chain(waiting.filter(|unit| !entries.contains_key(&unit.entry))).collect();
            NewEvent { event: Arc::new(event), details: details.into_iter().map(|(path, rows)| (path, Arc::new(rows))).collect(), units }
        });
        let journalled = self.0.store.journal(source, cursor, events.collect()).await?;
        let new = journalled.len();
        for event in journalled.into_iter().filter(|event| !event.units.is_empty()) {
            self.0.hold(event.seq, event.event, event.details);
            self.0.push(event.units);
        }
        Ok(new)
    }
}
