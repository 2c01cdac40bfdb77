//! Connections: one client for each way of verifying certificates.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use reqwest::{Client, redirect};

use super::super::Verify;
use super::super::policy::{Denied, Policy, Resolver};
use super::failure::chain;
use super::verify::{VerifyError, verified};

/// A host that does not answer the connection request in this time is down.
const CONNECT: Duration = Duration::from_secs(10);
/// Most services close idle connections after a minute; a request on a connection that is being closed
/// has to be made twice.
const IDLE: Duration = Duration::from_secs(30);
/// More ways of verifying than this are nobody's settings.
const MOST_CLIENTS: usize = 64;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error(transparent)]
    Verify(#[from] VerifyError),
    #[error("HTTP client: {0}")]
    Build(String),
}

/// How certificates are verified; a changed file is another way.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Way {
    System,
    Not,
    File(PathBuf, Option<SystemTime>),
}

/// Makes and keeps clients that reach nothing but what the policy permits.
pub(super) struct Clients {
    policy: Arc<Policy>,
    made: Mutex<HashMap<Way, Client>>,
}

impl Clients {
    pub(super) fn new(policy: Arc<Policy>) -> Self {
        Self { policy, made: Mutex::default() }
    }

    /// Reqwest asks its resolver for names only, so addresses in URLs are checked here.
    pub(super) fn check_literal(&self, url: &url::Url) -> Result<(), Denied> {
        self.policy.check_url(url)
    }

    pub(super) fn get(&self, verify: &Verify) -> Result<Client, ClientError> {
        let way = match verify {
            Verify::System | Verify::Switch(true) => Way::System,
            Verify::Switch(false) => Way::Not,
            Verify::File(path) => Way::File(path.clone(), path.metadata().and_then(|file| file.modified()).ok()),
        };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = made.get(&way) {
            return Ok(client.clone());
        }
        let client = self.build(verify)?;
        if made.len() >= MOST_CLIENTS {
            made.clear();
        }
        made.insert(way, client.clone());
        Ok(client)
    }

    fn build(&self, verify: &Verify) -> Result<Client, ClientError> {
        let builder = Client::builder()
            .dns_resolver(Resolver::new(Arc::clone(&self.policy)))
            .redirect(redirect::Policy::none())
            // A proxy would resolve names where no policy looks.
            .no_proxy()
            .referer(false)
            .connect_timeout(CONNECT)
            .pool_idle_timeout(IDLE);
        verified(builder, verify)?.build().map_err(|e| ClientError::Build(chain(&e)))
    }
}
