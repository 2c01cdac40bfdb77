//! A service entry, ready to run: its component, its plan, its formatters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;
use url::Url;

use super::settings::{ComponentRef, Formatter, Service};
use crate::contract::{Ask, Ended, EntryView, Formatted, Masters, Plan, Spool, Subformat, Subjects};
use crate::event::{Details, Event, FetchError, Rows};
use crate::sandbox::{ConfigureError, Limits, LoadError, Loaded, Loader, Profile, Reporter, RunError};
use crate::transport::policy::Level;
use crate::transport::{Auth, Endpoint, EndpointKind, Sources, Updates};

/// A service entry that can be shown events.
pub struct Entry {
    /// What the operator wrote.
    pub service: Service,
    /// Its component.
    pub reporter: Arc<Reporter>,
    /// What the component will do.
    pub plan: Plan,
    /// What a call of it sees.
    pub view: Arc<EntryView>,
    calls: AtomicU32,
}

/// Why an entry cannot be run.
#[derive(Debug, thiserror::Error)]
pub enum EntryError {
    /// A component cannot be loaded.
    #[error("{component}: {cause}")]
    Load {
        /// Which.
        component: String,
        /// Why.
        cause: LoadError,
    },
    /// The component does not take the settings.
    #[error(transparent)]
    Configure(#[from] ConfigureError),
    /// A formatter does not take its settings.
    #[error("the formatter in slot {slot:?}: {cause}")]
    Formatter {
        /// The slot.
        slot: String,
        /// Why.
        cause: ConfigureError,
    },
    /// The plan goes where the operator did not allow it to.
    #[error("its endpoint {endpoint:?} goes to {destination}, which `allow` does not list; add {destination:?} to `allow` if it may")]
    NotGranted {
        /// The endpoint.
        endpoint: String,
        /// Where it goes.
        destination: String,
    },
    /// The plan wants updates, and the component could not hear them.
    #[error("its endpoint {0:?} has updates, which the component cannot hear: it does not export `chat`")]
    Deaf(String),
    /// The plan wants to be called, and the host takes no calls.
    #[error(
        "its endpoint {0:?} has a webhook, and the host takes none; write [host] webhooks = \"127.0.0.1:8090\", and lead the webhook's public address there"
    )]
    NoWebhooks(String),
    /// The component cannot be used as it is.
    #[error(transparent)]
    Run(#[from] RunError),
}

impl EntryError {
    /// Whether it is the component that is at fault, and not what the operator wrote.
    pub fn is_of_component(&self) -> bool {
        match self {
            Self::Load { .. } | Self::Run(_) | Self::Deaf(_) => true,
            Self::Configure(cause) | Self::Formatter { cause, .. } => !matches!(cause, ConfigureError::Problems(_)),
            Self::NotGranted { .. } | Self::NoWebhooks(_) => false,
        }
    }
}

/// What entries share.
#[derive(Clone)]
pub struct Shared {
    /// Loads components.
    pub loader: Arc<Loader>,
    /// Asks remotes.
    pub ask: Arc<dyn Ask>,
    /// Keeps attached logs.
    pub spool: Arc<dyn Spool>,
    /// The sources, to be asked and acted on.
    pub masters: Arc<Sources>,
    /// Whether webhooks are taken.
    pub webhooks: bool,
}

/// The masters that an entry follows.
struct Followed {
    all: Arc<Sources>,
    /// Empty: all.
    only: Vec<String>,
}

#[async_trait]
impl Masters for Followed {
    fn names(&self) -> Vec<String> {
        let mut names = self.all.names();
        names.retain(|name| self.only.is_empty() || self.only.contains(name));
        names
    }

    async fn fetch(&self, master: &str, path: &str) -> Result<Rows, FetchError> {
        Masters::fetch(self.all.as_ref(), master, path).await
    }
}

