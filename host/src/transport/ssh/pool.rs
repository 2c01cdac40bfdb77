//! One connection for each server and login, shared by everything that is sent there.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::super::{Answer, SshEndpoint};
use super::connect::{Login, Session};

/// What a connection was made for: the server, the keys of the moment on both sides, and who logs in (as a hash).
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn new(ssh: &SshEndpoint, login: &Login) -> Self {
        let keys: Vec<String> = login.keys.iter().map(|(_, key)| format!("{:?}", key.public_key().key_data())).collect();
        Self(Sha256::digest(format!("{:?}", (&ssh.host, ssh.port, &login.user, keys, &login.hosts))).into())
    }
}

type Place = Arc<tokio::sync::Mutex<Option<Arc<Session>>>>;

/// Connections in use. russh ends one that nobody uses, and then it is made anew.
#[derive(Default)]
pub(super) struct Pool(Mutex<HashMap<Key, Place>>);

impl Pool {
    /// The connection, made by `make` if there is none. Who comes meanwhile waits for it.
    pub(super) async fn get(&self, key: &Key, make: impl Future<Output = Result<Session, Answer>>) -> Result<Arc<Session>, Answer> {
        let place = {
            let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            // Those that are locked are being made.
            places.retain(|other, place| other == key || place.try_lock().map_or(true, |kept| kept.as_ref().is_some_and(|session| !session.is_closed())));
            places.entry(key.clone()).or_default().clone()
        };
        let mut kept = place.lock().await;
        if let Some(session) = kept.as_ref().filter(|session| !session.is_closed()) {
            return Ok(session.clone());
        }
        let session = Arc::new(make.await?);
        *kept = Some(session.clone());
        Ok(session)
    }

    /// Forgets a connection that does not work.
    pub(super) async fn drop(&self, key: &Key, session: &Arc<Session>) {
        let place = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(key).cloned();
        if let Some(place) = place {
            let mut kept = place.lock().await;
            if kept.as_ref().is_some_and(|other| Arc::ptr_eq(other, session)) {
                *kept = None;
            }
        }
    }
}
