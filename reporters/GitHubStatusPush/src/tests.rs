use reporter_sdk::delivery::Verdict;
use reporter_sdk::http::Body;
use reporter_sdk::prelude::*;
use reporter_sdk::testing::{self, Configured, Delivery};
use serde_json::{Value, json};

use crate::GitHubStatusPush;

const SHA: &str = "4f1c9d2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

fn configure(mut settings: Value) -> Configured<GitHubStatusPush> {
    if settings.get("token").is_none() {
        settings["token"] = json!("tok");
    }
    testing::configure(settings).unwrap_or_else(|problems| panic!("{problems}"))
}

fn problem(settings: Value) -> (String, String) {
    let problem = testing::configure::<GitHubStatusPush>(settings).unwrap_err().0.remove(0);
    (problem.at, problem.message)
}

fn event(kind: &str, results: Value) -> Value {
    json!({"kind": kind, "source": "main", "builds": [{
        "number": 12, "results": results, "complete": !results.is_null(), "url": "https://ci.example/#/builders/1/builds/12",
        "builder": {"name": "linux", "tags": ["unit"]},
        "properties": {"buildername": ["linux", "Builder"], "buildnumber": [12, "Build"], "branch": ["refs/pull/7/merge", "Build"]},
        "buildset": {"sourcestamps": [{"codebase": "", "project": "octo/repo", "repository": "https://github.com/octo/repo", "revision": SHA, "branch": "main"}]}
    }]})
}

fn with_stamps(stamps: Value) -> Value {
    let mut event = event("build-finished", json!(0));
    event["builds"][0]["buildset"]["sourcestamps"] = stamps;
    event
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
    assert_eq!(push.plan.events, ["build-started", "build-finished", "buildrequest-new", "buildrequest-cancelled"]);
    let started = push.report(event("build-started", Value::Null));
    let url = "https://ci.example/#/builders/1/builds/12";
    assert_eq!(body(started.only()), json!({"state": "pending", "description": "Build started.", "target_url": url, "context": "buildbot/linux"}));
    let request = started.only().http();
    assert_eq!((request.endpoint.as_str(), request.method.as_str()), ("api", "POST"));
    assert_eq!(request.path, ["repos", "octo", "repo", "statuses", SHA]);
    assert!(request.headers.is_empty());

    let finished = push.report(event("build-finished", json!(2)));
    assert_eq!(body(finished.only()), json!({"state": "failure", "description": "Build done.", "target_url": url, "context": "buildbot/linux"}));
    assert_eq!(finished.only().terms().title.as_deref(), Some("failure of build 12 on linux to octo/repo@4f1c9d2"));
    assert_eq!(started.only().terms().title.as_deref(), Some("pending of build 12 on linux to octo/repo@4f1c9d2"));
}

#[test]
fn an_older_state_never_follows_a_newer_one() {
    let push = configure(json!({}));
    let started = push.report(event("build-started", Value::Null));
    let finished = push.report(event("build-finished", json!(0)));
    let (start, end) = (started.only().terms(), finished.only().terms());
    assert_eq!(start.lane, Some(format!("octo/repo@{SHA} buildbot/linux")));
    assert_eq!((&start.lane, &start.supersede), (&end.lane, &start.lane));
    assert_eq!((start.expire_after, end.expire_after), (Some(3600), None));
    // RETRY will be built again: pending, as a start is.
    assert_eq!(push.report(event("build-finished", json!(5))).only().terms().expire_after, Some(3600));
    let dead: Vec<u16> = end.rules.iter().filter(|rule| matches!(rule.verdict, Verdict::Dead)).map(|rule| rule.from_status).collect();
    assert_eq!(dead, [401, 404, 422]);
}

