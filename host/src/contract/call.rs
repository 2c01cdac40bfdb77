//! The state of one call: what the component may see, what it has used, and what it has done so
//! far. Dropped whole if the call fails.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use super::budget::{Budget, Meter};
use crate::event::{Details, FetchError};
use crate::secret::Vault;
use crate::store::NewDelivery;
use crate::transport::{Answer, Endpoint, HttpRequest, SshCommand};

/// Why the host ended a call. None of these reaches the component.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Ended {
    /// A detail or a query cannot be had for now: the same call is made again later.
    #[error("{0}")]
    NotNow(String),
    /// The same, of a query, whose remote may ask for a pause.
    #[error("{}", .0.why)]
    Later(Later),
    /// A limit was reached; its name in the settings.
    #[error("it reached the limit {0:?} of its entry; see `limits` in docs/settings.md")]
    Limit(&'static str),
    /// The component did what the contract forbids.
    #[error("{0}")]
    Misuse(String),
}

impl From<FetchError> for Ended {
    fn from(error: FetchError) -> Self {
        Self::NotNow(error.to_string())
    }
}

/// Why a query has no answer yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Later {
    /// In words, secrets scrubbed.
    pub why: String,
    /// Not before so long, as the remote asks; none: as usual.
    pub pause: Option<Duration>,
}

/// What part of the contract a call may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// `describe` and `configure`: nothing but `log`.
    Configure,
    /// `report` and `answered` of a reporter.
    Report,
    /// `format` of a formatter: the event and `log`.
    Format,
}

/// Asks a remote now; the transports do.
#[async_trait]
pub trait Ask: Send + Sync {
    /// One GET or HEAD, from the cache if it may be.
    ///
    /// # Errors
    /// It cannot be asked now, or the answer is none for the component yet.
    async fn ask(&self, entry: &str, endpoint: &Endpoint, request: &HttpRequest, vault: &dyn Vault) -> Result<Answer, Later>;
    /// One command of an SSH endpoint's queries.
    async fn run(&self, endpoint: &Endpoint, command: &SshCommand, vault: &dyn Vault) -> Answer;
}

/// Runs the formatter components of an entry; the sandbox does.
#[async_trait]
pub trait Subformat: Send + Sync {
    /// How long the formatter in `slot` may take.
    fn wait(&self, slot: &str) -> Duration;

    /// Runs the formatter in `slot` on subjects of the event, in an instance of its own, `within` this time.
    ///
    /// # Errors
    /// [`Ended::NotNow`]. The formatter's own failures are part of the answer, beside its lines of log.
    async fn format(
        &self,
        slot: &str,
        details: Arc<Details>,
        subjects: super::formatters::Subjects,
        context: String,
        within: Duration,
    ) -> Result<Formatted, Ended>;
}

/// Time beyond `wait_ms`, in which others work for a call.
#[derive(Clone, Default)]
pub struct Lent(Arc<AtomicU64>);

