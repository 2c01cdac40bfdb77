//! Reads the settings file whole: all of it, or everything that is wrong with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::describe::Describe;
use super::diagnostic::{Diagnostic, Found, Report};
use super::node::Node;
use super::secrets::Secrets;
use super::service::Reader;
use super::table::Table;
use super::{NetworkSettings, Settings, include, keys, limits, sources};
use crate::sandbox::Limits;
use crate::secret::PlaceholderKey;
use crate::store::Retention;
use crate::transport::policy::{Cidr, CidrError};

/// Reads the settings, to look at them or to check them. Nothing is written: unless the state folder has a key for
/// placeholders already, they are made with one that ends with the process, and must not be stored.
///
/// # Errors
/// Everything that is wrong, each with its place.
pub fn load(file: &Path, describe: &dyn Describe) -> Result<Settings, Report> {
    read(file, describe, false, false)
}

/// Reads the settings to run them: the state folder and the key for placeholders are made if they are not there.
///
/// # Errors
/// As [`load`], and when the state folder cannot be written.
pub fn load_to_run(file: &Path, describe: &dyn Describe) -> Result<Settings, Report> {
    read(file, describe, true, false)
}

/// The same for a host that starts: entries whose component is missing or broken are kept out, so that the others run.
///
/// # Errors
/// As [`load_to_run`], but for components.
pub fn load_to_start(file: &Path, describe: &dyn Describe) -> Result<Settings, Report> {
    read(file, describe, true, true)
}

/// Reads the settings to look after what was made with them: as [`load`], and what is wrong with components is no matter.
///
/// # Errors
/// As [`load`], but for components.
pub fn load_to_operate(file: &Path, describe: &dyn Describe) -> Result<Settings, Report> {
    read(file, describe, false, true)
}

fn read(file: &Path, describe: &dyn Describe, to_run: bool, without_broken: bool) -> Result<Settings, Report> {
    let mut found = Found::default();
    let trees = include::read(file, &mut found);
    // A file that is half understood would be full of errors that are none.
    if !found.errors.is_empty() {
        return Err(found.into_report());
    }
    let HostSettings { state_dir, log, sink, webhooks } = host(file, &trees, &mut found);
    let table = include::table(&trees, "secrets", &mut found);
    let Some(key) = key(file, &state_dir, to_run, &mut found) else { return Err(found.into_report()) };
    let secrets = Arc::new(Secrets::read(table.as_ref(), key, &mut found));
    let sources = sources::read(&trees, &secrets, &mut found);
    let defaults = include::table(&trees, "limits", &mut found);
    let defaults = limits::read(defaults.as_ref(), "[limits]", &Limits::default(), &mut found);
    let retention = retention(&trees, &mut found);
    let network = network(&trees, &mut found);

    let nodes = include::tables(&trees, "services", &mut found);
    let mut reader = Reader {
        describe,
        secrets: &secrets,
        limits: &defaults,
        sources: sources.iter().map(|source| source.name.clone()).collect(),
        names: BTreeMap::new(),
        broken: None,
    };
    reader.names(&nodes, &mut found);
    let (mut services, mut written, mut kept_out) = (Vec::new(), BTreeMap::new(), Vec::new());
    for node in nodes {
        if let Some((service, node)) = reader.read(node, &mut found) {
            written.insert(service.name.clone(), node);
            services.push(service);
        }
        match reader.broken.take() {
            Some(broken) if without_broken => kept_out.push(broken),
            Some(broken) => found.error(broken.why),
            None => {}
        }
    }
    if let (Some(tree), true) = (trees.first(), services.is_empty() && kept_out.is_empty()) {
        found.warn(Diagnostic::warning(&tree.span, "there is no service, so nothing is reported to anybody"));
    }
    if let (Some(tree), true) = (trees.first(), sources.is_empty()) {
        found.warn(Diagnostic::warning(&tree.span, "there is no master, inbox or recording, so no event will come"));
    }
    if !found.errors.is_empty() {
        return Err(found.into_report());
    }
    Ok(Settings {
        file: file.to_owned(),
        state_dir,
        sources,
        services,
        kept_out,
        retention,
        network,
        files: found.files,
        warnings: found.warnings.iter().map(Diagnostic::to_string).collect(),
        log,
        sink,
        webhooks,
        secrets,
        written,
    })
}

