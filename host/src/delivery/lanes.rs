//! Lanes: what waits, and in which order. In memory; the store has it all.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::lane_pace::Key;
use crate::store::Delivery;

/// Bytes of deliveries that are held with their content. Others are read again when their turn comes.
const HELD: usize = 32 << 20;
/// What a delivery counts for beside its content.
const FRAME: usize = 1 << 10;
/// Ended supersede keys that are remembered.
const KEYS: usize = 100_000;

/// A lane: an entry, an endpoint and the component's key; a delivery without a key has a lane of its own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Lane {
    Keyed(String, String, String),
    Alone(i64),
}

/// What a delivery of a supersede key is newer by: the event's number in the journal, and among one event's the delivery's own. Units of
/// different events end in any order, so that the outbox alone does not tell.
type Age = (i64, i64);

/// One delivery that waits.
pub(super) struct Waiting {
    lane: Lane,
    pub entry: String,
    pub endpoint: String,
    pub destination: String,
    pub due_ms: i64,
    pub expires_ms: i64,
    pub tagged: bool,
    supersede: Option<(String, String, String)>,
    event: i64,
    /// The whole of it, unless it is too much.
    held: Option<Box<Delivery>>,
}

/// What waits.
#[derive(Default)]
pub(super) struct Lanes {
    waiting: HashMap<i64, Waiting>,
    lanes: HashMap<Lane, VecDeque<i64>>,
    keys: HashMap<(String, String, String), BTreeSet<Age>>,
    /// The newest delivery of each supersede key that was ever taken in: it replaces older ones also after it has ended.
    newest: HashMap<(String, String, String), Age>,
    /// Heads that wait for their time.
    due: BTreeSet<(i64, i64)>,
    expiry: BTreeSet<(i64, i64)>,
    in_flight: HashSet<i64>,
    held: usize,
}

impl Lanes {
    /// Takes a delivery in. Answers with the older ones that it replaces: they wait and are not in flight.
    pub fn push(&mut self, delivery: Delivery) -> Vec<i64> {
        let id = delivery.id;
        if self.waiting.contains_key(&id) {
            return Vec::new();
        }
        let new = &delivery.new;
        let place = |key: &Option<String>| key.clone().map(|key| (new.entry.clone(), new.endpoint.clone(), key));
        let supersede = place(&new.supersede);
        let lane = place(&new.lane).map_or(Lane::Alone(id), |(entry, endpoint, key)| Lane::Keyed(entry, endpoint, key));
        let mut replaced = Vec::new();
        if let Some(key) = &supersede {
            self.forget_keys();
            let age = (delivery.event, id);
            let newest = self.newest.entry(key.clone()).or_insert(age);
            *newest = age.max(*newest);
            let all = self.keys.entry(key.clone()).or_default();
            replaced = all.range(..age).map(|(_, older)| *older).filter(|older| !self.in_flight.contains(older)).collect();
            all.insert(age);
        }
        let (event, due_ms, expires_ms) = (delivery.event, delivery.due_ms, new.expires_ms);
        let (entry, endpoint, destination) = (new.entry.clone(), new.endpoint.clone(), new.destination.clone());
        let tagged = new.tag.is_some();
        let bytes = weight(&delivery);
        let held = (self.held + bytes <= HELD).then(|| Box::new(delivery));
        self.held += held.as_ref().map_or(0, |_| bytes);
        self.expiry.insert((expires_ms, id));
        let queue = self.lanes.entry(lane.clone()).or_default();
        // Redelivered ones have an old number, and their old place.
        let at = queue.iter().rposition(|other| *other < id || self.in_flight.contains(other)).map_or(0, |last| last + 1);
        let head_before = queue.front().copied();
        queue.insert(at, id);
        let head = queue.front().copied();
        self.waiting.insert(id, Waiting { lane, entry, endpoint, destination, due_ms, expires_ms, tagged, supersede, event, held });
        if head != head_before {
            if let Some(before) = head_before.and_then(|before| self.waiting.get(&before).map(|it| (it.due_ms, before))) {
                self.due.remove(&before);
            }
            self.due.insert((due_ms, id));
        }
        replaced
    }

    /// The newest delivery that replaces this one.
    pub fn replaced_by(&self, id: i64) -> Option<i64> {
        let waiting = self.waiting.get(&id)?;
        self.newest.get(waiting.supersede.as_ref()?).filter(|newest| **newest > (waiting.event, id)).map(|(_, newest)| *newest)
    }

    /// Keeps the memory of ended deliveries bounded. After a restart, or this, the store is asked.
    fn forget_keys(&mut self) {
        // Not each time when that many wait.
        if self.newest.len() > KEYS + 2 * self.keys.len() {
            self.newest.retain(|key, _| self.keys.contains_key(key));
        }
    }

    /// A delivery that waits.
    pub fn get(&self, id: i64) -> Option<&Waiting> {
        self.waiting.get(&id)
    }

