//! What is announced, and where.

use super::*;

#[test]
fn notify_is_remembered_for_its_place() {
    usual(&[]);
    let bot = everything();
    assert_eq!(say(&bot, "x", "x", "notify list"), "x: No events are announced here.");
    assert_eq!(say(&bot, "x", "x", "notify on"), "x: These events are announced here: finished, started.");
    assert!(say(&bot, "x", "#ci", "notify on failure").contains("Only channel operators"));
    let op = |text: &str| said(&bot.heard(json!({"kind": "message", "nick": "op", "place": "#ci", "text": text, "op": true})));
    assert_eq!(op("notify on problem failureToSuccess"), "#ci: These events are announced here: failureToSuccess, problem.");
    assert_eq!(op("notify off failure problem"), "#ci: These events are announced here: failureToSuccess.");
    assert_eq!(op("notify on-quiet worker"), "");
    assert!(op("notify on everything").contains("no event everything"));
    assert!(op("notify").starts_with("#ci: Try 'notify on|off|list") && op("notify maybe").starts_with("#ci: Try"));
    assert_eq!(said(&bot.report(event("build-started", build(1, Value::Null)))), "x: Build [#1](https://ci/1) of `linux` started.");
    let recovered = json!({"results": 2});
    let mut fixed = build(2, json!(0));
    fixed["prev_build"] = recovered;
    assert_eq!(
        said(&bot.report(event("build-finished", fixed))),
        "#ci: Build [#2](https://ci/2) of `linux` completed successfully. | x: Build [#2](https://ci/2) of `linux` completed successfully."
    );
    let worker = |kind: &str| json!({"kind": kind, "source": "main", "worker": {"name": "w1", "last_connection": "Monday"}});
    assert_eq!(said(&bot.report(worker("worker-missing"))), "#ci: Worker `w1` is missing. It was seen last on Monday.");
    assert_eq!(said(&bot.report(worker("worker-connected"))), "#ci: Worker `w1` is back online.");
    assert_eq!(op("notify off"), "#ci: No events are announced here.");
    assert_eq!(say(&bot, "x", "x", "notify off"), "x: No events are announced here.");
    assert!(testing::state().is_empty());
}

#[test]
fn one_event_is_told_in_fewer_places_than_may_be_sent_to() {
    usual(&[]);
    let bot = everything();
    let op = |place: &str| said(&bot.heard(json!({"kind": "message", "nick": "op", "place": place, "text": "notify on started", "op": true})));
    for n in 0..60 {
        assert!(op(&format!("p{n:02}")).contains("announced here: started"), "{n}");
    }
    assert!(op("p60").contains("60 conversations already"));
    assert!(op("#ci").contains("announced here: started"), "what the settings name always has room");
    let told = bot.report(event("build-started", build(1, Value::Null)));
    assert_eq!((told.sent.len(), told.log.len()), (61, 0));
    // What is kept from before there was a limit.
    let kept = testing::state()["channel/p00"].clone();
    for n in 0..90 {
        crate::services::state::set(&format!("channel/a{n:02}"), Some(&kept));
    }
    let told = bot.report(event("build-started", build(1, Value::Null)));
    assert_eq!(told.sent.len(), 80);
    assert!(said(&told).starts_with("#ci: "));
    assert!(told.log.iter().any(|(_, line)| line.ends_with("71 places are left out")), "{:?}", told.log);
}

#[test]
fn the_settings_events_are_switched_on_again_each_time_it_begins() {
    usual(&[]);
    let bot = bot(json!({"notify": ["failure"], "authz": {"notify": ["boss"]}}));
    let begin = |bot: &Configured<Mine>| bot.heard(json!({"kind": "started"})).skipped().to_owned();
    begin(&bot);
    assert_eq!(say(&bot, "x", "bob", "notify on worker"), "bob: You may not use `notify` here, x.");
    assert_eq!(say(&bot, "boss", "#ci", "notify on worker"), "#ci: These events are announced here: failure, worker.", "named for the command");
    assert_eq!(say(&bot, "boss", "#ci", "notify off failure"), "#ci: These events are announced here: worker.");
    begin(&bot);
    assert_eq!(say(&bot, "boss", "#ci", "notify list"), "#ci: These events are announced here: failure, worker.");
    assert_eq!(said(&bot.report(event("build-finished", build(1, json!(2))))).matches("failed").count(), 4, "two places, words and state");
}

#[test]
fn tags_blame_and_revisions() {
    usual(&[]);
    let bot = bot(json!({"notify": ["started", "finished"], "tags": ["unit"], "revisions": true, "blame": true}));
    bot.heard(json!({"kind": "started"}));
    let mut other = build(1, json!(2));
    other["builder"] = json!({"name": "docs", "tags": ["docs"]});
    for kind in ["build-started", "build-finished"] {
        assert_eq!(bot.report(event(kind, other.clone())).skipped(), "the builder has none of the tags");
    }
    assert!(said(&bot.report(event("build-started", build(1, Value::Null)))).starts_with("#ci: Build containing revisions [a87b2c4, r12] of `linux` started."));
    assert!(
        said(&bot.report(event("build-finished", build(1, json!(2)))))
            .starts_with("#ci: Build containing revisions [a87b2c4, r12] of `linux` failed: failed test  blamelist: carol |")
    );
    assert!(!said(&bot.report(event("build-finished", build(1, json!(0))))).contains("blamelist"));
    let mut many = build(1, json!(2));
    many["changes"] = (0..300).map(|n| json!({"author": format!("author {n}{}", "y".repeat(300)), "revision": format!("r{n}{}", "z".repeat(300))})).collect();
    let text = said(&bot.report(event("build-finished", many.clone())));
    let text = text.split(" | ").next().unwrap();
    assert!(text.ends_with("…, and 290 others") && text.contains("…, and 290 others] of `linux`") && text.len() < 2_000, "{text}");
    many["changes"] = (0..11).map(|n| json!({"author": n.to_string(), "revision": "r"})).collect();
    assert!(said(&bot.report(event("build-finished", many))).contains("blamelist: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 |"));
}

#[test]
fn mute_silences_everything_but_unmute() {
    usual(&[]);
    let bot = bot(json!({"notify": ["finished"], "authz": {"mute": ["muter"], "unmute": true}}));
    bot.heard(json!({"kind": "started"}));
    assert_eq!(say(&bot, "x", "#ci", "mute"), "#ci: You may not use `mute` here, x.");
    assert!(say(&bot, "x", "#ci", "unmute").contains("Nobody has muted me"));
    assert!(say(&bot, "Muter", "#ci", "mute").contains("silent"));
    assert_eq!(bot.heard(json!({"kind": "message", "nick": "x", "place": "#ci", "text": "version"})).skipped(), "#ci is muted");
    assert_eq!(bot.heard(json!({"kind": "message", "nick": "x", "place": "#ci", "text": "nonsense"})).skipped(), "#ci is muted");
    assert!(said(&bot.report(event("build-finished", build(1, json!(0))))).starts_with("bob: "), "only the other place");
    assert_eq!(say(&bot, "x", "#ci", "unmute"), "#ci: I am back.");
}
