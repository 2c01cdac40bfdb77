//! `state`: what an entry keeps between its events.

use super::call::{Call, Ended, Phase};
use super::delivery::whole;
use super::reporter::reporter_host::reporter::state::Host;

/// Reminders that one call may ask for, and that may wait of one entry.
const REMINDERS: usize = 100;
const WAITING: usize = 1_000;
/// Seconds from which on what a reminder leads to has a budget of sends of its own: that is no conversation that feeds itself.
pub const OWN_BUDGET: u32 = 60;

impl Call {
    /// State belongs to entries that are called for one thing at a time.
    fn declared(&self, function: &str) -> Result<(), Ended> {
        self.only(&[Phase::Report], function)?;
        if self.entry.as_ref().is_some_and(|entry| entry.state) {
            return Ok(());
        }
        Err(Ended::Misuse(format!("it called {function}, but its plan's `uses` has no \"state\"")))
    }

    /// Bytes of the state with the writes of this call.
    fn size(&self) -> u64 {
        self.state_size.unwrap_or_else(|| self.state.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum())
    }

    fn value(&self, key: &str) -> Option<&String> {
        match self.writes.get(key) {
            Some(written) => written.as_ref(),
            None => self.state.get(key),
        }
    }
}

impl Host for Call {
    fn get(&mut self, key: String) -> wasmtime::Result<Option<String>> {
        self.declared("state.get")?;
        let value = self.value(&key).cloned();
        self.budget.read(value.as_ref().map_or(0, String::len))?;
        Ok(value)
    }

    fn set(&mut self, key: String, value: Option<String>) -> wasmtime::Result<()> {
        self.declared("state.set")?;
        if value.is_none() && !self.state.contains_key(&key) {
            // Nothing to delete but what this call wrote; a list of made-up keys would be the host's memory.
            let written = self.writes.remove(&key).flatten().map_or(0, |old| (key.len() + old.len()) as u64);
            self.state_size = self.state_size.map(|all| all - written);
            return Ok(());
        }
        let size = |key: &str, value: Option<&String>| value.map_or(0, |value| key.len() + value.len()) as u64;
        let before = size(&key, self.value(&key));
        let all = self.size();
        let after = all - before + size(&key, value.as_ref());
        // What was kept when there was more room can be taken out.
        if after > self.budget.state_bytes && after > all {
            return Err(Ended::Limit("state_kib").into());
        }
        self.state_size = Some(after);
        self.writes.insert(key, value);
        Ok(())
    }

    fn keys(&mut self, prefix: String) -> wasmtime::Result<Vec<String>> {
        self.declared("state.keys")?;
        let all: std::collections::BTreeSet<&String> = self.state.keys().chain(self.writes.keys()).collect();
        let keys: Vec<String> = all.into_iter().filter(|key| key.starts_with(&prefix) && self.value(key).is_some()).cloned().collect();
        self.budget.read(keys.iter().map(String::len).sum())?;
        Ok(keys)
    }

    fn room(&mut self) -> wasmtime::Result<u64> {
        self.declared("state.room")?;
        Ok(self.budget.state_bytes.saturating_sub(self.size()))
    }

    fn awaits(&mut self, tag: String) -> wasmtime::Result<bool> {
        self.declared("state.awaits")?;
        Ok(self.awaited.contains(&tag) || self.reminders.iter().any(|(asked, _)| *asked == tag))
    }

    fn remind(&mut self, tag: String, after: u32) -> wasmtime::Result<()> {
        self.declared("state.remind")?;
        if self.reminders.len() >= REMINDERS {
            return Err(Ended::Misuse(format!("it asked for more than {REMINDERS} reminders")).into());
        }
        if self.awaited.len() + self.reminders.len() >= WAITING {
            return Err(Ended::Misuse(format!("it asked for a reminder while {WAITING} of its entry wait; more there cannot be")).into());
        }
        if after < OWN_BUDGET {
            self.budget.count_send()?;
        }
        self.reminders.push((whole("a reminder a tag", tag)?, after));
        Ok(())
    }
}
