//! Delivery: takes what the outbox holds lane by lane to the transports, reads the answers, and
//! settles each delivery as delivered, superseded or dead letter. How, for operators: docs/delivery.md.

mod backoff;
mod destination;
mod engine;
mod lane_pace;
mod lanes;
mod loud;
mod questions;
mod settle;
mod shared;
#[cfg(test)]
mod tests;
mod verdict;
mod worker;

pub use backoff::Backoff;
pub use engine::{Engine, Options};
pub use loud::Loud;
pub use questions::Questions;
pub use verdict::{Verdict, verdict};

use std::sync::Arc;

use crate::secret::Vault;
use crate::store::{Delivery, Settled};
use crate::transport::{Endpoint, Transport};

/// The transports by kind of payload.
pub struct Transports {
    /// HTTP.
    pub http: Arc<dyn Transport>,
    /// SMTP.
    pub smtp: Arc<dyn Transport>,
    /// IRC.
    pub irc: Arc<dyn Transport>,
    /// Control calls on masters.
    pub master: Arc<dyn Transport>,
    /// SSH.
    pub ssh: Arc<dyn Transport>,
    /// What goes past deliveries, and hears when a destination is held.
    pub questions: Arc<Questions>,
}

/// Knows the entries in force.
pub trait Directory: Send + Sync {
    /// An entry's endpoint and its secrets; none if the settings do not have it any more.
    fn endpoint(&self, entry: &str, endpoint: &str) -> Option<(Arc<Endpoint>, Arc<dyn Vault>)>;

    /// Whether an entry cannot run for now, so that nobody knows its endpoints.
    fn is_out(&self, _entry: &str) -> bool {
        false
    }

    /// What the log says of an entry's attempts.
    fn loud(&self, _entry: &str) -> Loud {
        Loud::default()
    }
}

/// Hears what came of deliveries.
pub trait Observer: Send + Sync {
    /// An attempt was made and what it led to is durable, or a delivery ended without one.
    fn settled(&self, delivery: &Delivery, settled: &Settled);
}
