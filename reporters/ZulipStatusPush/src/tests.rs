use reporter_sdk::http::Body;
use reporter_sdk::testing::{self, Configured};
use serde_json::{Value, json};

use crate::ZulipStatusPush;

fn configure(mut settings: Value) -> Configured<ZulipStatusPush> {
    for (key, value) in [("endpoint", "https://zulip.example.org/"), ("token", "key")] {
        settings.as_object_mut().unwrap().entry(key).or_insert(json!(value));
    }
    testing::configure(settings).unwrap_or_else(|problems| panic!("{problems}"))
}

fn event(kind: &str, results: Value) -> Value {
    let complete = !results.is_null();
    json!({"kind": kind, "source": "main", "builds": [{
        "buildid": 7, "number": 12, "buildrequestid": 5, "complete": complete, "results": results, "started_at": 100, "complete_at": if complete { json!(160) } else { Value::Null },
        "builder": {"name": "linux"}, "url": "http://ci/#/builders/1/builds/12", "properties": {"project": ["acme/widget", "Build"]},
        "buildset": {"sourcestamps": [{"project": "a", "codebase": "a"}, {"project": "b", "codebase": "b"}]},
    }]})
}

fn body(report: &testing::Report) -> Value {
    match &report.only().http().body {
        Body::Json(text) => serde_json::from_str(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_build_that_starts_and_ends() {
    let push = configure(json!({"stream": "build bot & co"}));
    assert_eq!(push.plan.events, ["build-started", "build-finished"]);
    assert_eq!(push.plan.endpoints[0].settings, json!({"base_url": "https://zulip.example.org"}));
    let started = push.report(event("build-started", Value::Null));
    let request = started.only().http();
    assert_eq!((request.method.as_str(), request.path.join("/").as_str()), ("POST", "api/v1/external/buildbot"));
    assert_eq!(request.query, [("api_key".into(), "key".into()), ("stream".into(), "build bot & co".into())]);
    let url = "http://ci/#/builders/1/builds/12";
    assert_eq!(body(&started), json!({"event": "new", "buildid": 7, "buildername": "linux", "url": url, "project": "acme/widget", "timestamp": 100}));
    let finished = push.report(event("build-finished", json!(2)));
    assert_eq!(
        body(&finished),
        json!({"event": "finished", "buildid": 7, "buildername": "linux", "url": url, "project": "acme/widget", "timestamp": 160, "results": 2})
    );
    assert_eq!(started.only().terms().lane, finished.only().terms().lane);
    assert_eq!(finished.only().terms().title.as_deref(), Some("failure of build 12 on linux"));
}

#[test]
fn without_a_stream_the_owner_is_told() {
    let report = configure(json!({"stream": ""})).report(event("build-finished", json!(0)));
    assert_eq!(report.only().http().query, [("api_key".into(), "key".into())]);
}

#[test]
fn several_codebases_and_long_projects() {
    let mut several = event("build-finished", json!(0));
    several["builds"][0]["properties"] = json!({});
    assert_eq!(body(&configure(json!({})).report(several))["project"], "a, b");
    let mut long = event("build-finished", json!(0));
    long["builds"][0]["properties"]["project"][0] = json!("ü".repeat(80));
    assert_eq!(body(&configure(json!({})).report(long))["project"].as_str().unwrap().chars().count(), 60);
}

#[test]
fn only_some_builders_and_events() {
    assert_eq!(configure(json!({"builders": ["mac"]})).report(event("build-finished", json!(0))).skipped(), "builder linux is not in builders");
    assert_eq!(configure(json!({"events": "build-finished"})).plan.events, ["build-finished"]);
}

#[test]
fn what_is_wrong_is_named() {
    let problem = |endpoint: &str, token: &str| testing::configure::<ZulipStatusPush>(json!({"endpoint": endpoint, "token": token})).unwrap_err().0.remove(0);
    for page in ["your-organization@zulipchat.com", "your-organization@ZulipChat.com", "https://your-organization@zulipchat.com/"] {
        assert_eq!(configure(json!({"endpoint": page})).plan.endpoints[0].settings["base_url"], "https://your-organization.zulipchat.com", "{page}");
    }
    assert_eq!(problem("https://bot:key@zulipchat.com", "t").at, "/endpoint");
    assert_eq!(problem("https://bot@zulip.example.org", "t").at, "/endpoint");
    assert_eq!(problem("https://zulip.example.org?x=1", "t").at, "/endpoint");
    assert_eq!(problem("https://zulip.example.org", "").at, "/token");
}
