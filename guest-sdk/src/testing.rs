//! Tests without a host: settings and events as JSON in, what would be sent out.
//!
//! ```
//! use reporter_sdk::prelude::*;
//! use reporter_sdk::testing;
//! use serde_json::json;
//!
//! struct Shout;
//! impl Formatter for Shout {
//!     type Settings = ();
//!     const SLOTS: &'static [&'static str] = &["message"];
//!     fn format(_: &(), _: &str, subjects: Subjects, _: Context) -> Result<Document, String> {
//!         Ok(Document::message(subjects.build()?.builder().to_uppercase()))
//!     }
//! }
//!
//! let answer = testing::format::<Shout>(json!({}), "message", json!({"builds": [{"builder": {"name": "linux"}}]}), json!({}));
//! assert_eq!(answer.unwrap()["body"], "LINUX");
//! ```

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use crate::chat::{ChatReporter, Update};
use crate::component::{Failure, Formatter, Outcome, Plan, Problems, Reporter};
use crate::delivery::Terms;
use crate::event::{Event, Subjects};
use crate::http::{Answer, Request};
use crate::irc::Verb;
use crate::services::Level;
use crate::slot::{Context, Document};
use crate::smtp::Message;
use crate::ssh::Command;
use crate::worker::{User, Worker};

/// Something that was sent.
#[derive(Debug)]
pub enum Delivery {
    /// With `http::send`.
    Http(Request, Terms),
    /// With `smtp::send`.
    Mail(Message, Terms),
    /// With `irc::send`.
    Irc {
        /// The endpoint.
        endpoint: String,
        /// Channel or nick.
        target: String,
        /// How.
        verb: Verb,
        /// The lines.
        text: String,
        /// The terms.
        terms: Terms,
    },
    /// With `irc::membership`.
    Membership {
        /// The endpoint.
        endpoint: String,
        /// The channel.
        channel: String,
        /// Its key.
        key: Option<String>,
        /// Joined or left.
        joined: bool,
        /// The terms.
        terms: Terms,
    },
    /// With `master::act`.
    Act {
        /// The master's name.
        master: String,
        /// Where.
        path: Vec<String>,
        /// What.
        method: String,
        /// With what.
        parameters: Value,
        /// The terms.
        terms: Terms,
    },
    /// With `ssh::send`.
    Ssh(Command, Terms),
}

impl Delivery {
    /// The request.
    ///
    /// # Panics
    ///
    /// If it is something else.
    pub fn http(&self) -> &Request {
        match self {
            Self::Http(request, _) => request,
            other => panic!("no request: {other:?}"),
        }
    }

    /// The mail.
    ///
    /// # Panics
    ///
    /// If it is something else.
    pub fn mail(&self) -> &Message {
        match self {
            Self::Mail(mail, _) => mail,
            other => panic!("no mail: {other:?}"),
        }
    }

    /// The command.
    ///
    /// # Panics
    ///
    /// If it is something else.
    pub fn ssh(&self) -> &Command {
        match self {
            Self::Ssh(command, _) => command,
            other => panic!("no command: {other:?}"),
        }
    }

    /// The terms.
    pub fn terms(&self) -> &Terms {
        match self {
            Self::Http(_, terms) | Self::Mail(_, terms) | Self::Ssh(_, terms) => terms,
            Self::Irc { terms, .. } | Self::Membership { terms, .. } | Self::Act { terms, .. } => terms,
        }
    }
}

/// A reporter with its settings.
#[derive(Debug)]
pub struct Configured<R> {
    /// The reporter.
    pub reporter: R,
    /// Its plan.
    pub plan: Plan,
    /// What it logged beside it.
    pub log: Vec<(Level, String)>,
}

/// What a call did.
#[derive(Debug)]
pub struct Report {
    /// Its answer.
    pub outcome: Result<Outcome, Failure>,
    /// What it sent, in order; as the host, nothing if it failed.
    pub sent: Vec<Delivery>,
    /// What it logged.
    pub log: Vec<(Level, String)>,
    /// What it wants to be reminded of: tag, and in how many seconds.
    pub reminders: Vec<(String, u32)>,
}

