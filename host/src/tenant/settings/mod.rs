//! The settings file: one TOML document, its includes and templates, read whole or refused with
//! file, line, column, caret and what to write instead.

mod arguments;
mod credential;
mod describe;
mod diagnostic;
mod grants;
mod human;
mod include;
pub mod keys;
mod limits;
mod load;
mod node;
mod schema;
mod secrets;
mod service;
mod shape;
mod source;
mod sources;
pub mod spelling;
mod table;
mod validate;

pub use describe::{Describe, Described};
pub use diagnostic::{Diagnostic, Report, Severity};
pub use load::{load, load_to_operate, load_to_run, load_to_start};
pub use schema::schema;
pub use secrets::Secrets;
pub use source::{Source, Span};

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::sandbox::Limits;
use crate::store::Retention;

/// Everything the operator wrote, checked.
pub struct Settings {
    /// The file.
    pub file: PathBuf,
    /// Where the store and the log spool are; default `./reporter-host.state` beside the file… see docs/settings.md.
    pub state_dir: PathBuf,
    /// Sources.
    pub sources: Vec<SourceSettings>,
    /// Service entries, in order.
    pub services: Vec<Service>,
    /// Entries that are kept out, because a component of theirs is missing or broken: only with `load_to_start` and its like.
    pub kept_out: Vec<KeptOut>,
    /// What is kept, and for how long.
    pub retention: Retention,
    /// `[host] sink`: nothing is sent outside.
    pub sink: bool,
    /// `[host] webhooks`: where posts to the webhooks of services are taken.
    pub webhooks: Option<std::net::SocketAddr>,
    /// Address policy of everything that the host connects to for a component.
    pub network: NetworkSettings,
    /// Everything read on the way: the file, its includes, templates, components. A change of any is a reason to reload.
    pub files: Vec<PathBuf>,
    /// Advice that is no error: normalised spellings, services that no longer exist.
    pub warnings: Vec<String>,
    /// `[host] log`: what goes to the log, as a filter of tracing's.
    pub log: Option<String>,
    /// The operator's secrets, for what the host itself needs: [`Secrets::value`].
    pub secrets: Arc<Secrets>,
    /// What stands where in each entry's settings.
    written: BTreeMap<String, node::Node>,
}

impl Settings {
    /// A problem that an entry's component found in its settings, at the place that it names by a JSON Pointer
    /// into what `configure` got. What is not there is shown at the place where it would be.
    pub fn locate(&self, service: &str, pointer: &str, message: impl Into<String>) -> Diagnostic {
        match self.written.get(service) {
            Some(node) => Diagnostic::error(&node.find(pointer).0.span, message),
            None => Diagnostic::unread(self.file.clone(), message),
        }
    }
}

/// An entry that cannot run for now. What happens meanwhile waits for it.
#[derive(Clone, Debug)]
pub struct KeptOut {
    /// Its name.
    pub name: String,
    /// Sources that it follows; empty: all.
    pub follows: Vec<String>,
    /// How long a report is of use.
    pub expires_after: Duration,
    /// What is wrong, and where it stands.
    pub why: Diagnostic,
}

/// A source, `[[masters]]`, `[[inboxes]]` or `[[recordings]]`.
pub struct SourceSettings {
    /// Its name, unique over all sources; default `main`.
    pub name: String,
    /// Which.
    pub kind: SourceKind,
}

/// Kinds of source.
#[derive(Clone, Debug, PartialEq)]
pub enum SourceKind {
    /// A Buildbot master.
    Master(MasterSettings),
    /// An HTTP inbox.
    Inbox(InboxSettings),
    /// A recording, played once.
    Recording {
        /// The JSON Lines file.
        file: PathBuf,
    },
}

/// `[[masters]]`
#[derive(Clone, Debug, PartialEq)]
pub struct MasterSettings {
    /// `url`: the master's `buildbotURL`, a slash at its end.
    pub url: url::Url,
    /// `user` and `password`, if it wants a login.
    pub login: Option<(SecretRef, SecretRef)>,
    /// `catch_up_from`: where the first start begins; none: now.
    pub catch_up_from: Option<i64>,
    /// `catch_up_max`: how long an absence is caught up (default 24 h).
    pub catch_up_max: Duration,
    /// `poll_every`: how often REST is asked beside the WebSocket (default 60 s), and how missing workers are found.
    pub poll_every: Duration,
    /// `worker_missing_after`: time-out of the poll for workers that went missing while the host was away (default 3600 s).
    pub worker_missing_after: Duration,
    /// `most_log_bytes`: the cap on one log's contents (default 16 MiB).
    pub most_log_bytes: u64,
    /// `verify`: as an endpoint's.
    pub verify: crate::transport::Verify,
    /// `shutdown_command`: begins a clean shutdown.
    pub shutdown_command: Option<Vec<String>>,
    /// `stop_command`: ends the master.
    pub stop_command: Option<Vec<String>>,
}

/// `[[inboxes]]`
#[derive(Clone, Debug, PartialEq)]
pub struct InboxSettings {
    /// `listen`: address and port.
    pub listen: std::net::SocketAddr,
    /// `path` (default `/events`).
    pub path: String,
    /// `token`: the bearer token that posts must carry.
    pub token: SecretRef,
    /// `most_bytes`: the size limit of one post (default 4 MiB).
    pub most_bytes: u64,
    /// `title`, `url`: what the master's would be.
    pub title: String,
    /// The public URL, or empty.
    pub url: String,
}

/// A value that may be a secret: its text, or its name in `[secrets]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretRef {
    /// Written in the settings.
    Plain(String),
    /// `{ secret = "name" }`
    Named(String),
}

/// `[network]`
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NetworkSettings {
    /// CIDR blocks or addresses that are never connected to, beside the built-in ones.
    pub deny: Vec<String>,
    /// CIDR blocks or addresses that may be, whatever else denies them.
    pub allow: Vec<String>,
}

/// One `[[services]]` entry.
#[derive(Clone)]
pub struct Service {
    /// `name`, unique; default the reporter's name, with a number from the second on.
    pub name: String,
    /// Its component.
    pub component: ComponentRef,
    /// What `configure` gets: Buildbot's argument names, secrets as placeholders, templates as text.
    pub settings: Value,
    /// Formatter components by slot.
    pub formatters: BTreeMap<String, Formatter>,
    /// Sources it follows; empty: all.
    pub follows: Vec<String>,
    /// URLs (`https://api.github.com`, `smtp://mail:25`) that its endpoints may be below. None: whatever its settings lead to (built-in reporters).
    pub allow: Option<Vec<String>>,
    /// Its secrets.
    pub vault: Arc<dyn crate::secret::Vault>,
    /// Its limits.
    pub limits: Limits,
    /// How long a delivery is of use, unless the component says less (default 3 days).
    pub expires_after: Duration,
    /// `verbose`, `debug`: what goes to the host's log.
    pub verbose: bool,
    /// See `verbose`.
    pub debug: bool,
    /// The addresses (for mail) or nothing: where the plain built-in message goes if the component fails is its first endpoint.
    pub place: Place,
}

/// Where an entry stands in the settings.
#[derive(Clone, Debug, Default)]
pub struct Place {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
}

/// Which component.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ComponentRef {
    /// A built-in reporter, by its documented name.
    BuiltIn(String),
    /// A file.
    File(PathBuf),
}

/// A formatter component plugged into a slot.
#[derive(Clone, Debug)]
pub struct Formatter {
    /// Which.
    pub component: ComponentRef,
    /// Its own settings.
    pub settings: Value,
    /// Its limits.
    pub limits: Limits,
}