/// `[host]`
struct HostSettings {
    state_dir: PathBuf,
    log: Option<String>,
    sink: bool,
    webhooks: Option<std::net::SocketAddr>,
}

fn host(file: &Path, trees: &[Node], found: &mut Found) -> HostSettings {
    let beside = file.parent().unwrap_or(Path::new("")).join("reporter-host.state");
    let node = include::table(trees, "host", found);
    let Some(table) = node.as_ref().and_then(|node| Table::new(node, "[host]", keys::HOST, found)) else {
        return HostSettings { state_dir: beside, log: None, sink: false, webhooks: None };
    };
    let state_dir = match (table.text("state_dir", found), table.get("state_dir")) {
        (Some(text), Some(node)) => node.span.path(text),
        _ => beside,
    };
    let log = table.text("log", found);
    if let (Some(log), Some(node)) = (log, table.get("log"))
        && let Err(why) = log.parse::<tracing_subscriber::EnvFilter>()
    {
        let error = Diagnostic::error(&node.span, format!("this is not a filter for the log: {why}"));
        found.error(error.with_help("write \"info\", \"debug\", or \"info,reporter_host::delivery=debug\""));
    }
    let sink = table.flag("sink", found).unwrap_or_default();
    let webhooks = table.text("webhooks", found).and_then(|text| {
        text.parse().ok().or_else(|| {
            let at = table.get("webhooks").map_or(table.span, |node| &node.span);
            found.error(Diagnostic::error(at, format!("{text:?} is not an address and a port")).with_help("write \"127.0.0.1:8090\" or \"[::]:8090\""));
            None
        })
    });
    HostSettings { state_dir, log: log.map(str::to_owned), sink, webhooks }
}

fn key(file: &Path, state_dir: &Path, to_run: bool, found: &mut Found) -> Option<PlaceholderKey> {
    let made = if to_run {
        private_folder(state_dir).and_then(|()| PlaceholderKey::load_or_create(state_dir))
    } else if state_dir.join("placeholder.key").exists() {
        PlaceholderKey::load_or_create(state_dir)
    } else {
        tempfile::tempdir().and_then(|fleeting| PlaceholderKey::load_or_create(fleeting.path()))
    };
    made.map_err(|why| {
        let message = format!("the state folder {} cannot be used: {why}", state_dir.display());
        found.error(Diagnostic::unread(file.to_owned(), message).with_help("name another one: [host] state_dir = \"/var/lib/reporter-host\""));
    })
    .ok()
}

/// The state folder holds what was reported to whom: it is for the host's user only.
fn private_folder(path: &Path) -> std::io::Result<()> {
    use std::os::unix::fs::DirBuilderExt as _;
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn retention(trees: &[Node], found: &mut Found) -> Retention {
    let node = include::table(trees, "retention", found);
    let table = node.as_ref().and_then(|node| Table::new(node, "[retention]", keys::RETENTION, found));
    let age = table.as_ref().and_then(|table| table.duration("age", found));
    let size = table.as_ref().and_then(|table| table.size("size", found));
    Retention { age: age.map_or(30 * 24 * 3600, |age| age.as_secs()), size: size.unwrap_or(2 << 30) }
}

fn network(trees: &[Node], found: &mut Found) -> NetworkSettings {
    let node = include::table(trees, "network", found);
    let table = node.as_ref().and_then(|node| Table::new(node, "[network]", keys::NETWORK, found));
    let mut list = |name: &str| {
        let texts = table.as_ref().and_then(|table| table.texts(name, found)).unwrap_or_default();
        for (text, span) in &texts {
            let (what, help) = match text.parse::<Cidr>() {
                Ok(_) => continue,
                Err(CidrError::Host(_, network, address)) => {
                    ("has bits set behind its prefix", format!("write \"{network}\", or \"{address}\" for the one address"))
                }
                Err(_) => {
                    ("is neither an address nor a network", "write \"10.1.2.3\", \"10.1.0.0/16\" or \"fd00::/8\"; names are not looked up here".to_owned())
                }
            };
            found.error(Diagnostic::error(span, format!("{text:?} {what}")).with_help(help));
        }
        texts.into_iter().map(|(text, _)| text.to_owned()).collect()
    };
    NetworkSettings { deny: list("deny"), allow: list("allow") }
}
