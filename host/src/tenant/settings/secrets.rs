//! `[secrets]`: where the operator keeps them, and each entry's placeholders.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SecretRef;
use super::diagnostic::{Diagnostic, Found};
use super::node::{Kind, Node};
use super::source::Span;
use super::spelling::did_you_mean;
use super::table::Table;
use crate::secret::{EntryVault, Keyring, PlaceholderKey, Plain, SecretSource, Vault, VaultError};

/// The operator's secrets.
pub struct Secrets {
    names: BTreeSet<String>,
    /// Folders of secrets that are not there, each in words.
    unlisted: Vec<String>,
    keyring: Arc<Keyring>,
    key: PlaceholderKey,
}

/// What one entry uses: names, each with the endpoints it may go to; none: all of the entry's.
pub(super) type Grants = BTreeMap<String, Option<BTreeSet<String>>>;

impl Secrets {
    /// See [`Keyring::places`].
    pub fn places(&self) -> String {
        self.keyring.places()
    }

    /// Reads `[secrets]`.
    pub(super) fn read(node: Option<&Node>, key: PlaceholderKey, found: &mut Found) -> Self {
        let mut sources = BTreeMap::new();
        let mut folders: Vec<(PathBuf, &Span)> = Vec::new();
        for (name, node) in node.and_then(Node::as_table).unwrap_or_default() {
            match &node.kind {
                Kind::Text(folder) if name.name == "folder" => folders.push((node.span.path(folder), &node.span)),
                Kind::List(items) if name.name == "folder" => {
                    folders.extend(items.iter().filter_map(|item| item.as_text().map(|folder| (item.span.path(folder), &item.span))));
                }
                _ => {
                    if let Some(source) = source(&name.name, node, found) {
                        sources.insert(name.name.clone(), source);
                    }
                }
            }
        }
        let mut names: BTreeSet<_> = sources.keys().cloned().collect();
        let mut unlisted = Vec::new();
        for (folder, at) in &folders {
            match names_in(folder) {
                Ok(more) => names.extend(more),
                Err(why) => {
                    let message = format!("the folder {} cannot be listed now: {why}", folder.display());
                    found.warn(Diagnostic::warning(at, format!("{message}; none of its secrets can be read")));
                    unlisted.push(message);
                }
            }
        }
        let folders = folders.into_iter().map(|(folder, _)| folder).collect();
        Self { names, unlisted, keyring: Arc::new(Keyring::new(sources).with_folders(folders)), key }
    }

    /// Reports a name that is not defined, and warns of one that cannot be read now.
    pub(super) fn check(&self, name: &str, at: &Span, found: &mut Found) {
        if !self.keyring.knows(name) {
            let error = Diagnostic::error(at, format!("there is no secret `{name}`"));
            return found.error(match did_you_mean(name, self.names.iter().map(String::as_str)) {
                Some(meant) => error.with_help(format!("did you mean `{meant}`?")),
                None => {
                    let define = format!("define it: [secrets] {name} = {{ file = \"/path\" }} or {{ env = \"VARIABLE\" }}");
                    error.with_help(std::iter::once(define).chain(self.unlisted.iter().cloned()).collect::<Vec<_>>().join("; "))
                }
            });
        }
        if let Err(VaultError::Unreadable { cause, .. }) = self.keyring.read(name) {
            found.warn(Diagnostic::warning(at, format!("the secret `{name}` cannot be read now: {cause}")));
        }
    }

    pub(super) fn placeholder(&self, entry: &str, name: &str) -> String {
        self.key.placeholder(entry, name)
    }

    /// What an entry may use, and what it has as text in its settings.
    pub(super) fn vault(&self, entry: &str, grants: Grants, written: Vec<Plain>) -> Arc<dyn Vault> {
        Arc::new(EntryVault::new(&self.key, entry, Arc::clone(&self.keyring), grants).with_written(written))
    }

    /// The value of a setting of the host's own, as it is now.
    ///
    /// # Errors
    /// [`VaultError::Unreadable`]
    pub fn value(&self, setting: &SecretRef) -> Result<Plain, VaultError> {
        match setting {
            SecretRef::Plain(text) => Ok(Plain::new(text.as_str())),
            SecretRef::Named(name) => self.keyring.read(name),
        }
    }
}

fn source(name: &str, node: &Node, found: &mut Found) -> Option<SecretSource> {
    let help = format!("write {name} = {{ file = \"/path\" }} or {name} = {{ env = \"VARIABLE\" }}");
    if node.as_table().is_none() {
        let message = format!("the secret `{name}` is to say where its value is, not what it is");
        found.error(Diagnostic::error(&node.span, message).with_help(help));
        return None;
    }
    let table = Table::open(node, name, found)?;
    match table.entries() {
        [(key, _)] if key.name == "file" => table.text("file", found).map(|file| SecretSource::File(node.span.path(file))),
        [(key, _)] if key.name == "env" => table.text("env", found).map(|variable| SecretSource::Env(variable.to_owned())),
        _ => {
            found.error(Diagnostic::error(&node.span, format!("the secret `{name}` needs either a file or a variable")).with_help(help));
            None
        }
    }
}

/// For guesses only: the folder is read anew whenever a value is needed.
fn names_in(folder: &Path) -> std::io::Result<Vec<String>> {
    let entries = std::fs::read_dir(folder)?.flatten();
    Ok(entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| !name.starts_with('.')).collect())
}

/// The secrets that a text names as `%(secret:NAME)s`.
pub(super) fn interpolated(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('%') {
        rest = rest.get(at + 1..).unwrap_or_default();
        if let Some(after) = rest.strip_prefix('%') {
            rest = after;
        } else if let Some(after) = rest.strip_prefix("(secret:") {
            let end = after.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '.' | '-')));
            let (name, after) = after.split_at(end.unwrap_or(after.len()));
            if after.starts_with(')') && !name.is_empty() {
                names.push(name);
            }
            rest = after;
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::interpolated;

    #[test]
    fn secrets_in_renderables() {
        assert_eq!(interpolated("Bearer %(secret:token)s for %(prop:x)s, %(secret:a.b-c_d)s"), ["token", "a.b-c_d"]);
        assert_eq!(interpolated("100%% %%(secret:no)s %(secret:)s %(secret:open"), [""; 0]);
        assert_eq!(interpolated("%%%(secret:yes)s"), ["yes"]);
    }
}
