use reporter_sdk::http::Body;
use reporter_sdk::prelude::*;
use reporter_sdk::testing::{self, Configured, Delivery};
use serde_json::{Value, json};

use crate::BitbucketServerStatusPush;

const SHA: &str = "4f1c9d2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const PAGE: &str = "https://ci.example/#/builders/1/builds/12";

fn configure(mut settings: Value) -> Configured<BitbucketServerStatusPush> {
    for (key, value) in [("base_url", "https://bitbucket.example.org:8080/"), ("user", "bot"), ("password", "p")] {
        settings.as_object_mut().unwrap().entry(key).or_insert(json!(value));
    }
    testing::configure(settings).unwrap_or_else(|problems| panic!("{problems}"))
}

fn event(kind: &str, results: Value) -> Value {
    json!({"kind": kind, "source": "main", "builds": [{
        "number": 12, "results": results, "complete": !results.is_null(), "url": PAGE, "builder": {"name": "linux", "tags": ["unit"]},
        "properties": {"buildername": ["linux", "Builder"], "buildnumber": [12, "Build"], "branch": ["main", "Build"]},
        "buildset": {"sourcestamps": [{"codebase": "", "repository": "/srv/git/repo", "revision": SHA}]}
    }]})
}

fn body(delivery: &Delivery) -> Value {
    match &delivery.http().body {
        Body::Json(text) => serde_json::from_str(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn start_and_end() {
    let push = configure(json!({}));
    assert_eq!(push.plan.events, ["build-started", "build-finished"]);
    let auth = json!({"basic": {"user": "bot", "password": "p"}});
    assert_eq!(
        push.plan.endpoints[0].settings,
        json!({"base_url": "https://bitbucket.example.org:8080", "auth": auth, "probe": ["rest", "api", "1.0", "users"]})
    );
    let started = push.report(event("build-started", Value::Null));
    assert_eq!(started.only().http().path, ["rest", "build-status", "1.0", "commits", SHA]);
    assert_eq!(body(started.only()), json!({"state": "INPROGRESS", "url": PAGE, "key": "linux", "description": "Build started."}));
    let finished = push.report(event("build-finished", json!(0)));
    assert_eq!(body(finished.only()), json!({"state": "SUCCESSFUL", "url": PAGE, "key": "linux", "description": "Build done."}));
    let (start, end) = (started.only().terms(), finished.only().terms());
    assert_eq!(start.lane, Some(format!("{SHA} linux")));
    assert_eq!((&start.supersede, &end.lane, &end.supersede), (&start.lane, &start.lane, &start.lane));
    assert_eq!((start.expire_after, end.expire_after), (Some(3600), None));
    assert_eq!(end.title.as_deref(), Some("success of build 12 on linux to 4f1c9d2"));
}

#[test]
fn every_result() {
    let push = configure(json!({}));
    for (results, state) in
        [(0, "SUCCESSFUL"), (1, "SUCCESSFUL"), (2, "FAILED"), (3, "SUCCESSFUL"), (4, "FAILED"), (5, "INPROGRESS"), (6, "FAILED"), (7, "FAILED")]
    {
        assert_eq!(body(push.report(event("build-finished", json!(results))).only())["state"], state, "{results}");
    }
}

#[test]
fn renderables() {
    let push = configure(json!({
        "key": "%(prop:buildername)s/%(prop:branch)s", "statusName": "%(prop:buildername)s-%(prop:buildnumber)s", "startDescription": "on %(src::revision)s",
        "endDescription": {"component": "mine.wasm"}
    }));
    let started = body(push.report(event("build-started", Value::Null)).only());
    assert_eq!(started, json!({"state": "INPROGRESS", "url": PAGE, "key": "linux/main", "description": format!("on {SHA}"), "name": "linux-12"}));
    testing::plug("description", |_, context| Ok(Document(json!(context.text("state")))));
    assert_eq!(body(push.report(event("build-finished", json!(2))).only())["description"], "FAILED");
    testing::plug("description", |_, _| Ok(Document(json!(""))));
    assert!(body(push.report(event("build-finished", json!(2))).only()).get("description").is_none());
    assert_eq!(body(configure(json!({"key": "%(prop:gone)s"})).report(event("build-started", Value::Null)).only())["key"], "linux");
}

#[test]
fn each_commit_once_and_none_without_a_revision() {
    let push = configure(json!({}));
    let with = |stamps: Value| {
        let mut event = event("build-finished", json!(0));
        event["builds"][0]["buildset"]["sourcestamps"] = stamps;
        push.report(event)
    };
    let report = with(
        json!([{"codebase": "a", "revision": null}, {"codebase": "b", "revision": "bb"}, {"codebase": "c", "revision": "bb"}, {"codebase": "d", "revision": "dd"}]),
    );
    let commits: Vec<&str> = report.sent.iter().map(|sent| sent.http().path[4].as_str()).collect();
    assert_eq!((commits, report.log.len()), (vec!["bb", "dd"], 1));
    assert_eq!(with(json!([{"codebase": "", "revision": ""}])).skipped(), "the source stamp has no revision");
}

#[test]
fn what_the_server_would_refuse() {
    let push = configure(json!({"key": "k".repeat(300), "statusName": "n".repeat(300), "endDescription": "ü".repeat(300)}));
    let mut long = event("build-finished", json!(0));
    long["builds"][0]["url"] = json!(format!("https://ci.example/{}", "x".repeat(450)));
    assert!(push.report(long.clone()).skipped().contains("too long"));
    long["master"] = json!({"url": "https://ci.example/"});
    let sent = body(push.report(long).only());
    for member in ["key", "name", "description"] {
        assert_eq!(sent[member].as_str().unwrap().chars().count(), 255, "{member}");
    }
    assert_eq!(sent["url"], "https://ci.example/");
}

#[test]
fn filters_and_problems() {
    let skipped = |settings: Value| configure(settings).report(event("build-finished", json!(0))).skipped().to_owned();
    assert_eq!(skipped(json!({"builders": ["mac"]})), "builder linux is not in builders");
    assert_eq!(skipped(json!({"tags": "nightly"})), "builder linux has none of the tags nightly");
    assert_eq!(configure(json!({"verify": false, "verbose": true, "debug": true})).plan.endpoints[0].settings["verify"], json!(false));
    let at = |settings: Value| testing::configure::<BitbucketServerStatusPush>(settings).unwrap_err().0.remove(0).at;
    assert_eq!(at(json!({"base_url": "bitbucket.example.org", "user": "u", "password": "p"})), "/base_url");
    assert_eq!(at(json!({"base_url": "https://b", "user": "u", "password": "p", "key": "%(prop:x"})), "/key");
    assert_eq!(at(json!({"base_url": "https://b", "user": "u", "password": "p", "events": "buildset-complete"})), "/events");
}