    /// The lane of a delivery, if it has a key.
    pub fn lane_of(&self, id: i64) -> Option<Key> {
        match &self.waiting.get(&id)?.lane {
            Lane::Keyed(entry, endpoint, key) => Some((entry.clone(), endpoint.clone(), key.clone())),
            Lane::Alone(_) => None,
        }
    }

    /// A head whose time had come is to wait longer.
    pub fn later(&mut self, id: i64, due_ms: i64) {
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.due_ms = due_ms;
            self.due.insert((due_ms, id));
        }
    }

    /// Heads whose time has come; they are the caller's from now on.
    pub fn take_due(&mut self, now: i64) -> Vec<i64> {
        let later = self.due.split_off(&(now + 1, i64::MIN));
        std::mem::replace(&mut self.due, later).into_iter().map(|(_, id)| id).collect()
    }

    /// Makes heads due now that wait for their next attempt at a destination.
    pub fn make_due(&mut self, destination: &str, now: i64) {
        let of = |id: &i64| self.waiting.get(id).is_some_and(|waiting| waiting.destination == destination);
        let later: Vec<(i64, i64)> = self.due.iter().filter(|(due, id)| *due > now && of(id)).copied().collect();
        for (due, id) in later {
            self.due.remove(&(due, id));
            self.due.insert((now, id));
            if let Some(waiting) = self.waiting.get_mut(&id) {
                waiting.due_ms = now;
            }
        }
    }

    /// Deliveries that have expired and are not in flight.
    pub fn take_expired(&mut self, now: i64) -> Vec<i64> {
        let later = self.expiry.split_off(&(now + 1, i64::MIN));
        let expired = std::mem::replace(&mut self.expiry, later);
        expired.into_iter().map(|(_, id)| id).filter(|id| !self.in_flight.contains(id)).collect()
    }

    /// When something is due or expires next.
    pub fn next(&self) -> Option<i64> {
        let first = |set: &BTreeSet<(i64, i64)>| set.first().map(|(at, _)| *at);
        first(&self.due).into_iter().chain(first(&self.expiry)).min()
    }

    /// An attempt begins. Answers with the delivery, if it is held.
    pub fn begin(&mut self, id: i64) -> Option<Box<Delivery>> {
        self.in_flight.insert(id);
        let waiting = self.waiting.get_mut(&id)?;
        self.expiry.remove(&(waiting.expires_ms, id));
        let held = waiting.held.take();
        self.held -= held.as_deref().map_or(0, weight);
        held
    }

    /// An attempt ended, and the delivery waits for the next.
    pub fn again(&mut self, id: i64, due_ms: i64) {
        self.in_flight.remove(&id);
        if let Some(waiting) = self.waiting.get_mut(&id) {
            waiting.due_ms = due_ms;
            self.expiry.insert((waiting.expires_ms, id));
            self.due.insert((due_ms, id));
        }
    }

    /// A delivery has ended. The next of its lane is its head.
    pub fn remove(&mut self, id: i64) -> bool {
        self.in_flight.remove(&id);
        let Some(gone) = self.waiting.remove(&id) else { return false };
        self.held -= gone.held.as_deref().map_or(0, weight);
        self.due.remove(&(gone.due_ms, id));
        self.expiry.remove(&(gone.expires_ms, id));
        if let Some(key) = &gone.supersede
            && let Some(all) = self.keys.get_mut(key)
        {
            all.remove(&(gone.event, id));
            if all.is_empty() {
                self.keys.remove(key);
            }
        }
        if let Some(queue) = self.lanes.get_mut(&gone.lane) {
            let was_head = queue.front() == Some(&id);
            if was_head {
                queue.pop_front();
            } else {
                queue.retain(|other| *other != id);
            }
            match queue.front() {
                None => {
                    self.lanes.remove(&gone.lane);
                }
                Some(head) if was_head => {
                    if let Some(next) = self.waiting.get(head) {
                        self.due.insert((next.due_ms, *head));
                    }
                }
                Some(_) => {}
            }
        }
        true
    }

    /// Whether an attempt at it is being made.
    pub fn in_flight(&self, id: i64) -> bool {
        self.in_flight.contains(&id)
    }

    /// Whether it is the first of its lane.
    pub fn is_head(&self, id: i64) -> bool {
        self.waiting.get(&id).and_then(|waiting| self.lanes.get(&waiting.lane)).is_some_and(|queue| queue.front() == Some(&id))
    }

    /// Bytes of deliveries held with their content.
    #[cfg(test)]
    pub fn held(&self) -> usize {
        self.held
    }

    /// All at which attempts are being made.
    pub fn all_in_flight(&self) -> Vec<i64> {
        self.in_flight.iter().copied().collect()
    }

    /// How many wait, those in flight included.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }
}

fn weight(delivery: &Delivery) -> usize {
    FRAME + delivery.new.payload.weight()
}
