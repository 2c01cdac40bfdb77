use reporter_sdk::http::Body;
use reporter_sdk::prelude::*;
use reporter_sdk::testing::{self, Configured, Delivery, Report};
use serde_json::{Value, json};

use crate::HipchatStatusPush;

fn configure(mut settings: Value) -> Configured<HipchatStatusPush> {
    settings["auth_token"] = json!("t");
    testing::configure(settings).unwrap_or_else(|problems| panic!("{problems}"))
}

fn event(kind: &str, results: Value) -> Value {
    json!({"kind": kind, "source": "main", "builds": [{
        "buildid": 7, "number": 12, "complete": !results.is_null(), "results": results, "builder": {"name": "linux"}, "url": "http://ci/#/builders/1/builds/12",
    }]})
}

fn sent(report: &Report) -> Vec<(String, Value)> {
    let of = |delivery: &Delivery| {
        let request = delivery.http();
        assert_eq!(request.query, [("auth_token".into(), "t".into())]);
        let Body::Json(body) = &request.body else { panic!("no JSON") };
        (request.path.join("/"), serde_json::from_str(body).unwrap())
    };
    report.sent.iter().map(of).collect()
}

#[test]
fn the_same_message_to_a_person_and_a_room() {
    let push = configure(json!({"builder_room_map": {"linux": "room one/ü"}, "builder_user_map": {"linux": 1234}}));
    assert_eq!(push.plan.events, ["build-started", "build-finished"]);
    assert_eq!(push.plan.endpoints[0].settings, json!({"base_url": "https://api.hipchat.com"}));
    let report = push.report(event("build-finished", json!(0)));
    let message = json!({"message": "Buildbot finished build linux with result success here: http://ci/#/builders/1/builds/12"});
    assert_eq!(sent(&report), [("v2/user/1234/message".into(), message.clone()), ("v2/room/room one/ü/notification".into(), message)]);
    assert_eq!(report.sent[0].http().path.len(), 4);
    assert_eq!(report.sent[1].terms().title.as_deref(), Some("success of build 12 on linux to room room one/ü"));
    let started = push.report(event("build-started", Value::Null));
    assert_eq!(sent(&started)[0].1, json!({"message": "Buildbot started build linux here: http://ci/#/builders/1/builds/12"}));
    assert_eq!(started.sent[0].terms().lane, report.sent[0].terms().lane);
}

#[test]
fn nobody_and_nothing() {
    let push = configure(json!({"builder_room_map": {"mac": "a"}}));
    assert_eq!(push.report(event("build-finished", json!(0))).skipped(), "builder linux is neither in builder_room_map nor in builder_user_map");
    let only = configure(json!({"builder_room_map": {"linux": "a"}, "builders": ["mac"]}));
    assert_eq!(only.report(event("build-finished", json!(0))).skipped(), "builder linux is not in builders");
}

#[test]
fn the_methods_of_the_pages_example() {
    let hook = json!({"component": "mine.wasm"});
    let push = configure(json!({"getRecipientList": hook, "getMessage": hook, "getExtraParams": hook, "wantSteps": true}));
    assert_eq!(push.plan.uses, ["steps"]);
    testing::plug("chat-recipients", |_, _| Ok(Document(json!({"room_id_or_name": "AllBuildNotifications"}))));
    testing::plug("chat-message", |_, context| Ok(Document(json!(if context.text("event_name") == "finished" { "Build finished." } else { "" }))));
    testing::plug("chat-params", |subjects, _| {
        let failed = subjects.build()?.results() != Some(0);
        Ok(Document(json!({"color": if failed { "red" } else { "green" }, "notify": failed, "id_or_email": "x", "card": null})))
    });
    let report = push.report(event("build-finished", json!(2)));
    let expected = json!({"message": "Build finished.", "color": "red", "notify": true});
    assert_eq!(sent(&report), [("v2/room/AllBuildNotifications/notification".into(), expected)]);
    assert_eq!(push.report(event("build-started", Value::Null)).skipped(), "the message is empty");
}

#[test]
fn a_method_that_fails_does_not_mean_silence() {
    let hook = json!({"component": "mine.wasm"});
    let push = configure(json!({"builder_room_map": {"linux": "a"}, "getRecipientList": hook, "getMessage": hook, "getExtraParams": hook}));
    for slot in ["chat-recipients", "chat-message", "chat-params"] {
        testing::plug(slot, |_, _| Err("division by zero".into()));
    }
    let report = push.report(event("build-finished", json!(0)));
    assert_eq!(sent(&report)[0].0, "v2/room/a/notification");
    assert_eq!(report.log.len(), 3);
}

#[test]
fn a_component_does_not_lead_elsewhere() {
    let push = configure(json!({"builder_room_map": {"linux": "a"}, "getRecipientList": {"component": "mine.wasm"}}));
    for id in ["..", ".", "../../admin", "a/./b", "a//b"] {
        testing::plug("chat-recipients", move |_, _| Ok(Document(json!({"room_id_or_name": id, "id_or_email": 7}))));
        let report = push.report(event("build-finished", json!(0)));
        assert_eq!((sent(&report).len(), sent(&report)[0].0.as_str(), report.log.len()), (1, "v2/user/7/message", 1), "{id}");
    }
}

#[test]
fn the_pages_example_is_taken_and_tells_nobody() {
    let push = configure(json!({"endpoint": "https://chat.yourcompany.com"}));
    assert_eq!(push.report(event("build-finished", json!(0))).skipped(), "builder linux is neither in builder_room_map nor in builder_user_map");
}

#[test]
fn long_messages_are_cut() {
    let push = configure(json!({"builder_room_map": {"linux": "a"}, "getMessage": {"component": "mine.wasm"}}));
    testing::plug("chat-message", |_, _| Ok(Document(json!("ü".repeat(20_000)))));
    assert_eq!(sent(&push.report(event("build-finished", json!(0))))[0].1["message"].as_str().unwrap().chars().count(), 10_000);
}

#[test]
fn what_is_wrong_is_named() {
    let at = |settings: Value| testing::configure::<HipchatStatusPush>(settings).unwrap_err().0.remove(0).at;
    assert_eq!(at(json!({"auth_token": "", "builder_room_map": {"a": "b"}})), "/auth_token");
    assert_eq!(at(json!({"auth_token": "t", "builder_room_map": {"a": []}})), "/builder_room_map/a");
    for id in ["..", "", "a/../b", "/", "a/"] {
        assert_eq!(at(json!({"auth_token": "t", "builder_user_map": {"a": id}})), "/builder_user_map/a", "{id}");
    }
    assert_eq!(at(json!({"auth_token": "t", "builder_room_map": {"a": "b"}, "wantLogs": true})), "/wantLogs");
}
