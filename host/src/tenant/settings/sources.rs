//! `[[masters]]`, `[[inboxes]]` and `[[recordings]]`.

use std::time::Duration;

use url::Url;

use super::diagnostic::{Diagnostic, Found};
use super::node::{Kind, Node};
use super::secrets::Secrets;
use super::source::Span;
use super::table::Table;
use super::{InboxSettings, MasterSettings, SecretRef, SourceKind, SourceSettings, include, keys};
use crate::store::now_ms;
use crate::transport::Verify;

/// The name of a source that has none.
const DEFAULT_NAME: &str = "main";
/// Leaves room in an event's id, which has 200 bytes.
const LONGEST_NAME: usize = 60;

fn listens(kind: &SourceKind) -> Option<std::net::SocketAddr> {
    match kind {
        SourceKind::Inbox(inbox) => Some(inbox.listen),
        _ => None,
    }
}

/// All sources of all files.
pub(super) fn read(trees: &[Node], secrets: &Secrets, found: &mut Found) -> Vec<SourceSettings> {
    let mut sources: Vec<(SourceSettings, Span)> = Vec::new();
    for (kind, keys) in [("masters", keys::MASTER), ("inboxes", keys::INBOX), ("recordings", keys::RECORDING)] {
        for node in include::tables(trees, kind, found) {
            let title = format!("[[{kind}]]");
            let Some(table) = Table::new(node, &title, keys, found) else { continue };
            let (name, at) = name(&table, found);
            if let Some((_, first)) = sources.iter().find(|(source, _)| source.name == name) {
                let (line, _) = first.line_and_column();
                let message = format!("two sources are called `{name}`; the other one is in {}:{line}", first.source.path.display());
                found.error(Diagnostic::error(&at, message).with_help("give each a name of its own: name = \"…\""));
            }
            let kind = match kind {
                "masters" => master(&table, &title, secrets, found).map(SourceKind::Master),
                "inboxes" => inbox(&table, &title, secrets, found).map(SourceKind::Inbox),
                _ => recording(&table, &title, found),
            };
            if let Some(kind) = kind {
                if let Some(other) = sources.iter().find(|(source, _)| listens(&source.kind).is_some_and(|at| listens(&kind) == Some(at) && at.port() != 0)) {
                    let message = format!("the inbox `{}` listens there already", other.0.name);
                    found.error(Diagnostic::error(&at, message).with_help("give each inbox a `listen` of its own"));
                }
                sources.push((SourceSettings { name, kind }, at));
            }
        }
    }
    sources.into_iter().map(|(source, _)| source).collect()
}

fn name(table: &Table<'_>, found: &mut Found) -> (String, Span) {
    let at = table.get("name").map_or(table.span, |node| &node.span).clone();
    let name = table.text("name", found).unwrap_or(DEFAULT_NAME);
    let plain = !name.is_empty() && name.len() <= LONGEST_NAME && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !plain {
        let message = format!("a source's name has 1 to {LONGEST_NAME} letters, digits, dots, dashes and underscores");
        found.error(Diagnostic::error(&at, message).with_help("it is part of every event's id: main/builds/12/finished"));
    }
    (name.to_owned(), at)
}

fn master(table: &Table<'_>, title: &str, secrets: &Secrets, found: &mut Found) -> Option<MasterSettings> {
    let url = match table.text("url", found) {
        Some(text) => master_url(text, table.get("url")?, found),
        None => table.missing(title, "url", "url = \"https://ci.example.org/\", the master's buildbotURL", found),
    };
    let (user, password) = (table.secret("user", secrets, found), table.secret("password", secrets, found));
    let login = match (user, password) {
        (Some(user), Some(password)) => Some((user, password)),
        (None, None) => None,
        (Some(_), None) => table.missing(title, "password", "password = { secret = \"…\" }", found),
        (None, Some(_)) => table.missing(title, "user", "user = \"…\"", found),
    };
    Some(MasterSettings {
        url: url?,
        login,
        catch_up_from: catch_up_from(table, found),
        catch_up_max: table.duration("catch_up_max", found).unwrap_or(Duration::from_secs(24 * 3600)),
        poll_every: table.at_least("poll_every", Duration::from_secs(1), "write poll_every = \"60 s\"", found).unwrap_or(Duration::from_secs(60)),
        worker_missing_after: table.duration("worker_missing_after", found).unwrap_or(Duration::from_secs(3600)),
        most_log_bytes: table.size("most_log_bytes", found).unwrap_or(16 << 20),
        verify: verify(table, found),
        shutdown_command: command(table, "shutdown_command", found),
        stop_command: command(table, "stop_command", found),
    })
}

