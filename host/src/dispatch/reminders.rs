//! Which reminders are still to come, by entry: what a component is told, and how many there may be.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{Job, Unit};

/// The tags of reminders, by the numbers of their units and by entry.
#[derive(Default)]
pub struct Reminders(Mutex<HashMap<String, BTreeMap<i64, String>>>);

impl Reminders {
    fn all(&self) -> MutexGuard<'_, HashMap<String, BTreeMap<i64, String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a unit that waits, if it is a reminder; once, however often it is told.
    pub fn add(&self, unit: &Unit) {
        if let (true, Job::Answered { tag, .. }) = (unit.is_reminder(), &unit.job) {
            self.all().entry(unit.entry.clone()).or_default().insert(unit.id, tag.clone());
        }
    }

    /// The unit has ended.
    pub fn remove(&self, unit: &Unit) {
        if !unit.is_reminder() {
            return;
        }
        let mut all = self.all();
        if let Some(tags) = all.get_mut(&unit.entry) {
            tags.remove(&unit.id);
            if tags.is_empty() {
                all.remove(&unit.entry);
            }
        }
    }

    /// The tags of an entry's reminders, but for this unit's.
    pub fn of(&self, entry: &str, but: i64) -> Vec<String> {
        self.all().get(entry).into_iter().flatten().filter(|(unit, _)| **unit != but).map(|(_, tag)| tag.clone()).collect()
    }
}
