//! Events, builds, steps, logs, workers: the host's handles, or JSON in a test.
//!
//! A test writes an event as one JSON object:
//!
//! ```json
//! {"kind": "build-finished", "master": {"title": "CI", "url": "https://ci.example/"},
//!  "builds": [{"builder": {"name": "linux"}, "number": 12, "results": 2, "state_string": "failed test",
//!              "properties": {"branch": ["main", "Build"]}, "steps": [], "changes": [{"author": "bob"}], "users": ["bob"]}]}
//! ```
//!
//! `builds` are documents in Buildbot's shape (with `changes`, `users` and `prev_build` beside, as needed); everything may be missing.

use std::cell::OnceCell;

use serde_json::Value;

use crate::bindings::formatter::reporter_host::reporter::events as wit;
use crate::build::{Build, text};
use crate::worker::{User, Worker};

/// What the master is called and where it is.
pub use wit::MasterInfo;

/// One event of a source.
#[derive(Debug)]
pub struct Event {
    source: Source,
    kind: OnceCell<String>,
    builds: OnceCell<Vec<Build>>,
}

#[derive(Debug)]
enum Source {
    Host(wit::Event),
    Json(Value),
}

/// Asks the handle or the JSON.
macro_rules! ask {
    ($self:ident, $host:ident => $of_host:expr, $json:ident => $of_json:expr) => {
        match &$self.source {
            Source::Host($host) => $of_host,
            Source::Json($json) => $of_json,
        }
    };
}

impl Event {
    /// Wraps the host's handle.
    pub fn from_host(event: wit::Event) -> Self {
        Self::of(Source::Host(event))
    }

    /// An event for a test, in the shape of the module's documentation.
    pub fn from_json(event: Value) -> Self {
        Self::of(Source::Json(event))
    }

    fn of(source: Source) -> Self {
        Self { source, kind: OnceCell::new(), builds: OnceCell::new() }
    }

    /// The event's id, unique and stable.
    pub fn id(&self) -> String {
        ask!(self, h => h.id(), j => text(&j["id"]))
    }

    /// `build-finished` …
    pub fn kind(&self) -> &str {
        self.kind.get_or_init(|| ask!(self, h => h.kind(), j => text(&j["kind"])))
    }

    /// The name of the master or inbox.
    pub fn source(&self) -> String {
        ask!(self, h => h.source(), j => text(&j["source"]))
    }

    /// When it happened, in seconds since 1970.
    pub fn occurred_at(&self) -> u64 {
        ask!(self, h => h.occurred_at(), j => j["occurred_at"].as_u64().unwrap_or_default())
    }

    /// Whether it was found after an absence.
    pub fn late(&self) -> bool {
        ask!(self, h => h.late(), j => j["late"].as_bool().unwrap_or_default())
    }

    /// The builds it is about: none for a worker, all of the set for a buildset. *Fetches.*
    pub fn builds(&self) -> &[Build] {
        self.builds.get_or_init(|| self.handles())
    }

    fn handles(&self) -> Vec<Build> {
        ask!(self,
            h => h.builds().into_iter().map(Build::from_host).collect(),
            j => j["builds"].as_array().into_iter().flatten().cloned().map(Build::from_json).collect())
    }

    /// These of the builds (by position), as new handles for a formatter; all if `None`.
    pub fn subjects(&self, only: Option<&[usize]>) -> Subjects {
        let builds = self.handles().into_iter().enumerate();
        Subjects::Builds(builds.filter(|(n, _)| only.is_none_or(|only| only.contains(n))).map(|(_, build)| build).collect())
    }

    /// The buildset of a `buildset-complete`, in Buildbot's shape.
    pub fn buildset(&self) -> Option<Value> {
        ask!(self, h => h.buildset().and_then(|s| serde_json::from_str(&s).ok()), j => j.get("buildset").cloned())
    }

    /// The worker of a worker event, as a new handle.
    pub fn worker(&self) -> Option<Worker> {
        ask!(self, h => h.worker().map(Worker::from_host), j => j.get("worker").cloned().map(Worker::from_json))
    }

    /// The master: title and URLs.
    pub fn master(&self) -> MasterInfo {
        ask!(self, h => h.master(), j => {
            let master = &j["master"];
            MasterInfo { title: text(&master["title"]), title_url: text(&master["title_url"]), url: text(&master["url"]), version: text(&master["version"]) }
        })
    }
}

/// What a hook is about.
#[derive(Debug)]
pub enum Subjects {
    /// Builds: one, or those of a buildset.
    Builds(Vec<Build>),
    /// A worker.
    Worker(Worker),
    /// People to map to addresses.
    Users(Vec<User>),
}

impl Subjects {
    /// Wraps the host's handles.
    pub fn from_host(subjects: wit::Subjects) -> Self {
        match subjects {
            wit::Subjects::Builds(builds) => Self::Builds(builds.into_iter().map(Build::from_host).collect()),
            wit::Subjects::Worker(worker) => Self::Worker(Worker::from_host(worker)),
            wit::Subjects::Users(users) => Self::Users(users.into_iter().map(User::from_host).collect()),
        }
    }

    /// The only or first build.
    ///
    /// # Errors
    ///
    /// For a worker, for users and for an empty buildset: a sentence for the operator.
    pub fn build(&self) -> Result<&Build, String> {
        match self {
            Self::Builds(builds) => builds.first().ok_or_else(|| "there is no build in this buildset".into()),
            _ => Err("this formatter words builds, and was asked about something else".into()),
        }
    }
}
