//! `state`: what an entry keeps between its events.

use super::call::{Call, Ended, Phase};
use super::delivery::whole;
use super::reporter::reporter_host::reporter::state::Host;

/// Reminders that one call may ask for.
const REMINDERS: usize = 100;

impl Call {
    /// State belongs to entries whose events are handled one after another.
    fn declared(&self, function: &str) -> Result<(), Ended> {
        self.only(&[Phase::Report], function)?;
        if self.entry.as_ref().is_some_and(|entry| entry.state) {
            return Ok(());
        }
        Err(Ended::Misuse(format!("it called {function}, but its plan's `uses` has no \"state\"")))
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
        let all = self.state_size.unwrap_or_else(|| self.state.iter().map(|(key, value)| size(key, Some(value))).sum());
        let after = all - before + size(&key, value.as_ref());
        if after > self.budget.state_bytes {
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

    fn remind(&mut self, tag: String, after: u32) -> wasmtime::Result<()> {
        self.declared("state.remind")?;
        if self.reminders.len() >= REMINDERS {
            return Err(Ended::Misuse(format!("it asked for more than {REMINDERS} reminders")).into());
        }
        self.reminders.push((whole("a reminder a tag", tag)?, after));
        Ok(())
    }
}
