//! `[[services]]`: the host's keys are read here, all others are the component's own settings.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::{Value, json};

use super::arguments::Arguments;
use super::describe::{Describe, Described};
use super::diagnostic::{Diagnostic, Found};
use super::node::{Key, Kind, Node};
use super::secrets::Secrets;
use super::source::Span;
use super::spelling::{self, Argument, did_you_mean};
use super::table::{Table, unknown};
use super::{ComponentRef, Formatter, KeptOut, Place, Service, grants, keys, limits};
use crate::sandbox::Limits;

/// How long a delivery is of use unless the entry or the component says otherwise.
const EXPIRES_AFTER: Duration = Duration::from_secs(3 * 24 * 3600);
const LONGEST_NAME: usize = 100;

/// What entries are read with.
pub(super) struct Reader<'a> {
    pub describe: &'a dyn Describe,
    pub secrets: &'a Secrets,
    pub limits: &'a Limits,
    /// Names of all sources.
    pub sources: Vec<String>,
    /// Entries' names so far, with where.
    pub names: BTreeMap<String, Span>,
    /// The entry read last, if a component of its is missing or broken.
    pub broken: Option<KeptOut>,
}

/// A described component.
struct Component {
    reference: ComponentRef,
    described: Described,
}

impl Reader<'_> {
    /// Takes down the names that entries give themselves, so that default names keep clear of them.
    pub fn names(&mut self, nodes: &[&Node], found: &mut Found) {
        for node in nodes.iter().filter(|node| !disabled(node)) {
            let Some(at) = node.get("name") else { continue };
            let Some(name) = at.as_text() else { continue };
            if name.trim().is_empty() || name.len() > LONGEST_NAME || name.contains(char::is_control) {
                found.error(Diagnostic::error(&at.span, format!("a service's name has 1 to {LONGEST_NAME} characters on one line")));
            } else if let Some(first) = self.names.insert(name.to_owned(), at.span.clone()) {
                let (line, _) = first.line_and_column();
                let message = format!("two services are called `{name}`; the other one is in {}:{line}", first.source.path.display());
                found.error(Diagnostic::error(&at.span, message).with_help("their deliveries would be taken for each other's"));
            }
        }
    }

    /// One entry and its prepared settings; none if it is disabled or wrong.
    pub fn read(&mut self, node: &Node, found: &mut Found) -> Option<(Service, Node)> {
        let table = Table::open(node, "a service", found)?;
        if table.flag("enabled", found) == Some(false) {
            return None;
        }
        // First, because they hold for finding out what the component is.
        let limits = limits::read(table.get("limits"), "limits", self.limits, found);
        let component = match self.component(&table, &limits, found)? {
            Ok(component) => component,
            Err((reference, why)) => {
                // Its own name, or one that it can be told by.
                let known_by = match &reference {
                    ComponentRef::BuiltIn(name) => name.clone(),
                    ComponentRef::File(path) => path.file_stem().map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
                };
                let name = self.name(&table, &known_by, found);
                self.broken = Some(self.kept_out(name, &table, why, found));
                return None;
            }
        };
        let name = self.name(&table, &component.described.name, found);
        let built_in = matches!(component.reference, ComponentRef::BuiltIn(_));

        let follows = self.follows(&table, found);
        let allow = grants::allow(&table, found).or(if built_in { None } else { Some(Vec::new()) });
        let granted = grants::granted(&table, self.secrets, found);
        let expires_after = expires_after(&table, found);

        let schema = &component.described.settings_schema;
        let own = table.entries().iter().filter(|(key, _)| keys::SERVICE.iter().all(|host| host.name != key.name));
        let mut own: Vec<_> = own.cloned().collect();
        if let ComponentRef::BuiltIn(reporter) = &component.reference {
            spell(reporter, schema, &mut own, found);
        }
        let mut arguments = Arguments::new(&component.described.name, schema, Some((self.secrets, &name)));
        arguments.host_keys = keys::SERVICE;
        let formatters = match self.formatters(&component.described, &limits, &mut own, &mut arguments.settled, found) {
            Ok(formatters) => formatters,
            Err(why) => {
                self.broken = Some(self.kept_out(name, &table, why, found));
                return None;
            }
        };
        let mut own = Node { span: node.span.clone(), kind: Kind::Table(own) };
        arguments.prepare(&mut own, found);

        let written = std::mem::take(&mut arguments.written);
        let used: BTreeMap<_, _> = arguments.used.into_iter().chain(arguments.interpolated).collect();
        let grants = grants::grants(built_in, &used, &granted, found);
        let settings = own.to_value();
        let flag = |name: &str| settings.get(name).and_then(Value::as_bool).unwrap_or(false);
        let (line, _) = node.span.line_and_column();
        let service = Service {
            component: component.reference,
            formatters,
            follows,
            allow,
            vault: self.secrets.vault(&name, grants, written),
            limits,
            expires_after,
            verbose: flag("verbose"),
            debug: flag("debug"),
            place: Place { file: node.span.source.path.clone(), line },
            settings,
            name,
        };
        Some((service, own))
    }

    fn kept_out(&self, name: String, table: &Table<'_>, why: Diagnostic, found: &mut Found) -> KeptOut {
        let expires_after = expires_after(table, found);
        KeptOut { name, follows: self.follows(table, found), expires_after, why }
    }

    /// The component; none if the settings name none, an error if it cannot be used.
    #[allow(clippy::type_complexity)]
    fn component(&self, table: &Table<'_>, limits: &Limits, found: &mut Found) -> Option<Result<Component, (ComponentRef, Diagnostic)>> {
        let help = "write reporter = \"MailNotifier\" for a built-in reporter, or component = \"path.wasm\" for one of your own";
        let (at, reference) = match (table.get("reporter"), table.get("component")) {
            (Some(at), None) => (at, self.built_in(table.text("reporter", found)?, at, found)?),
            (None, Some(at)) => (at, component(at, table.text("component", found)?)),
            (Some(_), Some(at)) => {
                found.error(Diagnostic::error(&at.span, "a service has either a `reporter` or a `component`").with_help(help));
                return None;
            }
            (None, None) => {
                found.error(Diagnostic::error(table.span, "this service does not say what it runs").with_help(help));
                return None;
            }
        };
        let described = match described(self.describe, &reference, limits, at, found) {
            Ok(described) => described,
            Err(why) => return Some(Err((reference, why))),
        };
        if !described.slots.is_empty() {
            let message = format!("{} is a formatter", described.name);
            let help = "plug it into a reporter's setting: messageFormatter = { component = … }";
            found.error(Diagnostic::error(&at.span, message).with_help(help));
        }
        Some(Ok(Component { reference, described }))
    }

    fn built_in(&self, written: &str, at: &Node, found: &mut Found) -> Option<ComponentRef> {
        let known = self.describe.built_in();
        let is_known = |name: &str| known.iter().any(|known| known == name);
        let name = if is_known(written) { Some(written) } else { spelling::reporter(written).filter(|name| is_known(name)) };
        let Some(name) = name else {
            let error = Diagnostic::error(&at.span, format!("there is no reporter `{written}`"));
            let all = known.iter().map(String::as_str);
            found.error(match did_you_mean(written, all.clone().chain(spelling::REPORTERS)) {
                Some(meant) => error.with_help(format!("did you mean `{meant}`?")),
                None => error.with_help(format!("there are {}", all.collect::<Vec<_>>().join(", "))),
            });
            return None;
        };
        if name != written {
            found.warn(Diagnostic::warning(&at.span, format!("`{written}` is called `{name}` here")));
        }
        Some(ComponentRef::BuiltIn(name.to_owned()))
    }

    fn name(&mut self, table: &Table<'_>, reporter: &str, found: &mut Found) -> String {
        if let Some(name) = table.text("name", found) {
            return name.to_owned();
        }
        let numbered = (2..).map(|number| format!("{reporter}-{number}"));
        let mut names = std::iter::once(reporter.to_owned()).chain(numbered);
        let free = names.find(|name| !self.names.contains_key(name)).unwrap_or_else(|| reporter.to_owned());
        self.names.insert(free.clone(), table.span.clone());
        free
    }

    fn follows(&self, table: &Table<'_>, found: &mut Found) -> Vec<String> {
        let mut follows = Vec::new();
        for (name, span) in table.texts("masters", found).unwrap_or_default() {
            if !self.sources.iter().any(|source| source == name) {
                let error = Diagnostic::error(span, format!("there is no master, inbox or recording `{name}`"));
                found.error(match did_you_mean(name, self.sources.iter().map(String::as_str)) {
                    Some(meant) => error.with_help(format!("did you mean `{meant}`?")),
                    None => error.with_help(format!("there are {}", self.sources.join(", "))),
                });
            }
            follows.push(name.to_owned());
        }
        follows
    }

    /// Takes formatters out of the settings: `{"formatter": true}` takes their place.
    fn formatters(
        &self,
        reporter: &Described,
        base: &Limits,
        own: &mut [(Key, Node)],
        plugged: &mut BTreeSet<String>,
        found: &mut Found,
    ) -> Result<BTreeMap<String, Formatter>, Diagnostic> {
        let mut formatters = BTreeMap::new();
        for (key, node) in own {
            let Some(slot) = reporter.slot(&key.name) else { continue };
            if node.get("component").is_none() {
                continue;
            }
            plugged.insert(key.name.clone());
            if let Some(formatter) = self.formatter(slot, node, &key.name, base, found).transpose()? {
                if formatters.insert(slot.to_owned(), formatter).is_some() {
                    let message = format!("`{}` plugs a second formatter into the slot `{slot}`", key.name);
                    found.error(Diagnostic::error(&key.span, message).with_help("leave one of the two settings out"));
                }
            }
            node.kind = Kind::Made(json!({ "formatter": true }));
        }
        Ok(formatters)
    }

    fn formatter(&self, slot: &str, node: &Node, setting: &str, base: &Limits, found: &mut Found) -> Option<Result<Formatter, Diagnostic>> {
        let table = Table::new(node, &format!("`{setting}`"), keys::FORMATTER, found)?;
        let at = table.get("component")?;
        let component = component(at, table.text("component", found)?);
        let limits = limits::read(table.get("limits"), "limits", base, found);
        let described = match described(self.describe, &component, &limits, at, found) {
            Ok(described) => described,
            Err(why) => return Some(Err(why)),
        };
        if !described.slots.iter().any(|serves| serves == slot) {
            let serves = match described.slots.as_slice() {
                [] => "it is not a formatter".to_owned(),
                slots => format!("it serves {}", slots.join(", ")),
            };
            let message = format!("{} does not serve the slot `{slot}` of `{setting}`: {serves}", described.name);
            found.error(Diagnostic::error(&at.span, message));
        }
        let mut settings = match table.get("settings") {
            Some(settings) => settings.clone(),
            None => Node { span: node.span.clone(), kind: Kind::Table(Vec::new()) },
        };
        Table::open(&settings, "`settings`", found)?;
        Arguments::new(&described.name, &described.settings_schema, None).prepare(&mut settings, found);
        Some(Ok(Formatter { component, settings: settings.to_value(), limits }))
    }
}

