//! The engine: one task that decides, and one for each attempt under way.
//!
//! A delivery leaves its lane when what came of it is durable, so that a crash repeats attempts but
//! never reorders a lane.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};

use super::destination::{Destination, Pace};
use super::lanes::Lanes;
use super::settle::{line, settle, without_attempt};
use super::verdict::{Verdict, verdict};
use super::{Directory, Observer, Transports};
use crate::store::{Delivery, Nudged, Result, Settle, Settled, Store, Unit, now_ms};
use crate::transport::{Answer, Attempt, EndpointKind, FailedKind, Payload};

/// How the engine works.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Attempts at a time.
    pub at_once: usize,
    /// How long one attempt may take.
    pub timeout: Duration,
    /// How often the store is asked what operators changed.
    pub nudged_every: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self { at_once: 64, timeout: Duration::from_secs(30), nudged_every: Duration::from_secs(1) }
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

struct Shared {
    store: Arc<dyn Store>,
    transports: Transports,
    directory: Arc<dyn Directory>,
    observer: Arc<dyn Observer>,
    options: Options,
    answered: OnceLock<Answered>,
    /// Deliveries that have not ended.
    left: AtomicUsize,
    none_left: Notify,
}

enum Command {
    Push(Vec<Delivery>),
    /// A waiting delivery has a newer one of its key, which may have ended.
    Replaced { older: i64, newer: i64 },
    /// An attempt ended; its outcome is being written.
    Attempted { destination: String, reached: bool, pause_until: Option<i64> },
    /// An outcome is durable.
    Settled { id: i64, again_at: Option<i64> },
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
        const PAGE: u32 = 1_000;
        let shared = Arc::new(Shared {
            store,
            transports,
            directory,
            observer,
            options,
            answered: OnceLock::new(),
            left: AtomicUsize::new(0),
            none_left: Notify::new(),
        });
        let (commands, received) = mpsc::unbounded_channel();
        let (stop, stopping) = watch::channel(false);
        let (has_stopped, stopped) = watch::channel(false);
        let engine = Self { shared: shared.clone(), commands: commands.clone(), stop, stopped };
        let mut after = 0;
        loop {
            let page = shared.store.waiting(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            engine.push(page);
        }
        // What a newer one has replaced while it was in flight at a crash.
        for (older, newer) in shared.store.replaced().await? {
            engine.commands.send(Command::Replaced { older, newer }).ok();
        }
        let mut worker = Worker { shared, lanes: Lanes::default(), destinations: HashMap::new(), commands, flying: 0, turn: 0 };
        tokio::spawn(async move {
            worker.run(received, stopping).await;
            has_stopped.send_replace(true);
        });
        Ok(engine)
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

    /// Begins no more attempts, and waits for those under way.
    pub async fn drain(&self) {
        self.stop.send_replace(true);
        let mut stopped = self.stopped.clone();
        // An error means that it has ended already.
        stopped.wait_for(|stopped| *stopped).await.ok();
    }
}

struct Worker {
    shared: Arc<Shared>,
    lanes: Lanes,
    destinations: HashMap<String, Destination>,
    commands: mpsc::UnboundedSender<Command>,
    flying: usize,
    turn: usize,
}

impl Worker {
    async fn run(&mut self, mut received: mpsc::UnboundedReceiver<Command>, mut stopping: watch::Receiver<bool>) {
        let mut batch = Vec::new();
        let mut nudges = tokio::time::interval(self.shared.options.nudged_every);
        nudges.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stop = false;
        loop {
            let wake = if stop { None } else { self.dispatch(now_ms()) };
            if stop && self.flying == 0 {
                return;
            }
            let wait = Duration::from_millis(wake.map_or(60_000, |at| u64::try_from(at - now_ms()).unwrap_or_default().min(60_000)));
            tokio::select! {
                count = received.recv_many(&mut batch, 1_000) => {
                    if count == 0 {
                        return;
                    }
                    for command in batch.drain(..) {
                        self.take(command);
                    }
                }
                () = tokio::time::sleep(wait), if !stop => {}
                _ = nudges.tick(), if !stop => self.nudged().await,
                _ = stopping.changed(), if !stop => stop = *stopping.borrow(),
            }
        }
    }

