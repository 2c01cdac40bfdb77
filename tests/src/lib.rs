//! What the suites share: components run in the real sandbox on events made here, without a store
//! and without a network.

pub mod bot;
pub mod gerrit;
pub mod play;
pub mod process;
pub mod proxy;
pub mod real;
pub mod recorded;
pub mod server;
pub mod stage;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reporter_host::contract::{Ask, Ended, EntryView, Formatted, Later, Plan, Spool, Subformat, Subjects};
use reporter_host::event::{Details, Event, Fetch, FetchError, Keep, Kind, Rows};
use reporter_host::host::Workbench;
use reporter_host::sandbox::{ConfigureError, Limits, LoadError, Loaded, Occasion, Outcome, Ran, Reporter, RunError, Snapshots};
use reporter_host::secret::{Plain, Vault, VaultError};
use reporter_host::transport::{Answer, Endpoint, HttpRequest, SshCommand};
use serde_json::{Value, json};

/// The sandbox, with what surrounds it replaced by what a test says.
pub struct Kit {
    workbench: Workbench,
    /// The limits of every call.
    pub limits: Limits,
    /// How long a query takes before it is answered with 200.
    pub query_takes: Duration,
    /// Formatters by slot: component and settings.
    pub formatters: BTreeMap<String, (Loaded, Value)>,
    /// The entry's state at the beginning.
    pub state: BTreeMap<String, String>,
    /// The masters that it may ask.
    pub masters: Arc<reporter_host::transport::Sources>,
}

impl Default for Kit {
    fn default() -> Self {
        Self::new()
    }
}

impl Kit {
    /// A sandbox with the default limits. Compiled code is shared by all tests.
    pub fn new() -> Self {
        Self {
            workbench: Workbench::new().expect("the engine starts"),
            limits: Limits::default(),
            query_takes: Duration::ZERO,
            formatters: BTreeMap::new(),
            state: BTreeMap::new(),
            masters: Arc::default(),
        }
    }

    /// Loads a component.
    ///
    /// # Errors
    /// The loader's.
    pub fn load(&self, bytes: &[u8]) -> Result<Loaded, LoadError> {
        self.workbench.loader.bytes(bytes, &self.limits)
    }

    /// Loads a built-in reporter.
    pub fn built_in(&self, name: &str) -> Loaded {
        let built_in = reporter_bundle::find(name).unwrap_or_else(|| panic!("no reporter {name}"));
        self.load(built_in.component).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A reporter with its plan.
    ///
    /// # Errors
    /// The component's, or its plan's.
    pub async fn configure(&self, loaded: &Loaded, settings: &Value) -> Result<Ready<'_>, ConfigureError> {
        let plan = loaded.configure(settings, &self.limits).await?;
        let reporter = Arc::new(Reporter::new(loaded.clone(), settings, self.limits.clone())?);
        let entry = EntryView {
            name: "entry".into(),
            endpoints: plan.endpoints.clone(),
            vault: Arc::new(NoSecrets),
            expires_after: Duration::from_secs(3_600),
            state: plan.state,
            formatters: Arc::new(Formatters { formatters: self.formatters.clone(), limits: self.limits.clone() }),
            ask: Arc::new(Slow(self.query_takes)),
            spool: Arc::new(Spooled::default()),
            masters: self.masters.clone(),
        };
        Ok(Ready { kit: self, entry: Arc::new(entry), reporter, plan })
    }

    /// Configures and shows an event.
    pub async fn report(&self, loaded: &Loaded, settings: &Value, details: &Arc<Details>) -> Ran<Outcome> {
        match self.configure(loaded, settings).await {
            Ok(ready) => ready.report(details).await,
            Err(ConfigureError::Run(error)) => {
                Ran { answer: Err(error), sends: vec![], writes: BTreeMap::new(), reminders: vec![], log: vec![], took: Duration::ZERO, ticks: 0 }
            }
            Err(error) => panic!("{settings}: {error}"),
        }
    }
}

