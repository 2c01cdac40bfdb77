//! What the operator grants an entry: URLs below which it may send, and secrets.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::{Diagnostic, Found};
use super::node::Kind;
use super::secrets::{Grants, Secrets};
use super::source::Span;
use super::table::Table;

/// A secret that the entry's `secrets` grants.
pub(super) struct Granted {
    /// The endpoints that it may go to; none: all of the entry's.
    endpoints: Option<BTreeSet<String>>,
    at: Span,
}

/// `allow`, if it is there.
pub(super) fn allow(table: &Table<'_>, found: &mut Found) -> Option<Vec<String>> {
    let texts = table.texts("allow", found)?;
    for (text, span) in &texts {
        let fits = url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https" | "smtp" | "smtps" | "irc" | "ssh") && url.has_host());
        if !fits {
            let error = Diagnostic::error(span, format!("{text:?} is not an address with a scheme"));
            found.error(error.with_help(
                "write \"https://api.github.com\", \"http://10.0.0.5:8080/hooks/\", \"smtp://mail.example.org:25\", \"irc://irc.example.org:6697\" or \"ssh://gerrit.example.org:29418/gerrit/review\"",
            ));
        }
    }
    Some(texts.into_iter().map(|(text, _)| text.to_owned()).collect())
}

/// A built-in reporter may use what its settings name; a component needs the operator's word for each secret as well.
pub(super) fn grants(built_in: bool, used: &BTreeMap<String, Span>, granted: &BTreeMap<String, Granted>, found: &mut Found) -> Grants {
    for (name, granted) in granted.iter().filter(|(name, _)| !used.contains_key(*name)) {
        found.warn(Diagnostic::warning(&granted.at, format!("the secret `{name}` is granted, but no setting of this entry uses it")));
    }
    let mut grants = Grants::new();
    for (name, at) in used {
        match granted.get(name) {
            Some(granted) => _ = grants.insert(name.clone(), granted.endpoints.clone()),
            None if built_in => _ = grants.insert(name.clone(), None),
            None => found.error(
                Diagnostic::error(at, format!("the secret `{name}` is not granted to this component"))
                    .with_help(format!("write secrets = {{ {name} = [\"…\"] }} with the endpoints it may go to, or secrets = [\"{name}\"] for all of them")),
            ),
        }
    }
    grants
}

/// `secrets = ["name"]` or `secrets = { name = ["endpoint"] }`
pub(super) fn granted(table: &Table<'_>, secrets: &Secrets, found: &mut Found) -> BTreeMap<String, Granted> {
    let mut granted = BTreeMap::new();
    let Some(node) = table.get("secrets") else { return granted };
    if let Kind::Table(entries) = &node.kind {
        let endpoints = Table::open(node, "secrets", found);
        for (key, _) in entries {
            secrets.check(&key.name, &key.span, found);
            let names = endpoints.as_ref().and_then(|table| table.texts(&key.name, found)).unwrap_or_default();
            let names = names.into_iter().map(|(name, _)| name.to_owned()).collect();
            granted.insert(key.name.clone(), Granted { endpoints: Some(names), at: key.span.clone() });
        }
        return granted;
    }
    for (name, span) in table.texts("secrets", found).unwrap_or_default() {
        secrets.check(name, span, found);
        granted.insert(name.to_owned(), Granted { endpoints: None, at: span.clone() });
    }
    granted
}
