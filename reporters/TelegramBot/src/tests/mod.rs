//! Conversations without a host: updates in, requests out.

mod act;
mod look;
mod settings;
mod talk;

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
