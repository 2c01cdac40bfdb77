//! One call of a component, in an instance of its own.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use wasmtime::component::{Instance, Resource};
use wasmtime::{Store, Trap, UpdateDeadline};
use wasmtime_wasi::WasiCtx;

use super::engine::TICK;
use super::limits::Limits;
use super::load::{Kind, Loaded, ReporterCode};
use super::output::Output;
use super::snapshot::Snapshot;
use crate::contract::chat::exports::reporter_host::reporter::reporting as conversing;
use crate::contract::reporter::exports::reporter_host::reporter::reporting;
use crate::contract::{Budget, Call, Ended, EntryView, EventHandle, Later, Lent, Meter, Phase, Plan, PlanError, Problem, Subjects, reporter, shortened};
use crate::event::Details;
use crate::store::{NewDelivery, TaggedAnswer};

/// Problems that are kept of one `configure`.
const PROBLEMS: usize = 100;

/// What a reporter made of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It sent.
    Sent,
    /// It kept silent, because of this.
    Skipped(String),
}

/// Why a call failed. Nothing of it is kept but its lines of log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// A detail or a query cannot be had for now, or the source has not told a detail within the time for waiting.
    #[error("{0}")]
    NotNow(String),
    /// The same, of a query, whose remote may ask for a pause.
    #[error("{}", .0.why)]
    Later(Later),
    /// The component said so.
    #[error("{message}")]
    Failed {
        /// Its words.
        message: String,
        /// Whether the same call may go better later.
        again: bool,
    },
    /// It ran into a limit; its name in the settings.
    #[error("the component reached its limit {0:?}; see `limits` in docs/settings.md")]
    Limit(&'static str),
    /// It trapped.
    #[error("the component trapped: {0}")]
    Trap(String),
    /// It did what the contract forbids.
    #[error("the component broke the contract: {0}")]
    Misuse(String),
}

/// Why `configure` gave no plan.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum ConfigureError {
    /// The settings are wrong.
    #[error("{}", .0.iter().map(|problem| format!("{}: {}", problem.at, problem.message)).collect::<Vec<_>>().join("; "))]
    Problems(Vec<Problem>),
    /// The component failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Its plan is wrong.
    #[error(transparent)]
    Plan(#[from] PlanError),
}

/// What a call did.
#[derive(Debug)]
pub struct Ran<T> {
    /// Its answer.
    pub answer: Result<T, RunError>,
    /// What it sent; empty if it failed.
    pub sends: Vec<NewDelivery>,
    /// Its state writes; empty if it failed.
    pub writes: BTreeMap<String, Option<String>>,
    /// What it is to be reminded of: tag, and in how many seconds; empty if it failed.
    pub reminders: Vec<(String, u32)>,
    /// Its lines for the operator.
    pub log: Vec<(String, String)>,
    /// How long it took, waiting included.
    pub took: Duration,
    /// Ticks of the epoch clock in which it was found computing.
    pub ticks: u32,
}

/// A component with its settings, ready for events.
pub struct Reporter {
    loaded: Loaded,
    settings: Arc<str>,
    limits: Limits,
    snapshot: arc_swap::ArcSwapOption<Snapshot>,
}

/// What one call is about.
pub struct Occasion {
    /// The service entry.
    pub entry: Arc<EntryView>,
    /// The event.
    pub details: Arc<Details>,
    /// The entry's state.
    pub state: BTreeMap<String, String>,
    /// The tags of reminders of the entry that are still to come.
    pub awaited: Vec<String>,
    /// The unit of work's stable id, from which the ids of its deliveries are made.
    pub unit: String,
    /// How long the call waits for the event's source before it ends as one that is to be made again.
    pub patience: Duration,
}

impl Reporter {
    /// A reporter component with its settings as JSON.
    ///
    /// # Errors
    /// It is a formatter.
    pub fn new(loaded: Loaded, settings: &serde_json::Value, limits: Limits) -> Result<Self, RunError> {
        if matches!(loaded.kind, Kind::Formatter(_)) {
            return Err(RunError::Misuse(
                "it is a formatter, which reports nothing by itself; plug it into a reporter's setting, messageFormatter = { component = … }".into(),
            ));
        }
        Ok(Self { loaded, settings: settings.to_string().into(), limits, snapshot: arc_swap::ArcSwapOption::empty() })
    }

    pub(super) fn parts(&self) -> (&Loaded, &str, &Limits) {
        (&self.loaded, &self.settings, &self.limits)
    }

    /// Whether it starts from a snapshot.
    pub fn has_snapshot(&self) -> bool {
        self.snapshot.load().is_some()
    }

    /// Starts from this snapshot from now on (none: from `configure`).
    pub fn set_snapshot(&self, snapshot: Option<Snapshot>) {
        self.snapshot.store(snapshot.map(Arc::new));
    }

