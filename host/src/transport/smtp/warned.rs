//! What the operator is told of a relay once, and not with every session.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use super::super::SmtpEndpoint;

/// Relays that are remembered.
const MOST: usize = 1_000;

/// Relays, by host and port, whose encryption failed when it was last tried.
#[derive(Debug, Default)]
pub(super) struct Warned(Mutex<HashSet<(String, u16)>>);

impl Warned {
    /// Encryption failed. Whether that is news.
    pub(super) fn failed(&self, relay: &SmtpEndpoint) -> bool {
        let mut warned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.len() >= MOST {
            warned.clear();
        }
        warned.insert((relay.host.clone(), relay.port))
    }

    /// It worked: the next failure is news again.
    pub(super) fn worked(&self, relay: &SmtpEndpoint) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(relay.host.clone(), relay.port));
    }
}
