//! Units of work in order: a queue for each (entry, order key).

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::store::{Cause, Unit};

/// A service entry's name, and what its units are ordered by.
pub type OrderKey = (String, String);

/// Queues of units that wait. A queue exists while somebody works it off.
#[derive(Default)]
pub struct Lanes {
    queues: Mutex<HashMap<OrderKey, VecDeque<Unit>>>,
    emptied: Notify,
}

impl Lanes {
    fn queues(&self) -> std::sync::MutexGuard<'_, HashMap<OrderKey, VecDeque<Unit>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a unit. Tells whether the queue is new and nobody works it off yet.
    pub fn push(&self, key: OrderKey, unit: Unit) -> bool {
        let mut queues = self.queues();
        let queue = queues.entry(key).or_default();
        queue.push_back(unit);
        queue.len() == 1
    }

    /// Whether this unit waits there, or is being worked on.
    pub fn have(&self, key: &OrderKey, unit: i64) -> bool {
        self.queues().get(key).is_some_and(|queue| queue.iter().any(|queued| queued.id == unit))
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