    fn take(&mut self, command: Command) {
        match command {
            Command::Push(deliveries) => deliveries.into_iter().for_each(|delivery| self.push(delivery)),
            Command::Replaced { older, newer } => self.end(older, Settle::Superseded(newer)),
            Command::Attempted { destination, reached, pause_until } => {
                let destination = self.destinations.entry(destination).or_default();
                destination.end(reached, now_ms());
                if let Some(until) = pause_until {
                    destination.pause(until);
                }
            }
            Command::Settled { id, again_at } => {
                self.flying -= 1;
                match again_at {
                    Some(at) => match self.lanes.replaced_by(id) {
                        Some(by) => {
                            self.lanes.again(id, i64::MAX);
                            self.end(id, Settle::Superseded(by));
                        }
                        None => self.lanes.again(id, at),
                    },
                    None => self.gone(id),
                }
            }
        }
    }

    fn push(&mut self, delivery: Delivery) {
        let (id, before) = (delivery.id, self.lanes.len());
        let replaced = self.lanes.push(delivery);
        // Units end side by side: a newer delivery can come in first.
        if let Some(by) = self.lanes.replaced_by(id) {
            self.end(id, Settle::Superseded(by));
        }
        if self.lanes.len() == before {
            // It was there already.
            self.shared.one_less();
        }
        for older in replaced {
            self.end(older, Settle::Superseded(id));
        }
    }

    fn gone(&mut self, id: i64) {
        if let Some(waiting) = self.lanes.get(id)
            && let Some(destination) = self.destinations.get_mut(&waiting.destination)
        {
            destination.ready.remove(&(waiting.due_ms, id));
        }
        if self.lanes.remove(id) {
            self.shared.one_less();
        }
    }

    /// Ends a delivery without an attempt. It is in flight until that is durable, so that nothing else happens to it.
    fn end(&mut self, id: i64, settle: Settle) {
        let Some(waiting) = self.lanes.get(id) else { return };
        if self.lanes.in_flight(id) {
            return;
        }
        let settled = without_attempt(id, waiting.tagged, settle);
        if let Some(destination) = self.destinations.get_mut(&waiting.destination) {
            destination.ready.remove(&(waiting.due_ms, id));
        }
        let held = self.lanes.begin(id);
        self.flying += 1;
        let (shared, commands) = (self.shared.clone(), self.commands.clone());
        tokio::spawn(async move {
            let delivery = shared.whole(id, held).await;
            shared.write(delivery.as_deref(), settled, &commands).await;
        });
    }

    /// Begins what can begin. Answers with the time at which to look again.
    fn dispatch(&mut self, now: i64) -> Option<i64> {
        for id in self.lanes.take_expired(now) {
            self.end(id, Settle::Dead("expired: it was not delivered while it was of use".into()));
        }
        for id in self.lanes.take_due(now) {
            if let Some(waiting) = self.lanes.get(id)
                && !self.lanes.in_flight(id)
            {
                self.destinations.entry(waiting.destination.clone()).or_default().ready.insert((waiting.due_ms, id));
            }
        }
        let mut wake = self.lanes.next();
        let mut begun = Vec::new();
        // Another one is first each time: those that fill all places are not to keep them.
        self.turn = self.turn.wrapping_add(1);
        let mut names: Vec<String> = self.destinations.iter().filter(|(_, it)| !it.ready.is_empty()).map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        let first = self.turn % names.len().max(1);
        names.rotate_left(first);
        for name in &names {
            let Some(destination) = self.destinations.get_mut(name) else { continue };
            while let Some((due, id)) = destination.ready.first().copied() {
                if self.flying + begun.len() >= self.shared.options.at_once {
                    break;
                }
                let pace = self.lanes.get(id).map_or(Pace::default(), |waiting| self.shared.pace(&waiting.entry, &waiting.endpoint));
                match destination.admits(pace, now) {
                    Ok(()) => {
                        destination.ready.remove(&(due, id));
                        destination.begin(pace, now);
                        begun.push((id, name.clone()));
                    }
                    Err(at) => {
                        wake = wake.into_iter().chain(at).min();
                        break;
                    }
                }
            }
        }
        for (id, destination) in begun {
            self.begin(id, destination);
        }
        self.destinations.retain(|_, destination| !destination.is_idle(now));
        wake
    }

