//! What settings ask of components: what they are and which settings they take.

use std::sync::Arc;

use super::entry::load;
use super::settings::{ComponentRef, Describe, Described};
use crate::sandbox::{Limits, Loader, RunError};

/// Describes components by calling them.
pub struct Components {
    loader: Arc<Loader>,
}

impl Components {
    /// Components as this loader loads them. Only for use on a multi-threaded runtime: a description is waited for.
    pub fn new(loader: Arc<Loader>) -> Self {
        Self { loader }
    }

    async fn ask(&self, component: &ComponentRef, limits: &Limits) -> Result<Described, String> {
        let loaded = load(&self.loader, component, limits).await.map_err(|error| error.to_string())?;
        let said = match loaded.describe(limits).await {
            Ok(said) => said,
            // What it lacks is told when it is configured.
            Err(RunError::Limit("memory_mib")) => {
                let limits = Limits { memory: 256 << 20, ..limits.clone() };
                let loaded = load(&self.loader, component, &limits).await.map_err(|error| error.to_string())?;
                loaded.describe(&limits).await.map_err(|error| error.to_string())?
            }
            Err(error) => return Err(error.to_string()),
        };
        Described::parse(&said)
    }
}

impl Describe for Components {
    fn describe(&self, component: &ComponentRef, limits: &Limits) -> Result<Described, String> {
        tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(self.ask(component, limits)))
    }

    fn built_in(&self) -> Vec<String> {
        reporter_bundle::all().iter().map(|built_in| built_in.name.to_owned()).collect()
    }
}
