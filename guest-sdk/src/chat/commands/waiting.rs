//! Who waits for a build: kept until it ends.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::results::RETRY;
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Request {
    /// Where the result goes.
    pub place: String,
    /// Who made it.
    pub who: String,
    /// The builder, as it is called.
    pub builder: String,
    /// Its buildset, which tells when it ends without a build.
    pub set: u64,
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

    /// The requests of a buildset, with their ids.
    pub fn of_set(master: &str, set: u64) -> Vec<(u64, Self)> {
        let id = |key: &str| key[Self::PREFIX.len()..].split_once('/').filter(|(_, of)| *of == master).and_then(|(id, _)| id.parse().ok());
        let all = state::keys(Self::PREFIX).into_iter().filter_map(|key| id(&key));
        all.filter_map(|id| Some((id, Self::find(master, id)?))).filter(|(_, request)| set != 0 && request.set == set).collect()
    }

    /// It has its result.
    pub fn forget(master: &str, id: u64) {
        state::set(&Self::key(master, id), None);
    }
}

/// Forced builds whose answer is not there yet. What builds do meanwhile is kept ([`Early`]): one of them may be theirs.
pub struct Forcing;

impl Forcing {
    const KEY: &'static str = "forcing";

    /// One more.
    pub fn begin() {
        Self::set(Self::count() + 1);
    }

    /// One has its answer. After the last, what nobody asked for is forgotten.
    pub fn end() {
        Self::set(Self::count().saturating_sub(1));
        if Self::count() == 0 {
            state::keys(Early::PREFIX).iter().for_each(|key| state::set(key, None));
        }
    }

    /// Whether there are any.
    pub fn any() -> bool {
        Self::count() > 0
    }

    fn count() -> u64 {
        state::get(Self::KEY).and_then(|count| count.parse().ok()).unwrap_or_default()
    }

    fn set(count: u64) {
        state::set(Self::KEY, (count > 0).then(|| count.to_string()).as_deref());
    }
}

/// What the build of a request did of which nobody knows yet who made it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Early {
    /// The build's id.
    pub build: u64,
    /// Its number in the builder.
    pub number: u64,
    /// Its page.
    pub url: String,
    /// How it ended, if it has, and the master's words for that.
    pub ended: Option<(u8, String)>,
    /// Where that, or that it began, was told already.
    pub told: BTreeSet<String>,
}

impl Early {
    const PREFIX: &'static str = "early/";

    fn key(master: &str, request: u64) -> String {
        format!("{}{request:020}/{master}", Self::PREFIX)
    }

    /// Keeps it, if somebody may come who waits for it. A build that is to be tried again has not begun.
    pub fn keep(&self, master: &str, request: u64) {
        if Forcing::count() == 0 || request == 0 {
            return;
        }
        let key = Self::key(master, request);
        if self.ended.as_ref().is_some_and(|(results, _)| *results == RETRY) {
            state::set(&key, None);
            return;
        }
        make_room(Self::PREFIX, &key);
        state::set(&key, serde_json::to_string(self).ok().as_deref());
    }

    /// What is known of a request's build, which is forgotten.
    pub fn take(master: &str, request: u64) -> Option<Self> {
        let key = Self::key(master, request);
        let early = serde_json::from_str(&state::get(&key)?).ok();
        state::set(&key, None);
        early
    }
}

/// A buildset that ended without a build, of which nobody knows yet who asked for it.
pub struct EarlySet;

impl EarlySet {
    fn key(master: &str, set: u64) -> String {
        // Goes with what builds did meanwhile.
        format!("{}set/{set:020}/{master}", Early::PREFIX)
    }

    /// Keeps how it ended, if somebody may come who waits for it.
    pub fn keep(master: &str, set: u64, results: Option<u8>) {
        if Forcing::any() {
            let key = Self::key(master, set);
            make_room(Early::PREFIX, &key);
            state::set(&key, serde_json::to_string(&results).ok().as_deref());
        }
    }

    /// How it ended, if it did; which is forgotten.
    pub fn take(master: &str, set: u64) -> Option<Option<u8>> {
        let key = Self::key(master, set);
        let results = serde_json::from_str(&state::get(&key)?).ok();
        state::set(&key, None);
        results
    }
}

fn make_room(prefix: &str, key: &str) {
    let keys = state::keys(prefix);
    if keys.len() >= MOST && !keys.iter().any(|other| other == key) {
        state::set(&keys[0], None);
    }
}
