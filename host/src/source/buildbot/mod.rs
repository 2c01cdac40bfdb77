//! A Buildbot master, from outside: its WebSocket says what happens, its REST API says what
//! happened. 4.x, and as far back as the API has both (0.9).
//!
//! Whatever is heard is journalled at once. What nobody heard is found by reading: after every
//! (re)connection, first subscribing and then reading from the cursor with overlap, and every
//! `poll_every` in between, so that a master without WebSocket, or the events of another master on the same
//! database, are found as well. Both ways make the same event ids, and the journal takes each once.

mod answer;
mod catchup;
mod control;
mod cursor;
mod fetch;
mod found;
#[cfg(test)]
mod made;
mod rest;
mod session;
mod table;
#[cfg(test)]
mod tests;
mod websocket;
mod workers;

pub use rest::Login;

use std::sync::Arc;

use crate::source::SourceError;
use crate::tenant::settings::MasterSettings;
use crate::transport::policy::Policy;
use rest::Rest;

/// A Buildbot master: [`Master::run`] journals its events, and it is the
/// [`Fetch`](crate::event::Fetch) of their details.
pub struct Master {
    name: String,
    settings: MasterSettings,
    rest: Rest,
    known: fetch::Known,
}

impl Master {
    /// A master by its settings, as far as the policy lets it be reached. `login` gives user and password at each login; `settings.login` is not read here.
    ///
    /// # Errors
    /// `url` or `verify` cannot work.
    pub fn new(name: &str, settings: MasterSettings, login: Login, policy: Arc<Policy>) -> Result<Arc<Self>, SourceError> {
        let rest = Rest::new(&settings.url, &settings.verify, login, policy).map_err(|why| SourceError::Master { name: name.to_owned(), why })?;
        Ok(Arc::new(Self { name: name.to_owned(), settings, rest, known: fetch::Known::default() }))
    }

    /// The source's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Asks the master for its settings, which needs address, TLS, login and rights to be right: its title and version.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub async fn check(&self) -> Result<String, String> {
        use crate::event::Fetch as _;
        self.rest.rows("masters").await.map_err(|error| error.to_string())?;
        let config = self.fetch(crate::event::paths::CONFIG).await.map_err(|error| error.to_string())?;
        let config = config.first().cloned().unwrap_or_default();
        let version = config["versions"].as_array().into_iter().flatten().find(|pair| pair[0] == "Buildbot");
        let version = version.and_then(|pair| pair[1].as_str()).unwrap_or("unknown version");
        Ok(format!("{} (Buildbot {version})", config["title"].as_str().unwrap_or_default()))
    }
}
