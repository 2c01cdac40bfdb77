//! The task that decides what is attempted when.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::destination::{Destination, Hold, Pace};
use super::lane_pace::{Key, LanePaces};
use super::lanes::Lanes;
use super::settle::{held_to_least, line, settle, without_attempt};
use super::shared::Shared;
use super::verdict::{Verdict, verdict};
use crate::store::{Delivery, Nudged, Settle};
use crate::transport::FailedKind;

/// The longest that one delivery's throttling holds up others of its destination, in milliseconds: they may have another account there.
pub(super) const LONGEST_PAUSE_MS: i64 = 300_000;

/// How many places have to be free for each attempt under way at a destination, for one more.
const SPARE: usize = 4;
/// An hour, in milliseconds.
const HOUR_MS: i64 = 3_600_000;
/// Destinations that are remembered as answering, and accounts that had to wait.
const REMEMBERED: usize = 10_000;

/// The longest sleep, in milliseconds: clocks can be set.
const LOOK_AGAIN: i64 = 60_000;

/// What the task is told.
pub(super) enum Command {
    /// Deliveries that wait.
    Push(Vec<Delivery>),
    /// A waiting delivery has a newer one of its key, which may have ended.
    Replaced { older: i64, newer: i64 },
    /// A destination can be reached again.
    Wake { destination: String },
    /// An attempt ended; its outcome is being written.
    Attempted { destination: String, reached: bool, pause_until: Option<i64>, why: String },
    /// What had a place for an attempt made none.
    NotAttempted { destination: String, account: Option<Key> },
    /// An outcome is durable; of an attempt, or without one.
    Settled { id: i64, again_at: Option<i64>, attempt: bool },
}

/// The task's own.
pub(super) struct Worker {
    shared: Arc<Shared>,
    lanes: Lanes,
    paces: LanePaces,
    accounts: LanePaces,
    /// Accounts that had to wait for their hour: until when the log need not say so again, and until when a delivery says so.
    over_hour: HashMap<Key, (i64, i64)>,
    destinations: HashMap<String, Destination>,
    commands: mpsc::UnboundedSender<Command>,
    /// Attempts under way or being written.
    attempts: usize,
    /// Ends without an attempt being written.
    ends: usize,
    turn: usize,
    /// Destinations whose last attempt was answered, also those that nothing waits for now.
    answering: HashSet<String>,
}

impl Worker {
    pub fn new(shared: Arc<Shared>, commands: mpsc::UnboundedSender<Command>) -> Self {
        Self {
            shared,
            lanes: Lanes::default(),
            paces: LanePaces::default(),
            accounts: LanePaces::default(),
            over_hour: HashMap::new(),
            destinations: HashMap::new(),
            commands,
            attempts: 0,
            ends: 0,
            turn: 0,
            answering: HashSet::new(),
        }
    }

