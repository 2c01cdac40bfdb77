//! Sources: where events come from. A source is a task that journals what it learns, and the
//! [`Fetch`](crate::event::Fetch) through which an event's details are read later.
//!
//! - [`buildbot`]: a Buildbot master, by WebSocket and REST
//! - [`inbox`]: posts from a master's own `HttpStatusPush`, or from any other CI
//! - [`updates`]: what is said to bots, by asking their services or being called by them
//! - [`recording`]: a JSON Lines file that was recorded from either
//!
//! Whatever restarts or is cut off, each event is journalled once: a source may hand in an event as
//! often as it likes, and the journal leaves out what it has by id.

pub mod buildbot;
pub mod inbox;
mod lenient;
#[cfg(test)]
mod memory;
pub mod recording;
pub mod updates;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::event::{Event, Rows};
use crate::secret::{Plain, VaultError};
use crate::store;
use crate::tenant::settings::SecretRef;

/// An event on its way into the journal, with the details that came with it.
pub type Arrived = (Event, Vec<(String, Rows)>);

/// Reads a value of the settings that may be a secret, as it is now: called at each use, so that rotation works.
pub type Reveal = Arc<dyn Fn(&SecretRef) -> Result<Plain, VaultError> + Send + Sync>;

/// Decides who is to see an event, and is told of what was journalled.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Where a source was when it last journalled.
    async fn cursor(&self, source: &str) -> store::Result<Option<String>>;

    /// Which of these event ids the journal has.
    async fn known(&self, ids: Vec<String>) -> store::Result<Vec<String>>;

    /// Journals events with the cursor (none: it stays where it is), in one transaction with their
    /// fan-out. Idempotent by event id. Answers with the number of events that were new.
    async fn journal(&self, source: &str, cursor: Option<String>, events: Vec<Arrived>) -> store::Result<usize>;
}

/// Why a source cannot begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The master's settings cannot work.
    #[error("master {name:?}: {why}")]
    Master {
        /// The source's name.
        name: String,
        /// What is wrong, and what to do about it.
        why: String,
    },
    /// The inbox cannot listen.
    #[error("inbox {name:?} cannot listen on {listen}: {cause}; choose a free address with `listen`")]
    Listen {
        /// The source's name.
        name: String,
        /// The address.
        listen: std::net::SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// The address for webhooks cannot be listened on.
    #[error("webhooks cannot be taken on {listen}: {cause}; choose a free address with `webhooks` in [host]")]
    Webhooks {
        /// The address.
        listen: std::net::SocketAddr,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A file cannot be read or written.
    #[error("recording {file}: {cause}", file = file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What the system said.
        cause: std::io::Error,
    },
    /// A line of a recording is not an event.
    #[error("recording {file}, line {line}: {why}", file = file.display())]
    Line {
        /// The file.
        file: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: String,
    },
}

/// Journals, and tries again for as long as the store cannot take it. None: the host shuts down
/// (nothing is lost, the cursor has not moved).
pub(crate) async fn journal_or_wait(
    journal: &dyn Journal,
    source: &str,
    cursor: Option<String>,
    events: Vec<Arrived>,
    shutdown: &mut watch::Receiver<bool>,
) -> Option<usize> {
    let mut wait = Duration::from_millis(500);
    loop {
        match journal.journal(source, cursor.clone(), events.clone()).await {
            Ok(new) => return Some(new),
            Err(error) => {
                tracing::error!(source, %error, events = events.len(), "cannot journal; trying again in {wait:?}");
            }
        }
        if pause(wait, shutdown).await {
            return None;
        }
        wait = (wait * 2).min(Duration::from_secs(30));
    }
}

/// Waits. True: the host shuts down.
pub(crate) async fn pause(time: Duration, shutdown: &mut watch::Receiver<bool>) -> bool {
    tokio::select! {
        () = tokio::time::sleep(time) => *shutdown.borrow(),
        () = ended(shutdown) => true,
    }
}

/// Returns when the host shuts down.
pub(crate) async fn ended(shutdown: &mut watch::Receiver<bool>) {
    // An error means that whoever could ask for a shutdown is gone.
    let _ = shutdown.wait_for(|down| *down).await;
}

/// Now, in seconds since 1970.
pub(crate) fn now() -> i64 {
    store::now_ms() / 1000
}
