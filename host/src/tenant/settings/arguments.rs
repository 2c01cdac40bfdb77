//! A component's own settings on their way from what is written to what `configure` gets: secrets
//! become placeholders, a single value becomes a list where one is meant, files become their text.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::{Map, Value};

use super::credential::Trust;
use super::diagnostic::{Diagnostic, Found};
use super::keys::HostKey;
use super::node::{Kind, Node};
use super::secrets::{Secrets, interpolated};
use super::shape::{Shape, Types};
use super::source::Span;
use super::{human, include, validate};
use crate::secret::Plain;

/// How much all files of one folder may have together.
const MOST_FOLDER_BYTES: u64 = 4 << 20;
/// How many files and folders below each other it may have.
const MOST_FOLDER_FILES: usize = 1_000;
const MOST_FOLDERS_DEEP: usize = 8;

/// Prepares one component's settings.
pub(super) struct Arguments<'a> {
    /// How messages call the component.
    pub title: &'a str,
    /// The JSON Schema of its settings.
    pub schema: &'a Value,
    /// The operator's secrets and the entry's name; none for a formatter, which cannot send and so has no use for them.
    pub secrets: Option<(&'a Secrets, &'a str)>,
    /// The host's own keys beside them: what an unknown setting may be meant to be.
    pub host_keys: &'static [HostKey],
    /// Settings that are not the schema's business any more: a formatter has been plugged in, or they are refused already.
    pub settled: BTreeSet<String>,
    /// Names of secrets that stand for a whole value, with where.
    pub used: BTreeMap<String, Span>,
    /// Names of secrets within texts, with where.
    pub interpolated: BTreeMap<String, Span>,
    /// Credentials that are written as text.
    pub written: Vec<Plain>,
}

impl<'a> Arguments<'a> {
    pub fn new(title: &'a str, schema: &'a Value, secrets: Option<(&'a Secrets, &'a str)>) -> Self {
        let (settled, used, interpolated, written) = Default::default();
        Self { title, schema, secrets, host_keys: &[], settled, used, interpolated, written }
    }

    /// Prepares and validates. What comes back in `node` is what `configure` gets, each part with its place.
    pub fn prepare(&mut self, node: &mut Node, found: &mut Found) {
        let shape = Shape::new(self.schema);
        if let Kind::Table(entries) = &mut node.kind {
            for (key, value) in entries {
                let before = found.errors.len();
                if value.as_text() == Some("None") {
                    self.no_python_none(&key.name, shape.property(&key.name), value, found);
                }
                if !self.settled.contains(&key.name) {
                    let shape = shape.property(&key.name);
                    self.value(value, shape, (&key.name, Trust::None.of(&key.name, true, shape)), found);
                }
                if found.errors.len() > before {
                    self.settled.insert(key.name.clone());
                }
            }
        }
        validate::validate(self, node, found);
        self.files(node, Some(shape), found);
        if let (Kind::Table(entries), Some((secrets, entry))) = (&mut node.kind, self.secrets)
            && let Some((_, first)) = self.interpolated.first_key_value()
        {
            let key = super::node::Key { name: "secrets".to_owned(), span: first.clone() };
            let placeholders = self.interpolated.keys().map(|name| (name.clone(), secrets.placeholder(entry, name).into()));
            let made = Kind::Made(Value::Object(placeholders.collect::<Map<_, _>>()));
            entries.push((key, Node { span: first.clone(), kind: made }));
        }
    }

    fn no_python_none(&self, name: &str, shape: Option<Shape<'_>>, value: &Node, found: &mut Found) {
        let words = shape.and_then(|shape| shape.keyword("enum")).and_then(Value::as_array);
        if words.is_some_and(|words| words.iter().any(|word| word == "None")) {
            return;
        }
        let list = shape.is_some_and(|shape| shape.types().has(Types::LIST));
        let help = if list { format!("leave `{name}` out for its default, or write {name} = [] for none") } else { format!("leave `{name}` out") };
        found.error(Diagnostic::error(&value.span, "Python's None has no form in TOML, this is a text").with_help(help));
    }

