//! Units of work in order: a queue for each (entry, order key).
//!
//! The units of a queue are worked on one at a time. Of an entry that keeps state all are in one, and each of them has an order key of
//! its own within: those of one key keep their order, and one that waits for its next try holds up its own key and no other.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::store::{Cause, Unit};

/// A service entry's name, and what its units are ordered by.
pub type OrderKey = (String, String);

/// Queues of units that wait. A queue exists while somebody works it off.
#[derive(Default)]
pub struct Lanes {
    queues: Mutex<HashMap<OrderKey, Queue>>,
    emptied: Notify,
}

/// What is to be done with a queue.
pub enum Next {
    /// This unit's turn has come.
    Now(Unit),
    /// Nothing can be done before `due_ms`, unless one of these, which were put off, can be tried earlier; or another unit comes.
    Later {
        /// In milliseconds since 1970.
        due_ms: i64,
        /// The first of each order key.
        put_off: Vec<Unit>,
        /// Tells that another has come.
        more: Arc<Notify>,
    },
}

#[derive(Default)]
struct Queue {
    /// By order key, with their turns.
    orders: HashMap<String, VecDeque<(u64, Unit)>>,
    /// The order keys whose first unit can be worked on, by its turn.
    ready: BTreeMap<u64, String>,
    /// The others, by when their first unit is due, in milliseconds since 1970, and its turn.
    waiting: BTreeMap<(i64, u64), String>,
    /// Counts units.
    turn: u64,
    more: Arc<Notify>,
}

impl Queue {
    fn push(&mut self, unit: Unit) {
        self.turn += 1;
        let units = self.orders.entry(unit.order.clone()).or_default();
        if units.is_empty() {
            self.waiting.insert((unit.due_ms, self.turn), unit.order.clone());
        }
        units.push_back((self.turn, unit));
        self.more.notify_one();
    }

    /// What is next at `now_ms`. None: nothing is left.
    fn next(&mut self, now_ms: i64) -> Option<Next> {
        while let Some(first) = self.waiting.first_entry().filter(|first| first.key().0 <= now_ms) {
            let ((_, turn), order) = first.remove_entry();
            self.ready.insert(turn, order);
        }
        let first = |order: &String| self.orders.get(order).and_then(VecDeque::front).map(|(_, unit)| unit.clone());
        if let Some(unit) = self.ready.values().next().and_then(first) {
            return Some(Next::Now(unit));
        }
        let ((due_ms, _), _) = self.waiting.first_key_value()?;
        let put_off = self.waiting.values().filter_map(first).filter(|unit| unit.attempts > 0).collect();
        Some(Next::Later { due_ms: *due_ms, put_off, more: self.more.clone() })
    }

    /// The first unit of an order key is done.
    fn pop(&mut self, order: &str) {
        let Some(units) = self.orders.get_mut(order) else { return };
        if let Some((turn, _)) = units.pop_front() {
            self.ready.remove(&turn);
        }
        match units.front() {
            Some((turn, unit)) => drop(self.waiting.insert((unit.due_ms, *turn), order.to_owned())),
            None => drop(self.orders.remove(order)),
        }
    }

    fn put_off(&mut self, order: &str, due_ms: i64, cause: Cause) {
        let Some((turn, unit)) = self.orders.get_mut(order).and_then(VecDeque::front_mut) else { return };
        unit.put_off(due_ms, cause);
        self.ready.remove(turn);
        self.waiting.insert((due_ms, *turn), order.to_owned());
    }

    fn hasten(&mut self, which: impl Fn(&str) -> bool) {
        let which: Vec<_> = self.waiting.iter().filter(|(_, order)| which(order)).map(|(at, _)| *at).collect();
        for at in which {
            if let Some(order) = self.waiting.remove(&at) {
                self.ready.insert(at.1, order);
            }
        }
    }
}

impl Lanes {
    fn queues(&self) -> std::sync::MutexGuard<'_, HashMap<OrderKey, Queue>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a unit. Tells whether the queue is new and nobody works it off yet.
    pub fn push(&self, key: OrderKey, unit: Unit) -> bool {
        let mut queues = self.queues();
        let new = !queues.contains_key(&key);
        queues.entry(key).or_default().push(unit);
        new
    }

    /// Whether this unit waits there, or is being worked on.
    pub fn have(&self, key: &OrderKey, unit: i64) -> bool {
        self.queues().get(key).is_some_and(|queue| queue.orders.values().flatten().any(|(_, queued)| queued.id == unit))
    }

    /// What is next at `now_ms`, in milliseconds since 1970. The queue goes with its last unit: after none, whoever worked it off must not look
    /// at it again.
    pub fn next(&self, key: &OrderKey, now_ms: i64) -> Option<Next> {
        let mut queues = self.queues();
        let next = queues.get_mut(key)?.next(now_ms);
        if next.is_none() {
            queues.remove(key);
            if queues.is_empty() {
                self.emptied.notify_waiters();
            }
        }
        next
    }

