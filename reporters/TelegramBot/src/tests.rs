//! Conversations without a host: updates in, requests out.

use std::collections::BTreeMap;

use reporter_sdk::delivery::Answer;
use reporter_sdk::http::Body;
use reporter_sdk::testing::{self, Configured, Delivery, Report};
use serde_json::{Value, json};

use crate::{TelegramBot, kept, markup};

const ANN: i64 = 9001;
const BOB: i64 = 9003;
const GROUP: i64 = -5001;

fn settings(more: Value) -> Value {
    let mut settings = json!({"bot_token": "111:AAA", "bot_username": "ci_bot", "authz": {"!": [ANN]}});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    settings
}

fn bot(more: Value) -> Configured<TelegramBot> {
    testing::configure(settings(more)).unwrap()
}

fn problems(more: Value) -> Vec<(String, String)> {
    testing::configure::<TelegramBot>(settings(more)).unwrap_err().0.into_iter().map(|problem| (problem.at, problem.message)).collect()
}

fn person(id: i64) -> Value {
    match id {
        ANN => json!({"id": ANN, "is_bot": false, "first_name": "Ann", "last_name": "Lee", "username": "ann"}),
        id => json!({"id": id, "is_bot": false, "first_name": "Bob"}),
    }
}

fn chat(id: i64) -> Value {
    if id < 0 { json!({"id": id, "type": "supergroup", "title": "Build Gröup"}) } else { json!({"id": id, "type": "private"}) }
}

thread_local! {
    static NOW: std::cell::Cell<u64> = const { std::cell::Cell::new(1_000_000) };
}

/// Two seconds after the one before, so that nobody says too much at once.
fn update(update: Value) -> Value {
    NOW.set(NOW.get() + 2);
    json!({"kind": "update", "endpoint": "chats", "at": NOW.get(), "update": update})
}

fn message(who: i64, place: i64, text: &str) -> Value {
    update(json!({"update_id": 1, "message": {"message_id": 77, "from": person(who), "chat": chat(place), "date": 1, "text": text}}))
}

/// A request as it goes out: method and body.
fn requests(report: &Report) -> Vec<(String, Value)> {
    assert!(report.outcome.is_ok(), "{:?}", report.outcome);
    let one = |delivery: &Delivery| match delivery {
        Delivery::Http(request, terms) => {
            let body = match &request.body {
                Body::Json(text) => serde_json::from_str(text).unwrap(),
                Body::Empty => Value::Null,
                other => panic!("{other:?}"),
            };
            if let Some(place) = body["chat_id"].as_i64() {
                assert_eq!(request.endpoint, if place < 0 { "groups" } else { "chats" });
                if request.path[0] != "setChatMenuButton" {
                    assert_eq!(terms.lane.as_deref(), Some(place.to_string().as_str()));
                }
            }
            for row in body["reply_markup"]["inline_keyboard"].as_array().into_iter().flatten() {
                for button in row.as_array().unwrap() {
                    let data = button["callback_data"].as_str().unwrap();
                    assert!((1..=64).contains(&data.len()) && !button["text"].as_str().unwrap().is_empty(), "{button}");
                }
            }
            (request.path.join("/"), body)
        }
        Delivery::Act { path, method, parameters, .. } => (format!("act {method} {}", path.join("/")), parameters.clone()),
        other => panic!("{other:?}"),
    };
    report.sent.iter().map(one).collect()
}

/// What is said in short: `METHOD: TEXT`, and the buttons in brackets.
fn told(report: &Report) -> String {
    let short = |(method, body): (String, Value)| {
        let buttons: Vec<&str> = body["reply_markup"]["inline_keyboard"]
            .as_array()
            .into_iter()
            .flatten()
            .flat_map(|row| row.as_array().unwrap())
            .filter_map(|it| it["text"].as_str())
            .collect();
        let buttons = if buttons.is_empty() { String::new() } else { format!(" [{}]", buttons.join(" | ")) };
        let text = body["text"].as_str().map(|text| text.replace('\\', "")).unwrap_or_default();
        let name = if method == "sendMessage" { String::new() } else { format!("{method}{}", if text.is_empty() { "" } else { ": " }) };
        if method.starts_with("act") { format!("{method} {body}") } else { format!("{name}{text}{buttons}") }
    };
    requests(report).into_iter().map(short).collect::<Vec<_>>().join(" / ")
}

fn say(bot: &Configured<TelegramBot>, who: i64, place: i64, text: &str) -> String {
    told(&bot.heard(message(who, place, text)))
}