/// A program with its arguments, which no shell sees.
fn command(table: &Table<'_>, name: &str, found: &mut Found) -> Option<Vec<String>> {
    let words: Vec<String> = table.texts(name, found)?.into_iter().map(|(word, _)| word.to_owned()).collect();
    if words.first().is_none_or(String::is_empty) {
        let at = table.get(name).map_or(table.span, |node| &node.span);
        found.error(Diagnostic::error(at, format!("`{name}` names no program")).with_help(format!("write {name} = [\"systemctl\", \"stop\", \"buildbot\"]")));
        return None;
    }
    Some(words)
}

/// Where the first start begins. What is not past is hardly meant (a moment in milliseconds), and a clock may be wrong as well.
fn catch_up_from(table: &Table<'_>, found: &mut Found) -> Option<i64> {
    let from = table.moment("catch_up_from", found)?;
    if from > now_ms() / 1_000 {
        let at = table.get("catch_up_from").map_or(table.span, |node| &node.span);
        let warning = Diagnostic::warning(at, "`catch_up_from` has not been yet, so the first start begins now");
        found.warn(warning.with_help("write a time that is past, such as 2026-01-31T06:00:00Z or seconds since 1970, or leave it out"));
    }
    Some(from)
}

fn master_url(text: &str, node: &Node, found: &mut Found) -> Option<Url> {
    let mut url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => url,
        _ => {
            let error = Diagnostic::error(&node.span, format!("{text:?} is not an http or https address"));
            found.error(error.with_help("write the master's buildbotURL, such as \"https://ci.example.org/\""));
            return None;
        }
    };
    if !url.username().is_empty() || url.password().is_some() {
        found.error(
            Diagnostic::error(&node.span, "a user name and password do not belong in the address")
                .with_help("write user = … and password = { secret = \"…\" }"),
        );
        return None;
    }
    if url.fragment().is_some() || url.query().is_some() {
        url.set_fragment(None);
        url.set_query(None);
        found.warn(Diagnostic::warning(&node.span, format!("taken as {url}, without what follows `#` or `?`")));
    }
    if !url.path().ends_with('/') {
        url.set_path(&format!("{}/", url.path()));
    }
    Some(url)
}

fn verify(table: &Table<'_>, found: &mut Found) -> Verify {
    match table.get("verify") {
        None => Verify::System,
        Some(node) => match &node.kind {
            Kind::Flag(flag) => Verify::Switch(*flag),
            Kind::Text(file) => {
                let path = node.span.path(file);
                if let Err(why) = include::text(&path) {
                    found.error(Diagnostic::error(&node.span, format!("{} cannot be read: {why}", path.display())));
                }
                found.file(path.clone());
                Verify::File(path)
            }
            _ => {
                found.error(Diagnostic::error(&node.span, format!("`verify` takes true, false or the path of a PEM file, not {}", node.what())));
                Verify::System
            }
        },
    }
}

