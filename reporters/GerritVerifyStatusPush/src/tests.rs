use reporter_sdk::http::Body;
use reporter_sdk::prelude::*;
use reporter_sdk::testing::{self, Configured, Delivery};
use serde_json::{Value, json};

use crate::GerritVerifyStatusPush;

fn configure(mut settings: Value) -> Configured<GerritVerifyStatusPush> {
    for (key, value) in [("baseURL", json!("https://gerrit.example.org/")), ("auth", json!(["gu", "gp"]))] {
        settings.as_object_mut().unwrap().entry(key).or_insert(value);
    }
    testing::configure(settings).unwrap_or_else(|problems| panic!("{problems}"))
}

fn event(kind: &str, results: Value, properties: Value) -> Value {
    let mut all = json!({"buildername": ["linux", "Builder"], "workername": ["w1", "Worker"]});
    for (name, value) in properties.as_object().unwrap() {
        all[name] = json!([value, "Change"]);
    }
    json!({"kind": kind, "source": "main", "builds": [{
        "buildid": 57, "number": 12, "results": results, "complete": !results.is_null(), "url": "https://ci.example/#/builders/1/builds/12",
        "started_at": 100, "complete_at": 105, "builder": {"name": "linux", "tags": ["unit"]}, "properties": all
    }]})
}

fn patchset() -> Value {
    json!({"event.change.number": 4711, "event.patchSet.number": 3})
}