    /// Shows it an event.
    pub async fn report(&self, occasion: Occasion) -> Ran<Outcome> {
        self.call(occasion, 0, async |instance, store, event| instance.call_report(store, event).await).await
    }

    /// Gives it the answer to a delivery that it sent with a tag. `sent` deliveries were made of this event already: what
    /// an event leads to has one budget, or two that answer each other would go on for ever.
    pub async fn answered(&self, occasion: Occasion, tag: &str, answer: TaggedAnswer, sent: u32) -> Ran<Outcome> {
        let answer = reporter::reporter_host::reporter::delivery::Answer {
            status: answer.status,
            headers: answer.headers,
            body: answer.body.into_bytes(),
            ended: answer.ended,
        };
        self.call(occasion, sent, async |instance, store, _| instance.call_answered(store, tag, &answer).await).await
    }

    /// Whether it holds conversations.
    pub fn chats(&self) -> bool {
        matches!(&self.loaded.kind, Kind::Reporter(code) if code.chats())
    }

    /// Lets it hear an update, a JSON object.
    pub async fn heard(&self, occasion: Occasion, update: &str) -> Ran<Outcome> {
        let work = async |code: &ReporterCode, store: &mut Store<Call>, instance: &Instance, _: Arc<Details>| {
            let Some(chat) = code.chat(&mut *store, instance)? else {
                return Err(Ended::Misuse("it holds no conversations".into()).into());
            };
            Ok(match chat.call_heard(store, update).await? {
                Ok(conversing::Outcome::Sent) => Ok(reporting::Outcome::Sent),
                Ok(conversing::Outcome::Skipped(why)) => Ok(reporting::Outcome::Skipped(why)),
                Err(failure) => Err(reporting::Failure { message: failure.message, again: failure.again }),
            })
        };
        self.run(occasion, 0, work).await
    }

    async fn call<F>(&self, occasion: Occasion, sent: u32, export: F) -> Ran<Outcome>
    where
        F: AsyncFnOnce(&reporting::Guest, &mut Store<Call>, Resource<EventHandle>) -> wasmtime::Result<Result<reporting::Outcome, reporting::Failure>>,
    {
        let work = async |code: &ReporterCode, store: &mut Store<Call>, instance: &Instance, details: Arc<Details>| {
            let event = store.data_mut().lend(EventHandle(details))?;
            let reporting = code.reporting(&mut *store, instance)?;
            export(&reporting, store, event).await
        };
        self.run(occasion, sent, work).await
    }

    async fn run<F>(&self, occasion: Occasion, sent: u32, export: F) -> Ran<Outcome>
    where
        F: AsyncFnOnce(&ReporterCode, &mut Store<Call>, &Instance, Arc<Details>) -> wasmtime::Result<Result<reporting::Outcome, reporting::Failure>>,
    {
        let snapshot = self.snapshot.load_full();
        let Kind::Reporter(plain) = &self.loaded.kind else {
            return Ran::refused(RunError::Misuse("it is a formatter".into()));
        };
        let code = snapshot.as_deref().map_or(plain, |snapshot| &snapshot.code);
        let phase = if snapshot.is_some() { Phase::Report } else { Phase::Configure };
        let mut store = store(&self.loaded, &self.limits, phase);
        let call = store.data_mut();
        call.entry = Some(occasion.entry);
        call.details = Some(occasion.details.clone());
        call.state = occasion.state;
        call.awaited = occasion.awaited;
        call.unit = occasion.unit;
        call.patience = occasion.patience;
        call.budget.sends = call.budget.sends.saturating_sub(sent);
        let settings = self.settings.clone();
        let work = async |store: &mut Store<Call>| {
            let instance = code.instantiate(&mut *store).await?;
            if store.data().phase == Phase::Configure {
                let configured = code.component(&mut *store, &instance)?.call_configure(&mut *store, &settings).await?;
                if let Err(problems) = configured {
                    let said: Vec<String> = problems.into_iter().map(|it| format!("{}: {}", it.at, it.message)).collect();
                    return Ok(Err(reporting::Failure { message: said.join("; "), again: false }));
                }
                // What it says of its settings was told when they were read.
                store.data_mut().forget_said(self.limits.log_lines);
                store.data_mut().phase = Phase::Report;
            }
            export(code, store, &instance, occasion.details).await
        };
        let answer = bounded(&mut store, self.loaded.wasi, &self.limits, work).await;
        let answer = answer.and_then(|answer| match answer {
            Ok(reporting::Outcome::Sent) => Ok(Outcome::Sent),
            Ok(reporting::Outcome::Skipped(why)) => Ok(Outcome::Skipped(shortened(why))),
            Err(failure) => Err(RunError::Failed { message: shortened(failure.message), again: failure.again }),
        });
        Ran::of(store, answer)
    }
}

