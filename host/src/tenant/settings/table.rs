//! A table of the host's own keys: unknown ones are refused, the others read by what they take.

use std::time::Duration;

use super::diagnostic::{Diagnostic, Found};
use super::keys::HostKey;
use super::node::{Key, Kind, Node};
use super::source::Span;
use super::spelling::did_you_mean;
use super::{SecretRef, human};

/// A table that is being read.
pub(super) struct Table<'n> {
    /// Where it begins.
    pub span: &'n Span,
    entries: &'n [(Key, Node)],
}

impl<'n> Table<'n> {
    /// A table, if the value is one, with unknown keys reported. `title` is how messages call it: `[limits]`.
    pub fn new(node: &'n Node, title: &str, keys: &[HostKey], found: &mut Found) -> Option<Self> {
        let table = Self::open(node, title, found)?;
        for (key, _) in table.entries {
            if keys.iter().all(|known| known.name != key.name) {
                found.error(unknown(key, title, keys.iter().map(|known| known.name)));
            }
        }
        Some(table)
    }

    /// A table with keys of anybody's.
    pub fn open(node: &'n Node, title: &str, found: &mut Found) -> Option<Self> {
        match &node.kind {
            Kind::Table(entries) => Some(Self { span: &node.span, entries }),
            _ => {
                found.error(Diagnostic::error(&node.span, format!("{title} is a table, not {}", node.what())));
                None
            }
        }
    }

    pub fn get(&self, name: &str) -> Option<&'n Node> {
        self.entries.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    pub fn entries(&self) -> &'n [(Key, Node)] {
        self.entries
    }

    pub fn text(&self, name: &str, found: &mut Found) -> Option<&'n str> {
        let node = self.get(name)?;
        node.as_text().or_else(|| wrong(node, name, "text", found))
    }

    pub fn flag(&self, name: &str, found: &mut Found) -> Option<bool> {
        let node = self.get(name)?;
        match node.kind {
            Kind::Flag(flag) => Some(flag),
            _ => wrong(node, name, "true or false", found),
        }
    }

    /// A whole number from 1 to `most`.
    pub fn count(&self, name: &str, most: u64, found: &mut Found) -> Option<u64> {
        let node = self.get(name)?;
        let count = match node.kind {
            Kind::Integer(count) => u64::try_from(count).ok().filter(|count| (1..=most).contains(count)),
            _ => None,
        };
        count.or_else(|| wrong(node, name, &format!("a whole number from 1 to {most}"), found))
    }

    pub fn duration(&self, name: &str, found: &mut Found) -> Option<Duration> {
        let node = self.get(name)?;
        let duration = match &node.kind {
            Kind::Integer(seconds) => u64::try_from(*seconds).ok().map(Duration::from_secs),
            Kind::Text(text) => human::duration(text),
            _ => None,
        };
        duration.or_else(|| wrong(node, name, human::A_DURATION, found))
    }

    /// A duration that is long enough to be meant; `help` is what to write instead of a shorter one.
    pub fn at_least(&self, name: &str, least: Duration, help: &str, found: &mut Found) -> Option<Duration> {
        let duration = self.duration(name, found)?;
        if duration < least {
            let at = self.get(name).map_or(self.span, |node| &node.span);
            found.error(Diagnostic::error(at, format!("`{name}` is to be at least {} s", least.as_secs())).with_help(help));
        }
        Some(duration)
    }

    pub fn size(&self, name: &str, found: &mut Found) -> Option<u64> {
        let node = self.get(name)?;
        let size = match &node.kind {
            Kind::Integer(bytes) => u64::try_from(*bytes).ok(),
            Kind::Text(text) => human::size(text),
            _ => None,
        };
        size.or_else(|| wrong(node, name, human::A_SIZE, found))
    }

    /// Seconds since 1970.
    pub fn moment(&self, name: &str, found: &mut Found) -> Option<i64> {
        let node = self.get(name)?;
        let moment = match &node.kind {
            Kind::Integer(seconds) => Some(*seconds),
            Kind::Text(text) | Kind::Moment(text) => text.parse::<jiff::Timestamp>().ok().map(jiff::Timestamp::as_second),
            _ => None,
        };
        moment.or_else(|| wrong(node, name, "a date and time with its zone such as 2026-01-31T06:00:00Z, or seconds since 1970", found))
    }

    /// A list of texts, or one text.
    pub fn texts(&self, name: &str, found: &mut Found) -> Option<Vec<(&'n str, &'n Span)>> {
        let node = self.get(name)?;
        match &node.kind {
            Kind::Text(text) => Some(vec![(text, &node.span)]),
            Kind::List(items) => items
                .iter()
                .map(|item| match item.as_text() {
                    Some(text) => Some((text, &item.span)),
                    None => wrong(item, name, "a list of texts", found),
                })
                .collect(),
            _ => wrong(node, name, "a list of texts", found),
        }
    }

    /// Text or `{ secret = "name" }`.
    pub fn secret(&self, name: &str, known: &super::secrets::Secrets, found: &mut Found) -> Option<SecretRef> {
        let node = self.get(name)?;
        if let Some((secret, span)) = node.secret_name() {
            known.check(secret, span, found);
            return Some(SecretRef::Named(secret.to_owned()));
        }
        match node.as_text() {
            Some(text) => {
                if super::credential::is_credential(name) {
                    found.warn(super::arguments::written_as_text(name, &node.span));
                }
                Some(SecretRef::Plain(text.to_owned()))
            }
            None => wrong(node, name, "text or { secret = \"name\" }", found),
        }
    }

    /// Reports a key that has to be there and is not.
    pub fn missing<T>(&self, title: &str, name: &str, example: &str, found: &mut Found) -> Option<T> {
        if self.get(name).is_none() {
            found.error(Diagnostic::error(self.span, format!("{title} needs `{name}`")).with_help(format!("write {example}")));
        }
        None
    }
}

/// An unknown key, with what was probably meant.
pub(super) fn unknown<'a>(key: &Key, title: &str, known: impl Iterator<Item = &'a str>) -> Diagnostic {
    let known: Vec<_> = known.collect();
    let error = Diagnostic::error(&key.span, format!("{title} has no setting `{}`", key.name));
    match did_you_mean(&key.name, known.iter().copied()) {
        Some(meant) => error.with_help(format!("did you mean `{meant}`?")),
        None if known.is_empty() => error.with_help("it has none"),
        None => error.with_help(format!("it has {}", known.join(", "))),
    }
}

fn wrong<T>(node: &Node, name: &str, takes: &str, found: &mut Found) -> Option<T> {
    let not = match &node.kind {
        Kind::Text(text) => format!("{text:?}"),
        Kind::Integer(number) => number.to_string(),
        _ => node.what().to_owned(),
    };
    found.error(Diagnostic::error(&node.span, format!("`{name}` takes {takes}, not {not}")));
    None
}