impl Entry {
    /// Loads and configures an entry.
    ///
    /// # Errors
    /// [`EntryError`].
    pub async fn new(service: Service, shared: &Shared) -> Result<Self, EntryError> {
        let loaded = load(&shared.loader, &service.component, &service.limits).await?;
        let mut plan = loaded.configure(&service.settings, &service.limits).await?;
        if matches!(service.component, ComponentRef::File(_)) {
            plan.endpoints.values_mut().for_each(|endpoint| Arc::make_mut(endpoint).level = Level::Strict);
        }
        grant(&plan, service.allow.as_deref())?;
        let mut formatters = BTreeMap::new();
        for (slot, formatter) in &service.formatters {
            let loaded = load(&shared.loader, &formatter.component, &formatter.limits).await?;
            loaded.configure(&formatter.settings, &formatter.limits).await.map_err(|cause| EntryError::Formatter { slot: slot.clone(), cause })?;
            formatters.insert(slot.clone(), (loaded, formatter.clone()));
        }
        let view = Arc::new(EntryView {
            name: service.name.clone(),
            endpoints: plan.endpoints.clone(),
            vault: service.vault.clone(),
            expires_after: service.expires_after,
            state: plan.state,
            formatters: Arc::new(Formatters { formatters }),
            ask: shared.ask.clone(),
            spool: shared.spool.clone(),
            masters: Arc::new(Followed { all: shared.masters.clone(), only: service.follows.clone() }),
        });
        let reporter = Arc::new(Reporter::new(loaded, &service.settings, service.limits.clone())?);
        for endpoint in plan.endpoints.values() {
            let Some(updates) = endpoint.updates() else { continue };
            if !reporter.chats() {
                return Err(EntryError::Deaf(endpoint.name.clone()));
            }
            if matches!(updates, Updates::Webhook(_)) && !shared.webhooks {
                return Err(EntryError::NoWebhooks(endpoint.name.clone()));
            }
        }
        Ok(Self { service, reporter, plan, view, calls: AtomicU32::new(0) })
    }

    /// Whether it is to see an event.
    pub fn follows(&self, event: &Event) -> bool {
        let sources = &self.service.follows;
        self.plan.events.contains(&event.kind) && (sources.is_empty() || sources.contains(&event.source))
    }

    /// Whether a call of it, or of one of its formatters, takes an instance of the large profile.
    pub fn is_large(&self) -> bool {
        let mut limits = std::iter::once(&self.service.limits).chain(self.service.formatters.values().map(|formatter| &formatter.limits));
        limits.any(|limits| Profile::of(limits.memory) == Profile::Large)
    }

