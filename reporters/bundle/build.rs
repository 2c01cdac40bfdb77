//! Compiles the built-in reporters and makes components of them.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use reporter_componentize::{Error, Guests, Target, encode, give_up};

/// Documented name (also the folder) and package of every reporter that is built in.
const BUILT_IN: &[(&str, &str)] = &[
    ("BitbucketServerCoreAPIStatusPush", "bitbucket-server-core-api-status-push"),
    ("BitbucketServerPRCommentPush", "bitbucket-server-pr-comment-push"),
    ("BitbucketServerStatusPush", "bitbucket-server-status-push"),
    ("BitbucketStatusPush", "bitbucket-status-push"),
    ("GerritStatusPush", "gerrit-status-push"),
    ("GerritVerifyStatusPush", "gerrit-verify-status-push"),
    ("GitHubCommentPush", "github-comment-push"),
    ("GitHubStatusPush", "github-status-push"),
    ("GitLabStatusPush", "gitlab-status-push"),
    ("HipchatStatusPush", "hipchat-status-push"),
    ("HttpStatusPush", "http-status-push"),
    ("IRC", "irc-reporter"),
    ("MailNotifier", "mail-notifier"),
    ("PushjetNotifier", "pushjet-notifier"),
    ("PushoverNotifier", "pushover-notifier"),
    ("TelegramBot", "telegram-bot"),
    ("ZulipStatusPush", "zulip-status-push"),
];

/// Example formatters that settings may name: `component = "example:headline"`.
const EXAMPLES: &[(&str, &str)] = &[
    ("example:failed-logs", "failed-logs"),
    ("example:gerrit-callbacks", "gerrit-callbacks"),
    ("example:headline", "headline"),
    ("example:hipchat-callbacks", "hipchat-callbacks"),
];

/// What all of them are made of. Not whole folders where build results or other languages lie in them.
const SHARED: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "wit/reporter",
    "guest-sdk/Cargo.toml",
    "guest-sdk/src",
    "guest-sdk/formatter-world",
    "guest-sdk/reporter-world",
    "guest-sdk/chat-world",
];

fn main() {
    if let Err(error) = bundle() {
        give_up(&error);
    }
}

fn bundle() -> Result<(), Error> {
    println!("cargo::rerun-if-changed=build.rs");
    let guests = Guests::from_build_script()?;
    guests.watch(SHARED);
    guests.watch(BUILT_IN.iter().map(|(name, _)| format!("reporters/{name}")));
    guests.watch(EXAMPLES.iter().map(|(_, package)| format!("examples/formatters/{package}")));

    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or(Error::NotABuildScript("OUT_DIR"))?);
    let all: Vec<(&str, &str)> = BUILT_IN.iter().chain(EXAMPLES).copied().collect();
    let packages: Vec<&str> = all.iter().map(|(_, package)| *package).collect();
    let modules = guests.build(&packages, Target::Core)?;
    let mut lists = [String::from("&[\n"), String::from("&[\n")];
    for (place, ((name, package), module)) in all.iter().zip(modules).enumerate() {
        let bytes = std::fs::read(&module).map_err(|error| Error::File(module.clone(), error))?;
        let component = encode(&bytes).map_err(|error| Error::Encode(format!("{name}: {error}")))?;
        write(&out.join(package).with_extension("wasm"), &component)?;
        let list = &mut lists[usize::from(place >= BUILT_IN.len())];
        let _ = writeln!(list, "BuiltIn {{ name: {name:?}, component: include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{package}.wasm\")) }},");
    }
    for (list, file) in lists.iter_mut().zip(["built_in.rs", "examples.rs"]) {
        list.push(']');
        write(&out.join(file), list.as_bytes())?;
    }
    Ok(())
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::write(path, bytes).map_err(|error| Error::File(path.to_owned(), error))
}