impl Loaded {
    /// What the component says of itself: a JSON object.
    ///
    /// # Errors
    /// [`RunError`].
    pub async fn describe(&self, limits: &Limits) -> Result<String, RunError> {
        let mut store = store(self, limits, Phase::Configure);
        bounded(&mut store, self.wasi, limits, async |store: &mut Store<Call>| match &self.kind {
            Kind::Reporter(code) => {
                let instance = code.instantiate(&mut *store).await?;
                code.component(&mut *store, &instance)?.call_describe(store).await
            }
            Kind::Formatter(pre) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                instance.reporter_host_reporter_component().call_describe(store).await
            }
        })
        .await
    }

    /// The plan for these settings, and the component's lines of log.
    ///
    /// # Errors
    /// [`ConfigureError`].
    pub async fn configure(&self, settings: &serde_json::Value, limits: &Limits) -> Result<Plan, ConfigureError> {
        let mut store = store(self, limits, Phase::Configure);
        let settings = settings.to_string();
        let problem = |at, message| Problem { at: shortened(at), message: shortened(message) };
        let answer = bounded(&mut store, self.wasi, limits, async |store: &mut Store<Call>| match &self.kind {
            Kind::Reporter(code) => {
                let instance = code.instantiate(&mut *store).await?;
                let answer = code.component(&mut *store, &instance)?.call_configure(store, &settings).await?;
                Ok(match answer {
                    Ok(plan) => Ok(Some(plan)),
                    Err(problems) => Err(problems.into_iter().take(PROBLEMS).map(|it| problem(it.at, it.message)).collect()),
                })
            }
            Kind::Formatter(pre) => {
                let instance = pre.instantiate_async(&mut *store).await?;
                let answer = instance.reporter_host_reporter_component().call_configure(store, &settings).await?;
                Ok(match answer {
                    Ok(_) => Ok(None),
                    Err(problems) => Err(problems.into_iter().take(PROBLEMS).map(|it| problem(it.at, it.message)).collect()),
                })
            }
        })
        .await?;
        match answer {
            Ok(Some(plan)) => Ok(Plan { said: store.data_mut().said(), ..Plan::check(plan)? }),
            Ok(None) => Ok(Plan::default()),
            Err(problems) => Err(ConfigureError::Problems(problems)),
        }
    }

    /// Formats, if the component is a formatter.
    pub async fn format(
        &self,
        settings: &serde_json::Value,
        limits: &Limits,
        details: Arc<Details>,
        slot: &str,
        subjects: Subjects,
        context: &str,
    ) -> Ran<String> {
        let Kind::Formatter(pre) = &self.kind else {
            return Ran::refused(RunError::Misuse("it is a reporter, not a formatter".into()));
        };
        let mut store = store(self, limits, Phase::Configure);
        store.data_mut().details = Some(details);
        let settings = settings.to_string();
        let answer = bounded(&mut store, self.wasi, limits, async |store: &mut Store<Call>| {
            let instance = pre.instantiate_async(&mut *store).await?;
            let configured = instance.reporter_host_reporter_component().call_configure(&mut *store, &settings).await?;
            if let Err(problems) = configured {
                let said: Vec<String> = problems.into_iter().map(|it| format!("{}: {}", it.at, it.message)).collect();
                return Ok(Err(said.join("; ")));
            }
            store.data_mut().phase = Phase::Format;
            let subjects = subjects.lend(store.data_mut())?;
            instance.reporter_host_reporter_formatting().call_format(store, slot, &subjects, context).await
        })
        .await;
        let answer = answer.and_then(|answer| answer.map_err(|message| RunError::Failed { message: shortened(message), again: false }));
        Ran::of(store, answer)
    }
}

impl<T> Ran<T> {
    fn of(store: Store<Call>, answer: Result<T, RunError>) -> Self {
        let mut call = store.into_data();
        let log = call.said();
        let kept = answer.is_ok();
        Self {
            answer,
            sends: if kept { call.sends } else { Vec::new() },
            writes: if kept { call.writes } else { BTreeMap::new() },
            reminders: if kept { call.reminders } else { Vec::new() },
            log,
            took: call.began.elapsed(),
            ticks: call.ticks,
        }
    }

    fn refused(error: RunError) -> Self {
        Self { answer: Err(error), sends: Vec::new(), writes: BTreeMap::new(), reminders: Vec::new(), log: Vec::new(), took: Duration::ZERO, ticks: 0 }
    }
}