/// Presses the button of this caption in what was said last.
fn press(bot: &Configured<TelegramBot>, who: i64, place: i64, report: &Report, caption: &str) -> Report {
    let all = requests(report);
    let buttons = all.iter().flat_map(|(_, body)| body["reply_markup"]["inline_keyboard"].as_array().cloned().unwrap_or_default());
    let buttons: Vec<Value> = buttons.flat_map(|row| row.as_array().unwrap().clone()).collect();
    let found = buttons.iter().find(|it| it["text"].as_str().unwrap().contains(caption)).unwrap_or_else(|| panic!("no {caption} in {buttons:?}"));
    bot.heard(pressed(who, place, found["callback_data"].as_str().unwrap()))
}

fn pressed(who: i64, place: i64, data: &str) -> Value {
    update(json!({"update_id": 2, "callback_query": {"id": "q1", "from": person(who), "chat_instance": "1", "data": data,
                  "message": {"message_id": 80, "chat": chat(place), "date": 1, "text": "menu"}}}))
}

fn answer(body: Value) -> Answer {
    Answer { status: 200, headers: vec![], body: body.to_string().into_bytes(), ended: "delivered".into() }
}

/// A master that answers by path and query.
fn master(more: &[(&str, Value)]) {
    let text = |name: &str, full: &str| json!({"type": "text", "name": name, "fullName": full, "label": format!("{}:", name), "default": ""});
    let mut table: BTreeMap<String, Value> = BTreeMap::from(
        [
            ("config", json!([{"buildbotURL": "https://ci.example/", "versions": [["Buildbot", "4.3.0"]]}])),
            (
                "builders",
                json!([{"builderid": 1, "name": "linux", "tags": [], "masterids": [1]}, {"builderid": 2, "name": "slow one", "tags": [], "masterids": [1]},
                       {"builderid": 3, "name": "ünïcode builder/№1 \"q\" <b>& and more of it to be long", "tags": [], "masterids": [1]}]),
            ),
            ("workers", json!([{"name": "w_1", "configured_on": [{"builderid": 1}], "connected_to": [{"masterid": 1}]}])),
            ("builds?complete=false&order=buildid", json!([])),
            ("builds?complete=true&order=-buildid&limit=200", json!([])),
            ("shutdown", json!([{"state": "running"}])),
            (
                "forceschedulers",
                json!([
                    {"name": "force", "label": "Force 1", "enabled": true, "builder_names": ["linux", "slow one", "gone"], "all_fields": [
                        {"type": "nested", "name": "", "fields": [{"type": "username", "name": "username", "fullName": "username"},
                            {"type": "text", "name": "reason", "fullName": "reason", "label": "reason", "default": "force build"}]},
                        text("branch", "branch")]},
                    {"name": "nested force", "label": "Nested Force", "enabled": true, "builder_names": ["linux"], "all_fields": [
                        {"type": "nested", "name": "opts", "label": "Options", "fields": [
                            {"type": "text", "name": "target", "fullName": "opts_target", "label": "Target", "required": true, "default": ""},
                            {"type": "bool", "name": "clean", "fullName": "opts_clean", "label": "Clean", "default": false},
                            {"type": "int", "name": "jobs", "fullName": "opts_jobs", "label": "Jobs", "default": 4},
                            {"type": "list", "name": "level", "fullName": "opts_level", "label": "Level", "choices": ["low", "high"], "default": "low"}]},
                        {"type": "fixed", "name": "secret", "fullName": "secret", "default": "x"}]},
                    {"name": "off", "enabled": false, "builder_names": ["linux"], "all_fields": []}]),
            ),
        ]
        .map(|(path, rows)| (path.to_owned(), rows)),
    );
    table.extend(more.iter().map(|(path, rows)| ((*path).to_owned(), rows.clone())));
    testing::masters(&["main"], move |_, path, query| {
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let asked = if query.is_empty() { path.join("/") } else { format!("{}?{}", path.join("/"), query.join("&")) };
        let rows = table
            .get(&asked)
            .cloned()
            .or_else(|| (asked.contains("order=-number") || asked.contains("/steps") || asked.contains("complete=false")).then(|| json!([])));
        let (status, body) = rows.map_or((404, asked.into_bytes()), |rows| (200, rows.to_string().into_bytes()));
        Answer { status, headers: vec![], body, ended: "answered".into() }
    });
}

