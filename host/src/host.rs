//! The host put together: settings in force, sources running, events dispatched, deliveries made.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;

use crate::contract::{Ask, Spool};
use crate::delivery::{self, Engine, Transports};
use crate::dispatch::{self, Dispatch, Entries, EntryDirectory, Intake, Out};
use crate::event::Fetch;
use crate::sandbox::{ConfigureError, Engines, Loader};
use crate::secret::Vault;
use crate::source::buildbot::Master;
use crate::source::inbox::Inbox;
use crate::source::recording::Recording;
use crate::source::updates::Updates;
use crate::source::{Journal, Reveal, SourceError};
use crate::store::{Mode, Retention, SqliteStore, Store, StoreError};
use crate::tenant::settings::{Diagnostic, KeptOut, NetworkSettings, Report, Settings, SourceKind, SourceSettings};
use crate::tenant::{Entry, EntryError, Shared};
use crate::transport::http::HttpTransport;
use crate::transport::irc::IrcTransport;
use crate::transport::policy::{CidrError, Policy};
use crate::transport::smtp::SmtpTransport;
use crate::transport::ssh::SshTransport;
use crate::transport::{Answer, ByLevel, Endpoint, EndpointKind, HttpRequest, MasterTransport, Sink, Sources, SshCommand, Wanted, Whereto};

/// How long a query may take.
const QUERY: Duration = Duration::from_secs(20);
/// How often retention is looked after.
const RETAIN_EVERY: Duration = Duration::from_secs(600);