impl Report {
    /// Why nothing was sent.
    ///
    /// # Panics
    ///
    /// If it was not skipped.
    pub fn skipped(&self) -> &str {
        match &self.outcome {
            Ok(Outcome::Skipped(reason)) => reason,
            other => panic!("not skipped: {other:?}"),
        }
    }

    /// The only delivery.
    ///
    /// # Panics
    ///
    /// If there are none or several.
    pub fn only(&self) -> &Delivery {
        match &self.sent[..] {
            [delivery] => delivery,
            other => panic!("{} deliveries, outcome {:?}", other.len(), self.outcome),
        }
    }
}

/// Calls `configure`, as the host does.
///
/// # Errors
///
/// Its problems.
pub fn configure<R: Reporter>(settings: Value) -> Result<Configured<R>, Problems> {
    WORLD.with_borrow_mut(|world| world.log.clear());
    let (reporter, plan) = crate::settings::read(settings).and_then(R::configure)?;
    let log = WORLD.with_borrow_mut(|world| std::mem::take(&mut world.log));
    Ok(Configured { reporter, plan, log })
}

impl<R: Reporter> Configured<R> {
    /// Reports an event (see [`crate::event`] for its JSON).
    pub fn report(&self, event: Value) -> Report {
        WORLD.with_borrow_mut(|world| {
            world.sent.clear();
            world.log.clear();
        });
        let outcome = self.reporter.report(&Event::from_json(event));
        finish(outcome)
    }

    /// Delivers an answer.
    pub fn answered(&self, tag: &str, answer: &Answer) -> Report {
        finish(self.reporter.answered(tag, answer))
    }

    /// Reminds it.
    pub fn remind(&self, tag: &str) -> Report {
        forget(tag);
        self.answered(tag, &Answer { status: 0, headers: Vec::new(), body: Vec::new(), ended: "due".into() })
    }
}

impl<R: ChatReporter> Configured<R> {
    /// Lets it hear an update (see [`crate::chat::Update`] for its JSON).
    pub fn heard(&self, update: Value) -> Report {
        let update = update.to_string();
        finish(Update::parse(&update).map_err(Failure::for_good).and_then(|update| self.reporter.heard(&update)))
    }
}

fn finish(outcome: Result<Outcome, Failure>) -> Report {
    let (mut sent, log, mut reminders) =
        WORLD.with_borrow_mut(|world| (std::mem::take(&mut world.sent), std::mem::take(&mut world.log), std::mem::take(&mut world.reminders)));
    if outcome.is_err() {
        sent.clear();
        reminders.clear();
    }
    WORLD.with_borrow_mut(|world| world.awaited.extend(reminders.iter().map(|(tag, _)| tag.clone())));
    Report { outcome, sent, log, reminders }
}

/// Formats an event with a formatter. The subjects are the event's builds, its worker, or `users` (names).
///
/// # Errors
///
/// Problems of the settings, or the formatter's own error.
pub fn format<F: Formatter>(settings: Value, slot: &str, event: Value, context: Value) -> Result<Value, String> {
    let settings: F::Settings = crate::settings::read(settings).map_err(|problems| problems.to_string())?;
    F::check(&settings).map_err(|problems| problems.to_string())?;
    let context = Context(context.as_object().cloned().unwrap_or_default());
    F::format(&settings, slot, subjects(event), context).map(|document| document.0)
}

fn subjects(event: Value) -> Subjects {
    if let Some(users) = event["users"].as_array() {
        return Subjects::Users(users.iter().filter_map(Value::as_str).map(User::named).collect());
    }
    match event.get("worker") {
        Some(worker) => Subjects::Worker(Worker::from_json(worker.clone())),
        None => Event::from_json(event).subjects(None),
    }
}

type Plugged = Box<dyn Fn(Subjects, Context) -> Result<Document, String>>;
type Remote = Box<dyn Fn(&Request) -> Answer>;
type Masters = Box<dyn Fn(&str, &[String], &[(String, String)]) -> Answer>;
type Shell = Box<dyn Fn(&Command) -> Answer>;

/// What the host allows unless an operator says otherwise: deliveries of a call and their bytes, and bytes of state.
const LIMITS: Limits = Limits { sends: 100, send_bytes: 8 << 20, state_bytes: 64 << 10 };

