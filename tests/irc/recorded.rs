//! What Buildbot's own bot was asked and answered, asked of ours: who may do what, and which builders, workers and events are spoken of.

use std::collections::BTreeSet;
use std::sync::Arc;

use reporter_host::transport::{IrcMessage, Payload};
use reporter_host_tests::Kit;
use reporter_host_tests::recorded::{Master, Talk, conversation};
use serde_json::json;

/// What the recorded bot was silent about or did otherwise, and why ours is not.
const NOW_ANSWERED: [(&str, &str); 5] = [
    ("OracleBot", "capitals do not matter"),
    ("list 1 nosuch", "the usage is shown"),
    ("notify", "mistakes are answered"),
    ("join", "mistakes are answered, and joining is said"),
    ("leave", "mistakes are answered, and leaving is said"),
];

fn said(payload: &Payload) -> Option<String> {
    match payload {
        Payload::Irc(IrcMessage::Say { text, .. }) => Some(text.clone()),
        Payload::Master(call) => Some(format!("act {} {}", call.method, call.path.join("/"))),
        _ => None,
    }
}

/// The words of a list, however they are set off.
fn words(text: &str) -> BTreeSet<String> {
    text.replace(['`', '\n'], " ").split_whitespace().map(str::to_owned).collect()
}

async fn hold(name: &str) {
    let master = Arc::new(Master::read());
    let mut kit = Kit::new();
    let settings = json!({"host": "localhost", "nick": "oraclebot", "channels": ["#oracle", {"channel": "#secret", "password": "key"}], "pm_to_nicks": ["pmnick"],
        "authz": {"!": ["admin"], "force, stop": ["admin", "forcer"], "version": true, "source": false}, "notify_events": ["started", "finished", "worker"]});
    let mut talk = Talk::begin(&mut kit, "IRC", &settings, &master).await;
    let mut compared = 0;
    for exchange in conversation("irc", name) {
        let (Some(from), Some(target), Some(text)) = (exchange["from"].as_str(), exchange["target"].as_str(), exchange["text"].as_str()) else { continue };
        let private = !target.starts_with('#');
        let (kind, shown) = match text.strip_prefix("\u{1}ACTION ").map(|text| text.trim_end_matches('\u{1}')) {
            Some(action) => ("action", action),
            None => ("message", text),
        };
        let prefixes = if from == "oper" { "@" } else { "" };
        let update = json!({"kind": kind, "endpoint": "server", "at": 1_000_000, "me": "oraclebot", "from": {"nick": from, "user": "u", "host": "h", "prefixes": prefixes},
            "target": if private { from } else { target }, "private": private, "text": shown});
        let mine: Vec<String> = talk.hears(update).await.iter().filter_map(said).collect();
        let command = text.trim_start_matches("oraclebot").trim_start_matches([':', ',']).trim();
        let theirs: Vec<&str> = exchange["replies"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|it| it["kind"] != "join" && it["kind"] != "part")
            .filter_map(|it| it["text"].as_str())
            .collect();
        if exchange["note"].as_str().is_some_and(|note| note.contains("CTCP")) || text.starts_with('\u{1}') && kind == "message" {
            continue;
        }
        if theirs.is_empty() && !mine.is_empty() {
            let known = NOW_ANSWERED.iter().any(|(known, _)| command.starts_with(known));
            assert!(known, "{name}: {text:?} of {from} is answered with {mine:?}");
        }
        if !theirs.is_empty() {
            assert!(!mine.is_empty(), "{name}: {text:?} of {from} is not answered, and was with {theirs:?}");
        }
        let denied = theirs.iter().any(|it| it.contains("shall not pass"));
        assert_eq!(mine.iter().any(|it| it.contains("You may not use")), denied, "{name}: {text:?} of {from}: {mine:?} and {theirs:?}");
        let limited = theirs.iter().any(|it| it.contains("Only channel operators"));
        assert_eq!(mine.iter().any(|it| it.contains("Only channel operators")), limited, "{name}: {text:?} of {from}");
        if let Some(list) = mine.iter().find(|it| it.contains("events are announced here")).filter(|_| !theirs.is_empty()) {
            let events = |text: &str| -> BTreeSet<String> {
                let list = text.split_once(": ").map(|(_, events)| events.trim_end_matches('.').split(", ").map(str::to_owned).collect());
                list.unwrap_or_default()
            };
            assert_eq!(events(list), events(theirs[0]), "{name}: {text:?} of {from}");
            compared += 1;
        }
        if !denied && (command.starts_with("list all builders") || command.starts_with("list all workers") || command.starts_with("list workers")) {
            let table = if command.contains("builders") { "builders" } else { "workers" };
            let known: Vec<String> = master.names(table);
            let speaks = |text: &str| -> BTreeSet<&String> { known.iter().filter(|name| words(name).is_subset(&words(text))).collect() };
            assert_eq!(speaks(&mine.join(" ")), speaks(&theirs.join(" ")), "{name}: {text:?}");
            compared += 1;
        }
        if !denied && ["status ", "last ", "watch "].iter().any(|word| command.starts_with(word)) {
            let unknown = |all: &str| all.to_lowercase().contains("no such builder") || all.contains("There is no builder");
            assert_eq!(unknown(&mine.join(" ")), unknown(&theirs.join(" ")), "{name}: {text:?}");
            compared += 1;
        }
    }
    assert!(compared > 0 || !matches!(name, "01-basics-channel" | "04-notify-rights"), "{name}: nothing was compared");
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_conversations() {
    for name in ["01-basics-channel", "02-help-every-command", "04-notify-rights", "08-join-leave", "09-fun"] {
        hold(name).await;
    }
}
