//! What the engine's tasks share: one attempt, and the writing of what it led to.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, Semaphore, mpsc, watch};

use super::destination::Pace;
use super::engine::{Answered, Options};
use super::lane_pace::Key;
use super::loud::{self, Loud};
use super::worker::Command;
use super::{Directory, Observer, Transports};
use crate::secret::named;
use crate::store::{Delivery, Result, Settle, Settled, Store, Unit};
use crate::transport::{Answer, Attempt, EndpointKind, FailedKind, LaneLimit, Payload};

/// Deliveries at a time that end without an attempt: that many may expire at once as were ever sent.
const ENDS: usize = 32;

/// Tells the time, in milliseconds since 1970.
pub(super) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

pub(super) struct Shared {
    pub store: Arc<dyn Store>,
    pub transports: Transports,
    pub directory: Arc<dyn Directory>,
    pub observer: Arc<dyn Observer>,
    pub options: Options,
    pub clock: Clock,
    pub answered: OnceLock<Answered>,
    pub stopping: watch::Receiver<bool>,
    /// Deliveries that have not ended.
    pub left: AtomicUsize,
    pub none_left: Notify,
    pub ends: Semaphore,
}

impl Shared {
    pub fn new(
        store: Arc<dyn Store>,
        transports: Transports,
        directory: Arc<dyn Directory>,
        observer: Arc<dyn Observer>,
        (options, clock): (Options, Clock),
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let (left, none_left) = (AtomicUsize::new(0), Notify::new());
        let (answered, ends) = (OnceLock::new(), Semaphore::new(ENDS));
        Self { store, transports, directory, observer, options, clock, answered, stopping, left, none_left, ends }
    }

    pub fn now(&self) -> i64 {
        (self.clock)()
    }

