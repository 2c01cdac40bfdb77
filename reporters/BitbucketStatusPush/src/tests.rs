use reporter_sdk::http::Body;
use reporter_sdk::prelude::*;
use reporter_sdk::testing::{self, Configured, Delivery};
use serde_json::{Value, json};

use crate::BitbucketStatusPush;

const SHA: &str = "4f1c9d2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const PAGE: &str = "https://ci.example/#/builders/1/builds/12";

fn configure(mut settings: Value) -> Configured<BitbucketStatusPush> {
    if settings.get("auth").is_none() {
        settings["oauth_key"] = json!("k");
        settings["oauth_secret"] = json!("s");
    }
    testing::configure(settings).unwrap_or_else(|problems| panic!("{problems}"))
}

fn event(kind: &str, results: Value) -> Value {
    json!({"kind": kind, "source": "main", "builds": [{
        "number": 12, "results": results, "complete": !results.is_null(), "url": PAGE, "state_string": "failed test",
        "builder": {"name": "linux", "tags": ["unit"]},
        "properties": {"buildername": ["linux", "Builder"], "buildnumber": [12, "Build"]},
        "buildset": {"sourcestamps": [{"codebase": "", "repository": "https://bitbucket.org/own/repo", "revision": SHA, "branch": "main"}]}
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
    let started = push.report(event("build-started", Value::Null));
    assert_eq!(started.only().http().path, ["repositories", "own", "repo", "commit", SHA, "statuses", "build"]);
    // printf linux | sha1sum
    let key = "ba324ca7b1c77fc20bb970d5aff6eea9377918a5";
    assert_eq!(body(started.only()), json!({"state": "INPROGRESS", "key": key, "name": "linux", "description": "", "url": PAGE}));
    let finished = push.report(event("build-finished", json!(2)));
    assert_eq!(body(finished.only()), json!({"state": "FAILED", "key": key, "name": "linux", "description": "", "url": PAGE}));
    assert_eq!(finished.only().terms().title.as_deref(), Some("failure of build 12 on linux to own/repo@4f1c9d2"));
}

#[test]
fn the_key_is_buildbots() {
    // Recorded from Buildbot 4.3.
    let push = configure(json!({"status_key": "quick"}));
    assert_eq!(body(push.report(event("build-started", Value::Null)).only())["key"], "9a5751d5acecf26ff7eb2b33c144efce1c69fe9a");
}

#[test]
fn an_older_state_never_follows_a_newer_one() {
    let push = configure(json!({}));
    let (started, finished) = (push.report(event("build-started", Value::Null)), push.report(event("build-finished", json!(0))));
    let (start, end) = (started.only().terms(), finished.only().terms());
    assert!(start.lane.as_deref().unwrap().starts_with(&format!("own/repo@{SHA} ")));
    assert_eq!((&start.lane, &start.supersede), (&end.lane, &start.lane));
    assert_eq!((start.expire_after, end.expire_after), (Some(3600), None));
    // RETRY will be built again.
    let retry = push.report(event("build-finished", json!(5)));
    assert_eq!((body(retry.only())["state"].as_str(), retry.only().terms().expire_after), (Some("INPROGRESS"), Some(3600)));
    assert_eq!(body(push.report(event("build-finished", json!(6))).only())["state"], "STOPPED");
}

#[test]
fn every_source_stamp_for_itself() {
    let stamp = |codebase: &str, repository: &str, revision: Value| json!({"codebase": codebase, "repository": repository, "revision": revision});
    let push = configure(json!({}));
    let mut event = event("build-finished", json!(0));
    event["builds"][0]["buildset"]["sourcestamps"] = json!([
        stamp("gone", "https://bitbucket.org/own/gone", Value::Null),
        stamp("a", "https://bitbucket.org/own/a", json!("aa")),
        stamp("nested", "git@gitlab.com:grp/sub/proj.git", json!("cc")),
        stamp("none", "", json!("dd")),
        stamp("b", "git@bitbucket.org:own/b.git", json!("bb")),
        stamp("again", "https://bitbucket.org/own/a.git", json!("aa")),
    ]);
    let report = push.report(event.clone());
    let paths: Vec<String> = report.sent.iter().map(|delivery| delivery.http().path[1..5].join("/")).collect();
    assert_eq!(paths, ["own/a/commit/aa", "own/b/commit/bb"]);
    assert_eq!(report.log.len(), 3);
    assert_ne!(report.sent[0].terms().lane, report.sent[1].terms().lane);
    event["builds"][0]["buildset"]["sourcestamps"] = json!([stamp("lib", "https://bitbucket.org/own/a", json!(""))]);
    assert_eq!(push.report(event).skipped(), "the source stamp of codebase lib has no revision");
}

#[test]
fn renderables() {
    let push = configure(json!({
        "status_key": "%(prop:buildername)s/%(prop:buildnumber)s", "status_name": "%(prop:buildername)s-name",
        "startDescription": "started #%(prop:buildnumber)s", "endDescription": {"component": "mine.wasm"}
    }));
    let started = body(push.report(event("build-started", Value::Null)).only());
    assert_eq!((&started["name"], &started["description"]), (&json!("linux-name"), &json!("started #12")));
    assert_ne!(started["key"], body(configure(json!({})).report(event("build-started", Value::Null)).only())["key"]);
    testing::plug("description", |subjects, context| Ok(Document(json!(format!("{} {}", subjects.build()?.state_string(), context.text("state"))))));
    assert_eq!(body(push.report(event("build-finished", json!(2))).only())["description"], "failed test FAILED");
    testing::plug("description", |_, _| Err("division by zero".into()));
    assert_eq!(body(push.report(event("build-finished", json!(2))).only())["description"], "(Its formatter failed.)");
    // What renders to nothing would be the same for all builders.
    let empty = configure(json!({"status_key": "%(prop:gone)s", "status_name": ""}));
    let plain = configure(json!({}));
    assert_eq!(body(empty.report(event("build-finished", json!(0))).only()), body(plain.report(event("build-finished", json!(0))).only()));
}

#[test]
fn what_bitbucket_would_refuse() {
    let push = configure(json!({"status_key": "k".repeat(300), "status_name": "n".repeat(300), "endDescription": "ü".repeat(300)}));
    let sent = body(push.report(event("build-finished", json!(0))).only());
    let length = |member: &str| sent[member].as_str().unwrap().chars().count();
    assert_eq!((length("key"), length("name"), length("description")), (40, 255, 255));
    let mut bare = event("build-finished", json!(0));
    bare["builds"][0]["url"] = json!("");
    assert!(push.report(bare).skipped().contains("no page to link to"));
}

#[test]
fn build_requests_if_they_are_asked_for() {
    let push = configure(json!({"events": ["buildrequest-new", "buildrequest-cancelled"]}));
    let mut new = event("buildrequest-new", Value::Null);
    new["builds"][0]["number"] = Value::Null;
    let sent = push.report(new);
    assert_eq!((&body(sent.only())["state"], &body(sent.only())["description"]), (&json!("INPROGRESS"), &json!("Build pending.")));
    assert_eq!(sent.only().terms().title.as_deref(), Some("a build request on linux to own/repo@4f1c9d2"));
    assert_eq!(body(push.report(event("buildrequest-cancelled", json!(6))).only())["state"], "STOPPED");
}

#[test]
fn ways_to_log_in() {
    let endpoint = |settings: Value| configure(settings).plan.endpoints.remove(0).settings;
    assert_eq!(
        endpoint(json!({})),
        json!({"base_url": "https://api.bitbucket.org/2.0", "probe": ["user"], "auth": {"oauth2": {
            "token_url": "https://bitbucket.org/site/oauth2/access_token", "client_id": "k", "client_secret": "s"}}})
    );
    let own = endpoint(json!({"base_url": "https://bb.example/2.0/repositories//", "oauth_url": "https://bb.example/token?x=1", "verify": false}));
    assert_eq!((&own["base_url"], &own["verify"]), (&json!("https://bb.example/2.0"), &json!(false)));
    // A place that is called otherwise has only repositories, as far as is known.
    let gateway = configure(json!({"base_url": "https://gw.example/bitbucket-repositories"}));
    assert_eq!(gateway.plan.endpoints[0].settings["base_url"], "https://gw.example/bitbucket-repositories");
    assert_eq!(gateway.plan.endpoints[0].settings["probe"], Value::Null);
    assert_eq!(gateway.report(event("build-finished", json!(0))).only().http().path[..2], ["own", "repo"]);
    assert_eq!(own["auth"]["oauth2"]["token_url"], "https://bb.example/token?x=1");
    assert_eq!(endpoint(json!({"auth": ["ada@example.org", "t"]}))["auth"], json!({"basic": {"user": "ada@example.org", "password": "t"}}));
    assert_eq!(endpoint(json!({"auth": {"bearer": "t"}}))["auth"], json!({"bearer": "t"}));
}

#[test]
fn filters_and_problems() {
    let skipped = |settings: Value| configure(settings).report(event("build-finished", json!(0))).skipped().to_owned();
    assert_eq!(skipped(json!({"builders": ["mac"]})), "builder linux is not in builders");
    assert_eq!(skipped(json!({"tags": "nightly"})), "builder linux has none of the tags nightly");
    let at = |settings: Value| testing::configure::<BitbucketStatusPush>(settings).unwrap_err().0.remove(0).at;
    for (settings, pointer) in [
        (json!({}), ""),
        (json!({"oauth_key": "k"}), "/oauth_key"),
        (json!({"oauth_secret": "s"}), "/oauth_secret"),
        (json!({"oauth_key": "k", "oauth_secret": "s", "auth": ["u", "p"]}), "/auth"),
        (json!({"oauth_key": "k", "oauth_secret": "s", "oauth_url": "bitbucket.org/token"}), "/oauth_url"),
        (json!({"auth": ["u", "p"], "base_url": "https://api/?x"}), "/base_url"),
        (json!({"auth": ["u", "p"], "events": ["worker-missing"]}), "/events/0"),
        (json!({"auth": ["u", "p"], "status_key": "%(prop:x"}), "/status_key"),
        (json!({"auth": ["u", "p"], "builders": ["a"], "tags": ["b"]}), "/tags"),
    ] {
        assert_eq!(at(settings.clone()), pointer, "{settings}");
    }
}
