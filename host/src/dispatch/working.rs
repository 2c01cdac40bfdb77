//! Working off the lanes: units in their order, when their time and a place for their call have come.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;

use super::places::Places;
use super::{Dispatch, OrderKey};
use crate::store::{Unit, now_ms};

/// The longest sleep until a unit is due, in milliseconds: clocks can be set.
const LOOK_AGAIN_MS: u64 = 60_000;

impl Dispatch {
    /// Takes up units of work.
    pub fn push(self: &Arc<Self>, units: Vec<Unit>) {
        for unit in units {
            self.reminders.add(&unit);
            // Until its time it holds up nobody.
            if unit.is_reminder() && unit.due_ms > now_ms() {
                let key = (unit.entry.clone(), format!("/{}", unit.order));
                if let Some(key) = self.lanes.push_apart(key, unit) {
                    let this = self.clone();
                    tokio::spawn(async move { this.wait_for(key).await });
                }
                continue;
            }
            // Of an entry that cannot run for now nobody knows whether it keeps state.
            let whole = self.entries.load().get(&unit.entry).is_none_or(|entry| entry.plan.state);
            if let Some(key) = self.lanes.push(unit, whole) {
                let this = self.clone();
                tokio::spawn(async move { this.work(key).await });
            }
        }
    }

    /// Takes up a unit that an operator, or the end of a delivery, made: the store may have told of it at the start already.
    pub(super) fn push_once(self: &Arc<Self>, unit: Unit) {
        if !self.lanes.have(&unit) {
            self.push(vec![unit]);
        }
    }

    /// Puts a reminder among other work when it is due.
    async fn wait_for(self: Arc<Self>, key: OrderKey) {
        let mut stop = self.stop.subscribe();
        let Some(unit) = self.lanes.front(&key) else { return };
        tokio::select! {
            () = until(unit.due_ms) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        self.push(vec![unit]);
        self.lanes.pop(&key);
    }

    /// Works off one lane.
    async fn work(self: Arc<Self>, key: OrderKey) {
        let (mut stop, mut look_again) = (self.stop.subscribe(), self.look_again.subscribe());
        let mut next = self.lanes.front(&key);
        while let Some(unit) = next {
            tokio::select! {
                () = until(unit.due_ms) => {}
                () = self.source_answers(&unit), if unit.attempts > 0 => {}
                // Also if it was while the unit was called.
                _ = look_again.changed(), if unit.attempts > 0 => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
            look_again.mark_unchanged();
            let turn = self.turn(&unit.entry).await;
            let Some(place) = self.places(&unit.entry).take(&unit.entry).await else { return };
            let Ok(_under_way) = self.under_way.acquire().await else { return };
            let ended = self.unit(&unit).await;
            drop(place);
            next = match self.commit(ended).await {
                Some((due_ms, cause)) => self.lanes.put_off(&key, due_ms, cause),
                None => self.lanes.pop(&key),
            };
            drop(turn);
        }
    }

    /// The turn of an entry that keeps state: it is called for one thing at a time, in the order in which they came.
    async fn turn(&self, entry: &str) -> Option<OwnedMutexGuard<()>> {
        self.entries.load().get(entry).filter(|entry| entry.plan.state)?;
        let turn = self.turns.lock().unwrap_or_else(PoisonError::into_inner).entry(entry.to_owned()).or_default().clone();
        Some(turn.lock_owned().await)
    }

    /// The places for an entry's calls.
    fn places(&self, entry: &str) -> &Arc<Places> {
        let large = self.entries.load().get(entry).is_some_and(|entry| entry.is_large());
        if large { &self.large_calls } else { &self.calls }
    }

    /// Returns when something has come that the unit's event is being asked for; never, if nothing is, or nothing comes: who
    /// tried again then would never leave a source alone that is away.
    async fn source_answers(&self, unit: &Unit) {
        let asked = self.at_hand.find(unit.event).filter(|details| details.is_fetching());
        let came = match asked {
            Some(details) => details.answered().await,
            None => false,
        };
        if !came {
            std::future::pending::<()>().await;
        }
    }
}

/// Sleeps until `due_ms`, in milliseconds since 1970.
async fn until(due_ms: i64) {
    while let wait @ 1.. = due_ms - now_ms() {
        tokio::time::sleep(Duration::from_millis(wait.unsigned_abs().min(LOOK_AGAIN_MS))).await;
    }
}