fn running() -> [(&'static str, Value); 3] {
    let running = json!([{"buildid": 9, "number": 3, "builderid": 2}]);
    [
        ("builds?complete=false&order=buildid", running.clone()),
        ("builds?complete=false&order=buildid&builderid=2", running),
        ("builds?complete=false&order=buildid&builderid=1", json!([])),
    ]
}

#[test]
fn the_plan() {
    let it = bot(json!({"chat_ids": [GROUP, "@builds", "12"], "notify_events": ["problem"], "pollTimeout": 60, "retryDelay": 5}));
    let [chats, groups] = &it.plan.endpoints[..] else { panic!("{:?}", it.plan.endpoints) };
    assert_eq!((chats.name.as_str(), groups.name.as_str()), ("chats", "groups"));
    assert_eq!((&chats.settings["base_url"], &chats.settings["probe"]), (&json!("https://api.telegram.org/bot111:AAA"), &json!(["getMe"])));
    let poll = &chats.settings["updates"]["poll"];
    assert_eq!((&poll["wait"], &poll["pause"], &poll["before"]["path"]), (&json!(60), &json!(5), &json!(["deleteWebhook"])));
    let body: Value = serde_json::from_str(poll["request"]["body"]["json"].as_str().unwrap()).unwrap();
    assert_eq!(body["timeout"], 60);
    assert!(groups.settings.get("updates").is_none());
    assert_eq!(groups.settings["lane_limits"][1], json!({"most": 20, "seconds": 61}));
    let fallback: Value = serde_json::from_str(groups.fallback.as_ref().unwrap()["body"]["json"].as_str().unwrap()).unwrap();
    assert_eq!(fallback, json!({"chat_id": GROUP, "text": "{text}"}));
    let default = bot(json!({}));
    let poll = &default.plan.endpoints[0].settings["updates"]["poll"];
    assert_eq!((&poll["wait"], &poll["pause"]), (&json!(120), &json!(30)));
    let pem = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
    let hook = bot(json!({"useWebhook": true, "webhookUrl": "https://ci.example:8443/telegram", "certificate": pem}));
    let webhook = &hook.plan.endpoints[0].settings["updates"]["webhook"];
    assert_eq!(webhook["url"], "https://ci.example:8443/telegram");
    assert_eq!(webhook["register"]["query"][0], json!(["url", "{url}"]));
    assert!(webhook["register"]["headers"][0][1].as_str().unwrap().starts_with("multipart/form-data; boundary="));
    let part = webhook["register"]["body"]["text"].as_str().unwrap();
    assert!(part.contains("name=\"certificate\"") && part.contains("MIIB"), "{part}");
    for url in
        ["https://ci.example/x", "https://ci.example:443/x", "https://ci.example:80", "https://ci.example:88/", "https://[2001:db8::1]:8443/x", "HTTPS://h"]
    {
        bot(json!({"useWebhook": true, "webhookUrl": url}));
    }
}

#[test]
fn mistakes_are_found_where_they_are() {
    for (more, at, part) in [
        (json!({"bot_token": " "}), "/bot_token", "BotFather"),
        (json!({"bot_token": "1/2"}), "/bot_token", "BotFather"),
        (json!({"bot_username": "my bot"}), "/bot_username", "underscores"),
        (json!({"chat_ids": ["builds"]}), "/chat_ids/0", "\"@channel\""),
        (json!({"chat_ids": [0]}), "/chat_ids/0", "getid"),
        (json!({"notify_events": ["begin"]}), "/notify_events/0", "failureToSuccess"),
        (json!({"authz": {"force": ["authorizednick"]}}), "/authz/force", "getid"),
        (json!({"authz": {"force": -5}}), "/authz/force", "numbers"),
        (json!({"authz": {"mute": true}}), "/authz/mute", "no command"),
        (json!({"useWebhook": true}), "/useWebhook", "webhookUrl"),
        (json!({"useWebhook": true, "webhookUrl": "http://ci.example/"}), "/webhookUrl", "https"),
        (json!({"useWebhook": true, "webhookUrl": "https://ci.example:8080/"}), "/webhookUrl", "443, 80, 88 and 8443"),
        (json!({"useWebhook": true, "webhookUrl": "https://ci.example:x/"}), "/webhookUrl", "8443"),
        (json!({"useWebhook": true, "webhookUrl": "https://ci.example/?a=b"}), "/webhookUrl", "query"),
        (json!({"webhookUrl": "https://ci.example/"}), "/webhookUrl", "useWebhook = true"),
        (json!({"certificate": "x"}), "/certificate", "BEGIN CERTIFICATE"),
        (json!({"retryDelay": 0}), "/retryDelay", "3600"),
        (json!({"pollTimeout": 601}), "/pollTimeout", "600"),
    ] {
        let found = problems(more.clone());
        assert!(found.iter().any(|(place, message)| place == at && message.contains(part)), "{more}: {found:?}");
    }
    assert!(testing::configure::<TelegramBot>(json!({})).unwrap_err().0[0].message.contains("bot_token"));
}

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
