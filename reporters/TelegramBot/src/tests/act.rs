//! Stopping, shutting down and forcing.

use super::*;

#[test]
fn stopping_asks_for_a_reason() {
    master(&[]);
    let it = bot(json!({}));
    assert_eq!(say(&it, ANN, ANN, "/stop"), "There are no currently running builds.");
    master(&running());
    let menu = it.heard(message(ANN, ANN, "/stop"));
    assert_eq!(told(&menu), "Which build is to be stopped? [🚫 slow one]");
    assert_eq!(told(&press(&it, BOB, BOB, &menu, "slow one")), "answerCallbackQuery / ⛔ You may not use `stop` here, Bob.", "whoever presses needs the right");
    let asked = press(&it, ANN, ANN, &menu, "slow one");
    assert_eq!(told(&asked), "answerCallbackQuery / editMessageReplyMarkup / Tell the reason to stop the build on slow one…");
    let stopped = it.heard(message(ANN, ANN, "it's broken"));
    assert_eq!(told(&stopped), r#"act stop builds/9 {"reason":"stopped by Ann Lee (@ann): it's broken"}"#);
    assert_eq!(stopped.only().terms().title.as_deref(), Some("stop of build 3 on slow one, asked for by Ann Lee (@ann) (user 9001) in private"));
    assert!(say(&it, ANN, ANN, "again").contains("no command"), "it is asked once");
    // In a group others talk meanwhile.
    let menu = it.heard(message(ANN, GROUP, "/stop"));
    let asked = requests(&press(&it, ANN, GROUP, &menu, "slow one"));
    assert_eq!(asked[2].1["reply_markup"], json!({"force_reply": true, "selective": true}));
    assert!(asked[2].1["text"].as_str().unwrap().starts_with("@ann, answer to this"));
    assert_eq!(it.heard(message(BOB, GROUP, "why not")).skipped(), "it is no command");
    assert_eq!(it.heard(message(ANN, GROUP, "lunch?")).skipped(), "it is no command", "only what replies to the question answers it");
    let mut answer = message(ANN, GROUP, "because");
    answer["update"]["message"]["reply_to_message"] = json!({"message_id": 5, "from": {"is_bot": true}});
    assert!(told(&it.heard(answer)).contains("stopped by Ann Lee (@ann) on 'Build Gröup': because"));
    // What was begun can be left.
    press(&it, ANN, ANN, &menu, "slow one");
    assert_eq!(say(&it, ANN, ANN, "/nay"), "Never mind, Ann Lee (@ann).");
    assert!(say(&it, ANN, ANN, "because").contains("no command"));
    press(&it, ANN, ANN, &menu, "slow one");
    say(&it, ANN, ANN, "/source");
    assert!(say(&it, ANN, ANN, "because").contains("no command"), "another command ends it too");
    let nay = update(json!({"message": {"message_id": 5, "from": person(ANN), "chat": chat(ANN), "text": "/nay",
        "reply_to_message": {"message_id": 4, "reply_markup": {"inline_keyboard": []}}}}));
    assert_eq!(requests(&it.heard(nay))[0], ("editMessageReplyMarkup".into(), json!({"chat_id": ANN, "message_id": 4})));
}

#[test]
fn shutting_down() {
    master(&[]);
    let it = bot(json!({}));
    let menu = it.heard(message(ANN, ANN, "/shutdown"));
    assert_eq!(told(&menu), "The master `main` is running.\nWhat is to be done? [↘️ Begin shutdown | ‼️ Shut down now]");
    let begun = press(&it, ANN, ANN, &menu, "Begin");
    assert_eq!(told(&begun), r#"answerCallbackQuery / editMessageReplyMarkup / act start shutdown {"reason":"asked for by Ann Lee (@ann)"}"#);
    master(&[("shutdown", json!([{"state": "shutting down"}]))]);
    let menu = it.heard(message(ANN, ANN, "/shutdown"));
    assert_eq!(told(&menu), "The master `main` is shutting down.\nWhat is to be done? [🔙 Stop shutdown | ‼️ Shut down now]");
    assert!(told(&press(&it, ANN, ANN, &menu, "Stop")).contains("act stop shutdown"));
    assert!(told(&press(&it, ANN, ANN, &menu, "now")).contains("act now shutdown"));
    assert_eq!(say(&it, ANN, ANN, "/shutdown check"), "The master main is shutting down.");
    assert!(say(&it, ANN, ANN, "/shutdown bogus").starts_with("Try '/shutdown check"));
    testing::masters(&["east", "west"], |master, _, _| match master {
        "east" => Answer { status: 0, headers: vec![], body: b"connection refused".to_vec(), ended: "answered".into() },
        _ => answer(json!([{"state": "running"}])),
    });
    assert_eq!(
        say(&it, ANN, ANN, "/shutdown"),
        "The master east cannot be asked now.\nThe master `west` is running.\nWhat is to be done? [↘️ Begin shutdown west | ‼️ Shut down now west]"
    );
}

#[test]
fn forcing_with_buttons_and_answers() {
    master(&[]);
    let it = bot(json!({}));
    let menu = it.heard(message(ANN, ANN, "/force"));
    assert_eq!(told(&menu), "Which ForceScheduler is to be used? [Force 1 | Nested Force]");
    let builders = press(&it, ANN, ANN, &menu, "Force 1");
    assert_eq!(told(&builders), "answerCallbackQuery / Which builder is to build? [linux | slow one]");
    let config = press(&it, ANN, ANN, &builders, "slow one");
    assert_eq!(
        told(&config),
        "answerCallbackQuery / Ann Lee (@ann), this is about a new build of `slow one`.\nIts parameters are:\nreason: `force build`\n    branch: (empty)\nWhat is to be done? \
         [Change Reason | Set Branch | 🚀 Start build]"
            .replace("are:\nreason", "are:\n    reason")
    );
    assert_eq!(told(&press(&it, ANN, ANN, &config, "Branch")), "answerCallbackQuery / editMessageReplyMarkup / Enter the new value for branch…");
    let config = it.heard(message(ANN, ANN, "my branch {x} 'y'"));
    assert!(told(&config).contains("branch: `my branch {x} 'y'`") && told(&config).contains("Change Branch"), "{}", told(&config));
    press(&it, ANN, ANN, &config, "Reason");
    let config = it.heard(message(ANN, ANN, "because"));
    assert!(told(&press(&it, BOB, BOB, &config, "Start")).contains("may not use `force`"), "a button gives no rights");
    let forced = press(&it, ANN, ANN, &config, "Start");
    assert_eq!(
        told(&forced),
        r#"answerCallbackQuery / editMessageReplyMarkup / act force forceschedulers/force {"branch":"my branch {x} 'y'","builderid":2,"reason":"forced by Ann Lee (@ann): because"}"#
            .replace(r#""builderid":2,"reason":"forced by Ann Lee (@ann): because""#, r#""reason":"forced by Ann Lee (@ann): because","builderid":2"#)
    );
    let again = told(&press(&it, ANN, ANN, &config, "Start"));
    assert_eq!(again, "answerCallbackQuery: This button is no longer of use. / editMessageReplyMarkup", "pressed twice, built once");
    let tag = forced.sent[2].terms().tag.clone().unwrap();
    assert!(told(&it.answered(&tag, &answer(json!([7, {"2": 50}])))).starts_with("Ann Lee (@ann): the build of `slow one` is requested"));
}

#[test]
fn nested_fields_choices_and_what_is_missing() {
    master(&[]);
    let it = bot(json!({}));
    let config = it.heard(message(ANN, ANN, "/force 'nested force' linux"));
    let shown = told(&config);
    assert!(
        shown.contains("Options:\n    Target: (empty) ⚠️\n    Clean: `no`\n    Jobs: `4`\n    Level: `low`\nWhat is marked with ⚠️ has to be set first."),
        "{shown}"
    );
    assert!(shown.ends_with("[⚠️ Set Opts Target | Change Opts Clean | Change Opts Jobs | Change Opts Level]"), "{shown}");
    let choices = press(&it, ANN, ANN, &config, "Level");
    assert_eq!(told(&choices), "answerCallbackQuery / editMessageReplyMarkup / Choose the new value for Level. [low | high]");
    let config = press(&it, ANN, ANN, &choices, "high");
    assert!(told(&config).contains("Level: `high`"), "{}", told(&config));
    let config = press(&it, ANN, ANN, &press(&it, ANN, ANN, &config, "Clean"), "yes");
    assert!(told(&config).contains("Clean: `yes`") && told(&config).contains("Level: `high`"));
    press(&it, ANN, ANN, &config, "Jobs");
    assert!(say(&it, ANN, ANN, "many").contains("is a number"));
    assert!(say(&it, ANN, ANN, "/force 'nested force' build linux").contains("has to be set first"), "not without what is required");
    press(&it, ANN, ANN, &config, "Target");
    let config = it.heard(message(ANN, ANN, "all"));
    let forced = told(&press(&it, ANN, ANN, &config, "Start"));
    assert!(forced.contains(r#"act force forceschedulers/nested force {"#), "{forced}");
    for part in [r#""opts_level":"high""#, r#""opts_clean":true"#, r#""opts_target":"all""#, r#""builderid":1"#] {
        assert!(forced.contains(part) && !forced.contains("secret"), "{part}: {forced}");
    }
    for (text, part) in [
        ("/force nope", "no ForceScheduler `nope`"),
        ("/force force config gone", "no builder `gone`"),
        ("/force force config away", "does not list `away`"),
        ("/force force config linux branch", "FIELD=VALUE"),
        ("/force force config linux colour=red", "no field colour"),
        ("/force force ask colour linux", "no field `colour`"),
        ("/force 'force", "not closed"),
        ("/force build --branch=dev linux why", "act force forceschedulers/force"),
    ] {
        master(&[(
            "builders/1/forceschedulers",
            json!([{"name": "force", "enabled": true, "all_fields": [
            {"type": "text", "name": "reason", "fullName": "reason"}, {"type": "text", "name": "branch", "fullName": "branch"}]}]),
        )]);
        assert!(say(&it, ANN, ANN, text).contains(part), "{text}: {}", say(&it, ANN, ANN, text));
    }
    assert!(say(&it, ANN, ANN, &format!("/force force config linux branch={}", "x".repeat(3_000))).contains("more than I can remember"));
    master(&[("forceschedulers", json!([]))]);
    assert!(say(&it, ANN, ANN, "/force").contains("no ForceScheduler"));
}
