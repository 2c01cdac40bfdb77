//! Settings in, errors or what components would get out: a folder of `cases/` is a test case, with
//! `settings.toml` and the text that is expected in `expected.txt`.
//!
//! `UPDATE_EXPECTED=1` writes the expected texts anew, to be read before they are committed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use reporter_host::tenant::settings::spelling::{self, Argument};
use reporter_host::tenant::settings::{ComponentRef, Describe, Described, Settings, keys, load, schema};
use serde_json::{Value, json};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("input")
}

/// Reporters are descriptions in `schemas/`, components are descriptions in the place of a WebAssembly file.
struct Descriptions;

impl Describe for Descriptions {
    fn describe(&self, component: &ComponentRef) -> Result<Described, String> {
        let path = match component {
            ComponentRef::BuiltIn(name) => here().join(format!("schemas/{name}.json")),
            ComponentRef::File(path) => path.clone(),
        };
        let text = std::fs::read_to_string(&path).map_err(|e| match component {
            ComponentRef::BuiltIn(name) => format!("{name} is not built in yet"),
            ComponentRef::File(path) => format!("{}: {e}", path.display()),
        })?;
        Described::parse(&text)
    }

    fn built_in(&self) -> Vec<String> {
        let names = std::fs::read_dir(here().join("schemas")).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<_> = names.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
        names.sort();
        names
    }
}

/// What a component's `configure` finds that no schema can say.
fn configure(settings: &Value) -> Vec<(String, String)> {
    let both = settings.get("builders").is_some() && settings.get("tags").is_some();
    let both = both.then(|| ("/tags".to_owned(), "give either builders or tags, not both".to_owned()));
    let headers = settings.get("extraHeaders").and_then(Value::as_object);
    let broken = headers.into_iter().flatten().filter(|(name, _)| name.contains(' '));
    let broken = broken.map(|(name, _)| (format!("/extraHeaders/{name}"), "a header's name has no blanks".to_owned()));
    both.into_iter().chain(broken).collect()
}

fn outcome(folder: &Path) -> String {
    let text = match load(&folder.join("settings.toml"), &Descriptions) {
        Err(report) => report.render(false),
        Ok(settings) => {
            let problems = settings.services.iter().flat_map(|service| {
                configure(&service.settings).into_iter().map(|(at, message)| settings.locate(&service.name, &at, message).render(false))
            });
            let problems: Vec<_> = problems.collect();
            if problems.is_empty() { summary(&settings) } else { problems.join("\n\n") }
        }
    };
    let text = text.replace(&format!("{}/", folder.display()), "").replace(&folder.display().to_string(), "this folder");
    assert!(!text.contains(here().to_str().unwrap()), "a path of this machine is left in:\n{text}");
    without_placeholders(&text)
}

fn summary(settings: &Settings) -> String {
    let mut text = String::new();
    for warning in &settings.warnings {
        writeln!(text, "warning: {warning}").unwrap();
    }
    for source in &settings.sources {
        writeln!(text, "source {}", source.name).unwrap();
    }
    for service in &settings.services {
        let formatters = service.formatters.iter().map(|(slot, formatter)| (slot.clone(), formatter.settings.clone()));
        let shown = json!({
            "settings": service.settings,
            "formatters": formatters.collect::<serde_json::Map<_, _>>(),
            "follows": service.follows,
            "allow": service.allow,
            "sends": service.limits.sends,
            "expires_after": service.expires_after.as_secs(),
            "line": service.place.line,
        });
        writeln!(text, "service {} = {shown:#}", service.name).unwrap();
    }
    text
}

/// They differ from run to run.
fn without_placeholders(text: &str) -> String {
    let mut parts = text.split("RHSECRET");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str("RHSECRET…");
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_uppercase() || c.is_ascii_digit()));
    }
    out
}

fn check(case: &str) {
    let folder = here().join("cases").join(case.replace('_', "-"));
    let actual = outcome(&folder);
    let file = folder.join("expected.txt");
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        std::fs::write(&file, format!("{}\n", actual.trim_end())).unwrap();
    }
    let expected = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(actual.trim_end(), expected.trim_end(), "\n--- what {case} gives:\n{actual}\n---");
}

