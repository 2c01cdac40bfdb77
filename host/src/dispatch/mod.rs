//! Fan-out: shows each journalled event to the entries that follow it, and commits what came of it.
//!
//! A unit of work is one entry and one event. Units of one entry with the same order key, and all of an entry that keeps state, run one
//! after another ([`lanes`]); everything else runs side by side, as far as there are places ([`places`]), so that a slow entry delays
//! nobody else. A call that waits for the event's source gives its place up, and is made again when the source has answered.

mod at_hand;
mod fallback;
mod journal;
mod lanes;
mod places;
mod reminders;
mod tries;
mod working;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, watch};

use crate::LOUD;
use crate::contract::{EntryView, OWN_BUDGET};
use crate::delivery::{Directory, Engine, Loud};
use crate::event::{Details, Event, Fetch, FetchError, Kind, Rows};
use crate::sandbox::{Loader, Occasion, Outcome, Ran, RunError, Snapshots};
use crate::secret::Vault;
use crate::store::{Cause, End, Job, Reminder, Store, StoreError, Unit, UnitEnd, now_ms};
use crate::tenant::Entry;
use crate::tenant::settings::KeptOut;
use crate::transport::Endpoint;

use at_hand::AtHand;
pub use fallback::plain;
pub use journal::Intake;
pub use lanes::OrderKey;
use places::Places;
use reminders::Reminders;

/// Calls at a time, for all entries. Each may have a formatter's instance as well; together they are far below what the
/// engine has (docs/engine.md).
const CALLS: usize = 128;
/// The same for entries with an instance of the large profile.
const LARGE_CALLS: usize = 32;
/// How long a call waits for the event's source before it gives its place up.
const PATIENCE: Duration = Duration::from_secs(2);
/// Tries after which a call waits for as long as its limit says: it may need more at a time than is kept at hand.
const PATIENT_AFTER: u32 = 20;
/// The longest pause of what waits for an entry that cannot run, in milliseconds.
const OUT_MS: i64 = 30_000;
/// Units at a time that are called or wait for the store to take what came of them. More than calls, so that none waits
/// for another's commit; bounded, so that a store that takes nothing stops the calls.
const UNITS: usize = 1_024;
/// The call after which a snapshot of the entry is made: when those before have cost about as much more as making it
/// does, which is a second or two of a core against a tenth or two of a millisecond a call.
const SNAPSHOT_AFTER: u32 = 10_000;

/// The entries of the settings in force, by name.
pub type Entries = BTreeMap<String, Arc<Entry>>;
/// Those of them that cannot run for now, by name.
pub type Out = BTreeMap<String, KeptOut>;

/// Hears what came of units of work.
pub trait Observer: Send + Sync {
    /// A unit ended, or was put off.
    fn unit(&self, event: &Event, entry: &str, end: &End, log: &[(String, String)]);
}

/// Shows events to entries.
pub struct Dispatch {
    store: Arc<dyn Store>,
    loader: Arc<Loader>,
    snapshots: Arc<Snapshots>,
    entries: Arc<ArcSwap<Entries>>,
    out: Arc<ArcSwap<Out>>,
    /// Units that wait are looked at again.
    look_again: watch::Sender<()>,
    sources: Mutex<HashMap<String, Arc<dyn Fetch>>>,
    engine: Engine,
    observer: Arc<dyn Observer>,
    lanes: lanes::Lanes,
    /// Of entries that keep state, by name.
    turns: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
    reminders: Reminders,
    calls: Arc<Places>,
    large_calls: Arc<Places>,
    under_way: Semaphore,
    at_hand: AtHand,
    /// Counts what was said.
    heard: AtomicU64,
    stop: watch::Sender<bool>,
}

/// The entries in force, as the delivery engine sees them.
pub struct EntryDirectory {
    /// Those that run.
    pub entries: Arc<ArcSwap<Entries>>,
    /// Those that do not, for now.
    pub out: Arc<ArcSwap<Out>>,
}

impl Directory for EntryDirectory {
    fn endpoint(&self, entry: &str, endpoint: &str) -> Option<(Arc<Endpoint>, Arc<dyn Vault>)> {
        let entries = self.entries.load();
        let entry = entries.get(entry)?;
        if let Some(master) = Endpoint::master_of(endpoint) {
            let followed = entry.view.masters.names().iter().any(|name| name == master);
            return followed.then(|| (Arc::new(Endpoint::of_master(master)), entry.service.vault.clone()));
        }
        Some((entry.plan.endpoints.get(endpoint)?.clone(), entry.service.vault.clone()))
    }