fn inbox(table: &Table<'_>, title: &str, secrets: &Secrets, found: &mut Found) -> Option<InboxSettings> {
    let listen = match table.text("listen", found) {
        Some(text) => text.parse().ok().or_else(|| {
            let at = table.get("listen").map_or(table.span, |node| &node.span);
            found.error(Diagnostic::error(at, format!("{text:?} is not an address and a port")).with_help("write \"127.0.0.1:8085\" or \"[::]:8085\""));
            None
        }),
        None => table.missing(title, "listen", "listen = \"127.0.0.1:8085\"", found),
    };
    let token = match table.secret("token", secrets, found) {
        Some(token) => carried(token, table, found),
        None => table.missing(title, "token", "token = { secret = \"…\" }: whoever knows it may post events", found),
    };
    let path = table.text("path", found).unwrap_or("/events");
    if !path.starts_with('/') {
        let at = table.get("path").map_or(table.span, |node| &node.span);
        found.error(Diagnostic::error(at, "`path` begins with a slash").with_help(format!("write path = \"/{path}\"")));
    } else if !path.chars().all(|c| c.is_ascii_alphanumeric() || "/-_.~".contains(c)) {
        let at = table.get("path").map_or(table.span, |node| &node.span);
        found.error(Diagnostic::error(at, "`path` is more than a path").with_help("letters, digits, dashes, underscores, dots and slashes: \"/events\""));
    }
    Some(InboxSettings {
        listen: listen?,
        path: path.to_owned(),
        token: token?,
        most_bytes: table.size("most_bytes", found).unwrap_or(4 << 20),
        title: table.text("title", found).unwrap_or_default().to_owned(),
        url: table.text("url", found).unwrap_or_default().to_owned(),
    })
}

/// A token, if a post can carry it. What a secret holds is looked at when it is read.
fn carried(token: SecretRef, table: &Table<'_>, found: &mut Found) -> Option<SecretRef> {
    let why = match &token {
        SecretRef::Plain(text) if text.trim_ascii().is_empty() => "`token` is empty, so every post would be refused",
        SecretRef::Plain(text) if text.trim_ascii() != text => {
            "`token` begins or ends with white space, which no post's header keeps, so every one would be refused"
        }
        _ => return Some(token),
    };
    let at = table.get("token").map_or(table.span, |node| &node.span);
    found.error(Diagnostic::error(at, why).with_help("write token = { secret = \"…\" }: whoever knows it may post events"));
    None
}

fn recording(table: &Table<'_>, title: &str, found: &mut Found) -> Option<SourceKind> {
    let Some(written) = table.text("file", found) else {
        return table.missing(title, "file", "file = \"recording.jsonl\"", found);
    };
    let node = table.get("file")?;
    let file = node.span.path(written);
    if !file.is_file() {
        found.error(Diagnostic::error(&node.span, format!("there is no file {}", file.display())).with_help("`reporter-host record` makes one"));
    }
    Some(SourceKind::Recording { file })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::PlaceholderKey;

    fn read_text(text: &str) -> (Vec<SourceSettings>, Found) {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("reporter-host.toml");
        std::fs::write(&file, text).unwrap();
        let mut found = Found::default();
        let trees = include::read(&file, &mut found);
        let secrets = Secrets::read(None, PlaceholderKey::load_or_create(folder.path()).unwrap(), &mut found);
        (read(&trees, &secrets, &mut found), found)
    }

    #[test]
    fn a_token_that_no_post_can_carry_is_refused_where_it_stands() {
        let inbox = |token: &str| read_text(&format!("[[inboxes]]\nlisten = '127.0.0.1:0'\ntoken = {token}\n"));
        for (token, why) in [("''", "is empty"), ("' \t'", "is empty"), ("'x '", "white space"), ("\"\\nx\"", "white space")] {
            let (sources, found) = inbox(token);
            assert!(sources.is_empty(), "{token}");
            let [error] = &found.errors[..] else { panic!("{token}: {:?}", found.errors) };
            assert_eq!((error.line, error.column), (3, 9), "{token}");
            assert!(error.message.contains(why) && error.help.as_ref().unwrap().contains("token = { secret ="), "{token}: {error:?}");
        }
        for token in ["'x'", "'two words'"] {
            let (sources, found) = inbox(token);
            assert!(sources.len() == 1 && found.errors.is_empty(), "{token}: {:?}", found.errors);
        }
    }
}