    pub fn one_less(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.none_left.notify_waiters();
        }
    }

    /// Hands on the unit that a tagged delivery's end made.
    pub fn answer(&self, unit: Option<Unit>) {
        if let (Some(unit), Some(answered)) = (unit, self.answered.get()) {
            answered(unit);
        }
    }

    pub fn pace(&self, entry: &str, endpoint: &str) -> Pace {
        match self.directory.endpoint(entry, endpoint) {
            Some((endpoint, _)) => match &endpoint.kind {
                EndpointKind::Http(http) => Pace { most_at_once: http.most_at_once, most_per_minute: http.most_per_minute },
                EndpointKind::Smtp(_) | EndpointKind::Ssh(_) => Pace { most_at_once: Some(4), ..Pace::default() },
                EndpointKind::Irc(_) | EndpointKind::Master(_) => Pace { most_at_once: Some(1), ..Pace::default() },
            },
            None => Pace::default(),
        }
    }

    /// The account that an endpoint uses at its destination, and how fast that may go, if a service counts so. Entries with the same credentials are
    /// one account; others at the destination have nothing to do with it.
    pub fn account(&self, entry: &str, endpoint: &str, destination: &str) -> Option<(Key, [LaneLimit; 1])> {
        let (endpoint, vault) = self.directory.endpoint(entry, endpoint)?;
        let EndpointKind::Http(http) = &endpoint.kind else { return None };
        let most = http.most_per_hour?;
        let mut account = DefaultHasher::new();
        named(&serde_json::to_string(&(&http.auth, &http.headers)).ok()?, vault.as_ref()).hash(&mut account);
        Some(((destination.to_owned(), account.finish().to_string(), String::new()), [LaneLimit { most, seconds: 3_600 }]))
    }

    /// How fast a lane of an endpoint may go.
    pub fn lane_limits(&self, entry: &str, endpoint: &str) -> Vec<LaneLimit> {
        match self.directory.endpoint(entry, endpoint).as_ref().map(|(endpoint, _)| &endpoint.kind) {
            Some(EndpointKind::Http(http)) => http.lane_limits.clone(),
            _ => Vec::new(),
        }
    }

    /// The delivery with its content. None: the store does not have it any more, it does not wait any more, or the
    /// engine stops before it can be read.
    pub async fn whole(&self, id: i64, held: Option<Box<Delivery>>) -> Option<Box<Delivery>> {
        if held.is_some() {
            return held;
        }
        let found = self.read(id, || self.store.waiting(id - 1, 1)).await?;
        found.into_iter().next().filter(|delivery| delivery.id == id).map(Box::new)
    }

    /// The same for an attempt, and the newer delivery that replaces it, if there is one: it may have ended before this one came, and
    /// before the engine started.
    pub async fn for_attempt(&self, id: i64, held: Option<Box<Delivery>>) -> Option<(Box<Delivery>, Option<i64>)> {
        let delivery = self.whole(id, held).await?;
        let newer = match &delivery.new.supersede {
            Some(_) => self.read(id, || self.store.newer(id)).await?,
            None => None,
        };
        Some((delivery, newer))
    }

    /// Reads until the store answers. None: the engine stops before.
    async fn read<T, F: Future<Output = Result<T>>>(&self, id: i64, ask: impl Fn() -> F) -> Option<T> {
        loop {
            match ask().await {
                Ok(found) => return Some(found),
                Err(error) => {
                    tracing::warn!(delivery = id, "it cannot be read yet: {error}");
                    if self.stops_within(Duration::from_secs(1)).await {
                        return None;
                    }
                }
            }
        }
    }

    /// One attempt. One that panics is an attempt without an answer.
    pub async fn attempt(self: &Arc<Self>, delivery: &Arc<Delivery>) -> Answer {
        let (shared, delivery) = (self.clone(), delivery.clone());
        let attempt = tokio::spawn(async move { shared.try_once(&delivery).await });
        attempt.await.unwrap_or_else(|error| Answer::failed(FailedKind::Unknown, format!("the attempt broke off: {error}")))
    }

    /// Tells of an attempt in the log, if the entry wants that.
    pub fn log(&self, delivery: &Delivery, answer: &Answer, settled: &Settled) {
        let loud = self.directory.loud(&delivery.new.entry);
        if loud != Loud::default()
            && let Some(line) = &settled.attempt
        {
            let to = self.directory.endpoint(&delivery.new.entry, &delivery.new.endpoint);
            let to = to.as_ref().map(|(endpoint, vault)| (endpoint.as_ref(), vault.as_ref()));
            loud::log(loud, delivery, to, answer.error.is_none(), line, &settled.settle);
        }
    }

    async fn try_once(&self, delivery: &Delivery) -> Answer {
        let new = &delivery.new;
        let Some((endpoint, vault)) = self.directory.endpoint(&new.entry, &new.endpoint) else {
            if self.directory.is_out(&new.entry) {
                return Answer::failed(FailedKind::NotTried, format!("the entry {:?} cannot run for now, the log says why", new.entry));
            }
            let gone = format!("the settings have no entry {:?} with an endpoint {:?} any more", new.entry, new.endpoint);
            return Answer::failed(FailedKind::Never, gone);
        };
        let transport = match new.payload.as_ref() {
            Payload::Http(_) => &self.transports.http,
            Payload::Smtp(_) => &self.transports.smtp,
            Payload::Irc(_) => &self.transports.irc,
            Payload::Master(_) => &self.transports.master,
            Payload::Ssh(_) => &self.transports.ssh,
        };
        let timeout = match new.payload.as_ref() {
            Payload::Smtp(_) => self.options.mail_timeout,
            _ => self.options.timeout,
        };
        let attempt =
            Attempt { id: &new.uid, entry: &new.entry, title: &new.title, endpoint: &endpoint, payload: &new.payload, vault: vault.as_ref(), timeout };
        // A transport keeps to its time; this is for one that does not.
        match tokio::time::timeout(timeout + self.options.timeout, transport.attempt(attempt)).await {
            Ok(answer) => answer,
            Err(_) => Answer::failed(FailedKind::Unknown, "the attempt took too long"),
        }
    }

    /// Writes what became of a delivery, until the store takes it or the engine stops. `attempt`: it had an attempt's place.
    pub async fn write(&self, delivery: Option<&Delivery>, settled: Settled, attempt: bool, commands: &mpsc::UnboundedSender<Command>) {
        let id = settled.delivery;
        let mut pause = Duration::from_millis(100);
        let mut last = false;
        let unit = loop {
            match self.store.settle(settled.clone()).await {
                Ok(unit) => break unit,
                Err(error) if last => {
                    tracing::error!(delivery = id, "what came of it is not stored, and it is tried again after the restart: {error}");
                    commands.send(Command::Settled { id, again_at: Some(i64::MAX), attempt }).ok();
                    return;
                }
                Err(error) => {
                    tracing::error!(delivery = id, "what came of it cannot be stored yet: {error}");
                    last = self.stops_within(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(30));
                }
            }
        };
        if let Some(delivery) = delivery {
            self.observer.settled(delivery, &settled);
        }
        self.answer(unit);
        let again_at = match settled.settle {
            Settle::Retry { due_ms, .. } => Some(due_ms),
            _ => None,
        };
        commands.send(Command::Settled { id, again_at, attempt }).ok();
    }

    async fn stops_within(&self, pause: Duration) -> bool {
        let mut stopping = self.stopping.clone();
        // An engine that is gone has stopped.
        tokio::time::timeout(pause, stopping.wait_for(|stop| *stop)).await.is_ok()
    }
}