    fn is_out(&self, entry: &str) -> bool {
        self.out.load().contains_key(entry)
    }

    fn loud(&self, entry: &str) -> Loud {
        self.entries.load().get(entry).map_or_else(Loud::default, |entry| Loud { verbose: entry.service.verbose, debug: entry.service.debug })
    }
}

impl Dispatch {
    /// Begins without sources and without work; see [`Dispatch::add_source`] and [`Dispatch::resume`].
    pub fn new(store: Arc<dyn Store>, loader: Arc<Loader>, directory: &EntryDirectory, engine: Engine, observer: Arc<dyn Observer>) -> Arc<Self> {
        let this = Arc::new(Self {
            store,
            loader,
            snapshots: Arc::default(),
            entries: directory.entries.clone(),
            out: directory.out.clone(),
            look_again: watch::Sender::new(()),
            sources: Mutex::default(),
            engine,
            observer,
            lanes: lanes::Lanes::default(),
            turns: Mutex::default(),
            reminders: Reminders::default(),
            calls: Places::new(CALLS),
            large_calls: Places::new(LARGE_CALLS),
            under_way: Semaphore::new(UNITS),
            at_hand: AtHand::default(),
            heard: AtomicU64::default(),
            stop: watch::Sender::new(false),
        });
        let answered = Arc::downgrade(&this);
        this.engine.on_answered(Arc::new(move |unit| {
            if let Some(this) = answered.upgrade() {
                this.push_once(unit);
            }
        }));
        this
    }