macro_rules! cases {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*
        const CASES: &[&str] = &[$(stringify!($name)),*];
    };
}

cases! {
    broken_toml
    builders_and_tags
    components
    components_wrong
    duplicate_keys
    duplicates
    everything
    formatters
    formatters_wrong
    include_loop
    include_missing
    includes
    limits
    missing_secret
    missing_settings
    no_settings
    numbers
    page_spellings
    python_none
    templates
    templates_missing
    top_level
    tuple_keys
    unicode
    unknown_keys
    unknown_reporter
    values
    wrong_types
}

#[test]
fn every_folder_is_a_case() {
    let folders = std::fs::read_dir(here().join("cases")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let folders: BTreeSet<_> = folders.map(|name| name.replace('-', "_")).collect();
    assert_eq!(folders, CASES.iter().map(|name| (*name).to_owned()).collect());
}

#[test]
fn spellings_of_reporters() {
    for (written, name) in [
        ("MailNotifier", "MailNotifier"),
        ("reporters.MailNotifier", "MailNotifier"),
        ("buildbot.reporters.mail.MailNotifier", "MailNotifier"),
        ("irc.IRC", "IRC"),
        ("reporters.irc.IRC", "IRC"),
        ("IRC", "IRC"),
        ("HipchatStatusPush", "HipchatStatusPush"),
        ("HipChatStatusPush", "HipchatStatusPush"),
        ("BitBucketServerPRCommentPush", "BitbucketServerPRCommentPush"),
        ("BitbucketServerPRCommentPush", "BitbucketServerPRCommentPush"),
        ("BitbucketServerStatusPush", "BitbucketServerStatusPush"),
        ("StashStatusPush", "BitbucketServerStatusPush"),
        ("BitbucketStatusPush", "BitbucketStatusPush"),
        ("GitHubStatusPush", "GitHubStatusPush"),
        ("GithubStatusPush", "GitHubStatusPush"),
        ("GitHubCommentPush", "GitHubCommentPush"),
        ("GitLabStatusPush", "GitLabStatusPush"),
        ("GerritStatusPush", "GerritStatusPush"),
        ("GerritVerifyStatusPush", "GerritVerifyStatusPush"),
        ("HttpStatusPush", "HttpStatusPush"),
        ("PushoverNotifier", "PushoverNotifier"),
        ("PushjetNotifier", "PushjetNotifier"),
        ("TelegramBot", "TelegramBot"),
        ("ZulipStatusPush", "ZulipStatusPush"),
    ] {
        assert_eq!(spelling::reporter(written), Some(name), "{written}");
    }
    for written in ["", "Mail", "MessageFormatter", "reporters."] {
        assert_eq!(spelling::reporter(written), None, "{written}");
    }
}

#[test]
fn spellings_of_arguments() {
    for (reporter, written, meant) in [
        ("MailNotifier", "messageFormatterMissingWorkers", Some(Argument::Renamed("messageFormatterMissingWorker"))),
        ("PushoverNotifier", "messageFormatterMissingWorkers", Some(Argument::Renamed("messageFormatterMissingWorker"))),
        ("TelegramBot", "userWebhook", Some(Argument::Renamed("useWebhook"))),
        ("TelegramBot", "usePolling", Some(Argument::Inverted("useWebhook"))),
        ("IRC", "usePolling", None),
        ("MailNotifier", "fromAddr", None),
    ] {
        assert_eq!(spelling::argument(reporter, written), meant, "{reporter} {written}");
    }
    assert_eq!(spelling::with_scheme("ZulipStatusPush", "endpoint", "org@zulipchat.com").as_deref(), Some("https://org@zulipchat.com"));
    assert_eq!(spelling::with_scheme("ZulipStatusPush", "endpoint", "http://zulip"), None);
    assert_eq!(spelling::with_scheme("ZulipStatusPush", "stream", "general"), None);
}

/// Editors are told the truth: the cases that are taken fit the schema, as far as it is not about files and wrapping.
#[test]
fn the_schema_for_editors_knows_every_key() {
    let reporters: Vec<_> = Descriptions.built_in().into_iter().map(|name| Descriptions.describe(&ComponentRef::BuiltIn(name)).unwrap()).collect();
    let schema = schema(&reporters);
    let validator = jsonschema::validator_for(&schema).unwrap();
    let valid = |text: &str| validator.validate(&toml::from_str::<Value>(text).unwrap()).map_err(|e| e.to_string());
    for case in ["everything", "formatters", "page-spellings", "templates", "tuple-keys"] {
        let text = std::fs::read_to_string(here().join("cases").join(case).join("settings.toml")).unwrap();
        // JSON has no dates: editors hand the schema their text. Other spellings are for the host to take, not to suggest.
        let text = text.replace("2026-01-31T06:00:00Z", "'2026-01-31T06:00:00Z'");
        let text = text.replace("irc.IRC", "IRC").replace("reporters.MailNotifier", "MailNotifier");
        let text = text.replace("messageFormatterMissingWorkers", "messageFormatterMissingWorker");
        let text = text.replace("usePolling", "useWebhook").replace("userWebhook", "useWebhook");
        assert_eq!(valid(&text), Ok(()), "{case}");
    }
    assert!(valid("[[services]]\nreporter = 'MailNotifier'").is_err(), "fromaddr is missing");
    assert!(valid("[[services]]\nreporter = 'MailNotifier'\nfromaddr = 'a@b.org'\nfromAddr = 'a@b.org'").is_err(), "fromAddr is unknown");
    assert!(valid("[hosts]").is_err());
}

/// The reference's and the migration page's TOML is taken as it stands, each block a file.
#[test]
fn the_docs_examples_are_taken() {
    let mut blocks = 0;
    for page in ["migration.md", "settings.md"] {
        let text = std::fs::read_to_string(here().join("../../docs").join(page)).unwrap();
        for block in text.split("```toml\n").skip(1) {
            let block = block.split("```").next().unwrap();
            let folder = tempfile::tempdir().unwrap();
            let file = |name: &str, text: &str| {
                let path = folder.path().join(name);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            };
            let formatter = r#"{"name": "f", "slots": ["message", "missing-worker-message", "lookup", "payload", "context"], "settings": {"type": "object"}}"#;
            for (name, text) in [
                ("settings.toml", block),
                ("formatters/my_formatter.wasm", formatter),
                ("pager.wasm", r#"{"name": "pager", "settings": {"type": "object"}}"#),
                ("templates/mail.html", "x"),
                ("secrets/github", "x"),
                ("secrets/smtp", "x"),
                ("secrets/master", "x"),
                ("conf.d/a.toml", ""),
                ("recording.jsonl", ""),
            ] {
                file(name, text);
            }
            if let Err(report) = load(&folder.path().join("settings.toml"), &Descriptions) {
                // What is documented for reporters that are not here yet is read as far as the host understands it.
                let wrong: Vec<_> = report.diagnostics.iter().filter(|d| !d.message.ends_with("is not built in yet")).collect();
                assert!(wrong.is_empty(), "{page}:\n{block}\n{}", report.render(false));
            }
            blocks += 1;
        }
    }
    assert!(blocks > 20, "{blocks} blocks");
}

#[test]
fn the_example_for_a_master_is_taken() {
    let file = here().join("../../examples/master.toml");
    let settings = load(&file, &Descriptions).unwrap_or_else(|report| panic!("{}", report.render(false)));
    assert_eq!(settings.services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["mail", "github"]);
}

/// docs/settings.md is the reference: each key of the host's stands there as `key`.
#[test]
fn every_key_is_in_the_reference() {
    let text = std::fs::read_to_string(here().join("../../docs/settings.md")).unwrap();
    let tables = [keys::TOP, keys::HOST, keys::MASTER, keys::INBOX, keys::RECORDING, keys::SERVICE, keys::FORMATTER, keys::LIMITS, keys::RETENTION, keys::NETWORK];
    let missing: Vec<_> = tables.into_iter().flatten().filter(|key| !text.contains(&format!("`{}`", key.name))).map(|key| key.name).collect();
    assert_eq!(missing, [""; 0]);
}
