//! The host put together: settings in force, sources running, events dispatched, deliveries made.

mod sources;
mod wires;
mod workbench;

pub use sources::{inbox, master};
pub use wires::{Files, Wires};
pub use workbench::{Workbench, diagnostics};

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::delivery::{self, Engine};
use crate::dispatch::{self, Dispatch, Entries, EntryDirectory, Out};
use crate::source::SourceError;
use crate::store::{Mode, Retention, SqliteStore, Store, StoreError};
use crate::tenant::settings::{NetworkSettings, Report, Settings};
use crate::transport::policy::CidrError;
use crate::transport::{EndpointKind, Wanted, Whereto};
use sources::{Running, made_from};

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
        let sources = sources::made(settings, &[]).await?;
        wires.updates.listen(settings.webhooks).await?;
        // The engine takes up what waits at once, and a control call waits for its master.
        wires.sources.set(sources.iter().map(|(name, made)| (name.clone(), made.fetcher())).collect());
        let options = delivery::Options::default();
        let engine = Engine::start(store.clone(), wires.transports(), directory.clone(), observer.clone(), options).await?;
        let dispatch = Dispatch::new(store.clone(), workbench.loader.clone(), &directory, engine, observer);
        for (name, made) in &sources {
            dispatch.add_source(name, made.fetcher());
        }
        // What waits comes before what is new.
        dispatch.resume().await?;
        let running = Running::begin(&dispatch, sources, settings);
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
        let sources = if changed { sources::made(settings, &running.listens).await? } else { Vec::new() };
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
            *running = Running::begin(&self.dispatch, sources, settings);
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

/// Where the store is.
pub fn store_file(settings: &Settings) -> PathBuf {
    settings.state_dir.join("store.sqlite")
}

/// State folder, sink, log and network.
type Fixed = (PathBuf, bool, Option<String>, NetworkSettings);

fn fixed(settings: &Settings) -> Fixed {
    (settings.state_dir.clone(), settings.sink, settings.log.clone(), settings.network.clone())
}