    /// Secrets and single values, all the way down. `setting` is the name of the nearest one, and what it is to secrets.
    fn value(&mut self, node: &mut Node, shape: Option<Shape<'_>>, setting: (&str, Trust), found: &mut Found) {
        let types = shape.map(Shape::types);
        let (setting, trust) = setting;
        if let Some((name, span)) = node.secret_name()
            && types.is_none_or(|types| types.has(Types::TEXT) || (types.has(Types::LIST) && !types.has(Types::TABLE)))
        {
            let (name, span) = (name.to_owned(), span.clone());
            self.may_be_here(setting, trust, &span, found);
            node.kind = Kind::Text(self.secret(&name, &span, found));
            self.used.entry(name).or_insert(span);
        } else if let Kind::Text(text) = &node.kind {
            let names: Vec<_> = interpolated(text).into_iter().map(str::to_owned).collect();
            if names.is_empty() {
                self.as_text(setting, trust, text, &node.span, found);
            } else {
                self.may_be_here(setting, trust, &node.span, found);
            }
            for name in names {
                self.secret(&name, &node.span, found);
                self.interpolated.entry(name).or_insert_with(|| node.span.clone());
            }
        }
        if shape.is_some_and(|shape| shape.is_list_of(node)) {
            let item = Node { span: node.span.clone(), kind: std::mem::replace(&mut node.kind, Kind::Flag(false)) };
            node.kind = Kind::List(vec![item]);
        }
        let shape = shape.map(|shape| shape.chosen(node));
        match &mut node.kind {
            Kind::List(items) => {
                let item = shape.and_then(Shape::items);
                items.iter_mut().enumerate().for_each(|(at, node)| self.value(node, item, (setting, trust.of_item(setting, at)), found));
            }
            Kind::Table(entries) => {
                let properties = shape.and_then(|shape| shape.keyword("properties"));
                for (key, value) in entries {
                    let shape = shape.and_then(|shape| shape.property(&key.name));
                    let named = properties.is_some_and(|all| all.get(&key.name).is_some());
                    self.value(value, shape, (&key.name, trust.of(&key.name, named, shape)), found);
                }
            }
            _ => {}
        }
    }

    /// Refuses a secret where nothing would be put in its place.
    fn may_be_here(&self, setting: &str, trust: Trust, at: &Span, found: &mut Found) {
        // To a formatter no secret is of use; that is said anyway.
        if trust == Trust::None && self.secrets.is_some() {
            let message = format!(
                "`{setting}` of {} takes no secret: what is written there goes out as it is, and a secret only into logins, headers and URLs",
                self.title
            );
            found.error(Diagnostic::error(at, message).with_help("a receiver would see a placeholder (docs/secrets.md); a component of your own says of a setting that it takes secrets with \"x-secret\": true in its schema"));
        }
    }

    /// Takes down a credential that is written as text, to keep it out of logs, and says where it would be better.
    fn as_text(&mut self, setting: &str, trust: Trust, text: &str, at: &Span, found: &mut Found) {
        if trust == Trust::Is && self.secrets.is_some() && !text.is_empty() && !text.contains("%(") {
            self.written.push(Plain::new(text));
            found.warn(written_as_text(setting, at));
        }
    }

    fn secret(&self, name: &str, at: &Span, found: &mut Found) -> String {
        match self.secrets {
            Some((secrets, entry)) => {
                secrets.check(name, at, found);
                secrets.placeholder(entry, name)
            }
            None => {
                found.error(Diagnostic::error(at, "a formatter cannot send anything, so a secret is of no use to it"));
                String::new()
            }
        }
    }

