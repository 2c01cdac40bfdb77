//! Beginning, talk, and what nobody should send.

use super::*;

#[test]
fn it_begins_with_its_commands_and_asks_who_it_is() {
    let named = bot(json!({}));
    let start = json!({"kind": "started", "endpoint": "chats", "at": 1});
    let sent = requests(&named.heard(start.clone()));
    assert_eq!(sent.iter().map(|(method, _)| method.as_str()).collect::<Vec<_>>(), ["setMyCommands"]);
    let commands: Vec<&str> = sent[0].1["commands"].as_array().unwrap().iter().map(|it| it["command"].as_str().unwrap()).collect();
    assert_eq!(
        commands,
        ["commands", "force", "getid", "hello", "help", "last", "list", "nay", "notify", "shutdown", "source", "status", "stop", "version", "watch"]
    );
    let mut settings = settings(json!({}));
    settings.as_object_mut().unwrap().remove("bot_username");
    let it: Configured<TelegramBot> = testing::configure(settings).unwrap();
    let report = it.heard(start);
    assert_eq!(told(&report), "getMe / setMyCommands");
    assert_eq!(report.sent[0].terms().tag.as_deref(), Some("me"));
    master(&[]);
    assert_eq!(it.heard(message(BOB, GROUP, "/source@ci_bot")).skipped(), "it is said to another bot", "it does not know yet");
    assert!(say(&it, BOB, BOB, "/source@ci_bot").contains("buildbot.net"));
    it.answered("me", &answer(json!({"ok": true, "result": {"id": 1, "username": "CI_bot"}})));
    assert!(say(&it, BOB, GROUP, "/source@ci_bot").contains("buildbot.net"));
    assert_eq!(it.heard(message(BOB, GROUP, "/source@other_bot")).skipped(), "it is said to another bot");
    assert!(say(&it, BOB, BOB, "/source@other_bot").contains("no command `/source@other_bot`"));
}

#[test]
fn talk() {
    master(&[]);
    let it = bot(json!({}));
    let start = say(&it, BOB, BOB, "/start");
    assert!(start.starts_with("setChatMenuButton / Hello, Bob!") && start.contains("/watch - announce") && start.contains("/getid - "), "{start}");
    assert_eq!(say(&it, ANN, ANN, "/getid"), "Ann Lee (@ann), your ID is `9001`.");
    assert_eq!(say(&it, BOB, GROUP, "/getid"), "Bob, your ID is `9003`.\nThis group's ID is `-5001`.");
    let group = requests(&it.heard(message(BOB, GROUP, "/getid")));
    assert_eq!(group[0].1["reply_parameters"]["message_id"], 77, "in a group it is said who is answered");
    assert!(say(&it, BOB, BOB, "/version").contains("main is Buildbot 4.3.0"));
    assert_eq!(
        say(&it, BOB, BOB, "/commands"),
        "Commands: /commands, /force, /getid, /hello, /help, /last, /list, /nay, /notify, /shutdown, /source, /start, /status, /stop, /version, /watch"
    );
    let father = say(&it, BOB, BOB, "/commands botfather");
    assert!(father.starts_with("commands - ") && father.contains("\nnay - forget the current command\n") && !father.contains("start -"), "{father}");
    assert!(say(&it, BOB, BOB, "/help /force").contains("Usage: /force - Force a build"));
    assert!(say(&it, BOB, BOB, "/nonsense").contains("no command"));
    assert!(say(&it, BOB, BOB, "good morning").contains("no command `good`"));
    assert_eq!(it.heard(message(BOB, GROUP, "good morning!")).skipped(), "it is no command");
    assert_eq!(it.heard(message(BOB, GROUP, "good morning")).skipped(), "it is no command");
    assert!(say(&it, BOB, GROUP, "/nonsense").contains("no command"));
    let denied = say(&it, BOB, GROUP, "/force");
    assert_eq!(denied, "⛔ You may not use `force` here, Bob.");
    assert!(say(&it, BOB, BOB, "/stop").contains("may not use") && say(&it, BOB, BOB, "/shutdown now").contains("may not use"));
}