/// A configured reporter.
pub struct Ready<'a> {
    kit: &'a Kit,
    entry: Arc<EntryView>,
    /// The reporter.
    pub reporter: Arc<Reporter>,
    /// Its plan.
    pub plan: Plan,
}

impl Ready<'_> {
    /// Shows it an event.
    pub async fn report(&self, details: &Arc<Details>) -> Ran<Outcome> {
        self.reporter.report(self.occasion(details)).await
    }

    /// Lets it start from a snapshot from now on.
    pub async fn freeze(&self) {
        let snapshots = Arc::new(Snapshots::default());
        snapshots.make(self.kit.workbench.loader.clone(), self.reporter.clone()).await.expect("a snapshot");
        assert!(self.reporter.has_snapshot());
    }

    /// What a call is about.
    pub fn occasion(&self, details: &Arc<Details>) -> Occasion {
        let (state, unit) = (self.kit.state.clone(), details.event.id.clone());
        Occasion { entry: self.entry.clone(), details: details.clone(), state, awaited: Vec::new(), unit, patience: Duration::MAX }
    }
}

/// An entry without secrets.
pub struct NoSecrets;

impl Vault for NoSecrets {
    fn reveal(&self, _: &str, _: &str) -> Result<Option<Plain>, VaultError> {
        Ok(None)
    }
    fn values(&self) -> Vec<Plain> {
        Vec::new()
    }
}

struct Formatters {
    formatters: BTreeMap<String, (Loaded, Value)>,
    limits: Limits,
}

#[async_trait]
impl Subformat for Formatters {
    fn wait(&self, _: &str) -> Duration {
        self.limits.wait
    }

    async fn format(&self, slot: &str, details: Arc<Details>, subjects: Subjects, context: String, within: Duration) -> Result<Formatted, Ended> {
        let Some((loaded, settings)) = self.formatters.get(slot) else {
            return Err(Ended::Misuse(format!("no formatter in slot {slot:?}")));
        };
        let limits = Limits { wait: within, ..self.limits.clone() };
        let ran = loaded.format(settings, &limits, details, slot, subjects, &context).await;
        match ran.answer {
            Ok(document) => Ok((Ok(document), ran.log)),
            Err(RunError::NotNow(why)) => Err(Ended::NotNow(why)),
            Err(error) => Ok((Err(error.to_string()), ran.log)),
        }
    }
}

struct Slow(Duration);

#[async_trait]
impl Ask for Slow {
    async fn ask(&self, _: &str, _: &Endpoint, _: &HttpRequest, _: &dyn Vault) -> Result<Answer, Later> {
        tokio::time::sleep(self.0).await;
        Ok(Answer { status: 200, body: br#"{"id": 4000}"#.to_vec(), ..Answer::default() })
    }

    async fn run(&self, _: &Endpoint, _: &SshCommand, _: &dyn Vault) -> Answer {
        tokio::time::sleep(self.0).await;
        Answer { body: b"gerrit version 3.9.1\n".to_vec(), ..Answer::default() }
    }
}

#[derive(Default)]
struct Spooled(Mutex<BTreeMap<String, Vec<u8>>>);

impl Spool for Spooled {
    fn put(&self, name: &str, pieces: &mut dyn Iterator<Item = &str>) -> std::io::Result<()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), pieces.collect::<String>().into_bytes());
        Ok(())
    }
}

/// A source that answers from a map, and counts how often it was asked for each path.
#[derive(Default)]
pub struct Mapped {
    rows: BTreeMap<String, Rows>,
    asked: Mutex<BTreeMap<String, usize>>,
    /// Whether it answers at all.
    pub away: bool,
}

impl Mapped {
    /// A source with these paths.
    pub fn new(rows: impl IntoIterator<Item = (String, Rows)>) -> Self {
        Self { rows: rows.into_iter().collect(), ..Self::default() }
    }

    /// The rows by path.
    pub fn rows(&self) -> impl Iterator<Item = (&String, &Rows)> {
        self.rows.iter()
    }

