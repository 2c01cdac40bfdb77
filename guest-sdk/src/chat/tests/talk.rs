//! What is said beside that.

use super::*;

#[test]
fn talk_help_and_nonsense() {
    usual(&[]);
    let bot = everything();
    assert_eq!(say(&bot, "x", "#ci", "version"), format!("#ci: This is reporter-host {}; main is Buildbot 4.3.0.", env!("CARGO_PKG_VERSION")));
    assert!(say(&bot, "x", "#ci", "source").contains("https://buildbot.net/"));
    assert!(say(&bot, "x", "#ci", "hello").contains("Hello, x"));
    let all = say(&bot, "x", "#ci", "commands");
    assert!(all.contains("coffee, commands, force, hello, help, last, list, mute, notify, shutdown, source, status, stop, unmute, version, watch"), "{all}");
    assert_eq!(say(&bot, "x", "#ci", "coffee"), "#ci: No.", "a command of one's own");
    let help = say(&bot, "x", "#ci", "help");
    assert!(help.contains("coffee - make coffee") && help.contains("watch - announce the completion") && !help.contains("unmute"), "{help}");
    assert!(say(&bot, "x", "#ci", "help watch").contains("Usage: watch BUILDER"));
    assert!(say(&bot, "x", "#ci", "help shutdown stop").contains("Usage: shutdown stop"));
    assert!(say(&bot, "x", "#ci", "help commands").contains("unmute"));
    assert!(say(&bot, "x", "#ci", "help hello").contains("takes no arguments"));
    assert!(say(&bot, "x", "#ci", "help nope").contains("no command `nope`"));
    assert!(say(&bot, "x", "#ci", "commands botfather").contains("\nforce - force a build\n"));
    assert!(say(&bot, "x", "#ci", "foobar").contains("no command `foobar`"));
    assert!(say(&bot, "x", "#ci", "foobar!").contains("What do you say"));
    let long = format!("{}\u{7}\u{3}", "z".repeat(10_000));
    let answer = say(&bot, "x", "#ci", &long);
    assert!(answer.len() < 400 && !answer.contains('\u{7}'), "{answer}");
    assert_eq!(bot.heard(json!({"kind": "message", "nick": "x", "place": "#ci", "text": " \t "})).skipped(), "nothing was said");
    for hostile in ["'", "\u{1}VERSION\u{1}", "list 99999999999999999999 changes", "status \u{0}", "notify on \u{202e}"] {
        say(&bot, "x", "#ci", hostile);
    }
}

#[test]
fn nobody_is_remembered_whom_the_settings_do_not_name() {
    usual(&[]);
    let bot = bot(json!({"authz": {"": ["alice"], "notify": ["alice", "bob"]}}));
    assert!(say(&bot, "mallory", "mallory", "notify on").contains("may not use"));
    assert!(say(&bot, "bob", "bob", "notify on").contains("finished"));
    let mut state = Map::new();
    state.extend(testing::state().into_iter().map(|(key, value)| (key, Value::String(value))));
    assert_eq!(state.keys().collect::<Vec<_>>(), ["channel/bob"]);
}