#[test]
fn odd_and_hostile_updates() {
    master(&[]);
    let it = bot(json!({}));
    for (odd, why) in [
        (json!({"edited_message": {"text": "/version"}}), "neither a message nor a button"),
        (json!({"message": {"message_id": 1, "chat": chat(GROUP), "text": "/version"}}), "nobody said it"),
        (json!({"message": {"message_id": 1, "from": person(BOB), "chat": chat(BOB), "sticker": {}}}), "no text"),
        (json!({"message": {"message_id": 1, "from": {"id": 5, "is_bot": true}, "chat": chat(GROUP), "text": "/version"}}), "a bot said it"),
        (json!({"message": {"message_id": 1, "from": person(BOB), "text": "/version"}}), "said nowhere"),
        (json!({"message": {"message_id": 1, "from": person(BOB), "chat": chat(BOB), "text": " \n\t "}}), "nothing was said"),
        (json!({"callback_query": {"data": "/version"}}), "no button"),
        (json!({"callback_query": {"id": "1", "from": person(BOB), "data": "/version"}}), "said nowhere"),
        (json!(null), "neither"),
        (json!([1]), "neither"),
    ] {
        let report = it.heard(update(odd.clone()));
        assert!(report.skipped().contains(why), "{odd}: {}", report.skipped());
    }
    let anonymous = update(json!({"message": {"message_id": 1, "from": {"id": ANN, "is_bot": false, "first_name": "Group"}, "sender_chat": {"id": GROUP},
        "chat": chat(GROUP), "text": "/force"}}));
    assert!(told(&it.heard(anonymous)).contains("you write anonymously"));
    for forged in ["123456789", "#7", "#0 ask branch", "force", "", "\u{0}", "💣"] {
        assert!(told(&it.heard(pressed(BOB, BOB, forged))).contains("no longer of use"), "{forged:?}");
    }
    let later = |n: u64, mut update: Value| {
        update["at"] = json!(3_000_000 + n * 30);
        update
    };
    for (n, hostile) in
        ["'", "/", "/ ", "/\u{0}", "/force \u{1}", "/notify on \u{202e}", "/status '", "/list 99999999999999999999 changes"].into_iter().enumerate()
    {
        let report = it.heard(later(n as u64, message(ANN, ANN, hostile)));
        assert!(!requests(&report).is_empty() || matches!(report.outcome, Ok(reporter_sdk::prelude::Outcome::Skipped(_))), "{hostile:?}");
    }
    let long = it.heard(later(100, message(BOB, BOB, &format!("/{}\u{7}", "z".repeat(10_000)))));
    assert!(requests(&long).iter().all(|(_, body)| markup::units(body["text"].as_str().unwrap()) < 600));
    // Somebody who writes without end is not heard for a while, and others are.
    let heard = (0..200).filter(|_| !it.heard(later(200, message(777, 777, "/source"))).sent.is_empty()).count();
    assert_eq!(heard, 20);
    assert!(!it.heard(later(200, message(778, 778, "/source"))).sent.is_empty());
    assert!(testing::state().values().map(String::len).sum::<usize>() < 30_000);
    assert_eq!(kept::command("#1"), None);
}

#[test]
fn what_is_kept_fits_into_the_state() {
    master(&[]);
    let it = bot(json!({}));
    for n in 0..300_u64 {
        let mut asks = message(ANN, ANN, &format!("/force force config linux 'branch={}'", format!("{n}").repeat(200)));
        asks["at"] = json!(2_000_000 + n * 60);
        it.heard(asks);
        let mut notes = message(
            20_000 + n as i64,
            20_000 + n as i64,
            "/notify on started finished success failure warnings exception problem recovery worse better cancelled worker",
        );
        notes["at"] = json!(2_000_000 + n * 60);
        it.heard(notes);
    }
    let bytes: usize = testing::state().iter().map(|(key, value)| key.len() + value.len()).sum();
    assert!(bytes < 56 << 10, "{bytes} bytes");
}