    /// Counts a call, and tells its number, from 1.
    pub fn called(&self) -> u32 {
        self.calls.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// Loads a built-in reporter or a file. Compiling blocks, so it happens on a thread of its own.
///
/// # Errors
/// [`EntryError::Load`].
pub async fn load(loader: &Arc<Loader>, component: &ComponentRef, limits: &Limits) -> Result<Loaded, EntryError> {
    let (loader, component, limits) = (loader.clone(), component.clone(), limits.clone());
    let name = match &component {
        ComponentRef::BuiltIn(name) => name.clone(),
        ComponentRef::File(path) => path.display().to_string(),
    };
    let work = tokio::task::spawn_blocking(move || match component {
        ComponentRef::BuiltIn(name) => match reporter_bundle::find(&name).or_else(|| reporter_bundle::example(&name)) {
            Some(built_in) => loader.built_in(built_in.component, Profile::of(limits.memory)),
            None => Err(LoadError::Unreadable("there is no built-in component of this name".into())),
        },
        ComponentRef::File(path) => loader.file(&path, &limits),
    });
    let loaded = work.await.unwrap_or_else(|error| Err(LoadError::Refused(error.to_string())));
    loaded.map_err(|cause| EntryError::Load { component: name, cause })
}

/// Holds the plan against what the operator allows: `https://host/path` allows what is below it,
/// `smtp://host:port` a relay, `irc://host:port` an IRC server, `ssh://host:port/gerrit/review` a command, and `ssh://host:port/gerrit` all that begin with this word.
fn grant(plan: &Plan, allow: Option<&[String]>) -> Result<(), EntryError> {
    let Some(allow) = allow else { return Ok(()) };
    for endpoint in plan.endpoints.values() {
        let below = |target: &String| {
            let starts = |granted: &String| target.strip_prefix(granted.trim_end_matches('/')).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
            allow.iter().any(starts)
        };
        if let Some((_, destination)) = targets(endpoint).into_iter().find(|(target, _)| !below(target)) {
            return Err(EntryError::NotGranted { endpoint: endpoint.name.clone(), destination });
        }
    }
    Ok(())
}

/// What has to be allowed, all of it, and how an operator writes that.
fn targets(endpoint: &Endpoint) -> Vec<(String, String)> {
    let destination = endpoint.destination();
    let whole = |destination: String| (destination.clone(), destination);
    let url = |url: &Url| {
        let origin = url.origin().ascii_serialization();
        (format!("{origin}{}", url.path().trim_end_matches('/')), origin)
    };
    match &endpoint.kind {
        EndpointKind::Http(http) => match &http.auth {
            // The client's secret goes there.
            Auth::OAuth2 { token_url, .. } => vec![url(&http.base_url), url(token_url)],
            _ => vec![url(&http.base_url)],
        },
        EndpointKind::Smtp(_) | EndpointKind::Irc(_) | EndpointKind::Master(_) => vec![whole(endpoint.granted_as())],
        EndpointKind::Ssh(ssh) => {
            let commands = ssh.commands.iter().chain(&ssh.queries).map(|command| (format!("{destination}/{}", command.replace(' ', "/")), destination.clone()));
            let commands: Vec<_> = commands.collect();
            if commands.is_empty() { vec![whole(destination)] } else { commands }
        }
    }
}

struct Formatters {
    formatters: BTreeMap<String, (Loaded, Formatter)>,
}

#[async_trait]
impl Subformat for Formatters {
    fn wait(&self, slot: &str) -> Duration {
        self.formatters.get(slot).map(|(_, formatter)| formatter.limits.wait).unwrap_or_default()
    }

    async fn format(&self, slot: &str, details: Arc<Details>, subjects: Subjects, context: String, within: Duration) -> Result<Formatted, Ended> {
        let Some((loaded, formatter)) = self.formatters.get(slot) else {
            return Err(Ended::Misuse(format!("the settings plug no formatter into slot {slot:?}")));
        };
        let settings: &Value = &formatter.settings;
        let limits = Limits { wait: within, ..formatter.limits.clone() };
        let ran = loaded.format(settings, &limits, details, slot, subjects, &context).await;
        match ran.answer {
            Ok(document) => Ok((Ok(document), ran.log)),
            Err(RunError::NotNow(why)) => Err(Ended::NotNow(why)),
            Err(error) => Ok((Err(error.to_string()), ran.log)),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn where_tokens_come_from_is_to_be_allowed_too() {
        let http = json!({"base_url": "https://api.example.org/2.0/", "auth": {"oauth2": {
            "token_url": "https://id.example.org/oauth/token", "client_id": "i", "client_secret": "s"}}});
        let kind = EndpointKind::Http(serde_json::from_value(http).unwrap());
        let endpoint = Endpoint { name: "api".into(), kind, level: Level::Strict };
        let plan = Plan { endpoints: BTreeMap::from([("api".to_owned(), Arc::new(endpoint))]), ..Plan::default() };
        let refused = |allow: &[&str]| {
            let allow: Vec<String> = allow.iter().map(|url| (*url).to_owned()).collect();
            grant(&plan, Some(&allow)).err().map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(refused(&["https://api.example.org"]).contains("goes to https://id.example.org, which `allow` does not list"));
        assert!(refused(&["https://id.example.org"]).contains("goes to https://api.example.org, which"));
        assert!(refused(&["https://api.example.org", "https://id.example.org/other"]).contains("https://id.example.org"));
        for allow in [["https://api.example.org/2.0", "https://id.example.org/oauth/"], ["https://api.example.org", "https://id.example.org/oauth/token"]] {
            assert_eq!(refused(&allow), "");
        }
        assert!(grant(&plan, None).is_ok());
    }
}
