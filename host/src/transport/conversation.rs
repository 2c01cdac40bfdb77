//! What conversations of all kinds have in common: which are wanted, and where what is heard goes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::Endpoint;
use crate::secret::Vault;
use crate::store::now_ms;

/// How long a store that takes nothing is waited for, in seconds.
const STORE: u32 = 60;

/// Takes what is heard in conversations.
#[async_trait]
pub trait Ears: Send + Sync {
    /// Journals an update for an entry, `at` in seconds since 1970. One with a number is journalled once, however often it comes.
    /// False: it could not be stored.
    async fn heard(self: Arc<Self>, entry: &str, endpoint: &str, at: i64, number: Option<&str>, update: Value) -> bool;
}

/// Hears that a destination can be reached again.
pub type Wake = Arc<dyn Fn(&str) + Send + Sync>;

/// A conversation that is wanted.
pub struct Wanted {
    /// The service entry.
    pub entry: String,
    /// The endpoint.
    pub endpoint: Arc<Endpoint>,
    /// The entry's secrets.
    pub vault: Arc<dyn Vault>,
    /// What of the entry makes it another one: then it begins anew.
    pub made_from: String,
}

impl Wanted {
    fn key(&self) -> (String, String) {
        (self.entry.clone(), self.endpoint.name.clone())
    }

    fn made_from(&self) -> String {
        format!("{:?} {}", self.endpoint, self.made_from)
    }
}

/// Where updates and news go.
#[derive(Clone)]
pub struct Whereto {
    /// Who hears.
    pub ears: Arc<dyn Ears>,
    /// Who wakes deliveries.
    pub wake: Wake,
}

impl Whereto {
    /// Journals an update without a number; one that the store does not take for a minute is gone.
    pub(crate) async fn listen(&self, wanted: &Wanted, mut update: Value) {
        let at = now_ms() / 1_000;
        update["endpoint"] = json!(wanted.endpoint.name);
        update["at"] = json!(at);
        for _ in 0..STORE {
            if self.ears.clone().heard(&wanted.entry, &wanted.endpoint.name, at, None, update.clone()).await {
                return;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Conversations under way, by entry and endpoint.
pub(crate) struct Kept<C>(Mutex<HashMap<(String, String), (String, C)>>);

impl<C> Default for Kept<C> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<C> Kept<C> {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), (String, C)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves alone those that are as wanted already. Answers with those that are to end, and what is to begin then.
    pub(crate) fn change(&self, wanted: Vec<Wanted>) -> (Vec<C>, Vec<Wanted>) {
        let mut kept = self.lock();
        let mut before = std::mem::take(&mut *kept);
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        for wanted in wanted {
            let key = wanted.key();
            match before.remove(&key) {
                Some(same) if same.0 == wanted.made_from() => _ = kept.insert(key, same),
                other => {
                    gone.extend(other.map(|(_, one)| one));
                    new.push(wanted);
                }
            }
        }
        gone.extend(before.into_values().map(|(_, one)| one));
        (gone, new)
    }

    /// One that has begun. `made` makes it from what was wanted.
    pub(crate) fn add(&self, (key, made_from): ((String, String), String), one: C) {
        self.lock().insert(key, (made_from, one));
    }

    /// By what [`Kept::add`] knows it.
    pub(crate) fn place(wanted: &Wanted) -> ((String, String), String) {
        (wanted.key(), wanted.made_from())
    }

    /// Looks at one.
    pub(crate) fn look<T>(&self, entry: &str, endpoint: &str, look: impl FnOnce(&C) -> T) -> Option<T> {
        self.lock().get(&(entry.to_owned(), endpoint.to_owned())).map(|(_, one)| look(one))
    }

    /// Takes all out.
    pub(crate) fn take(&self) -> Vec<C> {
        self.lock().drain().map(|(_, (_, one))| one).collect()
    }
}