fn expires_after(table: &Table<'_>, found: &mut Found) -> Duration {
    let help = "what is of use for no longer is never sent: write expires_after = \"3 days\", or enabled = false to send nothing";
    table.at_least("expires_after", Duration::from_secs(1), help, found).unwrap_or(EXPIRES_AFTER)
}

fn disabled(node: &Node) -> bool {
    node.get("enabled").is_some_and(|node| matches!(node.kind, Kind::Flag(false)))
}

fn described(describe: &dyn Describe, component: &ComponentRef, limits: &Limits, at: &Node, found: &mut Found) -> Result<Described, Diagnostic> {
    if let ComponentRef::File(path) = component {
        found.file(path.clone());
    }
    describe.describe(component, limits).map_err(|why| Diagnostic::error(&at.span, why))
}

/// Arguments that the reporter does not have under the name that the page's examples use.
fn spell(reporter: &str, schema: &Value, own: &mut [(Key, Node)], found: &mut Found) {
    let has = |name: &str| schema.get("properties").is_some_and(|all| all.get(name).is_some());
    for at in 0..own.len() {
        let Some((key, node)) = own.get(at).filter(|(key, _)| !has(&key.name)) else { continue };
        let (meant, flag) = match (spelling::argument(reporter, &key.name), &node.kind) {
            (Some(Argument::Renamed(meant)), _) => (meant, None),
            (Some(Argument::Inverted(meant)), Kind::Flag(flag)) => (meant, Some(!flag)),
            _ => continue,
        };
        if own.iter().any(|(other, _)| other.name == meant) {
            let (key, _) = &own[at];
            found.error(Diagnostic::error(&key.span, format!("`{}` and `{meant}` are the same; write `{meant}`", key.name)));
            continue;
        }
        if let Some((key, node)) = own.get_mut(at) {
            found.warn(Diagnostic::warning(
                &key.span,
                match flag {
                    None => format!("`{}` is called `{meant}` here", key.name),
                    Some(flag) => format!("taken as {meant} = {flag}"),
                },
            ));
            key.name = meant.to_owned();
            if let Some(flag) = flag {
                node.kind = Kind::Flag(flag);
            }
        }
    }
    for (key, node) in own {
        if let Some(url) = node.as_text().and_then(|text| spelling::with_scheme(reporter, &key.name, text)) {
            found.warn(Diagnostic::warning(&node.span, format!("taken as {url}")));
            node.kind = Kind::Text(url);
        }
    }
}

/// An unknown key at the top of an entry may be one of the host's, misspelled.
pub(super) fn unknown_setting(key: &Key, title: &str, host: &[keys::HostKey], known: &[&str]) -> Diagnostic {
    match did_you_mean(&key.name, known.iter().copied().chain(host.iter().map(|key| key.name))) {
        Some(meant) => Diagnostic::error(&key.span, format!("{title} has no setting `{}`", key.name)).with_help(format!("did you mean `{meant}`?")),
        None => unknown(key, title, known.iter().copied()),
    }
}
/// A component by its file, or an example that comes with the host: `example:headline`.
fn component(at: &Node, text: &str) -> ComponentRef {
    if text.starts_with("example:") { ComponentRef::BuiltIn(text.to_owned()) } else { ComponentRef::File(at.span.path(text)) }
}