fn body(delivery: &Delivery) -> Value {
    match &delivery.http().body {
        Body::Json(text) => serde_json::from_str(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn start_and_end_of_a_patch_set() {
    let push = configure(json!({}));
    assert_eq!(push.plan.events, ["build-started", "build-finished"]);
    let auth = json!({"basic": {"user": "gu", "password": "gp"}});
    assert_eq!(push.plan.endpoints[0].settings, json!({"base_url": "https://gerrit.example.org", "auth": auth, "probe": ["a", "accounts", "self"]}));
    let started = push.report(event("build-started", Value::Null, patchset()));
    assert_eq!(started.only().http().path, ["a", "changes", "4711", "revisions", "3", "verify-status~verifications"]);
    let url = "https://ci.example/#/builders/1/builds/12";
    assert_eq!(
        body(started.only()),
        json!({"name": "linux", "value": 0, "abstain": false, "comment": "Build started.", "url": url, "reporter": "buildbot", "duration": "pending"})
    );
    let finished = push.report(event("build-finished", json!(2), patchset()));
    assert_eq!(
        body(finished.only()),
        json!({"name": "linux", "value": -1, "abstain": false, "comment": "Build done.", "url": url, "reporter": "buildbot", "duration": "0m 5s"})
    );
    let (start, end) = (started.only().terms(), finished.only().terms());
    assert_eq!(start.lane.as_deref(), Some("4711/3 linux buildbot"));
    assert_eq!((&start.supersede, &end.lane, &end.supersede), (&start.lane, &start.lane, &start.lane));
    assert_eq!((start.expire_after, end.expire_after), (Some(3600), None));
    assert_eq!(end.title.as_deref(), Some("failure of build 12 on linux to 4711,3"));
}

#[test]
fn every_result() {
    let push = configure(json!({}));
    for (results, value) in [(0, 1), (1, 1), (2, -1), (3, 0), (4, 0), (5, 0), (6, 0), (7, -1)] {
        assert_eq!(body(push.report(event("build-finished", json!(results), patchset())).only())["value"], value, "{results}");
    }
}

#[test]
fn durations() {
    let push = configure(json!({}));
    for (seconds, text) in
        [(1, "0m 1s"), (3_599, "59m 59s"), (3_605, "1h 0m 5s"), (86_400, "1 day 0h 0m 0s"), (2 * 86_400 + 3 * 3_600 + 4 * 60 + 5, "2 days 3h 4m 5s")]
    {
        let mut event = event("build-finished", json!(0), patchset());
        event["builds"][0]["complete_at"] = json!(100 + seconds);
        assert_eq!(body(push.report(event).only())["duration"], text);
    }
    let mut untimed = event("build-finished", json!(0), patchset());
    untimed["builds"][0]["complete_at"] = Value::Null;
    assert!(body(push.report(untimed).only()).get("duration").is_none());
}

#[test]
fn renderables() {
    let push = configure(json!({
        "startDescription": "on %(prop:workername)s", "verification_name": "job/%(prop:buildername)s", "abstain": "%(prop:quiet)s",
        "category": "cat-%(prop:workername)s", "verification_reporter": "rep-%(prop:workername)s", "auth": {"digest": {"user": "u", "password": "p"}}
    }));
    assert_eq!(push.plan.endpoints[0].settings["auth"], json!({"digest": {"user": "u", "password": "p"}}));
    let mut properties = patchset();
    for (quiet, abstain) in [(json!(true), true), (json!("yes"), true), (json!(false), false), (json!(0), false), (Value::Null, false), (json!("No"), false)] {
        properties["quiet"] = quiet.clone();
        let sent = body(push.report(event("build-started", Value::Null, properties.clone())).only());
        assert_eq!(sent["abstain"], json!(abstain), "{quiet}");
        assert_eq!((&sent["name"], &sent["comment"]), (&json!("job/linux"), &json!("on w1")));
        assert_eq!((&sent["category"], &sent["reporter"]), (&json!("cat-w1"), &json!("rep-w1")));
    }
    for abstain in [json!(true), json!("True")] {
        assert_eq!(body(configure(json!({"abstain": abstain})).report(event("build-finished", json!(0), patchset())).only())["abstain"], json!(true));
    }
}

#[test]
fn changes_of_a_property() {
    let push = configure(json!({}));
    let mut properties = patchset();
    properties["gerrit_changes"] = json!([
        {"change_id": "tools%2Fproj~master~I1", "revision_id": "r1"}, {"change_id": "tools/proj~master~I1", "revision_id": "r1"}, {"change_id": 55, "revision_id": 2}, {"change_id": 55, "revision_id": "2"},
        {"change_id": 56}, {"change_id": "..", "revision_id": 1}, 7
    ]);
    let report = push.report(event("build-finished", json!(0), properties.clone()));
    let paths: Vec<String> = report.sent.iter().map(|sent| sent.http().path[2..5].join(" ")).collect();
    assert_eq!(paths, ["tools/proj~master~I1 revisions r1", "55 revisions 2"]);
    assert_eq!(report.log.iter().filter(|(_, line)| line.starts_with("gerrit_changes has an item")).count(), 3);
    assert_ne!(report.sent[0].terms().lane, report.sent[1].terms().lane);
    for (changes, reason) in [(json!([]), "gerrit_changes is empty"), (json!("4711"), "gerrit_changes is no list of tables with change_id and revision_id")] {
        properties["gerrit_changes"] = changes;
        assert_eq!(push.report(event("build-finished", json!(0), properties.clone())).skipped(), reason);
    }
    properties["gerrit_changes"] = Value::Null;
    assert_eq!(push.report(event("build-finished", json!(0), properties)).sent.len(), 1);
}

#[test]
fn builds_of_no_change() {
    let skipped = |properties: Value| configure(json!({})).report(event("build-finished", json!(0), properties)).skipped().to_owned();
    assert_eq!(skipped(json!({})), "the build has neither the property gerrit_changes nor event.change.number");
    assert_eq!(skipped(json!({"event.change.number": 4711})), "the properties event.change.number and event.patchSet.number name no patch set");
}

#[test]
fn comments_of_components() {
    let push = configure(json!({"endDescription": {"component": "mine.wasm"}}));
    testing::plug("description", |subjects, context| Ok(Document(json!(format!("{} {}", subjects.build()?.builder(), context.text("state"))))));
    for (results, comment) in [(0, "linux success"), (2, "linux failure"), (4, "linux neutral")] {
        assert_eq!(body(push.report(event("build-finished", json!(results), patchset())).only())["comment"], comment);
    }
    testing::plug("description", |_, _| Err("division by zero".into()));
    assert_eq!(body(push.report(event("build-finished", json!(2), patchset())).only())["comment"], "Build done. (Its formatter failed.)");
}

#[test]
fn filters_and_problems() {
    let skipped = |settings: Value| configure(settings).report(event("build-finished", json!(0), patchset())).skipped().to_owned();
    assert_eq!(skipped(json!({"builders": ["mac"]})), "builder linux is not in builders");
    assert_eq!(skipped(json!({"tags": "nightly"})), "builder linux has none of the tags nightly");
    assert_eq!(configure(json!({"events": "build-finished"})).plan.events, ["build-finished"]);
    assert_eq!(configure(json!({"verify": false})).plan.endpoints[0].settings["verify"], json!(false));
    let at = |settings: Value| testing::configure::<GerritVerifyStatusPush>(settings).unwrap_err().0.remove(0).at;
    assert_eq!(at(json!({"baseURL": "gerrit.example.org", "auth": ["u", "p"]})), "/baseURL");
    assert_eq!(at(json!({"baseURL": "https://g", "auth": "u"})), "/auth");
    assert_eq!(at(json!({"baseURL": "https://g", "auth": ["u", "p"], "category": "%(prop:x"})), "/category");
}
