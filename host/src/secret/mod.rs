//! Secrets, and the placeholders that stand for them wherever a component can look.
//!
//! The [`Keyring`] knows where the operator keeps each secret and reads it anew every time. An
//! [`EntryVault`] is one service entry's view of it: placeholders of its own, and for which endpoints
//! each secret may be used. Transports put values in place of placeholders with [`substitute`] and
//! take them out of whatever comes back with a [`Scrubber`].

mod entry;
mod keyring;
mod scrub;
mod substitute;

pub use entry::{EntryVault, PlaceholderKey};
pub use keyring::{Keyring, SecretSource};
pub use scrub::Scrubber;
pub use substitute::{Encode, SubstituteError, encode, named, substitute};

use std::fmt;
use std::sync::Arc;

/// Gives out the values behind placeholders. One per service entry.
pub trait Vault: Send + Sync {
    /// The secret's value as it is now (rotation works), if this placeholder is one of the entry's
    /// and the operator allowed it for `endpoint`.
    ///
    /// # Errors
    /// The placeholder is the entry's, but not for this endpoint, or its value cannot be read now.
    fn reveal(&self, endpoint: &str, placeholder: &str) -> Result<Option<Plain>, VaultError>;

    /// The name of the secret that a placeholder of the entry's stands for.
    fn name(&self, _placeholder: &str) -> Option<String> {
        None
    }

    /// Every value that the entry could have sent, to scrub it from what comes back.
    fn values(&self) -> Vec<Plain>;

    /// What takes those out of what comes back.
    fn scrubber(&self) -> Arc<Scrubber> {
        Arc::new(Scrubber::new(&self.values()))
    }
}

/// Why a secret was not given out.
#[derive(Clone, Debug, thiserror::Error)]
pub enum VaultError {
    /// The operator did not allow it for this endpoint.
    #[error("secret {secret:?} is not granted to endpoint {endpoint:?}")]
    NotGranted {
        /// Its name in `[secrets]`.
        secret: String,
        /// The endpoint's name.
        endpoint: String,
    },
    /// Its file or variable cannot be read.
    #[error("secret {secret:?} cannot be read: {cause}")]
    Unreadable {
        /// Its name in `[secrets]`.
        secret: String,
        /// What the system said.
        cause: String,
    },
}

/// A secret's value. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Plain(Arc<str>);

impl Plain {
    /// Takes a value.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }
    /// The value, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Plain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Plain(…)")
    }
}

/// How long a placeholder is.
pub const PLACEHOLDER_LEN: usize = 32;
/// What a placeholder begins with; letters and digits follow.
pub const PLACEHOLDER_PREFIX: &str = "RHSECRET";

/// A vault without secrets, for tests.
#[cfg(test)]
pub(crate) struct NoSecrets;

#[cfg(test)]
impl Vault for NoSecrets {
    fn reveal(&self, _: &str, _: &str) -> Result<Option<Plain>, VaultError> {
        Ok(None)
    }

    fn values(&self) -> Vec<Plain> {
        Vec::new()
    }
}