    /// Where the details of a source's events come from.
    pub fn add_source(&self, name: &str, source: Arc<dyn Fetch>) {
        self.sources.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), source);
    }

    /// Takes up the work that the store still has. Sources are to be added before.
    ///
    /// # Errors
    /// The store's.
    pub async fn resume(self: &Arc<Self>) -> Result<(), StoreError> {
        const PAGE: u32 = 1_000;
        let mut after = 0;
        loop {
            let units = self.store.units(after, PAGE).await?;
            let Some(last) = units.last() else { return Ok(()) };
            after = last.id;
            self.push(units);
        }
    }

    /// Entries are others now: what waits for its next try is tried.
    pub fn look_again(&self) {
        self.look_again.send_replace(());
    }

    /// A destination can be reached again: what waits for it is due.
    pub fn wake(&self, destination: &str) {
        self.engine.wake(destination);
    }

    /// Waits until there is no unit of work and no delivery left.
    pub async fn idle(&self) {
        loop {
            self.lanes.idle().await;
            self.engine.idle().await;
            if self.lanes.is_idle() {
                return;
            }
        }
    }

    /// Lets units under way end and starts no others; then the same for deliveries.
    pub async fn drain(&self) {
        self.stop.send_replace(true);
        let all = u32::try_from(UNITS).unwrap_or(u32::MAX);
        // Held until the process ends: nothing is called any more.
        if let Ok(permits) = self.under_way.acquire_many(all).await {
            permits.forget();
        }
        self.engine.drain().await;
    }

    /// What the component logged. `verbose` and `debug` entries say more, whatever the log shows of others: the target of
    /// their lines is let through (`cli/output.rs`).
    fn lines(&self, event: &Event, entry: &str, log: &[(String, String)]) {
        let (verbose, debug) = self.entries.load().get(entry).map_or((false, false), |entry| (entry.service.verbose, entry.service.debug));
        for (level, line) in log {
            // A line of the log is the host's: what others wrote begins none.
            let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
            match level.as_str() {
                "error" => tracing::error!(entry, event = event.id, "{line}"),
                "warn" => tracing::warn!(entry, event = event.id, "{line}"),
                "info" | "stdout" if verbose || debug => tracing::info!(target: LOUD, entry, event = event.id, "{line}"),
                "info" | "stdout" => tracing::info!(entry, event = event.id, "{line}"),
                _ if debug => tracing::debug!(target: LOUD, entry, event = event.id, "{line}"),
                _ => tracing::debug!(entry, event = event.id, "{line}"),
            }
        }
    }

    /// Does one unit of work. What came of it is only in memory yet.
    async fn unit(self: &Arc<Self>, unit: &Unit) -> UnitEnd {
        match self.details(unit.event).await {
            Ok(Some(details)) => {
                let ended = self.call(unit, &details).await;
                self.lines(&details.event, &unit.entry, &ended.log);
                self.observer.unit(&details.event, &unit.entry, &ended.end, &ended.log);
                ended
            }
            Ok(None) => {
                let why = "its event is no longer in the journal";
                tracing::error!(entry = unit.entry, "unit {} of event {} is not reported: {why}", unit.id, unit.event);
                ended(unit, End::Failed(why.into()))
            }
            Err(error) => ended(unit, tries::put_off(unit, error.to_string(), now_ms())),
        }
    }

    /// Stores what came of a unit: a store that is full or busy is tried until it takes it. Answers with the time of the
    /// next try and its cause, if there is to be one.
    async fn commit(self: &Arc<Self>, ended: UnitEnd) -> Option<(i64, Cause)> {
        let again = match ended.end {
            End::Again { due_ms, cause, .. } => Some((due_ms, cause)),
            _ => None,
        };
        let mut pause = Duration::from_millis(100);
        loop {
            match self.store.end_unit(ended.clone()).await {
                Ok(follows) => {
                    if again.is_none() {
                        self.reminders.remove(&ended.unit);
                    }
                    self.engine.push(follows.deliveries);
                    self.push(follows.units);
                    return again;
                }
                Err(error) => {
                    tracing::error!(entry = ended.unit.entry, "what it sent cannot be stored yet: {error}");
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(30));
                    if *self.stop.borrow() {
                        return Some((now_ms(), Cause::NotNow));
                    }
                }
            }
        }
    }

    async fn call(self: &Arc<Self>, unit: &Unit, details: &Arc<Details>) -> UnitEnd {
        let Some(entry) = self.entries.load().get(&unit.entry).cloned() else {
            if let Some(out) = self.out.load().get(&unit.entry) {
                let why = RunError::NotNow(format!("it cannot run: {}", out.why.message));
                return match tries::after(unit, why, out.expires_after, now_ms()) {
                    End::Failed(why) => given_up(unit, details, why),
                    // Looking whether it can costs nothing, also after a restart with what it lacked.
                    End::Again { due_ms, why, cause } => ended(unit, End::Again { due_ms: due_ms.min(now_ms() + OUT_MS), why, cause }),
                    end => ended(unit, end),
                };
            }
            return given_up(unit, details, format!("the settings have no entry {:?} any more", unit.entry));
        };
        if unit.job == Job::Report && details.event.kind != Kind::Heard && !entry.follows(&details.event) {
            // It was made for another plan: of other settings, or when nobody knew the entry's.
            return ended(unit, End::Skipped(format!("it does not follow {} of {}", details.event.kind, details.event.source)));
        }
        // The settings may have changed since it asked: what it has kept is to be told all the same.
        let keeps = entry.plan.state || unit.is_reminder();
        let state = if keeps {
            match self.store.state(&unit.entry).await {
                Ok(state) => state.into_iter().collect(),
                Err(error) => return ended(unit, tries::put_off(unit, error.to_string(), now_ms())),
            }
        } else {
            BTreeMap::new()
        };
        let sent = match &unit.job {
            Job::Report => Ok(0),
            Job::Answered { .. } => {
                let since_ms = if unit.has_own_budget() { now_ms() - i64::from(OWN_BUDGET) * 1_000 } else { 0 };
                self.store.sent(unit.event, &unit.entry, since_ms).await
            }
        };
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) => return ended(unit, tries::put_off(unit, error.to_string(), now_ms())),
        };
        let patience = if unit.attempts < PATIENT_AFTER { PATIENCE } else { Duration::MAX };
        let view = if keeps == entry.plan.state { entry.view.clone() } else { Arc::new(EntryView { state: keeps, ..EntryView::clone(&entry.view) }) };
        let awaited = self.reminders.of(&unit.entry, unit.id);
        let occasion = Occasion { entry: view, details: details.clone(), state, awaited, unit: stable(unit, details), patience };
        let ran = match &unit.job {
            Job::Report if details.event.kind == Kind::Heard => entry.reporter.heard(occasion, &details.event.message.to_string()).await,
            Job::Report => entry.reporter.report(occasion).await,
            Job::Answered { tag, answer } => entry.reporter.answered(occasion, tag, answer.clone(), sent).await,
        };
        self.at_hand.weigh(details);
        match entry.called() {
            1 => drop(self.snapshots.find(&self.loader, &entry.reporter)),
            SNAPSHOT_AFTER if !entry.reporter.has_snapshot() => self.freeze(entry.clone()),
            _ => {}
        }
        conclude(unit, &entry, details, ran)
    }

    fn freeze(&self, entry: Arc<Entry>) {
        let (snapshots, loader) = (self.snapshots.clone(), self.loader.clone());
        tokio::spawn(async move {
            if let Err(error) = snapshots.make(loader, entry.reporter.clone()).await {
                tracing::debug!(entry = entry.service.name, "goes on without a snapshot: {error}");
            }
        });
    }

    /// An event with its details; the same object for all its entries.
    async fn details(&self, seq: i64) -> Result<Option<Arc<Details>>, StoreError> {
        self.at_hand.get(seq, self.read(seq)).await
    }

    async fn read(&self, seq: i64) -> Result<Option<Details>, StoreError> {
        let found = self.store.event(seq).await?;
        Ok(found.map(|(event, kept)| self.with_source(seq, Arc::new(event), kept.into_iter().map(|(path, rows)| (path, Arc::new(rows))))))
    }

    /// Keeps an event that has just been journalled at hand.
    fn hold(&self, seq: i64, event: Arc<Event>, kept: Vec<(String, Arc<Rows>)>) {
        self.at_hand.hold(self.with_source(seq, event, kept));
    }

    fn with_source(&self, seq: i64, event: Arc<Event>, kept: impl IntoIterator<Item = (String, Arc<Rows>)>) -> Details {
        let sources = self.sources.lock().unwrap_or_else(PoisonError::into_inner);
        let source = sources.get(&event.source).cloned().unwrap_or_else(|| Arc::new(Gone));
        Details::new(event, seq, kept, source, self.store.clone())
    }
}