    /// How often each path was asked for.
    pub fn asked(&self) -> BTreeMap<String, usize> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Fetch for Mapped {
    async fn fetch(&self, path: &str) -> Result<Rows, FetchError> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner).entry(path.to_owned()).or_default() += 1;
        if self.away {
            return Err(FetchError::NotNow("the master is away".into()));
        }
        self.rows.get(path).cloned().ok_or_else(|| FetchError::Missing(path.to_owned()))
    }
}

struct Nowhere;

impl Keep for Nowhere {
    fn keep(&self, _: i64, _: &str, _: &Arc<Rows>) {}
}

/// An event with a source for its details.
pub fn details(event: Event, source: Arc<dyn Fetch>) -> Arc<Details> {
    Arc::new(Details::new(Arc::new(event), 1, [], source, Arc::new(Nowhere)))
}

/// Build 12 of `linux` (build id 40), ended with `results`, and everything about it.
pub fn build(results: u8) -> (Event, Mapped) {
    let message = json!({"buildid": 40, "number": 12, "builderid": 3, "buildrequestid": 50, "workerid": 2, "masterid": 1,
        "started_at": 1_800_000_000, "complete_at": 1_800_000_060, "complete": true, "state_string": "failed 'make check'",
        "results": results, "properties": {}});
    let event =
        Event { id: "main/builds/40/finished".into(), kind: Kind::BuildFinished, source: "main".into(), occurred_at: 1_800_000_060, late: false, message };
    let stamp = json!({"ssid": 1, "branch": "main", "revision": "4f1c9d2e77aab0c3d1e5f60718293a4b5c6d7e8f", "project": "octo/repo",
        "repository": "https://github.com/octo/repo.git", "codebase": "", "created_at": 1_799_999_990, "patch": null});
    let step = json!({"stepid": 70, "number": 1, "name": "check", "buildid": 40, "results": results, "state_string": "failed", "urls": [], "hidden": false});
    let log = json!({"logid": 90, "name": "stdio", "slug": "stdio", "stepid": 70, "complete": true, "num_lines": 3, "type": "s"});
    let rows = [
        (
            "config",
            json!({"title": "Example CI", "titleURL": "https://example.org/", "buildbotURL": "https://ci.example.org/", "versions": [["Buildbot", "4.3.0"]]}),
        ),
        ("builders/3", json!({"builderid": 3, "name": "linux", "masterids": [1], "description": null, "tags": ["unit"]})),
        ("buildrequests/50", json!({"buildrequestid": 50, "buildsetid": 60, "builderid": 3, "complete": true, "results": results})),
        ("buildsets/60", json!({"bsid": 60, "reason": "a change", "complete": true, "results": results, "parent_buildid": null, "sourcestamps": [stamp]})),
        ("buildsets/60/properties", json!({"scheduler": ["all", "Scheduler"]})),
        (
            "builds/40/properties",
            json!({"scheduler": ["all", "Scheduler"], "buildername": ["linux", "Builder"], "workername": ["w1", "Worker"],
            "branch": ["main", "Build"], "revision": ["4f1c9d2e77aab0c3d1e5f60718293a4b5c6d7e8f", "Build"], "owners": [["bob@example.org"], "Build"],
            "event.change.id": ["I8473b95", "Change"], "event.change.number": [4711, "Change"], "event.change.project": ["tools/p", "Change"],
            "event.patchSet.number": [3, "Change"], "event.patchSet.revision": ["4f1c9d2e77aab0c3d1e5f60718293a4b5c6d7e8f", "Change"]}),
        ),
        ("builds/40/changes", json!({"changeid": 5, "author": "Zoë <zoe@example.org>", "comments": "Fix it", "revision": "4f1c9d2", "files": ["a.c"]})),
        ("builds/40/steps", step),
        ("steps/70/logs", log),
        ("logs/90/contents", json!({"logid": 90, "firstline": 0, "content": "hmake check\noline one\neerror: two\n"})),
        ("builders/3/builds?number__lt=12&order=-number&limit=10", json!({"buildid": 39, "number": 11, "builderid": 3, "results": 0, "complete": true})),
    ];
    (event, Mapped::new(rows.map(|(path, row)| (path.to_owned(), vec![row]))))
}
