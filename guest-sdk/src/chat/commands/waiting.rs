//! Who waits for a build: kept until it ends.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::services::state;

/// Builds and requests that are waited for. What is over goes, the oldest first: a build that ended unheard would stay for ever.
const MOST: usize = 100;

/// A build that somebody watches.
pub struct Build;

impl Build {
    const PREFIX: &'static str = "watch/";

    fn key(master: &str, id: u64) -> String {
        // Numbers of equal length sort by size.
        format!("{}{id:020}/{master}", Self::PREFIX)
    }

    /// Somebody in this place waits for it.
    pub fn add(master: &str, id: u64, place: &str) {
        let key = Self::key(master, id);
        let mut places = Self::places(&key);
        places.insert(place.to_owned());
        make_room(Self::PREFIX, &key);
        state::set(&key, serde_json::to_string(&places).ok().as_deref());
    }

    /// Nobody waits any more; who did.
    pub fn take(master: &str, id: u64) -> BTreeSet<String> {
        let key = Self::key(master, id);
        let places = Self::places(&key);
        if !places.is_empty() {
            state::set(&key, None);
        }
        places
    }

    fn places(key: &str) -> BTreeSet<String> {
        state::get(key).and_then(|kept| serde_json::from_str(&kept).ok()).unwrap_or_default()
    }
}

/// A build request that somebody made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Where the result goes.
    pub place: String,
}

impl Request {
    const PREFIX: &'static str = "request/";

    fn key(master: &str, id: u64) -> String {
        format!("{}{id:020}/{master}", Self::PREFIX)
    }

    /// Remembers it.
    pub fn keep(&self, master: &str, id: u64) {
        let key = Self::key(master, id);
        make_room(Self::PREFIX, &key);
        state::set(&key, serde_json::to_string(self).ok().as_deref());
    }

    /// Who made it.
    pub fn find(master: &str, id: u64) -> Option<Self> {
        serde_json::from_str(&state::get(&Self::key(master, id))?).ok()
    }

    /// It has its result.
    pub fn forget(master: &str, id: u64) {
        state::set(&Self::key(master, id), None);
    }
}

fn make_room(prefix: &str, key: &str) {
    let keys = state::keys(prefix);
    if keys.len() >= MOST && !keys.iter().any(|other| other == key) {
        state::set(&keys[0], None);
    }
}
