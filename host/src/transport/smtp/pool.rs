//! Sessions kept for the next mail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncSmtpConnection;
use sha2::{Digest as _, Sha256};

use super::super::SmtpEndpoint;
use super::connect::{Login, bye};

/// Long enough for the next mail of a burst, shorter than any server's patience.
const IDLE: Duration = Duration::from_secs(20);
/// Sessions kept for one endpoint.
const MOST: usize = 2;

/// What a session was made for: the endpoint and the credentials of the moment (as a hash, so that no value stays here).
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 32]);

impl Key {
    pub(super) fn new(endpoint: &SmtpEndpoint, login: Option<&Login>) -> Self {
        let login = login.map(|login| (&login.user, &login.password));
        Self(Sha256::digest(format!("{endpoint:?} {login:?}")).into())
    }
}

#[derive(Default)]
struct Kept {
    next: u64,
    sessions: HashMap<Key, Vec<(u64, AsyncSmtpConnection)>>,
}

/// Idle sessions. Each is ended when nobody has taken it for 20 seconds.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Kept>>);

impl Pool {
    /// A session that still answers.
    pub(super) async fn take(&self, key: &Key) -> Option<AsyncSmtpConnection> {
        loop {
            let mut session = self.lock(|kept| kept.sessions.get_mut(key)?.pop())?.1;
            if session.test_connected().await {
                return Some(session);
            }
        }
    }

    pub(super) fn put(&self, key: Key, session: AsyncSmtpConnection) {
        let (number, over) = self.lock(|kept| {
            kept.next += 1;
            let number = kept.next;
            let sessions = kept.sessions.entry(key.clone()).or_default();
            sessions.push((number, session));
            (number, (sessions.len() > MOST).then(|| sessions.remove(0)))
        });
        let pool = self.clone();
        tokio::spawn(async move {
            if let Some((_, session)) = over {
                bye(session).await;
            }
            tokio::time::sleep(IDLE).await;
            let idle = pool.lock(|kept| {
                let sessions = kept.sessions.get_mut(&key)?;
                let at = sessions.iter().position(|(n, _)| *n == number)?;
                let idle = sessions.remove(at);
                if sessions.is_empty() {
                    kept.sessions.remove(&key);
                }
                Some(idle)
            });
            if let Some((_, session)) = idle {
                bye(session).await;
            }
        });
    }

    fn lock<T>(&self, with: impl FnOnce(&mut Kept) -> T) -> T {
        with(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