impl Lent {
    /// How much it is.
    pub fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    /// Lends `all` of it in all.
    pub fn set(&self, all: Duration) {
        self.0.store(u64::try_from(all.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Where logs wait that a delivery attaches; the transports read it.
pub trait Spool: Send + Sync {
    /// Keeps a file of these pieces durably under this name, unless it is there already.
    ///
    /// # Errors
    /// As the file system says.
    fn put(&self, name: &str, pieces: &mut dyn Iterator<Item = &str>) -> std::io::Result<()>;
}

/// A formatter's document or its error, and its lines of log.
pub type Formatted = (Result<String, String>, Vec<(String, String)>);

/// What a call sees of its service entry.
#[derive(Clone)]
pub struct EntryView {
    /// The entry's name.
    pub name: String,
    /// The endpoints of its plan.
    pub endpoints: BTreeMap<String, Arc<Endpoint>>,
    /// Its secrets.
    pub vault: Arc<dyn Vault>,
    /// How long a delivery is of use unless the component says less.
    pub expires_after: Duration,
    /// Whether its plan declares `state`.
    pub state: bool,
    /// Its formatters.
    pub formatters: Arc<dyn Subformat>,
    /// Its way to ask.
    pub ask: Arc<dyn Ask>,
    /// The masters that it follows.
    pub masters: Arc<dyn super::Masters>,
    /// Where attached logs go.
    pub spool: Arc<dyn Spool>,
}

/// Bytes that a handle counts for.
const HANDLE: usize = 256;

/// The state of one call.
pub struct Call {
    pub(super) table: ResourceTable,
    wasi: Option<WasiCtx>,
    /// Memories and tables.
    pub meter: Meter,
    /// The rest of the limits.
    pub budget: Budget,
    /// What may be called.
    pub phase: Phase,
    /// The entry; none in `describe`.
    pub entry: Option<Arc<EntryView>>,
    /// The event.
    pub details: Option<Arc<Details>>,
    /// What was sent.
    pub sends: Vec<NewDelivery>,
    /// The entry's state at the beginning of the call.
    pub state: BTreeMap<String, String>,
    /// Writes on top of it.
    pub writes: BTreeMap<String, Option<String>>,
    /// What it is to be reminded of: tag, and in how many seconds.
    pub reminders: Vec<(String, u32)>,
    /// The tags of reminders of its entry that are still to come.
    pub awaited: Vec<String>,
    /// Bytes of the state with the writes, once there was one.
    pub(super) state_size: Option<u64>,
    /// Lines for the operator.
    pub log: Vec<(String, String)>,
    /// Lines that were not kept.
    pub unlogged: u64,
    /// What distinguishes this unit's deliveries: the unit's stable id.
    pub unit: String,
    /// Time spent waiting in host calls.
    pub waited: Duration,
    /// When the call began.
    pub began: Instant,
    /// Epoch ticks in which the guest was found computing.
    pub ticks: u32,
    /// Whether a host call waits for what only the event's source can tell.
    fetching: bool,
    /// What formatters have of the time.
    pub lent: Lent,
    /// How long one may: after that the call is better made again when the source has answered.
    pub patience: Duration,
}

impl Call {
    /// A call with these limits.
    pub fn new(phase: Phase, meter: Meter, budget: Budget) -> Self {
        Self {
            table: ResourceTable::new(),
            wasi: None,
            meter,
            budget,
            phase,
            entry: None,
            details: None,
            sends: Vec::new(),
            state: BTreeMap::new(),
            writes: BTreeMap::new(),
            reminders: Vec::new(),
            awaited: Vec::new(),
            state_size: None,
            log: Vec::new(),
            unlogged: 0,
            unit: String::new(),
            waited: Duration::ZERO,
            began: Instant::now(),
            ticks: 0,
            fetching: false,
            lent: Lent::default(),
            patience: Duration::MAX,
        }
    }

    /// Gives a component that imports WASI its empty one.
    pub fn set_wasi(&mut self, wasi: WasiCtx) {
        self.wasi = Some(wasi);
    }

    /// Gives a handle to the component. What it stands for is the host's memory, so it counts as read.
    ///
    /// # Errors
    /// The budget is used up, or the table is full.
    pub fn lend<T: Send + 'static>(&mut self, value: T) -> wasmtime::Result<wasmtime::component::Resource<T>> {
        self.budget.read(HANDLE)?;
        Ok(self.table.push(value)?)
    }

    /// Refuses what this phase may not call.
    pub(super) fn only(&self, allowed: &[Phase], function: &str) -> Result<(), Ended> {
        if allowed.contains(&self.phase) {
            return Ok(());
        }
        Err(Ended::Misuse(match self.phase {
            Phase::Configure => format!("it called {function} in configure, which may call nothing but log.write"),
            Phase::Report | Phase::Format => format!("a formatter may not call {function}"),
        }))
    }

    /// The entry and one of its endpoints.
    pub(super) fn endpoint(&self, name: &str) -> Result<(Arc<EntryView>, Arc<Endpoint>), Ended> {
        let entry = self.entry.clone().ok_or_else(|| Ended::Misuse("there is no entry here".into()))?;
        let found = entry.endpoints.get(name).cloned();
        let endpoint = found.ok_or_else(|| {
            let names: Vec<_> = entry.endpoints.keys().map(String::as_str).collect();
            Ended::Misuse(format!("it sent to endpoint {name:?}, which its plan does not have; it has {}", names.join(", ")))
        })?;
        Ok((entry, endpoint))
    }

    /// Runs what may take a while, counting the time as waiting.
    pub(super) async fn wait<T>(&mut self, work: impl Future<Output = T>) -> T {
        let before = Instant::now();
        let value = work.await;
        self.waited += before.elapsed();
        value
    }

    /// Reads details of the event. Most of them are at hand, and reading those here needs no clock and no place in a future, which is
    /// copied several times on its way into the engine. What is not is read again and waited for.
    pub(super) async fn fetch<T, E, F>(&mut self, read: impl Fn() -> F) -> Result<T, Ended>
    where
        E: Into<Ended>,
        F: Future<Output = Result<T, E>>,
    {
        match read().now_or_never() {
            Some(found) => found.map_err(Into::into),
            None => Box::pin(self.await_details(read())).await,
        }
    }

    /// Waits for what needs details of the event. A call whose time is up in here is made again: the fetch goes on without it.
    pub(super) async fn await_details<T, E: Into<Ended>>(&mut self, work: impl Future<Output = Result<T, E>>) -> Result<T, Ended> {
        self.fetching = true;
        let (patience, details) = (self.patience, self.details.clone());
        let fetched = self.wait(patiently(work, patience, details.as_deref())).await;
        self.fetching = false;
        fetched
    }

    /// Whether it waits for the event's source, itself or in a formatter.
    pub fn awaits_source(&self) -> bool {
        self.fetching && self.details.as_ref().is_some_and(|details| details.is_fetching())
    }

    /// Hands text to the component, within the budget.
    pub(super) fn hand(&mut self, text: String) -> wasmtime::Result<String> {
        self.budget.read(text.len())?;
        Ok(text)
    }
}

/// Waits for `work` until `patience` is over and the source still owes an answer.
async fn patiently<T, E: Into<Ended>>(work: impl Future<Output = Result<T, E>>, patience: Duration, details: Option<&Details>) -> Result<T, Ended> {
    let mut work = std::pin::pin!(work);
    loop {
        match tokio::time::timeout(patience, work.as_mut()).await {
            Ok(done) => return done.map_err(Into::into),
            // A formatter may compute, or wait for something else.
            Err(_) if details.is_some_and(Details::is_fetching) => {
                return Err(Ended::NotNow("the event's source has not answered yet; it is still being read from".into()));
            }
            Err(_) => {}
        }
    }
}

impl WasiView for Call {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        // Only components that import WASI come here, and the sandbox has given those an empty one with
        // their output captured; without it, it is as empty and the output is gone.
        let ctx = self.wasi.get_or_insert_with(|| WasiCtx::builder().build());
        WasiCtxView { ctx, table: &mut self.table }
    }
}