/// Why a host cannot begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The settings are wrong.
    #[error("{0}")]
    Settings(Report),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A reload cannot change this.
    #[error("[network], and state_dir, sink and log of [host], are read when the host starts: restart it, or undo what changed there")]
    Restart,
    /// A source.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The cache of compiled components.
    #[error("the cache of compiled components in {path} cannot be made: {cause}; set XDG_CACHE_HOME to a folder that may be written", path = path.display())]
    Cache {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The engines.
    #[error("the WebAssembly engine does not start: {0}; it reserves address space, so look at `ulimit -v`")]
    Engine(String),
    /// `[network]`.
    #[error("[network]: {0}")]
    Network(#[from] CidrError),
}

/// What every command needs that looks at components.
#[derive(Clone)]
pub struct Workbench {
    /// Loads components.
    pub loader: Arc<Loader>,
}

impl Workbench {
    /// Engines, and the cache of compiled code in the user's cache folder.
    ///
    /// # Errors
    /// [`StartError::Engine`], [`StartError::Cache`].
    pub fn new() -> Result<Self, StartError> {
        crate::transport::install_crypto();
        let engines = Engines::start().map_err(|error| StartError::Engine(format!("{error:#}")))?;
        let path = cache_folder();
        let loader = Loader::new(engines, path.clone()).map_err(|cause| StartError::Cache { path, cause })?;
        Ok(Self { loader: Arc::new(loader) })
    }

    /// What entries share.
    pub fn shared(&self, wires: &Wires) -> Shared {
        Shared {
            loader: self.loader.clone(),
            ask: Arc::new(Asking(wires.clone())),
            spool: wires.spool.clone(),
            masters: wires.sources.clone(),
            webhooks: wires.webhooks,
        }
    }

    /// Configures every entry of the settings.
    ///
    /// # Errors
    /// [`StartError::Settings`], with everything that is wrong.
    pub async fn entries(&self, settings: &Settings, wires: &Wires) -> Result<Entries, StartError> {
        let (entries, wrong) = self.configured(settings, wires).await;
        let wrong: Vec<_> = wrong.iter().flat_map(|(service, error)| diagnostics(settings, service, error)).collect();
        if wrong.is_empty() { Ok(entries) } else { Err(StartError::Settings(Report { diagnostics: wrong, files: settings.files.clone() })) }
    }

    /// The same for a host that starts: entries whose component is broken are kept out. What is wrong with settings is an error
    /// all the same.
    ///
    /// # Errors
    /// [`StartError::Settings`].
    async fn entries_to_start(&self, settings: &Settings, wires: &Wires) -> Result<(Entries, Out), StartError> {
        let (entries, wrong) = self.configured(settings, wires).await;
        let (broken, wrong): (Vec<_>, Vec<_>) = wrong.into_iter().partition(|(_, error)| error.is_of_component());
        let wrong: Vec<_> = wrong.iter().flat_map(|(service, error)| diagnostics(settings, service, error)).collect();
        if !wrong.is_empty() {
            return Err(StartError::Settings(Report { diagnostics: wrong, files: settings.files.clone() }));
        }
        let broken = broken.into_iter().filter_map(|(name, error)| {
            let service = settings.services.iter().find(|service| service.name == name)?;
            let why = settings.locate(&name, "", error.to_string());
            Some(KeptOut { name, follows: service.follows.clone(), expires_after: service.expires_after, why })
        });
        let out: Out = settings.kept_out.iter().cloned().chain(broken).map(|out| (out.name.clone(), out)).collect();
        for (name, out) in &out {
            tracing::error!(
                entry = name,
                "the entry is kept out, the others run; what it misses waits for it until a reload finds it mended:\n{}",
                out.why.render(false)
            );
        }
        Ok((entries, out))
    }

    async fn configured(&self, settings: &Settings, wires: &Wires) -> (Entries, Vec<(String, EntryError)>) {
        let shared = self.shared(wires);
        let (mut entries, mut wrong) = (Entries::new(), Vec::new());
        for service in &settings.services {
            match Entry::new(service.clone(), &shared).await {
                Ok(entry) => {
                    entry.plan.warnings().for_each(|warning| tracing::warn!(entry = service.name, "{warning}"));
                    entries.insert(service.name.clone(), Arc::new(entry));
                }
                Err(error) => wrong.push((service.name.clone(), error)),
            }
        }
        (entries, wrong)
    }
}

/// What is wrong with an entry, where it stands in the settings.
pub fn diagnostics(settings: &Settings, service: &str, error: &EntryError) -> Vec<Diagnostic> {
    match error {
        EntryError::Configure(ConfigureError::Problems(problems)) => {
            problems.iter().map(|problem| settings.locate(service, &problem.at, &problem.message)).collect()
        }
        other => vec![settings.locate(service, "", other.to_string())],
    }
}

/// `$XDG_CACHE_HOME/reporter-host/compiled`, or below `~/.cache`, or in the temporary folder of this user.
fn cache_folder() -> PathBuf {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("reporter-host").join("compiled")
}

/// The transports, as the settings' network policy allows.
#[derive(Clone)]
pub struct Wires {
    /// HTTP.
    pub http: Arc<ByLevel<HttpTransport>>,
    /// SMTP.
    pub smtp: Arc<ByLevel<SmtpTransport>>,
    /// IRC.
    pub irc: Arc<IrcTransport>,
    /// Control calls on masters.
    pub master: Arc<MasterTransport>,
    /// The sources that run.
    pub sources: Arc<Sources>,
    /// SSH.
    pub ssh: Arc<ByLevel<SshTransport>>,
    /// What is said to bots, where it has to be fetched.
    pub updates: Arc<Updates>,
    /// Attached logs.
    pub spool: Arc<Files>,
    /// Which control calls have begun.
    begun: Arc<Files>,
    /// Whether the network is left alone: `[host] sink`.
    sink: bool,
    /// Whether webhooks are taken.
    webhooks: bool,
}

impl Wires {
    /// Transports for these settings.
    ///
    /// # Errors
    /// [`StartError::Network`].
    pub fn new(settings: &Settings) -> Result<Self, StartError> {
        let listed = |policy: Policy| Ok::<_, CidrError>(Arc::new(policy.with_lists(&settings.network.allow, &settings.network.deny)?));
        let (operator, strict) = (listed(Policy::operator())?, listed(Policy::strict())?);
        let folder = settings.state_dir.join("spool");
        let begun = settings.state_dir.join("begun");
        let sources = Arc::<Sources>::default();
        let http = Arc::new(ByLevel::new(operator.clone(), strict.clone(), HttpTransport::new));
        Ok(Self {
            updates: Arc::new(Updates::new(http.clone())),
            irc: Arc::new(IrcTransport::new(operator.clone(), strict.clone())),
            master: Arc::new(MasterTransport::new(sources.clone(), begun.clone())),
            sources,
            begun: Arc::new(Files(begun)),
            http,
            smtp: Arc::new(ByLevel::new(operator.clone(), strict.clone(), |policy| SmtpTransport::new(policy, folder.clone()))),
            ssh: Arc::new(ByLevel::new(operator, strict, SshTransport::new)),
            spool: Arc::new(Files(folder)),
            sink: settings.sink,
            webhooks: settings.webhooks.is_some(),
        })
    }

    /// What deliveries go through.
    pub fn transports(&self) -> Transports {
        if self.sink {
            return Transports { http: Arc::new(Sink), smtp: Arc::new(Sink), irc: Arc::new(Sink), ssh: Arc::new(Sink), master: Arc::new(Sink) };
        }
        Transports { http: self.http.clone(), smtp: self.smtp.clone(), irc: self.irc.clone(), ssh: self.ssh.clone(), master: self.master.clone() }
    }
}

struct Asking(Wires);

#[async_trait]
impl Ask for Asking {
    async fn ask(&self, entry: &str, endpoint: &Endpoint, request: &HttpRequest, vault: &dyn Vault) -> Answer {
        if self.0.sink {
            return Sink::unasked();
        }
        self.0.http.at(endpoint).query(entry, endpoint, request, vault, QUERY).await
    }

    async fn run(&self, endpoint: &Endpoint, command: &SshCommand, vault: &dyn Vault) -> Answer {
        if self.0.sink {
            return Sink::unasked();
        }
        self.0.ssh.at(endpoint).query(endpoint, command, vault, QUERY).await
    }
}

/// Attached logs, in a folder of the state folder.
pub struct Files(PathBuf);

impl Spool for Files {
    fn put(&self, name: &str, pieces: &mut dyn Iterator<Item = &str>) -> io::Result<()> {
        let path = self.0.join(name);
        if path.exists() {
            return Ok(());
        }
        std::fs::create_dir_all(&self.0)?;
        let mut file = io::BufWriter::new(tempfile::NamedTempFile::new_in(&self.0)?);
        for piece in pieces {
            io::Write::write_all(&mut file, piece.as_bytes())?;
        }
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_data()?;
        file.persist(&path).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Files {
    /// Removes files older than `age`.
    fn sweep(&self, age: Duration) -> io::Result<()> {
        for file in std::fs::read_dir(&self.0)? {
            let file = file?;
            let old = file.metadata()?.modified()?.elapsed().is_ok_and(|elapsed| elapsed > age);
            if old {
                std::fs::remove_file(file.path())?;
            }
        }
        Ok(())
    }
}

/// Who hears what happens.
pub trait Observer: dispatch::Observer + delivery::Observer {}
impl<T: dispatch::Observer + delivery::Observer> Observer for T {}

/// A running host.
pub struct Host {
    /// The store.
    pub store: Arc<dyn Store>,
    workbench: Workbench,
    dispatch: Arc<Dispatch>,
    entries: Arc<ArcSwap<Entries>>,
    out: Arc<ArcSwap<Out>>,
    running: Mutex<Running>,
    wires: Wires,
    retention: Arc<ArcSwap<Retention>>,
    /// Looks after it.
    retaining: Mutex<JoinSet<()>>,
    /// What a reload cannot change.
    fixed: Fixed,
}

struct Running {
    stop: watch::Sender<bool>,
    tasks: JoinSet<Result<(), SourceError>>,
    /// What the sources were made from, to tell whether a reload changes them.
    made_from: MadeFrom,
    /// Where its inboxes listen.
    listens: Vec<SocketAddr>,
    /// Whether every source is a recording: then the host ends with them.
    ends: bool,
}

impl Host {
    /// Starts everything that the settings say.
    ///
    /// # Errors
    /// [`StartError`]; nothing is left running.
    pub async fn start(workbench: Workbench, settings: &Settings, observer: Arc<impl Observer + 'static>) -> Result<Self, StartError> {
        let wires = Wires::new(settings)?;
        let (entries, out) = workbench.entries_to_start(settings, &wires).await?;
        let (entries, out) = (Arc::new(ArcSwap::from_pointee(entries)), Arc::new(ArcSwap::from_pointee(out)));
        let store: Arc<dyn Store> = Arc::new(SqliteStore::open(&store_file(settings), Mode::Host).await?);
        let directory = Arc::new(EntryDirectory { entries: entries.clone(), out: out.clone() });
        let sources = Self::sources(settings, &[]).await?;
        wires.updates.listen(settings.webhooks).await?;
        // The engine takes up what waits at once, and a control call needs its master.
        wires.sources.set(sources.iter().map(|(name, made)| (name.clone(), made.fetcher())).collect());
        let options = delivery::Options::default();
        let engine = Engine::start(store.clone(), wires.transports(), directory.clone(), observer.clone(), options).await?;
        let dispatch = Dispatch::new(store.clone(), workbench.loader.clone(), &directory, engine, observer);
        for (name, made) in &sources {
            dispatch.add_source(name, made.fetcher());
        }
        // What waits comes before what is new.
        dispatch.resume().await?;
        let running = Self::begin(&dispatch, sources, settings);
        let retention = Arc::new(ArcSwap::from_pointee(settings.retention.clone()));
        let host = Self {
            store,
            workbench,
            dispatch,
            entries,
            out,
            running: Mutex::new(running),
            wires,
            retention,
            retaining: Mutex::default(),
            fixed: fixed(settings),
        };
        host.look_after().await;
        host.converse().await;
        Ok(host)
    }

    /// Makes the sources, which do not run yet. Inboxes listen already, unless on an address of `held`: what is to be stopped has that.
    async fn sources(settings: &Settings, held: &[SocketAddr]) -> Result<Vec<(String, Made)>, SourceError> {
        let mut made = Vec::new();
        for source in &settings.sources {
            let one = match &source.kind {
                SourceKind::Recording { file } => Made::Recording(Recording::new(&source.name, file)),
                SourceKind::Master(_) => Made::Master(master(source, settings)?),
                SourceKind::Inbox(its) => {
                    let inbox = Inbox::new(&source.name, its.clone(), reveal(settings));
                    let listener = if held.contains(&its.listen) { None } else { Some(inbox.listen().await?.0) };
                    Made::Inbox(inbox, listener)
                }
            };
            made.push((source.name.clone(), one));
        }
        Ok(made)
    }

    /// Lets the sources run.
    fn begin(dispatch: &Arc<Dispatch>, made: Vec<(String, Made)>, settings: &Settings) -> Running {
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let journal: Arc<dyn Journal> = Arc::new(Intake(dispatch.clone()));
        for (_, made) in made {
            let (journal, stopped) = (journal.clone(), stopped.clone());
            tasks.spawn(async move {
                match made {
                    Made::Recording(recording) => recording.run(journal, stopped).await.map(drop),
                    Made::Inbox(inbox, Some(listener)) => {
                        inbox.serve(listener, journal, stopped).await;
                        Ok(())
                    }
                    Made::Inbox(inbox, None) => inbox.run(journal, stopped).await,
                    Made::Master(master) => {
                        master.run(journal, stopped).await;
                        Ok(())
                    }
                }
            });
        }
        let ends = settings.sources.iter().all(|source| matches!(source.kind, SourceKind::Recording { .. }));
        let listens = settings.sources.iter().filter_map(|source| match &source.kind {
            SourceKind::Inbox(inbox) => Some(inbox.listen),
            _ => None,
        });
        Running { stop, tasks, made_from: made_from(settings), listens: listens.collect(), ends }
    }

    /// Keeps the connections that the entries in force want, unless the network is left alone.
    async fn converse(&self) {
        if self.wires.sink {
            return;
        }
        let entries = self.entries.load_full();
        let (mut irc, mut updates) = (Vec::new(), Vec::new());
        for (name, entry) in entries.iter() {
            for endpoint in entry.plan.endpoints.values() {
                let list = match (&endpoint.kind, endpoint.updates()) {
                    (EndpointKind::Irc(_), _) => &mut irc,
                    (_, Some(_)) => &mut updates,
                    _ => continue,
                };
                let made_from = entry.service.settings.to_string();
                list.push(Wanted { entry: name.clone(), endpoint: endpoint.clone(), vault: entry.service.vault.clone(), made_from });
            }
        }
        let dispatch = self.dispatch.clone();
        let whereto = Whereto { ears: self.dispatch.clone(), wake: Arc::new(move |destination| dispatch.wake(destination)) };
        self.wires.irc.keep(irc, &whereto).await;
        self.wires.updates.keep(updates, &whereto).await;
    }

    /// Retention, as long as the host lives.
    async fn look_after(&self) {
        let (store, retention, spool) = (Arc::downgrade(&self.store), self.retention.clone(), self.wires.spool.clone());
        let begun = self.wires.begun.clone();
        self.retaining.lock().await.spawn(async move {
            loop {
                let Some(store) = store.upgrade() else { return };
                let retention = retention.load_full();
                match store.retain(&retention).await {
                    Ok((0, 0)) => {}
                    Ok((events, deliveries)) => tracing::info!(events, deliveries, "retention removed what had ended"),
                    Err(error) => tracing::warn!("retention: {error}"),
                }
                drop(store);
                // A delivery can be redelivered as long as it is kept, and needs its logs then.
                spool.sweep(Duration::from_secs(retention.age.saturating_mul(2))).ok();
                begun.sweep(Duration::from_secs(retention.age.saturating_mul(2))).ok();
                tokio::time::sleep(RETAIN_EVERY).await;
            }
        });
    }

    /// Waits until recordings have been played to the end and everything is delivered. Never, if there is a source
    /// that goes on.
    ///
    /// # Errors
    /// A source's.
    pub async fn finished(&self) -> Result<(), SourceError> {
        let mut running = self.running.lock().await;
        while let Some(ended) = running.tasks.join_next().await {
            let ended = ended.unwrap_or_else(|error| {
                tracing::error!("a source broke off: {error}");
                Ok(())
            });
            match ended {
                Err(error) if !running.ends => tracing::error!("the host goes on without a source: {error}"),
                ended => ended?,
            }
        }
        if !running.ends {
            std::future::pending::<()>().await;
        }
        self.dispatch.idle().await;
        Ok(())
    }

    /// Takes new settings whole or not at all. Deliveries under way finish.
    ///
    /// # Errors
    /// What is wrong with them; the old ones stay in force.
    pub async fn reload(&self, settings: &Settings) -> Result<(), StartError> {
        if fixed(settings) != self.fixed {
            return Err(StartError::Restart);
        }
        let wires = Wires { webhooks: settings.webhooks.is_some(), ..self.wires.clone() };
        let entries = self.workbench.entries(settings, &wires).await?;
        let mut running = self.running.lock().await;
        let changed = running.made_from != made_from(settings);
        // Everything that may fail is done before anything is put in force.
        let sources = if changed { Self::sources(settings, &running.listens).await? } else { Vec::new() };
        self.wires.updates.listen(settings.webhooks).await?;
        self.retention.store(Arc::new(settings.retention.clone()));
        self.entries.store(Arc::new(entries));
        // All of them run now.
        self.out.store(Arc::default());
        self.dispatch.look_again();
        if changed {
            // A source and its successor of the same name would both move its cursor.
            running.stop.send_replace(true);
            while running.tasks.join_next().await.is_some() {}
            for (name, made) in &sources {
                self.dispatch.add_source(name, made.fetcher());
            }
            self.wires.sources.set(sources.iter().map(|(name, made)| (name.clone(), made.fetcher())).collect());
            *running = Self::begin(&self.dispatch, sources, settings);
        }
        drop(running);
        self.converse().await;
        Ok(())
    }

    /// Stops: sources first, then calls and attempts under way end, then the store is closed.
    pub async fn stop(self) {
        let mut running = self.running.lock().await;
        running.stop.send_replace(true);
        while running.tasks.join_next().await.is_some() {}
        // What waits for a connection is not waited for.
        self.wires.irc.end().await;
        self.wires.updates.end().await;
        self.dispatch.drain().await;
        self.retaining.lock().await.shutdown().await;
        self.store.close().await;
    }
}

/// A source that does not run yet.
enum Made {
    Recording(Arc<Recording>),
    Inbox(Arc<Inbox>, Option<TcpListener>),
    Master(Arc<Master>),
}

impl Made {
    /// What answers for details of its events.
    fn fetcher(&self) -> Arc<dyn Fetch> {
        match self {
            Self::Recording(recording) => recording.clone(),
            Self::Inbox(inbox, _) => inbox.clone(),
            Self::Master(master) => master.fetcher(),
        }
    }
}

/// The master of a source's settings.
///
/// # Errors
/// Its URL or `verify` cannot work, or it is no master.
pub fn master(source: &SourceSettings, settings: &Settings) -> Result<Arc<Master>, SourceError> {
    let SourceKind::Master(master) = &source.kind else {
        return Err(SourceError::Master { name: source.name.clone(), why: "it is no master".into() });
    };
    let (secrets, login) = (settings.secrets.clone(), master.login.clone());
    let login = Arc::new(move || match &login {
        Some((user, password)) => Ok(Some((secrets.value(user)?, secrets.value(password)?))),
        None => Ok(None),
    });
    let policy = Policy::operator().with_lists(&settings.network.allow, &settings.network.deny);
    let policy = policy.map_err(|error| SourceError::Master { name: source.name.clone(), why: format!("[network]: {error}") })?;
    Master::new(&source.name, master.clone(), login, Arc::new(policy))
}

/// The inbox of a source's settings, if it is one.
pub fn inbox(source: &SourceSettings, settings: &Settings) -> Option<Arc<Inbox>> {
    let SourceKind::Inbox(inbox) = &source.kind else { return None };
    Some(Inbox::new(&source.name, inbox.clone(), reveal(settings)))
}

fn reveal(settings: &Settings) -> Reveal {
    let secrets = settings.secrets.clone();
    Arc::new(move |value| secrets.value(value))
}

/// Where the store is.
pub fn store_file(settings: &Settings) -> PathBuf {
    settings.state_dir.join("store.sqlite")
}

/// State folder, sink, log and network.
type Fixed = (PathBuf, bool, Option<String>, NetworkSettings);

fn fixed(settings: &Settings) -> Fixed {
    (settings.state_dir.clone(), settings.sink, settings.log.clone(), settings.network.clone())
}

/// Sources by name, and where secrets are.
type MadeFrom = (BTreeMap<String, SourceKind>, String);

fn made_from(settings: &Settings) -> MadeFrom {
    let all = settings.sources.iter().map(|source| (source.name.clone(), source.kind.clone()));
    (all.collect(), settings.secrets.places())
}
