//! Units of work in order: a queue for each (entry, order key).
//!
//! The order key of a unit is that of its build, `SOURCE/buildrequests/12`. An entry that keeps state, or of which nobody knows yet whether it
//! does, has a queue for all of one source. What is no source's begins with a slash: what people say is one queue, an answer or a reminder one each.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::event::HEARD;
use crate::store::{Cause, Unit, shared};

/// A service entry's name, and what its units are ordered by.
pub type OrderKey = (String, String);

type Queues = HashMap<OrderKey, VecDeque<Unit>>;

/// Where a unit can be queued: with all of its source, or with those of its build.
fn keys(unit: &Unit) -> [OrderKey; 2] {
    [shared(&unit.order), &unit.order].map(|order| (unit.entry.clone(), order.to_owned()))
}

fn push(queues: &mut Queues, key: OrderKey, unit: Unit) -> Option<OrderKey> {
    let queue = queues.entry(key.clone()).or_default();
    queue.push_back(unit);
    (queue.len() == 1).then_some(key)
}

/// Queues of units that wait. A queue exists while somebody works it off.
#[derive(Default)]
pub struct Lanes {
    queues: Mutex<Queues>,
    emptied: Notify,
}

impl Lanes {
    fn queues(&self) -> std::sync::MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a unit: `whole`, behind all of its source. So it is as long as others wait there, or it would pass them. Answers with the
    /// queue's key if it is new and nobody works it off yet.
    pub fn push(&self, unit: Unit, whole: bool) -> Option<OrderKey> {
        let [of_source, of_build] = keys(&unit);
        let mut queues = self.queues();
        let key = if whole || of_source.1 == HEARD || queues.contains_key(&of_source) { of_source } else { of_build };
        push(&mut queues, key, unit)
    }

    /// Queues a unit with none but those of the same key.
    pub fn push_apart(&self, key: OrderKey, unit: Unit) -> Option<OrderKey> {
        push(&mut self.queues(), key, unit)
    }

    /// Whether this unit waits, or is being worked on.
    pub fn have(&self, unit: &Unit) -> bool {
        let queues = self.queues();
        keys(unit).iter().filter_map(|key| queues.get(key)).flatten().any(|queued| queued.id == unit.id)
    }

    /// The unit that is next.
    pub fn front(&self, key: &OrderKey) -> Option<Unit> {
        self.queues().get(key).and_then(|queue| queue.front().cloned())
    }

    /// Takes the first unit away, which is done, and tells the next. The queue goes with its last
    /// unit: after none, whoever worked it off must not look at it again.
    pub fn pop(&self, key: &OrderKey) -> Option<Unit> {
        let mut queues = self.queues();
        let queue = queues.get_mut(key)?;
        queue.pop_front();
        let next = queue.front().cloned();
        if next.is_none() {
            queues.remove(key);
            if queues.is_empty() {
                self.emptied.notify_waiters();
            }
        }
        next
    }

    /// The first unit is to be tried again at `due_ms`; it stays the next.
    pub fn put_off(&self, key: &OrderKey, due_ms: i64, cause: Cause) -> Option<Unit> {
        let mut queues = self.queues();
        let unit = queues.get_mut(key).and_then(VecDeque::front_mut)?;
        unit.put_off(due_ms, cause);
        Some(unit.clone())
    }

    /// Whether no unit waits.
    pub fn is_idle(&self) -> bool {
        self.queues().is_empty()
    }

    /// Waits until no unit waits.
    pub async fn idle(&self) {
        loop {
            let emptied = self.emptied.notified();
            tokio::pin!(emptied);
            // Registered before looking, so that the last unit cannot end in between.
            emptied.as_mut().enable();
            if self.is_idle() {
                return;
            }
            emptied.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Job;

    fn unit(id: i64, order: &str) -> Unit {
        let (entry, order) = ("bot".to_owned(), order.to_owned());
        Unit { id, event: id, entry, order, job: Job::Report, made_ms: 0, attempts: 0, failed: 0, waited: 0, due_ms: 0 }
    }

    /// The queues that these come into, by order key, with who is in them.
    fn queued(units: &[(&str, bool)]) -> Vec<(String, Vec<i64>)> {
        let lanes = Lanes::default();
        let mut new = Vec::new();
        for (n, (order, whole)) in units.iter().enumerate() {
            let unit = unit(n as i64, order);
            new.extend(lanes.push(unit.clone(), *whole));
            assert!(lanes.have(&unit));
        }
        let in_it = |key: &OrderKey| lanes.queues()[key].iter().map(|unit| unit.id).collect();
        assert_eq!(new.len(), lanes.queues().len());
        new.into_iter().map(|key| (key.1.clone(), in_it(&key))).collect()
    }

    fn expect(queues: &[(&str, &[i64])]) -> Vec<(String, Vec<i64>)> {
        queues.iter().map(|(order, units)| ((*order).to_owned(), units.to_vec())).collect()
    }

    #[test]
    fn builds_are_apart_unless_state_is_kept_and_what_is_no_sources_is_apart_always() {
        const MAIN: [&str; 3] = ["main/buildrequests/1", "main/buildrequests/2", "main/buildrequests/1"];
        const OTHERS: [&str; 5] = ["west/workers/1", "/heard/bot/server/1", "/heard/bot/server/2", "/answered/1", "/answered/2"];
        let all = |whole| MAIN.iter().chain(&OTHERS).map(|order| (*order, whole)).collect::<Vec<_>>();
        assert_eq!(queued(&all(true)), expect(&[("main/", &[0, 1, 2]), ("west/", &[3]), (HEARD, &[4, 5]), ("/answered/1", &[6]), ("/answered/2", &[7])]));
        let apart = [("main/buildrequests/1", &[0, 2][..]), ("main/buildrequests/2", &[1]), ("west/workers/1", &[3]), (HEARD, &[4, 5])];
        assert_eq!(queued(&all(false))[..4], expect(&apart));
    }

    #[test]
    fn nobody_passes_those_that_waited_while_the_entry_was_not_known() {
        let units = [("main/buildrequests/1", true), ("main/buildrequests/2", false), ("west/buildrequests/1", false)];
        assert_eq!(queued(&units), expect(&[("main/", &[0, 1]), ("west/buildrequests/1", &[2])]));
        let lanes = Lanes::default();
        let key = lanes.push(unit(1, "main/buildrequests/1"), true).unwrap();
        assert!(lanes.pop(&key).is_none() && lanes.is_idle());
        assert_eq!(lanes.push(unit(2, "main/buildrequests/2"), false).unwrap().1, "main/buildrequests/2", "they are gone");
    }
}
