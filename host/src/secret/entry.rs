//! One service entry's secrets: placeholders of its own, and where each may be used.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use sha2::{Digest as _, Sha256};

use super::{Keyring, PLACEHOLDER_LEN, PLACEHOLDER_PREFIX, Plain, Scrubber, Vault, VaultError};

/// What placeholders are derived from: 32 random bytes in the state folder. They keep placeholders
/// stable over restarts (the outbox holds them), and nobody without them can guess one.
#[derive(Clone)]
pub struct PlaceholderKey([u8; 32]);

impl PlaceholderKey {
    const FILE: &str = "placeholder.key";

    /// Reads the key from the state folder, or makes one there, readable for the host's user only.
    ///
    /// # Errors
    /// The file cannot be read or written, or is not 32 bytes long.
    pub fn load_or_create(state_dir: &Path) -> io::Result<Self> {
        let path = state_dir.join(Self::FILE);
        match std::fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            read => return Self::from_bytes(&read?, &path),
        }
        let mut fresh = [0; 32];
        getrandom::fill(&mut fresh).map_err(|e| io::Error::other(e.to_string()))?;
        let mut file = tempfile::NamedTempFile::new_in(state_dir)?;
        file.write_all(&fresh)?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(&path) {
            Ok(_) => Ok(Self(fresh)),
            Err(e) if e.error.kind() == io::ErrorKind::AlreadyExists => Self::from_bytes(&std::fs::read(&path)?, &path),
            Err(e) => Err(e.error),
        }
    }

    fn from_bytes(bytes: &[u8], path: &Path) -> io::Result<Self> {
        bytes.try_into().map(Self).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "{} is damaged: it has {} bytes instead of 32; restore it, or remove it together with the deliveries that wait",
                    path.display(),
                    bytes.len()
                ),
            )
        })
    }

    /// The placeholder of an entry's secret: 32 letters and digits.
    pub fn placeholder(&self, entry: &str, secret: &str) -> String {
        let mut hash = Sha256::new();
        hash.update(self.0);
        // With its length in front, no other pair of entry and secret runs together to the same bytes.
        hash.update((entry.len() as u64).to_be_bytes());
        hash.update(entry);
        hash.update(secret);
        let mut text = String::with_capacity(PLACEHOLDER_LEN);
        text.push_str(PLACEHOLDER_PREFIX);
        for group in hash.finalize().chunks_exact(5).take((PLACEHOLDER_LEN - PLACEHOLDER_PREFIX.len()) / 8) {
            let bits = group.iter().fold(0u64, |bits, byte| bits << 8 | u64::from(*byte));
            for i in (0..8).rev() {
                text.push(char::from(BASE32[(bits >> (5 * i) & 31) as usize]));
            }
        }
        text
    }
}

/// RFC 4648.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// The vault of one service entry.
pub struct EntryVault {
    keyring: Arc<Keyring>,
    held: BTreeMap<String, Held>,
    /// Credentials that stand in the settings as text.
    written: Vec<Plain>,
    /// The last one, with the values that it is for: making one takes longer than most attempts.
    scrubber: Mutex<(Vec<Plain>, Arc<Scrubber>)>,
}

struct Held {
    secret: String,
    endpoints: Option<BTreeSet<String>>,
}

impl EntryVault {
    /// The secrets that `entry` uses, each with the names of the endpoints that it may go to; none: every endpoint
    /// of the entry.
    pub fn new(key: &PlaceholderKey, entry: &str, keyring: Arc<Keyring>, grants: BTreeMap<String, Option<BTreeSet<String>>>) -> Self {
        let held = grants.into_iter().map(|(secret, endpoints)| (key.placeholder(entry, &secret), Held { secret, endpoints })).collect();
        Self { keyring, held, written: Vec::new(), scrubber: Mutex::new((Vec::new(), Arc::new(Scrubber::new(&[])))) }
    }
}

impl EntryVault {
    /// The same, with credentials that the entry's settings have as text: they are kept out of what comes back as well.
    #[must_use]
    pub fn with_written(mut self, written: Vec<Plain>) -> Self {
        self.written = written;
        self
    }
}

