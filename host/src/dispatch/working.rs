//! Working off the lanes: units in their order, when their time and a place for their call have come.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{pending, select_all};

use super::lanes::Next;
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
                if self.lanes.push(key.clone(), unit.clone()) {
                    let this = self.clone();
                    tokio::spawn(async move { this.wait_for(key, unit).await });
                }
                continue;
            }
            let key = self.key(&unit);
            if self.lanes.push(key.clone(), unit) {
                let this = self.clone();
                tokio::spawn(async move { this.work(key).await });
            }
        }
    }

    /// Takes up a unit that an operator, or the end of a delivery, made: the store may have told of it at the start already.
    pub(super) fn push_once(self: &Arc<Self>, unit: Unit) {
        if !self.lanes.have(&self.key(&unit), unit.id) {
            self.push(vec![unit]);
        }
    }

    /// The lane of a unit: one for all events and answers of an entry that keeps state.
    fn key(&self, unit: &Unit) -> OrderKey {
        let whole = self.entries.load().get(&unit.entry).is_some_and(|entry| entry.plan.state);
        (unit.entry.clone(), if whole { String::new() } else { unit.order.clone() })
    }

    /// Puts a reminder among other work when it is due.
    async fn wait_for(self: Arc<Self>, key: OrderKey, unit: Unit) {
        let mut stop = self.stop.subscribe();
        while unit.due_ms > now_ms() {
            tokio::select! {
                () = until(unit.due_ms) => {}
                _ = stop.wait_for(|stop| *stop) => return,
            }
        }
        let order = unit.order.clone();
        self.push(vec![unit]);
        self.lanes.pop(&key, &order);
        // Nothing else is in this lane, which ends here.
        self.lanes.next(&key, now_ms());
    }

    /// Works off one lane.
    async fn work(self: Arc<Self>, key: OrderKey) {
        let mut stop = self.stop.subscribe();
        while !*stop.borrow() {
            // Registered before looking.
            let look_again = self.look_again.notified();
            let unit = match self.lanes.next(&key, now_ms()) {
                None => return,
                Some(Next::Now(unit)) => unit,
                Some(Next::Later { due_ms, put_off, more }) => {
                    tokio::select! {
                        () = until(due_ms) => {}
                        () = more.notified() => {}
                        order = self.source_answers(&put_off) => self.lanes.hasten(&key, Some(order)),
                        () = look_again => self.lanes.hasten(&key, None),
                        _ = stop.wait_for(|stop| *stop) => return,
                    }
                    continue;
                }
            };
            let Some(place) = self.places(&unit.entry).take(&unit.entry).await else { return };
            let Ok(_under_way) = self.under_way.acquire().await else { return };
            let ended = self.unit(&unit).await;
            drop(place);
            match self.commit(ended).await {
                Some((due_ms, cause)) => self.lanes.put_off(&key, &unit.order, due_ms, cause),
                None => self.lanes.pop(&key, &unit.order),
            }
        }
    }

    /// The places for an entry's calls.
    fn places(&self, entry: &str) -> &Arc<Places> {
        let large = self.entries.load().get(entry).is_some_and(|entry| entry.is_large());
        if large { &self.large_calls } else { &self.calls }
    }

    /// Returns when something has come that the event of one of these is being asked for, with its order key; never, if nothing is, or nothing
    /// comes: who tried again then would never leave a source alone that is away.
    async fn source_answers<'a>(&self, put_off: &'a [Unit]) -> &'a str {
        let asked = put_off.iter().filter_map(|unit| {
            let details = self.at_hand.find(unit.event).filter(|details| details.is_fetching())?;
            Some(async move { if details.answered().await { unit.order.as_str() } else { pending().await } }.boxed())
        });
        match asked.collect::<Vec<_>>() {
            none if none.is_empty() => pending().await,
            asked => select_all(asked).await.0,
        }
    }
}

/// Sleeps until `due_ms`, in milliseconds since 1970, or for a minute.
async fn until(due_ms: i64) {
    let wait = u64::try_from(due_ms - now_ms()).unwrap_or_default().min(LOOK_AGAIN_MS);
    tokio::time::sleep(Duration::from_millis(wait)).await;
}