/// What is left to ask of a source that the settings do not have any more.
struct Gone;

#[async_trait::async_trait]
impl Fetch for Gone {
    async fn fetch(&self, _: &str) -> Result<Rows, FetchError> {
        Err(FetchError::Missing("the settings do not have its source any more".into()))
    }
}

/// What the ids of a unit's deliveries are made from. An event's id begins with its source's name, so that none is
/// like that of an answer.
fn stable(unit: &Unit, details: &Details) -> String {
    match &unit.job {
        Job::Report => details.event.id.clone(),
        Job::Answered { .. } => format!("/answered/{}/{}", unit.id, details.event.id),
    }
}

fn ended(unit: &Unit, end: End) -> UnitEnd {
    UnitEnd { unit: unit.clone(), end, sends: Vec::new(), state: Vec::new(), log: Vec::new(), reminders: Vec::new(), letter: None }
}

/// The end of a unit that never comes to a report, without a plain message in its place: the log says so, and a dead letter stays.
fn given_up(unit: &Unit, details: &Details, why: String) -> UnitEnd {
    let title = fallback::letter(unit, details);
    tracing::error!(
        entry = unit.entry,
        event = details.event.id,
        "{title}: {why}. `reporter-host deliveries list --state dead` has it, `retry` tries it again"
    );
    UnitEnd { letter: Some(title), ..ended(unit, End::Failed(why)) }
}

/// What a call leads to.
fn conclude(unit: &Unit, entry: &Entry, details: &Details, ran: Ran<Outcome>) -> UnitEnd {
    let end = match ran.answer {
        Ok(Outcome::Sent) if ran.sends.is_empty() => End::Skipped("it sent nothing".into()),
        Ok(Outcome::Sent) => End::Sent,
        Ok(Outcome::Skipped(why)) => End::Skipped(why),
        Err(error) => tries::after(unit, error, entry.service.expires_after, now_ms()),
    };
    let why = match end {
        End::Failed(why) => why,
        end => {
            let now = now_ms();
            let reminder = |(tag, after)| Reminder { tag, due_ms: now.saturating_add(i64::from(after) * 1_000), soon: after < OWN_BUDGET };
            let reminders = ran.reminders.into_iter().map(reminder).collect();
            return UnitEnd { end, sends: ran.sends, state: ran.writes.into_iter().collect(), log: ran.log, reminders, ..ended(unit, End::Sent) };
        }
    };
    // What an answer is about has been told already.
    let plain = (unit.job == Job::Report).then(|| fallback::message(entry, details, &stable(unit, details), &why)).flatten();
    match plain {
        Some(message) => {
            tracing::error!(entry = unit.entry, event = details.event.id, "its component failed, a plain message goes out instead: {why}");
            UnitEnd { sends: vec![message], log: ran.log, ..ended(unit, End::Failed(why)) }
        }
        None => UnitEnd { log: ran.log, ..given_up(unit, details, why) },
    }
}