#[derive(Clone, Copy)]
struct Limits {
    sends: u32,
    send_bytes: u64,
    state_bytes: u64,
}

#[derive(Default)]
struct World {
    sent: Vec<Delivery>,
    log: Vec<(Level, String)>,
    reminders: Vec<(String, u32)>,
    awaited: Vec<String>,
    limits: Option<Limits>,
    state: BTreeMap<String, String>,
    plugged: HashMap<String, Plugged>,
    remote: Option<Remote>,
    masters: Vec<String>,
    master: Option<Masters>,
    shell: Option<Shell>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::default();
}

/// Plugs a formatter into a slot, for this thread.
pub fn plug(slot: &str, formatter: impl Fn(Subjects, Context) -> Result<Document, String> + 'static) {
    WORLD.with_borrow_mut(|world| world.plugged.insert(slot.into(), Box::new(formatter)));
}

/// Answers this thread's `http::query`.
pub fn remote(answers: impl Fn(&Request) -> Answer + 'static) {
    WORLD.with_borrow_mut(|world| world.remote = Some(Box::new(answers)));
}

/// Names this thread's masters, and answers its `master::get`: master, path and query.
pub fn masters(names: &[&str], answers: impl Fn(&str, &[String], &[(String, String)]) -> Answer + 'static) {
    WORLD.with_borrow_mut(|world| {
        world.masters = names.iter().map(|&name| name.to_owned()).collect();
        world.master = Some(Box::new(answers));
    });
}

/// What this thread's reporter keeps.
pub fn state() -> BTreeMap<String, String> {
    WORLD.with_borrow(|world| world.state.clone())
}

/// Lets this thread's reporter have kept a value under a key.
pub fn keep(key: &str, value: &str) {
    state_set(key, Some(value));
}

/// Gives this thread's reporter these limits: deliveries of a call, and bytes of state. More than that panics, as it would trap.
pub fn limit(sends: u32, state_bytes: u64) {
    WORLD.with_borrow_mut(|world| world.limits = Some(Limits { sends, state_bytes, ..LIMITS }));
}

/// Gives this thread's reporter as many bytes of deliveries of a call.
pub fn limit_bytes(send_bytes: u64) {
    WORLD.with_borrow_mut(|world| world.limits = Some(Limits { send_bytes, ..world.limits.unwrap_or(LIMITS) }));
}

/// A reminder with this tag does not come any more.
pub fn forget(tag: &str) {
    WORLD.with_borrow_mut(|world| world.awaited.retain(|awaited| awaited != tag));
}

pub(crate) fn awaits(tag: &str) -> bool {
    WORLD.with_borrow(|world| world.awaited.iter().chain(world.reminders.iter().map(|(asked, _)| asked)).any(|awaited| awaited == tag))
}

pub(crate) fn left() -> (u32, u64) {
    WORLD.with_borrow(|world| {
        let limits = world.limits.unwrap_or(LIMITS);
        let sent = u32::try_from(world.sent.len()).unwrap_or(u32::MAX);
        (limits.sends.saturating_sub(sent), limits.send_bytes.saturating_sub(world.sent.iter().map(bytes).sum()))
    })
}

/// Bytes of a mail, as the host counts them; other deliveries are small.
fn bytes(delivery: &Delivery) -> u64 {
    let Delivery::Mail(mail, _) = delivery else { return 0 };
    let addresses = mail.to.iter().chain(&mail.cc).chain(&mail.bcc).map(String::len);
    let pairs = mail.headers.iter().chain(&mail.body).map(|(name, value)| name.len() + value.len());
    let attached = mail.attachments.iter().map(|attachment| match &attachment.content {
        crate::smtp::Content::Bytes(bytes) => bytes.len(),
        crate::smtp::Content::Log(_) => 0,
    });
    (mail.subject.len() + addresses.chain(pairs).chain(attached).sum::<usize>()) as u64
}

pub(crate) fn state_room() -> u64 {
    WORLD.with_borrow(|world| {
        let used: usize = world.state.iter().map(|(key, value)| key.len() + value.len()).sum();
        world.limits.unwrap_or(LIMITS).state_bytes.saturating_sub(used as u64)
    })
}

