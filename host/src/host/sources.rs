//! Where events come from: made of the settings, and let run.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::dispatch::{Dispatch, Intake};
use crate::event::Fetch;
use crate::source::buildbot::Master;
use crate::source::inbox::Inbox;
use crate::source::recording::Recording;
use crate::source::{Journal, Reveal, SourceError};
use crate::tenant::settings::{Settings, SourceKind, SourceSettings};
use crate::transport::policy::Policy;

/// Sources at work.
pub(super) struct Running {
    /// Ends them.
    pub stop: watch::Sender<bool>,
    /// One for each.
    pub tasks: JoinSet<Result<(), SourceError>>,
    /// What the sources were made from, to tell whether a reload changes them.
    pub made_from: MadeFrom,
    /// Where its inboxes listen.
    pub listens: Vec<SocketAddr>,
    /// Whether every source is a recording: then the host ends with them.
    pub ends: bool,
}

impl Running {
    /// Lets the sources run.
    pub fn begin(dispatch: &Arc<Dispatch>, made: Vec<(String, Made)>, settings: &Settings) -> Self {
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
        Self { stop, tasks, made_from: made_from(settings), listens: listens.collect(), ends }
    }
}

/// Makes the sources, which do not run yet. Inboxes listen already, unless on an address of `held`: what is to be stopped has that.
pub(super) async fn made(settings: &Settings, held: &[SocketAddr]) -> Result<Vec<(String, Made)>, SourceError> {
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

/// A source that does not run yet.
pub(super) enum Made {
    Recording(Arc<Recording>),
    Inbox(Arc<Inbox>, Option<TcpListener>),
    Master(Arc<Master>),
}

impl Made {
    /// What answers for details of its events.
    pub fn fetcher(&self) -> Arc<dyn Fetch> {
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

/// Sources by name, and where secrets are.
pub(super) type MadeFrom = (BTreeMap<String, SourceKind>, String);

pub(super) fn made_from(settings: &Settings) -> MadeFrom {
    let all = settings.sources.iter().map(|source| (source.name.clone(), source.kind.clone()));
    (all.collect(), settings.secrets.places())
}