    /// Takes away the first unit of an order key, which is done.
    pub fn pop(&self, key: &OrderKey, order: &str) {
        if let Some(queue) = self.queues().get_mut(key) {
            queue.pop(order);
        }
    }

    /// The first unit of an order key is to be tried again at `due_ms`; it stays the first.
    pub fn put_off(&self, key: &OrderKey, order: &str, due_ms: i64, cause: Cause) {
        if let Some(queue) = self.queues().get_mut(key) {
            queue.put_off(order, due_ms, cause);
        }
    }

    /// What waits for its time is due: of one order key, or of all.
    pub fn hasten(&self, key: &OrderKey, order: Option<&str>) {
        if let Some(queue) = self.queues().get_mut(key) {
            queue.hasten(|waits| order.is_none_or(|order| waits == order));
        }
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

    fn key() -> OrderKey {
        ("bot".to_owned(), String::new())
    }

    fn pushed(units: &[(i64, &str)]) -> Lanes {
        let lanes = Lanes::default();
        let new: Vec<_> = units.iter().map(|(id, order)| lanes.push(key(), unit(*id, order))).collect();
        assert!(new[0] && !new[1..].contains(&true));
        lanes
    }

    /// The unit whose turn it is at `now_ms`, or when there will be one and which were put off.
    fn next(lanes: &Lanes, now_ms: i64) -> Result<i64, (i64, Vec<i64>)> {
        match lanes.next(&key(), now_ms).expect("something is left") {
            Next::Now(unit) => Ok(unit.id),
            Next::Later { due_ms, put_off, .. } => Err((due_ms, put_off.iter().map(|unit| unit.id).collect())),
        }
    }

    #[test]
    fn units_keep_their_order_whatever_their_keys() {
        let lanes = pushed(&[(1, "a"), (2, "b"), (3, "a"), (4, "c"), (5, "b")]);
        for (id, order) in [(1, "a"), (2, "b"), (3, "a"), (4, "c"), (5, "b")] {
            assert_eq!((next(&lanes, 0), next(&lanes, 0)), (Ok(id), Ok(id)), "until it is done");
            assert!(lanes.have(&key(), id) && !lanes.is_idle());
            lanes.pop(&key(), order);
            assert!(!lanes.have(&key(), id));
        }
        // Until whoever works it off knows that it is empty it is not new.
        assert!(!lanes.push(key(), unit(6, "a")));
        lanes.pop(&key(), "a");
        assert!(lanes.next(&key(), 0).is_none() && lanes.is_idle());
        assert!(lanes.push(key(), unit(7, "a")));
    }

    #[test]
    fn one_that_waits_holds_up_its_own_key_only_and_then_comes_first() {
        let lanes = pushed(&[(1, "a"), (2, "a"), (3, "b"), (4, "c"), (5, "b")]);
        assert_eq!(next(&lanes, 0), Ok(1));
        lanes.put_off(&key(), "a", 1_000, Cause::NotNow);
        assert_eq!(next(&lanes, 999), Ok(3));
        lanes.pop(&key(), "b");
        assert_eq!(next(&lanes, 1_000), Ok(1), "its time has come");
        lanes.put_off(&key(), "a", 3_000, Cause::NotNow);
        assert_eq!(next(&lanes, 1_000), Ok(4));
        lanes.put_off(&key(), "c", 2_000, Cause::Failed);
        assert_eq!(next(&lanes, 1_000), Ok(5));
        lanes.pop(&key(), "b");
        assert_eq!(next(&lanes, 1_000), Err((2_000, vec![4, 1])));
        assert_eq!(next(&lanes, 3_000), Ok(1));
        lanes.pop(&key(), "a");
        assert_eq!(next(&lanes, 3_000), Ok(2));
    }

    #[tokio::test]
    async fn who_waits_is_told_of_another_and_hastened_ones_are_due() {
        let lanes = pushed(&[(1, "a"), (2, "b")]);
        for order in ["a", "b"] {
            next(&lanes, 0).unwrap();
            lanes.put_off(&key(), order, 1_000, Cause::NotNow);
        }
        let Some(Next::Later { more, .. }) = lanes.next(&key(), 0) else { panic!("nothing is due") };
        // Of those before, who was not waiting heard nothing.
        more.notified().await;
        assert!(futures_util::FutureExt::now_or_never(more.notified()).is_none());
        lanes.push(key(), unit(3, "b"));
        more.notified().await;
        assert_eq!(next(&lanes, 0), Err((1_000, vec![1, 2])), "it is behind another");
        lanes.hasten(&key(), Some("b"));
        assert_eq!(next(&lanes, 0), Ok(2));
        lanes.put_off(&key(), "b", 2_000, Cause::NotNow);
        lanes.hasten(&key(), None);
        assert_eq!(next(&lanes, 0), Ok(1));
        lanes.pop(&key(), "a");
        assert_eq!(next(&lanes, 0), Ok(2));
    }
}