    /// Works until it is told to stop and nothing is under way any more.
    pub async fn run(&mut self, mut received: mpsc::UnboundedReceiver<Command>, mut stopping: watch::Receiver<bool>) {
        let mut batch = Vec::new();
        let mut nudges = tokio::time::interval(self.shared.options.nudged_every);
        nudges.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut stop = false;
        let mut patience_ends = tokio::time::Instant::now();
        loop {
            let wake = if stop { None } else { self.dispatch(self.shared.now()) };
            if stop && self.attempts + self.ends == 0 {
                return;
            }
            let wait = wake.map_or(LOOK_AGAIN, |at| at.saturating_sub(self.shared.now()).clamp(0, LOOK_AGAIN));
            let wait = Duration::from_millis(wait.unsigned_abs());
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
                // An engine that is gone is one that stops.
                gone = stopping.changed(), if !stop => {
                    stop = gone.is_err() || *stopping.borrow();
                    patience_ends = tokio::time::Instant::now() + self.shared.options.grace;
                }
                () = tokio::time::sleep_until(patience_ends), if stop => {
                    tracing::warn!(attempts = self.attempts, "not waited for any longer; they are made again after the restart");
                    return;
                }
            }
        }
    }

    /// Does what it is told.
    pub fn take(&mut self, command: Command) {
        match command {
            Command::Push(deliveries) => deliveries.into_iter().for_each(|delivery| self.push(delivery)),
            Command::Replaced { older, newer } => self.end(older, Settle::Superseded(newer)),
            Command::Wake { destination } => {
                let now = self.shared.now();
                self.lanes.make_due(&destination, now);
                self.shared.transports.questions.hold(&destination, None, "");
                if let Some(destination) = self.destinations.get_mut(&destination) {
                    destination.reset();
                }
            }
            Command::Attempted { destination, reached, pause_until, why } => {
                let now = self.shared.now();
                self.remember(&destination, reached);
                let until = pause_until.map(|until| until.min(now.saturating_add(LONGEST_PAUSE_MS)));
                match self.destinations.entry(destination.clone()).or_default().ended(reached, until, now) {
                    Some(Hold::Until(until)) => {
                        self.shared.transports.questions.hold(&destination, Some(until), &why);
                        let until = jiff::Timestamp::from_millisecond(until).map_or_else(|_| until.to_string(), |at| at.to_string());
                        tracing::warn!(destination, until, "held, nothing goes there meanwhile: the last attempt came to {why:?}");
                    }
                    Some(Hold::Over) => {
                        self.shared.transports.questions.hold(&destination, None, "");
                        tracing::warn!(destination, "no longer held: deliveries go there again");
                    }
                    None => {}
                }
            }
            Command::NotAttempted { destination, account } => {
                if let Some(account) = account {
                    self.accounts.give_back(&account);
                }
                if let Some(destination) = self.destinations.get_mut(&destination) {
                    destination.not_begun();
                }
            }
            Command::Settled { id, again_at, attempt } => {
                if attempt {
                    self.attempts -= 1;
                } else {
                    self.ends -= 1;
                }
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
        self.ends += 1;
        let (shared, commands) = (self.shared.clone(), self.commands.clone());
        tokio::spawn(async move {
            // Never closed.
            let _one = shared.ends.acquire().await;
            let delivery = shared.whole(id, held).await;
            shared.write(delivery.as_deref(), settled, false, &commands).await;
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
                if let Some(lane) = self.lanes.lane_of(id)
                    && let Err(at) = self.paces.admits(&lane, &self.shared.lane_limits(&waiting.entry, &waiting.endpoint), now)
                {
                    self.lanes.later(id, at);
                    continue;
                }
                self.destinations.entry(waiting.destination.clone()).or_default().ready.insert((waiting.due_ms, id));
            }
        }
        let wake = self.lanes.next();
        let (mut begun, mut over_hour) = (Vec::new(), Vec::new());
        let later = self.choose(now, &mut begun, &mut over_hour);
        for (id, destination, account) in begun {
            self.begin(id, destination, account);
        }
        for (id, at, account, most) in over_hour {
            self.waits_for_its_hour(id, at, account, most, now);
        }
        self.destinations.retain(|name, destination| {
            let idle = destination.is_idle(now);
            if idle && destination.is_held() {
                tracing::warn!(destination = name, "no longer held, and nothing waits for it now");
            }
            !idle
        });
        wake.into_iter().chain(later).min()
    }

    /// One delivery says why it waits, and with it the others of its account; the log says so once an hour.
    fn waits_for_its_hour(&mut self, id: i64, at: i64, account: Key, most: u32, now: i64) {
        if self.over_hour.len() >= REMEMBERED {
            self.over_hour.retain(|_, (told, _)| *told > now);
        }
        let before = self.over_hour.get(&account);
        if before.is_some_and(|(_, until)| *until > now) {
            return;
        }
        let told = before.map(|(told, _)| *told).filter(|told| *told > now);
        let why = format!("its account has made the {most} requests that it may make in an hour (most_per_hour)");
        if told.is_none() {
            let until = jiff::Timestamp::from_millisecond(at).map_or_else(|_| at.to_string(), |at| at.to_string());
            let entry = self.lanes.get(id).map(|waiting| waiting.entry.clone()).unwrap_or_default();
            tracing::warn!(destination = account.0, entry, until, "deliveries wait: {why}");
        }
        self.over_hour.insert(account, (told.unwrap_or(now + HOUR_MS), at));
        self.end(id, Settle::Retry { due_ms: at, why, payload: None, throttled: false });
    }

    fn remember(&mut self, destination: &str, answers: bool) {
        if !answers {
            self.answering.remove(destination);
        } else if !self.answering.contains(destination) {
            if self.answering.len() >= REMEMBERED {
                self.answering.clear();
            }
            self.answering.insert(destination.to_owned());
        }
    }

    /// Chooses what begins now. A free place goes to the destination that has the fewest, and among equals to each in
    /// turn; and a destination gets one more only while some times as many are free as it has already. Those that have not
    /// answered last share half of all places: however many they are, and however long they let wait, the other half is for
    /// those that answer.
    fn choose(&mut self, now: i64, begun: &mut Vec<(i64, String, Option<Key>)>, over_hour: &mut Vec<(i64, i64, Key, u32)>) -> Option<i64> {
        let mut wake: Option<i64> = None;
        self.turn = self.turn.wrapping_add(1);
        let mut names: Vec<String> = self.destinations.iter().filter(|(_, it)| !it.ready.is_empty()).map(|(name, _)| name.clone()).collect();
        names.sort_unstable();
        let first = self.turn % names.len().max(1);
        names.rotate_left(first);
        let in_flight = |name: &String| self.destinations.get(name).map_or(0, |it| it.in_flight);
        let all = self.shared.options.at_once;
        let mut free = all.saturating_sub(self.attempts);
        let silent: usize = self.destinations.iter().filter(|(name, _)| !self.answering.contains(*name)).map(|(_, it)| it.in_flight).sum();
        let mut free_for_silent = (all / 2).saturating_sub(silent);
        let mut asks: BTreeSet<(usize, usize)> = names.iter().enumerate().map(|(rank, name)| (in_flight(name), rank)).collect();
        while free > 0
            && let Some((places, rank)) = asks.pop_first()
        {
            let name = &names[rank];
            let Some(destination) = self.destinations.get_mut(name) else { continue };
            let Some((due, id)) = destination.ready.first().copied() else { continue };
            // Another one has become the head of its lane: this one's turn comes again.
            if !self.lanes.is_head(id) {
                destination.ready.remove(&(due, id));
                asks.insert((places, rank));
                continue;
            }
            let answers = self.answering.contains(name);
            let room = if answers { free } else { free_for_silent.min(free) };
            // It waits for an attempt to end, anybody's.
            if room == 0 || places * SPARE >= room {
                continue;
            }
            let waiting = self.lanes.get(id);
            let pace = waiting.map_or(Pace::default(), |waiting| self.shared.pace(&waiting.entry, &waiting.endpoint));
            let account = waiting.and_then(|waiting| self.shared.account(&waiting.entry, &waiting.endpoint, name));
            // It holds up no other account.
            if let Some((account, limits)) = &account
                && let Err(at) = self.accounts.admits(account, limits, now)
            {
                destination.ready.remove(&(due, id));
                self.lanes.later(id, at);
                over_hour.extend(limits.iter().map(|limit| (id, at, account.clone(), limit.most)));
                wake = wake.into_iter().chain([at]).min();
                asks.insert((places, rank));
                continue;
            }
            match destination.admits(pace, now) {
                Ok(()) => {
                    destination.ready.remove(&(due, id));
                    destination.begin(pace, now);
                    let account = account.map(|(account, limits)| {
                        self.accounts.begin(account.clone(), &limits, now);
                        account
                    });
                    begun.push((id, name.clone(), account));
                    free -= 1;
                    free_for_silent -= usize::from(!answers);
                    asks.insert((places + 1, rank));
                }
                Err(at) => wake = wake.into_iter().chain(at).min(),
            }
        }
        wake
    }

    fn begin(&mut self, id: i64, destination: String, account: Option<Key>) {
        if let Some(lane) = self.lanes.lane_of(id) {
            let limits = self.shared.lane_limits(&lane.0, &lane.1);
            self.paces.begin(lane, &limits, self.shared.now());
        }
        let held = self.lanes.begin(id);
        self.attempts += 1;
        let (shared, commands) = (self.shared.clone(), self.commands.clone());
        tokio::spawn(async move {
            let (delivery, newer) = match shared.for_attempt(id, held).await {
                Some(found) => found,
                None => {
                    commands.send(Command::NotAttempted { destination, account }).ok();
                    commands.send(Command::Settled { id, again_at: None, attempt: true }).ok();
                    return;
                }
            };
            if let Some(newer) = newer {
                commands.send(Command::NotAttempted { destination, account }).ok();
                let settled = without_attempt(id, delivery.new.tag.is_some(), Settle::Superseded(newer));
                shared.write(Some(&delivery), settled, true, &commands).await;
                return;
            }
            let delivery = Arc::new(*delivery);
            let (at_ms, began) = (shared.now(), tokio::time::Instant::now());
            let answer = shared.attempt(&delivery).await;
            let took = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
            let now = shared.now();
            let verdict = held_to_least(verdict(&delivery.new.payload, &answer, &delivery.new.rules, now / 1_000), &delivery);
            let pause_until = match &verdict {
                Verdict::Throttle { pause, .. } => Some(now.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX))),
                _ => None,
            };
            // What is wrong here says nothing about the remote, to which others may send.
            let reached = answer.error.as_ref().is_none_or(|failed| matches!(failed.kind, FailedKind::Never | FailedKind::NotTried));
            let why = match &verdict {
                Verdict::Done => String::new(),
                Verdict::Retry { why, .. } | Verdict::Throttle { why, .. } | Verdict::Dead(why) => why.clone(),
            };
            commands.send(Command::Attempted { destination, reached, pause_until, why }).ok();
            let settled = settle(&delivery, &answer, verdict, line(&answer, at_ms, took), now);
            shared.log(&delivery, &answer, &settled);
            shared.write(Some(&delivery), settled, true, &commands).await;
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