#[test]
fn build_requests() {
    let push = configure(json!({}));
    let request = |kind: &str, results: Value| {
        let mut event = event(kind, results);
        event["builds"][0]["number"] = Value::Null;
        event
    };
    let new = push.report(request("buildrequest-new", Value::Null));
    assert_eq!((&body(new.only())["state"], &body(new.only())["description"]), (&json!("pending"), &json!("Build pending.")));
    assert_eq!(new.only().terms().title.as_deref(), Some("pending of a build request on linux to octo/repo@4f1c9d2"));
    let cancelled = push.report(request("buildrequest-cancelled", json!(6)));
    assert_eq!((&body(cancelled.only())["state"], &body(cancelled.only())["description"]), (&json!("error"), &json!("Build pending.")));
    assert_eq!(configure(json!({"events": ["build-started", "build-finished"]})).plan.events, ["build-started", "build-finished"]);
}

#[test]
fn every_source_stamp_for_itself() {
    let stamp =
        |codebase: &str, repository: &str, revision: Value| json!({"codebase": codebase, "project": "", "repository": repository, "revision": revision});
    let push = configure(json!({}));
    let report = push.report(with_stamps(json!([
        stamp("gone", "https://github.com/octo/gone", Value::Null),
        stamp("a", "https://github.com/octo/a", json!("aa")),
        stamp("nested", "git@gitlab.com:grp/sub/proj.git", json!("cc")),
        stamp("long", "https://github.com/octo/long", json!("d".repeat(20_000))),
        stamp("b", "git@github.com:octo/b.git", json!("bb")),
        stamp("again", "https://github.com/octo/a.git", json!("aa")),
    ])));
    let paths: Vec<String> = report.sent.iter().map(|delivery| delivery.http().path.join("/")).collect();
    assert_eq!(paths, ["repos/octo/a/statuses/aa", "repos/octo/b/statuses/bb"]);
    assert_eq!(report.log.len(), 3);
    assert_eq!(report.log[0].1, "the source stamp of codebase gone has no revision");

    let report = push.report(with_stamps(json!([stamp("", "https://github.com/octo/a", json!(""))])));
    assert_eq!(report.skipped(), "the source stamp has no revision");
    assert_eq!(push.report(with_stamps(json!([]))).skipped(), "the build has no source stamp");
}

#[test]
fn renderables() {
    let push = configure(json!({
        "context": "ci/%(prop:buildername)s", "startDescription": "Started #%(prop:buildnumber)s",
        "endDescription": {"interpolate": "%(kw:w)s on %(src::branch)s", "kw": {"w": "Done"}}
    }));
    let started = body(push.report(event("build-started", Value::Null)).only());
    assert_eq!((&started["context"], &started["description"]), (&json!("ci/linux"), &json!("Started #12")));
    assert_eq!(body(push.report(event("build-finished", json!(0))).only())["description"], "Done on main");

    let plain = configure(json!({"context": "100%", "startDescription": "", "endDescription": ""}));
    assert_eq!(body(plain.report(event("build-started", Value::Null)).only())["description"], "Build started.");
    let finished = body(plain.report(event("build-finished", json!(0))).only());
    assert_eq!((&finished["context"], &finished["description"]), (&json!("100%"), &json!("Build done.")));
    assert_eq!(body(configure(json!({"context": ""})).report(event("build-finished", json!(0))).only())["context"], "buildbot/linux");
    assert_eq!(body(configure(json!({"context": "%(prop:gone)s"})).report(event("build-finished", json!(0))).only())["context"], "buildbot/linux");
}

#[test]
fn what_github_would_refuse_is_cut() {
    let push = configure(json!({"context": "c".repeat(300), "endDescription": "ü".repeat(200)}));
    let sent = body(push.report(event("build-finished", json!(0))).only());
    assert_eq!(sent["description"].as_str().unwrap().chars().count(), 140);
    assert_eq!(sent["context"].as_str().unwrap().chars().count(), 255);
    let mut bare = event("build-finished", json!(0));
    bare["builds"][0]["url"] = json!("");
    assert!(body(push.report(bare).only()).get("target_url").is_none());
}