impl Vault for EntryVault {
    fn reveal(&self, endpoint: &str, placeholder: &str) -> Result<Option<Plain>, VaultError> {
        let Some(held) = self.held.get(placeholder) else { return Ok(None) };
        if held.endpoints.as_ref().is_some_and(|endpoints| !endpoints.contains(endpoint)) {
            return Err(VaultError::NotGranted { secret: held.secret.clone(), endpoint: endpoint.to_owned() });
        }
        self.keyring.read(&held.secret).map(Some)
    }

    fn name(&self, placeholder: &str) -> Option<String> {
        self.held.get(placeholder).map(|held| held.secret.clone())
    }

    fn values(&self) -> Vec<Plain> {
        self.held.values().filter_map(|held| self.keyring.read(&held.secret).ok()).chain(self.written.iter().cloned()).collect()
    }

    fn scrubber(&self) -> Arc<Scrubber> {
        let values = self.values();
        let mut last = self.scrubber.lock().unwrap_or_else(PoisonError::into_inner);
        if last.0 != values {
            *last = (values.clone(), Arc::new(Scrubber::new(&values)));
        }
        last.1.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::super::SecretSource;
    use super::*;

    fn keyring() -> Arc<Keyring> {
        let plain = |value: &str| SecretSource::Plain(Plain::new(value));
        Arc::new(Keyring::new(BTreeMap::from([("a".to_owned(), plain("value-a")), ("b".to_owned(), plain("value-b"))])))
    }

    #[test]
    fn placeholders_are_stable_distinct_and_letters_and_digits() {
        let state = tempfile::tempdir().unwrap();
        let key = PlaceholderKey::load_or_create(state.path()).unwrap();
        let again = PlaceholderKey::load_or_create(state.path()).unwrap();
        let one = key.placeholder("mail", "token");
        assert_eq!(one, again.placeholder("mail", "token"));
        assert_eq!(one.len(), PLACEHOLDER_LEN);
        assert!(one.starts_with(PLACEHOLDER_PREFIX) && one.bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_ne!(one, key.placeholder("mailt", "oken"));
        let elsewhere = tempfile::tempdir().unwrap();
        assert_ne!(one, PlaceholderKey::load_or_create(elsewhere.path()).unwrap().placeholder("mail", "token"));
    }

    #[test]
    fn the_key_is_private_and_a_damaged_one_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let state = tempfile::tempdir().unwrap();
        PlaceholderKey::load_or_create(state.path()).unwrap();
        let path = state.path().join(PlaceholderKey::FILE);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o077, 0);
        std::fs::write(&path, "short").unwrap();
        assert!(PlaceholderKey::load_or_create(state.path()).is_err());
    }

    #[test]
    fn a_secret_has_one_name_for_all_entries() {
        let key = PlaceholderKey([7; 32]);
        let text = |entry: &str, secret: &str| {
            let vault = EntryVault::new(&key, entry, keyring(), BTreeMap::from([("a".to_owned(), None), ("b".to_owned(), None)]));
            super::super::named(&format!("token {} RHSECRET", key.placeholder(entry, secret)), &vault)
        };
        assert_eq!([text("e", "a"), text("f", "a"), text("e", "b")], ["token {secret a} RHSECRET", "token {secret a} RHSECRET", "token {secret b} RHSECRET"]);
    }

    #[test]
    fn a_secret_goes_only_where_it_is_granted() {
        let key = PlaceholderKey([7; 32]);
        let only_api = Some(BTreeSet::from(["api".to_owned()]));
        let vault = EntryVault::new(&key, "e", keyring(), BTreeMap::from([("a".to_owned(), only_api), ("b".to_owned(), None)]));
        let (a, b) = (key.placeholder("e", "a"), key.placeholder("e", "b"));
        assert_eq!(vault.reveal("api", &a).unwrap().unwrap().expose(), "value-a");
        assert!(matches!(vault.reveal("other", &a), Err(VaultError::NotGranted { .. })));
        assert_eq!(vault.reveal("other", &b).unwrap().unwrap().expose(), "value-b");
        assert_eq!(vault.reveal("api", &key.placeholder("somebody else", "a")).unwrap(), None);
        assert_eq!(vault.values().len(), 2);
        let vault = vault.with_written(vec![Plain::new("in the file")]);
        assert_eq!(vault.scrubber().text("it said in%20the+file, value-a"), "it said [secret], [secret]");
    }
}
