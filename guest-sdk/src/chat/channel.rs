//! What is kept of a channel or a private conversation.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::Refusal;
use super::events::EventWord;
use crate::services::state;

const PREFIX: &str = "channel/";
/// Conversations that the settings do not name and that are remembered: each event is held against all of them, and told to all at once.
const MOST: usize = 60;

/// What is kept of a channel or a private conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Channel {
    /// Events that are announced.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub notify: BTreeSet<EventWord>,
    /// Whether nothing is said here.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub muted: bool,
    /// Whether the bot is not there now, and nothing can be said.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub left: bool,
}

impl Channel {
    /// Whether nothing is to be announced here.
    pub fn is_silent(&self) -> bool {
        self.muted || self.left
    }

    /// The bot has left it or comes back: what is switched on stays on, and is not told meanwhile.
    pub fn set_left(id: &str, left: bool) {
        let mut channel = Self::load(id);
        if channel.left != left && !channel.notify.is_empty() {
            channel.left = left;
            state::set(&key(id), serde_json::to_string(&channel).ok().as_deref());
        }
    }

    /// What is known of it.
    pub fn load(id: &str) -> Self {
        state::get(&key(id)).and_then(|kept| serde_json::from_str(&kept).ok()).unwrap_or_default()
    }

    /// Keeps it.
    ///
    /// # Errors
    ///
    /// There are too many already.
    pub fn save(&self, id: &str) -> Result<(), Refusal> {
        self.save_beside(id, &[])
    }

    /// Keeps it. Those of `configured` are always taken, and do not count.
    ///
    /// # Errors
    ///
    /// There are too many others already.
    pub fn save_beside(&self, id: &str, configured: &[String]) -> Result<(), Refusal> {
        let key = key(id);
        if *self == Self::default() {
            state::set(&key, None);
            return Ok(());
        }
        let is_configured = |key: &str| configured.iter().any(|place| *place == key[PREFIX.len()..]);
        if !is_configured(&key) && state::get(&key).is_none() && state::keys(PREFIX).iter().filter(|key| !is_configured(key)).count() >= MOST {
            return Err(Refusal::new(format!("I keep notifications for {MOST} conversations already; somebody has to switch them off elsewhere first.")));
        }
        state::set(&key, serde_json::to_string(self).ok().as_deref());
        Ok(())
    }

    /// All that something is known of.
    pub fn all() -> Vec<(String, Self)> {
        state::keys(PREFIX)
            .into_iter()
            .map(|key| {
                let id = key[PREFIX.len()..].to_owned();
                let channel = Self::load(&id);
                (id, channel)
            })
            .collect()
    }
}

fn key(id: &str) -> String {
    format!("{PREFIX}{id}")
}
