//! Lists, states, and what is announced.

use super::*;

#[test]
fn lists_and_states() {
    let changes: Vec<Value> =
        (0..60).map(|n| json!({"comments": format!("two *stars* {n}"), "author": "b_b", "when_timestamp": n, "revlink": "https://x/2"})).collect();
    master(&[("changes?order=-changeid&limit=500", json!(changes)), ("changes?order=-changeid&limit=10", json!(changes[..1]))]);
    let it = bot(json!({}));
    let menu = it.heard(message(BOB, BOB, "/list"));
    assert_eq!(told(&menu), "What is to be listed? [👷 Builders | 👷 Builders (all) | ⚙ Workers | ⚙ Workers (all) | 📄 Changes (last 10)]");
    assert_eq!(told(&press(&it, BOB, BOB, &menu, "Builders")), "answerCallbackQuery / I found these builders:\n`linux`");
    let all = told(&press(&it, BOB, BOB, &menu, "Builders (all)"));
    assert!(all.contains("`slow one` [offline]\n`ünïcode"), "{all}");
    assert!(told(&press(&it, BOB, BOB, &menu, "Workers")).contains("`w_1`"));
    let shown = requests(&press(&it, BOB, BOB, &menu, "Changes"));
    assert!(shown[1].1["text"].as_str().unwrap().contains(r"[two \*stars\* 0](https://x/2)"), "{shown:?}");
    let many = it.heard(message(BOB, BOB, "/list all changes"));
    assert_eq!(told(&many), "I found 60 changes. Are all of them wanted? [‼ Yes, all of them | ✅ No, the last 50]");
    let long: Vec<Value> =
        (0..500).map(|n| json!({"changeid": n, "comments": "x".repeat(200), "author": "a".repeat(100), "repository": "r".repeat(100)})).collect();
    master(&[("changes?order=-changeid&limit=500", json!(long))]);
    let all = requests(&it.heard(message(BOB, BOB, "/list 500 changes")));
    assert_eq!(all.len(), 40, "an answer has an end");
    assert!(all[39].1["text"].as_str().unwrap().ends_with(r"more messages are left out\.\)"), "{}", all[39].1["text"]);
    master(&[]);
    let status = say(&it, BOB, BOB, "/status");
    assert!(status.starts_with("`linux`: idle\n`slow one`: offline"), "{status}");
    assert!(say(&it, BOB, BOB, "/status 'slow one'").starts_with("`slow one`: offline"));
    assert!(say(&it, BOB, BOB, "/last").contains("`slow one`: no build has ended yet"));
    assert!(say(&it, BOB, BOB, "/watch").contains("no currently running builds"));
    master(&running());
    let menu = it.heard(message(BOB, BOB, "/watch"));
    assert_eq!(told(&menu), "Which builder do you want to watch? [🔎 slow one]");
    let watched = told(&press(&it, BOB, BOB, &menu, "slow one"));
    assert!(watched.contains("Watching until it finishes: Build [#3](https://ci.example/#/builders/2/builds/3) of `slow one`"), "{watched}");
    let build = json!({"builder": {"name": "slow one"}, "buildid": 9, "id": 9, "number": 3, "results": 2, "complete": true, "state_string": "failed", "url": "https://ci/3"});
    let ended = it.report(json!({"kind": "build-finished", "source": "main", "builds": [build]}));
    assert_eq!(told(&ended), "Build [#3](https://ci/3) of `slow one` failed ❗: failed");
}

#[test]
fn events_are_switched_on_a_keyboard() {
    master(&[]);
    let it = bot(json!({}));
    let menu = it.heard(message(BOB, GROUP, "/notify"));
    let buttons = told(&menu);
    assert!(buttons.contains("[Started 🔕 | Finished 🔕 | Success 🔕 | Failure 🔕 | Warnings 🔕 | Exception 🔕 | Problem 🔕 | Recovery 🔕 | Worse 🔕 | Better 🔕 | Cancelled 🔕 | Worker 🔕 | Hide…]"), "{buttons}");
    let on = press(&it, BOB, GROUP, &menu, "Failure");
    assert!(told(&on).starts_with("answerCallbackQuery / editMessageReplyMarkup [") && told(&on).contains("Failure 🔔 |"), "{}", told(&on));
    assert_eq!(requests(&on)[1].1["message_id"], 80);
    assert_eq!(on.sent[1].terms().supersede.as_deref(), Some("keyboard/-5001/80"));
    assert_eq!(say(&it, BOB, GROUP, "/notify list"), "These events are announced here: failure.");
    assert_eq!(say(&it, BOB, BOB, "/notify list"), "No events are announced here.");
    let off = press(&it, ANN, GROUP, &on, "Failure");
    assert!(told(&off).contains("Failure 🔕"));
    assert_eq!(told(&press(&it, ANN, GROUP, &off, "Hide")), "answerCallbackQuery / deleteMessage / No events are announced here.");
    assert_eq!(say(&it, BOB, BOB, "/notify on"), "These events are announced here: finished, started.");
    assert!(say(&it, BOB, BOB, "/notify on nosuch").contains("no event nosuch") && say(&it, BOB, BOB, "/notify xx").starts_with("Try '/notify"));
    let event = json!({"kind": "worker-missing", "source": "main", "worker": {"name": "w_1", "last_connection": "Monday"}});
    say(&it, BOB, GROUP, "/notify on worker");
    assert_eq!(requests(&it.report(event))[0].1["text"], r"Worker `w_1` is missing\. It was seen last on Monday\.");
}

#[test]
fn a_group_that_moves_keeps_its_events() {
    master(&[]);
    let it = bot(json!({"chat_ids": [GROUP, "@builds"], "notify_events": ["failure"]}));
    it.heard(json!({"kind": "started"}));
    let moved = update(json!({"message": {"message_id": 1, "chat": chat(GROUP), "migrate_to_chat_id": -1005001, "from": person(ANN)}}));
    assert_eq!(it.heard(moved).skipped(), "the chat -5001 is -1005001 now");
    let failed = json!({"builder": {"name": "linux"}, "id": 1, "number": 1, "results": 2, "complete": true, "url": ""});
    let places: Vec<Value> = requests(&it.report(json!({"kind": "build-finished", "source": "main", "builds": [failed]})))
        .into_iter()
        .map(|(_, body)| body["chat_id"].clone())
        .collect();
    assert_eq!(places, [json!(-1005001), json!("@builds")]);
}