/// A store for one call.
pub(super) fn store(loaded: &Loaded, limits: &Limits, phase: Phase) -> Store<Call> {
    let engine = match &loaded.kind {
        Kind::Reporter(code) => code.engine(),
        Kind::Formatter(pre) => pre.engine(),
    };
    let mut store = Store::new(engine, call(limits, phase));
    guard(&mut store, limits.compute);
    store
}

pub(super) fn call(limits: &Limits, phase: Phase) -> Call {
    let budget = Budget {
        sends: limits.sends,
        send_bytes: limits.send_bytes,
        read_bytes: limits.read_bytes,
        queries: limits.queries,
        log_lines: limits.log_lines,
        state_bytes: limits.state_bytes,
    };
    Call::new(phase, Meter::new(limits.memory), budget)
}

/// Puts the limits on memory and on time computing on a store.
///
/// Epochs are counted, because a callback that only yields never kills; and the time between the
/// call's start and now, less what was spent waiting in host calls, is looked at too, because the
/// first check after a wait counts as a tick though nothing was computed.
pub(super) fn guard(store: &mut Store<Call>, compute: Duration) {
    store.limiter(|call| &mut call.meter);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(move |mut context| {
        let call = context.data_mut();
        call.ticks += 1;
        let computing = call.began.elapsed().saturating_sub(call.waited);
        if TICK * call.ticks > compute && computing > compute {
            return Err(Ended::Limit("compute_ms").into());
        }
        Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
    });
}

/// Runs a call within its time, and says what ended it if it did not end by itself.
async fn bounded<T, F>(store: &mut Store<Call>, wasi: bool, limits: &Limits, work: F) -> Result<T, RunError>
where
    F: AsyncFnOnce(&mut Store<Call>) -> wasmtime::Result<T>,
{
    store.data_mut().began = Instant::now();
    // Making a WASI context is not free, and few components need one.
    let output = wasi.then(Output::default);
    if let Some(output) = &output {
        store.data_mut().set_wasi(wasi_context(output));
    }
    let lent = store.data().lent.clone();
    let ended = within(limits.wait, &lent, work(store)).await;
    if let Some(output) = &output {
        let (lines, cut) = output.lines();
        lines.iter().for_each(|line| store.data_mut().note("stdout", line));
        if cut > 0 {
            store.data_mut().note("warn", &format!("{cut} more bytes of its output were not kept"));
        }
    }
    match ended {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(cause(&error, store.data())),
        None if store.data().awaits_source() => {
            Err(RunError::NotNow("the event's source has not answered within `wait_ms`; it is still being read from".into()))
        }
        None => Err(RunError::Limit("wait_ms")),
    }
}

/// An empty WASI: no environment, no files, no sockets; output is kept. The seed of hash maps is fixed, because
/// `configure` is to do the same each time it is run.
fn wasi_context(output: &Output) -> WasiCtx {
    WasiCtx::builder().stdout(output.clone()).stderr(output.clone()).insecure_random_seed(1).build()
}

/// Runs for so long at most, and for as much longer as is lent to it meanwhile.
async fn within<T>(limit: Duration, lent: &Lent, work: impl Future<Output = T>) -> Option<T> {
    let began = tokio::time::Instant::now();
    let mut work = std::pin::pin!(work);
    loop {
        let more = lent.get();
        let left = limit.saturating_add(more).saturating_sub(began.elapsed());
        match tokio::time::timeout(left, work.as_mut()).await {
            Ok(value) => return Some(value),
            Err(_) if lent.get() > more => {}
            Err(_) => return None,
        }
    }
}

fn cause(error: &wasmtime::Error, call: &Call) -> RunError {
    if let Some(ended) = error.downcast_ref::<Ended>() {
        return match ended.clone() {
            Ended::NotNow(why) => RunError::NotNow(why),
            Ended::Later(later) => RunError::Later(later),
            Ended::Limit(limit) => RunError::Limit(limit),
            Ended::Misuse(what) => RunError::Misuse(shortened(what)),
        };
    }
    if call.meter.refused {
        return RunError::Limit("memory_mib");
    }
    match error.downcast_ref::<Trap>() {
        Some(trap) => RunError::Trap(trap.to_string()),
        None => RunError::Trap(format!("{error:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn time_that_is_lent_is_not_the_calls_own() {
        let seconds = Duration::from_secs;
        let lent = Lent::default();
        // A formatter takes all of its time; what is left of the reporter's is enough to say so.
        let work = async {
            tokio::time::sleep(seconds(50)).await;
            lent.set(seconds(60));
            tokio::time::sleep(seconds(60)).await;
            tokio::time::sleep(seconds(9)).await;
        };
        assert_eq!(within(seconds(60), &lent, work).await, Some(()));
        assert_eq!(within(seconds(60), &Lent::default(), tokio::time::sleep(seconds(61))).await, None);
    }
}
