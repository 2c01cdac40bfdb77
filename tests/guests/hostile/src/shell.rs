//! What it runs on its SSH server.

use reporter_sdk::http::{self, Request};
use reporter_sdk::prelude::*;
use reporter_sdk::settings::Table;
use reporter_sdk::ssh::{self, Command};
use serde_json::{Value, json};

use crate::wire;

/// The endpoint's settings, with those of the operator over them.
pub fn endpoint(given: &Table) -> Value {
    let mut endpoint = json!({"host": "127.0.0.1", "port": 22, "user": "nobody", "commands": ["gerrit review"], "queries": ["gerrit version"]});
    if let Some(endpoint) = endpoint.as_object_mut() {
        endpoint.extend(given.clone());
    }
    endpoint
}

fn review() -> Command {
    Command::new("shell", "gerrit review")
}

fn words(words: &[&str]) -> Command {
    Command { words: words.iter().map(|word| (*word).to_owned()).collect(), ..review() }
}

/// Commands that the host must refuse, or make harmless. `text` is from the settings. False for a word that it does not know.
pub fn misbehave(what: &str, text: &str) -> bool {
    let send = |command: Command| ssh::send(command, Terms::default());
    match what {
        // What it may: one argument of any kind, and a question.
        "ssh-argument" => send(review().argument(text)),
        "ssh-query" => wire::post(&String::from_utf8_lossy(&ssh::query(Command::new("shell", "gerrit version")).body)),

        // Other commands than those of its plan.
        "ssh-other-command" => send(words(&["sh", "-c"])),
        "ssh-fewer-words" => send(words(&["gerrit"])),
        "ssh-more-words" => send(words(&["gerrit", "review", "--submit"])),
        "ssh-no-words" => send(words(&[])),
        "ssh-glued-words" => send(words(&["gerrit review"])),
        "ssh-empty-word" => send(words(&["gerrit", "", "review"])),
        "ssh-word-with-more" => send(words(&["gerrit", "review; touch /tmp/evil"])),
        "ssh-word-of-two-lines" => send(words(&["gerrit", "review\ntouch /tmp/evil"])),
        "ssh-send-query" => send(Command::new("shell", "gerrit version")),
        "ssh-query-command" => wire::post(&ssh::query(review()).status.to_string()),
        "ssh-wrong-kind" => send(Command { endpoint: "server".into(), ..review() }),
        "ssh-request" => http::send(Request::new("shell", "POST", ["hook"]), Terms::default()),

        // What cannot be run.
        "ssh-empty-argument" => send(review().argument("")),
        "ssh-nul" => send(review().argument("a\0b")),
        "ssh-argument-flood" => send((0..1_001).fold(review(), |command, n| command.argument(n.to_string()))),
        "ssh-long-argument" => send(review().argument("'".repeat(20_000))),
        "ssh-huge-stdin" => send(Command { stdin: vec![b'x'; (1 << 20) + 1], ..review() }),
        _ => return false,
    }
    true
}