    /// `"format"`, all the way down: of a `file` the text, of a `folder` its files, of a `path` where it is seen from the host, of
    /// `seconds` and `bytes` the number.
    fn files(&self, node: &mut Node, shape: Option<Shape<'_>>, found: &mut Found) {
        let Some(shape) = shape.map(|shape| shape.chosen(node)) else { return };
        match &mut node.kind {
            Kind::Text(written) => {
                let path = node.span.path(written);
                let amount = match shape.keyword("format").and_then(Value::as_str) {
                    Some("seconds") => human::duration(written).map(|duration| duration.as_secs()).ok_or(human::A_DURATION),
                    Some("bytes") => human::size(written).ok_or(human::A_SIZE),
                    _ => Err(""),
                };
                match amount {
                    Ok(amount) => return node.kind = Kind::Made(amount.into()),
                    Err("") => {}
                    Err(form) => return found.error(Diagnostic::error(&node.span, format!("{written:?} is not {form}"))),
                }
                let made = match shape.keyword("format").and_then(Value::as_str) {
                    Some("file") => file(&path, found),
                    Some("folder") => folder(&path, found),
                    Some("path") => return *written = path.display().to_string(),
                    _ => return,
                };
                match made {
                    Ok(made) => node.kind = Kind::Made(made),
                    Err(why) => found.error(
                        Diagnostic::error(&node.span, format!("{} cannot be read: {why}", path.display()))
                            .with_help("paths are relative to the file that they are written in"),
                    ),
                }
            }
            Kind::List(items) => items.iter_mut().for_each(|item| self.files(item, shape.items(), found)),
            Kind::Table(entries) => entries.iter_mut().for_each(|(key, value)| self.files(value, shape.property(&key.name), found)),
            _ => {}
        }
    }
}

/// What is said of a credential in the settings file.
pub(super) fn written_as_text(setting: &str, at: &Span) -> Diagnostic {
    // Of a login the second item is what is secret, and the user stays beside it.
    let value = if setting == "auth" { "[\"user\", { secret = \"name\" }]" } else { "{ secret = \"name\" }" };
    Diagnostic::warning(at, format!("`{setting}` is written as text, so this file is a secret itself"))
        .with_help(format!("write {setting} = {value}, and [secrets] name = {{ file = \"/path\" }}"))
}

fn file(path: &Path, found: &mut Found) -> Result<Value, String> {
    found.file(path.to_owned());
    include::text(path).map(Value::String)
}

/// A folder as an object: path within it, text.
fn folder(path: &Path, found: &mut Found) -> Result<Value, String> {
    let mut files = Vec::new();
    let mut bytes = 0;
    list(path, "", 0, &mut files, &mut bytes, found)?;
    files.sort();
    Ok(Value::Object(files.into_iter().map(|(name, text)| (name, Value::String(text))).collect::<Map<_, _>>()))
}

fn list(path: &Path, prefix: &str, depth: usize, files: &mut Vec<(String, String)>, bytes: &mut u64, found: &mut Found) -> Result<(), String> {
    found.file(path.to_owned());
    if depth > MOST_FOLDERS_DEEP {
        return Err(format!("its folders are nested more than {MOST_FOLDERS_DEEP} deep"));
    }
    for entry in std::fs::read_dir(path).map_err(|e| e.to_string())? {
        let entry = entry.map_err(|e| e.to_string())?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') {
            continue;
        }
        let (path, name) = (entry.path(), format!("{prefix}{name}"));
        if path.is_dir() {
            list(&path, &format!("{name}/"), depth + 1, files, bytes, found)?;
            continue;
        }
        let text = include::text(&path).map_err(|why| format!("{name}: {why}"))?;
        *bytes += text.len() as u64;
        if *bytes > MOST_FOLDER_BYTES || files.len() == MOST_FOLDER_FILES {
            return Err(format!("it has more than {MOST_FOLDER_FILES} files or {} MiB", MOST_FOLDER_BYTES >> 20));
        }
        found.file(path);
        files.push((name, text));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_is_told_how_to_keep_its_second_item() {
        let source = std::sync::Arc::new(super::super::source::Source { path: "reporter-host.toml".into(), text: String::new() });
        let help = |setting| written_as_text(setting, &Span::top(&source)).help.unwrap();
        assert!(help("auth").contains(r#"write auth = ["user", { secret = "name" }], and"#), "{}", help("auth"));
        assert!(help("token").contains(r#"write token = { secret = "name" }, and"#), "{}", help("token"));
    }
}
