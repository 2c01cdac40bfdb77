//! What the pages show is what the host takes: each block of TOML is loaded as `check` loads a file, and its entries
//! are configured by the real components.

use std::path::{Path, PathBuf};

use reporter_host::tenant::settings::{Describe, Settings, keys, load, spelling};
use reporter_host_tests::real::{Real, problems};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The blocks of TOML of every page: where they are, and their text.
fn blocks() -> Vec<(String, String)> {
    let docs = std::fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|it| it == "md")).chain([root().join("README.md")]);
    let mut blocks = Vec::new();
    for page in pages {
        let (name, text) = (page.file_name().unwrap().to_str().unwrap().to_owned(), std::fs::read_to_string(&page).unwrap());
        let mut before = 1;
        for part in text.split_inclusive("```toml\n").collect::<Vec<_>>().windows(2) {
            before += part[0].matches('\n').count();
            blocks.push((format!("{name}:{before}"), part[1].split("```").next().unwrap().to_owned()));
        }
    }
    blocks
}

/// A folder with everything that the pages' settings name.
fn place(settings: &str) -> tempfile::TempDir {
    let formatter = r#"{"name": "f", "slots": ["message", "missing-worker-message", "lookup", "payload", "context", "description"], "settings": {"type": "object", "additionalProperties": true}}"#;
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("reporter-host.toml", settings),
        ("formatters/my_formatter.wasm", formatter),
        ("headline.wasm", formatter),
        ("pager.wasm", r#"{"name": "pager", "settings": {"type": "object", "additionalProperties": true}}"#),
        ("templates/mail.html", "x"),
        ("mail.html", "x"),
        ("mails/body.txt", "x"),
        ("mails/subject.txt", "x"),
        ("secrets/bitbucket", "x"),
        ("secrets/github", "x"),
        ("secrets/smtp", "x"),
        ("secrets/master", "x"),
        ("secrets/inbox", "x"),
        ("secrets/irc", "x"),
        ("secrets/telegram", "x"),
        ("secrets/ops-key", "x"),
        ("events.jsonl", ""),
        ("conf.d/a.toml", ""),
        ("recording.jsonl", ""),
    ] {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

/// Loads and configures; `Err` is what `check` would say.
fn check(file: &Path) -> Result<Settings, String> {
    let settings = load(file, &Real).map_err(|report| report.render(false))?;
    let wrong = problems(&settings);
    if wrong.is_empty() { Ok(settings) } else { Err(wrong.iter().map(|it| it.render(false)).collect::<Vec<_>>().join("\n")) }
}

#[test]
fn every_block_of_toml_is_taken() {
    let (mut entries, mut wrong) = (0, Vec::new());
    for (at, block) in blocks() {
        // templates.md shows one argument in three forms, a line each.
        let files = match at.starts_with("templates.md") {
            true => block.lines().map(|line| format!("[[services]]\nreporter = \"MailNotifier\"\nfromaddr = \"a@b.org\"\n{line}\n")).collect(),
            false => vec![block],
        };
        for file in files {
            let folder = place(&file);
            match check(&folder.path().join("reporter-host.toml")) {
                Ok(settings) => entries += settings.services.len(),
                Err(why) => wrong.push(format!("{at}\n{why}")),
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    assert!(entries > 15, "{entries} entries");
}

#[test]
fn every_reporter_of_buildbots_page_is_built_in() {
    let built_in = Real.built_in();
    let missing: Vec<_> = spelling::REPORTERS.into_iter().filter(|name| !built_in.iter().any(|known| known == name)).collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn the_examples_are_taken() {
    for (name, entries) in [("master.toml", 2), ("quickstart.toml", 4), ("git_gerrit.toml", 1), ("repo_gerrit.toml", 1)] {
        let settings = check(&root().join("examples").join(name)).unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(settings.services.len(), entries, "{name}");
    }
}

/// docs/settings.md is the reference: each key of the host's stands there as `key`.
#[test]
fn every_key_is_in_the_reference() {
    let text = std::fs::read_to_string(root().join("docs/settings.md")).unwrap();
    let tables =
        [keys::TOP, keys::HOST, keys::MASTER, keys::INBOX, keys::RECORDING, keys::SERVICE, keys::FORMATTER, keys::LIMITS, keys::RETENTION, keys::NETWORK];
    let missing: Vec<_> = tables.into_iter().flatten().filter(|key| !text.contains(&format!("`{}`", key.name))).map(|key| key.name).collect();
    assert_eq!(missing, [""; 0]);
}
