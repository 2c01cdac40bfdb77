//! What sources see of the host: the journal, with the fan-out made in the same transaction.

use std::sync::Arc;

use async_trait::async_trait;

use super::Dispatch;
use crate::event::{Event, Rows};
use crate::source::Journal;
use crate::store::{NewEvent, NewUnit, Result};

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
        let entries = self.0.entries.load_full();
        let events = events.into_iter().map(|(event, details)| {
            let following = entries.iter().filter(|(_, entry)| entry.follows(&event));
            let units = following.map(|(name, entry)| NewUnit { entry: name.clone(), order: entry.order(&event) }).collect();
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