/// What looks like an address. International domains are not made A-labels here, but marked: which they are is the host's to know.
/// A label that is too long then (RFC 1035: 63) is none.
pub(crate) fn wire_form(address: &str) -> Result<String, String> {
    let bare = address.trim().strip_suffix('>').and_then(|inside| inside.rsplit_once('<')).map_or(address.trim(), |(_, bare)| bare);
    match bare.rsplit_once('@') {
        Some((local, domain)) if domain.is_ascii() => Ok(format!("{local}@{domain}")),
        Some((local, domain)) if domain.split('.').any(|label| label.chars().count() > 59) => Err(format!("{local}@{domain} is no address")),
        Some((local, domain)) => Ok(format!("{local}@xn--{}", domain.to_lowercase().replace(|c: char| !c.is_ascii(), "-"))),
        None => Err(format!("{address:?} is no address")),
    }
}

pub(crate) fn master_names() -> Vec<String> {
    WORLD.with_borrow(|world| world.masters.clone())
}

pub(crate) fn answer_master(master: &str, path: &[String], query: &[(String, String)]) -> Answer {
    let none = || Answer { status: 404, headers: Vec::new(), body: Vec::new(), ended: "answered".into() };
    WORLD.with_borrow(|world| world.master.as_ref().map_or_else(none, |answers| answers(master, path, query)))
}

/// Answers this thread's `ssh::query`.
pub fn shell(answers: impl Fn(&Command) -> Answer + 'static) {
    WORLD.with_borrow_mut(|world| world.shell = Some(Box::new(answers)));
}

pub(crate) fn record(delivery: Delivery) {
    assert!(left().0 > 0, "more is sent than limits.sends");
    assert!(left().1 >= bytes(&delivery), "more is sent than limits.send_kib");
    WORLD.with_borrow_mut(|world| world.sent.push(delivery));
}

pub(crate) fn record_line(level: Level, message: &str) {
    WORLD.with_borrow_mut(|world| world.log.push((level, message.into())));
}

pub(crate) fn record_reminder(tag: &str, after: u32) {
    WORLD.with_borrow_mut(|world| world.reminders.push((tag.into(), after)));
}

pub(crate) fn answer_query(request: &Request) -> Answer {
    let none = || Answer { status: 404, headers: Vec::new(), body: Vec::new(), ended: "answered".into() };
    WORLD.with_borrow(|world| world.remote.as_ref().map_or_else(none, |remote| remote(request)))
}

/// Without a [`shell`], as where there is no network.
pub(crate) fn answer_command(command: &Command) -> Answer {
    let none = || Answer { status: 0, headers: Vec::new(), body: Vec::new(), ended: "answered".into() };
    WORLD.with_borrow(|world| world.shell.as_ref().map_or_else(none, |shell| shell(command)))
}

pub(crate) fn call_formatter(slot: &str, subjects: Subjects, context: &str) -> Result<String, String> {
    let context = Context(serde_json::from_str(context).map_err(|error| error.to_string())?);
    WORLD.with_borrow(|world| match world.plugged.get(slot) {
        Some(formatter) => formatter(subjects, context).map(|document| document.0.to_string()),
        None => Err(format!("no formatter is plugged into {slot}")),
    })
}

pub(crate) fn state_get(key: &str) -> Option<String> {
    WORLD.with_borrow(|world| world.state.get(key).cloned())
}

pub(crate) fn state_set(key: &str, value: Option<&str>) {
    let old = state_get(key).map_or(0, |old| key.len() + old.len());
    let new = value.map_or(0, |value| key.len() + value.len());
    assert!(new as u64 <= state_room() + old as u64, "more is kept than limits.state_kib");
    WORLD.with_borrow_mut(|world| match value {
        Some(value) => world.state.insert(key.into(), value.into()),
        None => world.state.remove(key),
    });
}

pub(crate) fn state_keys(prefix: &str) -> Vec<String> {
    WORLD.with_borrow(|world| world.state.keys().filter(|key| key.starts_with(prefix)).cloned().collect())
}
