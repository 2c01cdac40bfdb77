//! Components loaded, and the entries of the settings made of them.

use std::path::PathBuf;
use std::sync::Arc;

use super::StartError;
use super::wires::{Asking, Wires};
use crate::dispatch::{Entries, Out};
use crate::sandbox::{ConfigureError, Engines, Loader, this_program};
use crate::tenant::settings::{Diagnostic, KeptOut, Report, Settings};
use crate::tenant::{Entry, EntryError, Shared};

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
        Ok(Self { loader: Arc::new(loader()?) })
    }

    /// The same for the program itself: what does not come with it is compiled in a process of its own and within limits.
    ///
    /// # Errors
    /// As [`Workbench::new`].
    pub fn compiling_apart() -> Result<Self, StartError> {
        Ok(Self { loader: Arc::new(loader()?.compiling_with(this_program())) })
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
    pub(super) async fn entries_to_start(&self, settings: &Settings, wires: &Wires) -> Result<(Entries, Out), StartError> {
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

fn loader() -> Result<Loader, StartError> {
    crate::transport::install_crypto();
    let engines = Engines::start().map_err(|error| StartError::Engine(format!("{error:#}")))?;
    let path = cache_folder();
    Loader::new(engines, path.clone()).map_err(|cause| StartError::Cache { path, cause })
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