    fn begin(&mut self, id: i64, destination: String) {
        let held = self.lanes.begin(id);
        self.flying += 1;
        let (shared, commands) = (self.shared.clone(), self.commands.clone());
        tokio::spawn(async move {
            let Some(delivery) = shared.whole(id, held).await else {
                commands.send(Command::Attempted { destination, reached: true, pause_until: None }).ok();
                commands.send(Command::Settled { id, again_at: None }).ok();
                return;
            };
            let delivery = Arc::new(*delivery);
            let at_ms = now_ms();
            let began = tokio::time::Instant::now();
            // A task of its own: one that panics is an attempt without an answer.
            let attempt = tokio::spawn({
                let (shared, delivery) = (shared.clone(), delivery.clone());
                async move { shared.attempt(&delivery).await }
            });
            let answer = attempt.await.unwrap_or_else(|error| {
                Answer::failed(FailedKind::Unknown, format!("the attempt broke off: {error}"))
            });
            let took = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
            let verdict = verdict(&delivery.new.payload, &answer, &delivery.new.rules, now_ms() / 1_000);
            let pause_until = match &verdict {
                Verdict::Throttle { pause, .. } => Some(now_ms() + i64::try_from(pause.as_millis()).unwrap_or(i64::MAX)),
                _ => None,
            };
            let reached = answer.error.as_ref().is_none_or(|failed| failed.kind == FailedKind::Never);
            commands.send(Command::Attempted { destination, reached, pause_until }).ok();
            let settled = settle(&delivery, &answer, verdict, line(&answer, at_ms, took), now_ms());
            shared.write(Some(&delivery), settled, &commands).await;
        });
    }

    /// Takes up what operators changed beside this host. What is in flight is told when that has ended.
    async fn nudged(&mut self) {
        match self.shared.store.nudged(self.lanes.all_in_flight()).await {
            Ok(changed) => {
                for Nudged { id, waits, answer } in changed {
                    match waits {
                        Some(delivery) => {
                            self.shared.left.fetch_add(1, Ordering::AcqRel);
                            // Dropped and sent again meanwhile, it is due now.
                            self.gone(id);
                            self.push(delivery);
                        }
                        None => self.gone(id),
                    }
                    self.shared.answer(answer);
                }
            }
            Err(error) => tracing::warn!("the store does not say what operators changed: {error}"),
        }
    }
}

impl Shared {
    fn one_less(&self) {
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.none_left.notify_waiters();
        }
    }

    fn answer(&self, unit: Option<Unit>) {
        if let (Some(unit), Some(answered)) = (unit, self.answered.get()) {
            answered(unit);
        }
    }

    fn pace(&self, entry: &str, endpoint: &str) -> Pace {
        match self.directory.endpoint(entry, endpoint) {
            Some((endpoint, _)) => match &endpoint.kind {
                EndpointKind::Http(http) => Pace { most_at_once: http.most_at_once, most_per_minute: http.most_per_minute },
                EndpointKind::Smtp(_) => Pace { most_at_once: Some(4), most_per_minute: None },
            },
            None => Pace::default(),
        }
    }

    /// The delivery with its content. None: the store does not have it any more, or it does not wait any more.
    async fn whole(&self, id: i64, held: Option<Box<Delivery>>) -> Option<Box<Delivery>> {
        if held.is_some() {
            return held;
        }
        loop {
            match self.store.waiting(id - 1, 1).await {
                Ok(found) => return found.into_iter().next().filter(|delivery| delivery.id == id).map(Box::new),
                Err(error) => {
                    tracing::warn!(delivery = id, "it cannot be read yet: {error}");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }

    async fn attempt(&self, delivery: &Delivery) -> Answer {
        let new = &delivery.new;
        let Some((endpoint, vault)) = self.directory.endpoint(&new.entry, &new.endpoint) else {
            let gone = format!("the settings have no entry {:?} with an endpoint {:?} any more", new.entry, new.endpoint);
            return Answer::failed(FailedKind::Never, gone);
        };
        let transport = match new.payload.as_ref() {
            Payload::Http(_) => &self.transports.http,
            Payload::Smtp(_) => &self.transports.smtp,
        };
        let timeout = self.options.timeout;
        let attempt = Attempt { id: &new.uid, endpoint: &endpoint, payload: &new.payload, vault: vault.as_ref(), timeout };
        // A transport keeps to its time; this is for one that does not.
        match tokio::time::timeout(timeout * 2, transport.attempt(attempt)).await {
            Ok(answer) => answer,
            Err(_) => Answer::failed(FailedKind::Unknown, "the attempt took too long"),
        }
    }

    /// Writes what an attempt led to, until the store takes it.
    async fn write(&self, delivery: Option<&Delivery>, settled: Settled, commands: &mpsc::UnboundedSender<Command>) {
        let mut pause = Duration::from_millis(100);
        let unit = loop {
            match self.store.settle(settled.clone()).await {
                Ok(unit) => break unit,
                Err(error) => {
                    tracing::error!(delivery = settled.delivery, "what came of it cannot be stored yet: {error}");
                    tokio::time::sleep(pause).await;
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
        commands.send(Command::Settled { id: settled.delivery, again_at }).ok();
    }
}
