//! Where the operator keeps secrets.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{Plain, VaultError};

/// The largest secret, in bytes: a private key with its chain is far below.
const MOST_BYTES: u64 = 64 << 10;

/// Where one secret is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// Here. For tests: a settings file that holds values is a secret itself.
    Plain(Plain),
    /// In a file of its own.
    File(PathBuf),
    /// In an environment variable of the host.
    Env(String),
    /// In a folder, in the file that has the secret's name (Docker, Kubernetes and systemd mount them this way).
    Folder(PathBuf),
}

/// All of the operator's secrets, by name. Values are read anew each time, so that rotating one
/// is writing its file.
#[derive(Clone, Debug, Default)]
pub struct Keyring {
    sources: BTreeMap<String, SecretSource>,
    folders: Vec<PathBuf>,
}

impl Keyring {
    /// Secrets by name.
    pub fn new(sources: BTreeMap<String, SecretSource>) -> Self {
        Self { sources, folders: Vec::new() }
    }

    /// Folders in which names are looked up that have no source of their own, in this order.
    #[must_use]
    pub fn with_folders(mut self, folders: Vec<PathBuf>) -> Self {
        self.folders = folders;
        self
    }

    /// Whether there is a source for this name (which may be unreadable all the same).
    pub fn knows(&self, name: &str) -> bool {
        self.sources.contains_key(name) || self.in_folders(name).is_some()
    }

    /// The secret's value as it is now, without the one line end that editors leave after it.
    ///
    /// # Errors
    /// [`VaultError::Unreadable`]: no such secret, no such file or variable, not UTF-8, empty, or over 64 KiB.
    pub fn read(&self, name: &str) -> Result<Plain, VaultError> {
        let text = match self.sources.get(name) {
            Some(SecretSource::Plain(plain)) => Ok(plain.expose().to_owned()),
            Some(SecretSource::File(path)) => read_file(path),
            Some(SecretSource::Env(variable)) => std::env::var(variable).map_err(|e| match e {
                std::env::VarError::NotPresent => format!("the environment variable {variable} is not set"),
                std::env::VarError::NotUnicode(_) => format!("the environment variable {variable} is not UTF-8"),
            }),
            Some(SecretSource::Folder(folder)) => {
                file_in(folder, name).ok_or_else(|| format!("{name:?} cannot be the name of a file in {}", folder.display())).and_then(|path| read_file(&path))
            }
            None => match self.in_folders(name) {
                Some(path) => read_file(&path),
                None => Err("there is no such secret; define it in [secrets]".to_owned()),
            },
        };
        text.and_then(trimmed).map(Plain::new).map_err(|cause| VaultError::Unreadable { secret: name.to_owned(), cause })
    }

    /// Where the secrets are, without the secrets: to tell whether settings moved one.
    pub fn places(&self) -> String {
        let place = |source: &SecretSource| match source {
            SecretSource::Plain(plain) => format!("{:x?}", Sha256::digest(plain.expose())),
            SecretSource::File(path) => format!("file {}", path.display()),
            SecretSource::Env(variable) => format!("env {variable}"),
            SecretSource::Folder(folder) => format!("folder {}", folder.display()),
        };
        let named: Vec<_> = self.sources.iter().map(|(name, source)| format!("{name}: {}", place(source))).collect();
        format!("{} {:?}", named.join(", "), self.folders)
    }

    fn in_folders(&self, name: &str) -> Option<PathBuf> {
        self.folders.iter().filter_map(|folder| file_in(folder, name)).find(|path| path.is_file())
    }
}

/// A name that leaves the folder is nobody's secret.
fn file_in(folder: &Path, name: &str) -> Option<PathBuf> {
    let fits = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    fits.then(|| folder.join(name))
}

fn read_file(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let mut text = String::new();
    // A pipe would be waited for, and a device read without end.
    if std::fs::metadata(path).is_ok_and(|file| !file.is_file()) {
        return Err(format!("{shown} is no file"));
    }
    let read = File::open(path).and_then(|file| file.take(MOST_BYTES + 1).read_to_string(&mut text));
    match read {
        Ok(n) if n as u64 > MOST_BYTES => Err(format!("{shown} is larger than 64 KiB")),
        Ok(_) => Ok(text),
        Err(e) => Err(format!("{shown}: {e}")),
    }
}

fn trimmed(mut text: String) -> Result<String, String> {
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() { Err("it is empty".to_owned()) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(source: SecretSource) -> Keyring {
        Keyring::new(BTreeMap::from([("token".to_owned(), source)]))
    }

    #[test]
    fn a_rotated_file_is_read_anew_and_loses_one_line_end() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("token");
        std::fs::write(&file, "first\r\n").unwrap();
        for keyring in [
            one(SecretSource::File(file.clone())),
            one(SecretSource::Folder(folder.path().to_owned())),
            Keyring::default().with_folders(vec![folder.path().to_owned()]),
        ] {
            std::fs::write(&file, "first\r\n").unwrap();
            assert_eq!(keyring.read("token").unwrap().expose(), "first");
            std::fs::write(&file, "second\n\n").unwrap();
            assert_eq!(keyring.read("token").unwrap().expose(), "second\n");
            assert!(keyring.knows("token"));
        }
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty");
        std::fs::write(&empty, "\n").unwrap();
        let message = |keyring: Keyring, name: &str| keyring.read(name).unwrap_err().to_string();
        assert!(message(one(SecretSource::File(empty)), "token").contains("it is empty"));
        assert!(message(one(SecretSource::File(folder.path().join("none"))), "token").contains("none: No such file"));
        assert!(message(one(SecretSource::Env("RH_NO_SUCH_VARIABLE".into())), "token").contains("RH_NO_SUCH_VARIABLE is not set"));
        assert!(message(Keyring::default(), "other").contains("define it in [secrets]"));
        let leaving = Keyring::default().with_folders(vec![folder.path().join("deeper")]);
        assert!(!leaving.knows("../empty"));
    }
}