#[test]
fn the_endpoint() {
    let endpoint = |settings: Value| configure(settings).plan.endpoints.remove(0).settings;
    let github = endpoint(json!({}));
    assert_eq!(github["base_url"], "https://api.github.com");
    assert_eq!(github["auth"], json!({"header": {"name": "Authorization", "value": "token tok"}}));
    assert_eq!((&github["most_per_minute"], &github["most_per_hour"], &github["probe"]), (&json!(60), &json!(500), &json!(["user"])));
    for base in ["https://ghe.example/api/v3", "https://ghe.example/api/v3/"] {
        let enterprise = endpoint(json!({"baseURL": base, "verify": false}));
        assert_eq!((&enterprise["base_url"], &enterprise["verify"]), (&json!("https://ghe.example/api/v3"), &json!(false)));
        assert!(enterprise.get("most_per_minute").is_none() && enterprise.get("most_per_hour").is_none());
    }
    assert_eq!(endpoint(json!({"baseURL": "https://api.github.com/"}))["most_per_minute"], 60);
}

#[test]
fn a_token_that_is_rendered_goes_with_the_request() {
    let push = configure(json!({"token": "tok-%(prop:buildername)s"}));
    assert!(push.plan.endpoints[0].settings.get("auth").is_none());
    assert_eq!(push.report(event("build-finished", json!(0))).only().http().headers, [("authorization".into(), "token tok-linux".into())]);
    let mut hostile = event("build-finished", json!(0));
    hostile["builds"][0]["properties"]["buildername"][0] = json!("a\r\nX-Evil: 1");
    assert!(!push.report(hostile).outcome.unwrap_err().again);
}

#[test]
fn descriptions_of_components() {
    let push = configure(json!({"endDescription": {"component": "mine.wasm"}}));
    let described = |push: &Configured<GitHubStatusPush>| body(push.report(event("build-finished", json!(2))).only())["description"].clone();
    testing::plug("description", |subjects, context| Ok(Document(json!(format!("{} {}", subjects.build()?.builder(), context.text("state"))))));
    assert_eq!(described(&push), "linux failure");
    testing::plug("description", |_, _| Ok(Document::message("as a message\n")));
    assert_eq!(described(&push), "as a message");
    testing::plug("description", |_, _| Ok(Document(Value::Null)));
    assert_eq!(described(&push), "Build done.");
    for answer in [Ok(Document(json!([1]))), Err("division by zero".to_owned())] {
        testing::plug("description", move |_, _| answer.clone());
        let report = push.report(event("build-finished", json!(2)));
        assert_eq!(
            body(report.only()),
            json!({"state": "failure", "description": "Build done. (Its formatter failed.)", "target_url": "https://ci.example/#/builders/1/builds/12", "context": "buildbot/linux"})
        );
        assert_eq!(report.log.len(), 1);
    }
    testing::plug("start-description", |_, _| Ok(Document(json!("off we go"))));
    let push = configure(json!({"startDescription": {"component": "mine.wasm"}}));
    assert_eq!(body(push.report(event("build-started", Value::Null)).only())["description"], "off we go");
}

#[test]
fn filters_and_problems() {
    let skipped = |settings: Value| configure(settings).report(event("build-finished", json!(0))).skipped().to_owned();
    assert_eq!(skipped(json!({"builders": ["mac"]})), "builder linux is not in builders");
    assert_eq!(skipped(json!({"tags": "nightly"})), "builder linux has none of the tags nightly");
    assert_eq!(configure(json!({"verbose": true, "debug": true})).report(event("build-finished", json!(0))).sent.len(), 1);
    assert_eq!(problem(json!({"token": ""})).0, "/token");
    assert_eq!(
        problem(json!({"token": "t", "baseURL": "ghe.example/api/v3"})),
        ("/baseURL".into(), "this URL has no scheme: write https://ghe.example/api/v3".into())
    );
    assert_eq!(problem(json!({"token": "t", "baseURL": "https://ghe.example/?x=1"})).0, "/baseURL");
    assert_eq!(problem(json!({"token": "t", "events": ["worker-missing"]})).0, "/events/0");
    assert_eq!(problem(json!({"token": "t", "context": "%(prop:x"})).0, "/context");
    assert_eq!(problem(json!({"token": "t", "builders": ["a"], "tags": ["b"]})).0, "/tags");
}
