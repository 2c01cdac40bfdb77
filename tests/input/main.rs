//! Settings in, errors (the components' own as well) or what components would get out: a folder of `cases/` is a test case, with
//! `settings.toml` and the text that is expected in `expected.txt`.
//!
//! `UPDATE_EXPECTED=1` writes the expected texts anew, to be read before they are committed.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use reporter_host::sandbox::Limits;
use reporter_host::tenant::settings::spelling::{self, Argument};
use reporter_host::tenant::settings::{ComponentRef, Describe, Described, Settings, load, schema};
use reporter_host_tests::real::{Real, problems};
use serde_json::{Value, json};

fn here() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("input")
}

/// As the program knows them; a reporter with rules that no built-in one has is a description in `schemas/`.
struct Descriptions;

impl Describe for Descriptions {
    fn describe(&self, component: &ComponentRef, limits: &Limits) -> Result<Described, String> {
        match component {
            ComponentRef::BuiltIn(name) if !Real.built_in().contains(name) => {
                let text = std::fs::read_to_string(here().join(format!("schemas/{name}.json"))).map_err(|e| e.to_string())?;
                Described::parse(&text)
            }
            other => Real.describe(other, limits),
        }
    }

    fn built_in(&self) -> Vec<String> {
        let copies = std::fs::read_dir(here().join("schemas")).unwrap().map(|entry| entry.unwrap().path());
        let copies = copies.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned());
        let mut names: Vec<_> = Real.built_in().into_iter().chain(copies).collect();
        names.sort();
        names
    }
}

fn outcome(folder: &Path) -> String {
    let text = match load(&folder.join("settings.toml"), &Descriptions) {
        Err(report) => report.render(false),
        Ok(settings) => {
            let problems: Vec<_> = problems(&settings).iter().map(|problem| problem.render(false)).collect();
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
    amounts
    amounts_wrong
    broken_toml
    builders_and_tags
    components
    components_wrong
    configure
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
    not_there_yet
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
    assert_eq!(spelling::with_scheme("ZulipStatusPush", "endpoint", "org@zulipchat.com").as_deref(), Some("https://org.zulipchat.com"));
    for written in ["org@zulipchat.com/", "https://org@zulipchat.com", "http://org@zulipchat.com/"] {
        assert_eq!(spelling::with_scheme("ZulipStatusPush", "endpoint", written).as_deref(), Some("https://org.zulipchat.com"), "{written}");
    }
    assert_eq!(spelling::with_scheme("ZulipStatusPush", "endpoint", "zulip.example.org/").as_deref(), Some("https://zulip.example.org/"));
    assert_eq!(spelling::with_scheme("HipchatStatusPush", "endpoint", "org@zulipchat.com").as_deref(), Some("https://org@zulipchat.com"));
    for written in ["http://zulip", "https://org:key@zulipchat.com", "https://zulipchat.com", ""] {
        assert_eq!(spelling::with_scheme("ZulipStatusPush", "endpoint", written), None, "{written}");
    }
    assert_eq!(spelling::with_scheme("ZulipStatusPush", "stream", "general"), None);
}

/// Editors are told the truth: the cases that are taken fit the schema, as far as it is not about files and wrapping.
#[test]
fn the_schema_for_editors_knows_every_key() {
    let reporters: Vec<_> =
        Descriptions.built_in().into_iter().map(|name| Descriptions.describe(&ComponentRef::BuiltIn(name), &Limits::default()).unwrap()).collect();
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

/// A copy would go stale beside the real one.
#[test]
fn only_what_is_not_built_in_is_copied() {
    let copied = Descriptions.built_in();
    let once: BTreeSet<_> = copied.iter().collect();
    assert_eq!(once.len(), copied.len(), "{copied:?}");
}
