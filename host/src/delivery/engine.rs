//! The engine: one task that decides, and one for each attempt under way.
//!
//! A delivery leaves its lane when what came of it is durable, so that a crash repeats attempts but
//! never reorders a lane.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::shared::{Clock, Shared};
use super::worker::{Command, Worker};
use super::{Directory, Observer, Transports};
use crate::store::{Delivery, Result, Store, Unit, now_ms};

/// Deliveries that are read at a time when the engine starts.
const PAGE: u32 = 100;

/// How the engine works.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Attempts at a time.
    pub at_once: usize,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// The same for mail, whose transport has limits for each step: to give up before a slow server has answered sends it twice.
    pub mail_timeout: Duration,
    /// How long a drain waits for attempts under way. Those that take longer are made again after the restart.
    pub grace: Duration,
    /// How often the store is asked what operators changed.
    pub nudged_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            at_once: 128,
            timeout: Duration::from_secs(30),
            mail_timeout: Duration::from_secs(30 * 60),
            grace: Duration::from_secs(60),
            nudged_every: Duration::from_secs(1),
        }
    }
}

/// Called with the units of work that answers to tagged deliveries make.
pub type Answered = Arc<dyn Fn(Unit) + Send + Sync>;

/// Delivers what waits in the outbox.
pub struct Engine {
    shared: Arc<Shared>,
    commands: mpsc::UnboundedSender<Command>,
    stop: watch::Sender<bool>,
    stopped: watch::Receiver<bool>,
}

impl Engine {
    /// Starts with everything that waits in the store.
    ///
    /// # Errors
    /// The store's.
    pub async fn start(
        store: Arc<dyn Store>,
        transports: Transports,
        directory: Arc<dyn Directory>,
        observer: Arc<dyn Observer>,
        options: Options,
    ) -> Result<Self> {
        Self::start_by(Arc::new(now_ms), store, transports, directory, observer, options).await
    }

    /// The same by another clock.
    pub(super) async fn start_by(
        clock: Clock,
        store: Arc<dyn Store>,
        transports: Transports,
        directory: Arc<dyn Directory>,
        observer: Arc<dyn Observer>,
        options: Options,
    ) -> Result<Self> {
        let (commands, received) = mpsc::unbounded_channel();
        let (stop, stopping) = watch::channel(false);
        let (has_stopped, stopped) = watch::channel(false);
        let shared = Arc::new(Shared::new(store, transports, directory, observer, (options, clock), stopping.clone()));
        let mut worker = Worker::new(shared.clone(), commands.clone());
        let mut after = 0;
        loop {
            let page = shared.store.waiting(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            shared.left.fetch_add(page.len(), Ordering::AcqRel);
            worker.take(Command::Push(page));
        }
        // What a newer one has replaced while it was in flight at a crash.
        for (older, newer) in shared.store.replaced().await? {
            worker.take(Command::Replaced { older, newer });
        }
        tokio::spawn(async move {
            worker.run(received, stopping).await;
            has_stopped.send_replace(true);
        });
        Ok(Self { shared, commands, stop, stopped })
    }

    /// Where units of work go that answers make. Once, before the first push that has a tag.
    pub fn on_answered(&self, answered: Answered) {
        self.shared.answered.set(answered).ok();
    }

    /// Takes deliveries that were committed to the outbox.
    pub fn push(&self, deliveries: Vec<Delivery>) {
        if deliveries.is_empty() {
            return;
        }
        self.shared.left.fetch_add(deliveries.len(), Ordering::AcqRel);
        // The receiver lives as long as the engine works; after that the store keeps them.
        self.commands.send(Command::Push(deliveries)).ok();
    }

    /// A destination can be reached again: what waits for it is due at once.
    pub fn wake(&self, destination: &str) {
        self.commands.send(Command::Wake { destination: destination.to_owned() }).ok();
    }

    /// Waits until every delivery has ended.
    pub async fn idle(&self) {
        loop {
            let none_left = self.shared.none_left.notified();
            tokio::pin!(none_left);
            none_left.as_mut().enable();
            if self.shared.left.load(Ordering::Acquire) == 0 {
                return;
            }
            none_left.await;
        }
    }

    /// Begins no more attempts, and waits for those under way, but no longer than [`Options::grace`]. What came of one that the store does not take now is
    /// not waited for: it is made again after the restart.
    pub async fn drain(&self) {
        self.stop.send_replace(true);
        let mut stopped = self.stopped.clone();
        // An error means that it has ended already.
        stopped.wait_for(|stopped| *stopped).await.ok();
    }
}
