use reporter_sdk::delivery::Answer;
use reporter_sdk::http::Body;
use reporter_sdk::testing::{self, Configured, Delivery};
use serde_json::{Value, json};

use crate::BitbucketServerCoreAPIStatusPush;

const SHA: &str = "4f1c9d2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const PAGE: &str = "https://ci.example/#/builders/1/builds/12";

fn configure(mut settings: Value) -> Configured<BitbucketServerCoreAPIStatusPush> {
    settings.as_object_mut().unwrap().entry("base_url").or_insert(json!("https://bitbucket.example.org/"));
    testing::configure(settings).unwrap_or_else(|problems| panic!("{problems}"))
}

fn event(kind: &str, results: Value) -> Value {
    json!({"kind": kind, "source": "main", "builds": [{
        "number": 12, "results": results, "complete": !results.is_null(), "url": PAGE, "builder": {"name": "linux", "tags": ["unit"]},
        "started_at": 100, "complete_at": 105,
        "properties": {"buildername": ["linux", "Builder"], "buildnumber": [12, "Build"], "branch": ["main", "Build"], "os": ["bsd", "Worker"]},
        "buildset": {"sourcestamps": [{"codebase": "", "repository": "https://bbs.example/scm/PROJ/repo.git", "revision": SHA, "branch": "main"}]}
    }]})
}

fn request(kind: &str, results: Value) -> Value {
    let mut event = event(kind, results);
    let build = event["builds"][0].as_object_mut().unwrap();
    for member in ["number", "started_at", "complete_at"] {
        build.remove(member);
    }
    build["properties"]["buildnumber"][0] = Value::Null;
    event
}

fn body(delivery: &Delivery) -> Value {
    match &delivery.http().body {
        Body::Json(text) => serde_json::from_str(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn from_a_request_to_the_end() {
    let push = configure(json!({"token": "t"}));
    assert_eq!(push.plan.events, ["build-started", "build-finished", "buildrequest-new", "buildrequest-cancelled"]);
    assert_eq!(
        push.plan.endpoints[0].settings,
        json!({"base_url": "https://bitbucket.example.org", "auth": {"bearer": "t"}, "probe": ["rest", "api", "1.0", "users"]})
    );
    let all = |state: &str, number: &str, description: &str, name: &str, duration: Value| {
        json!({"state": state, "url": PAGE, "key": "linux", "parent": "linux", "ref": "refs/heads/main", "buildNumber": number, "description": description,
            "name": name, "duration": duration, "testResults": null})
    };
    let new = push.report(request("buildrequest-new", Value::Null));
    assert_eq!(body(new.only()), all("INPROGRESS", "", "Build pending.", "linux #(build request)", Value::Null));
    assert_eq!(new.only().http().path.join("/"), format!("rest/api/1.0/projects/PROJ/repos/repo/commits/{SHA}/builds"));
    let cancelled = push.report(request("buildrequest-cancelled", json!(6)));
    assert_eq!(body(cancelled.only()), all("CANCELLED", "", "Build pending.", "linux #(build request)", Value::Null));
    let started = push.report(event("build-started", Value::Null));
    assert_eq!(body(started.only()), all("INPROGRESS", "12", "Build started.", "linux #12", Value::Null));
    let finished = push.report(event("build-finished", json!(0)));
    assert_eq!(body(finished.only()), all("SUCCESSFUL", "12", "Build done.", "linux #12", json!(5000)));
    let lane = Some(format!("PROJ/repo@{SHA} linux"));
    for (report, expires) in [(&new, Some(3600)), (&cancelled, None), (&started, Some(3600)), (&finished, None)] {
        let terms = report.only().terms();
        assert_eq!((&terms.lane, &terms.supersede, terms.expire_after), (&lane, &lane, expires));
    }
    assert_eq!(finished.only().terms().title.as_deref(), Some("success of build 12 on linux to PROJ/repo@4f1c9d2"));
}

#[test]
fn every_result() {
    let push = configure(json!({}));
    for (results, state) in
        [(0, "SUCCESSFUL"), (1, "SUCCESSFUL"), (2, "FAILED"), (3, "SUCCESSFUL"), (4, "FAILED"), (5, "INPROGRESS"), (6, "CANCELLED"), (7, "UNKNOWN")]
    {
        assert_eq!(body(push.report(event("build-finished", json!(results))).only())["state"], state, "{results}");
    }
}

#[test]
fn a_server_before_8_is_told_words_that_it_knows() {
    for (version, words) in [("7.21.0", ["FAILED", "FAILED"]), ("8.0.0", ["CANCELLED", "UNKNOWN"])] {
        testing::remote(move |request| {
            assert_eq!(request.path.join("/"), "rest/api/1.0/application-properties");
            Answer { status: 200, headers: Vec::new(), body: json!({"version": version}).to_string().into_bytes(), ended: "answered".into() }
        });
        let push = configure(json!({}));
        assert_eq!([6, 7].map(|results| body(push.report(event("build-finished", json!(results))).only())["state"].clone()), words);
    }
    // Nobody is asked about words that all servers know.
    testing::remote(|request| panic!("{request:?}"));
    assert_eq!(body(configure(json!({})).report(event("build-finished", json!(2))).only())["state"], "FAILED");
}

#[test]
fn every_argument() {
    let push = configure(json!({
        "auth": ["u", "p"], "statusName": "My status", "statusSuffix": " [%(prop:os)s]", "key": "k-%(prop:buildername)s", "parentName": "P1",
        "buildNumber": "n%(prop:buildnumber)s", "ref": "refs/heads/%(prop:branch)s-x", "duration": 12345,
        "testResults": {"failed": 1, "skipped": "%(prop:buildnumber)s"}, "startDescription": "off", "endDescription": "over"
    }));
    assert_eq!(push.plan.endpoints[0].settings["auth"], json!({"basic": {"user": "u", "password": "p"}}));
    let all = |state: &str, description: &str, duration: Value, tests: Value| {
        json!({"state": state, "url": PAGE, "key": "k-linux", "parent": "P1", "ref": "refs/heads/main-x", "buildNumber": "n12", "description": description,
            "name": "My status [bsd]", "duration": duration, "testResults": tests})
    };
    assert_eq!(body(push.report(event("build-started", Value::Null)).only()), all("INPROGRESS", "off", Value::Null, Value::Null));
    let tests = json!({"failed": 1, "skipped": 12, "successful": 0});
    assert_eq!(body(push.report(event("build-finished", json!(2))).only()), all("FAILED", "over", json!(12345), tests));
    let odd = configure(json!({"duration": "%(prop:os)s", "testResults": {"failed": "%(prop:os)s"}})).report(event("build-finished", json!(0)));
    assert_eq!((&body(odd.only())["duration"], &body(odd.only())["testResults"]["failed"]), (&json!(5000), &json!(0)));
    assert_eq!(odd.log.iter().filter(|(_, line)| line.contains("\"bsd\", which is no whole number")).count(), 2);
}

#[test]
fn what_triggered_it() {
    let mut event = event("build-finished", json!(0));
    event["builds"][0]["parentbuild"] = json!({"number": 3});
    event["builds"][0]["parentbuilder"] = json!({"name": "nightly"});
    let sent = body(configure(json!({"statusSuffix": "!"})).report(event.clone()).only());
    assert_eq!((&sent["name"], &sent["parent"]), (&json!("nightly #3 » linux #12!"), &json!("nightly")));
    let named = body(configure(json!({"statusName": "mine"})).report(event.clone()).only());
    assert_eq!((&named["name"], &named["parent"]), (&json!("mine"), &json!("nightly")));
    // A virtual builder has a name of its own.
    let mut virt = event.clone();
    virt["builds"][0]["properties"]["buildername"][0] = json!("child");
    let sent = body(configure(json!({})).report(virt).only());
    assert_eq!((&sent["name"], &sent["key"]), (&json!("nightly #3 » child #12"), &json!("child")));
    let parented = body(configure(json!({"parentName": "P"})).report(event).only());
    assert_eq!((&parented["name"], &parented["parent"]), (&json!("nightly #3 » linux #12"), &json!("P")));
}

#[test]
fn tests_of_properties() {
    let push = configure(json!({}));
    for (properties, expected) in [
        (json!({"tests_failed": [2, "s"], "tests_skipped": ["1", "s"], "tests_successful": [39, "s"]}), json!({"failed": 2, "skipped": 1, "successful": 39})),
        (json!({"tests_failed": [u64::MAX, "s"], "tests_skipped": [1, "s"]}), json!({"failed": u64::MAX, "skipped": 1, "successful": 0})),
        (json!({"tests_successful": [1, "s"]}), json!({"failed": 0, "skipped": 0, "successful": 1})),
        (json!({"tests_failed": [0, "s"]}), Value::Null),
    ] {
        let mut event = event("build-finished", json!(0));
        event["builds"][0]["properties"].as_object_mut().unwrap().extend(properties.as_object().unwrap().clone());
        assert_eq!(body(push.report(event).only())["testResults"], expected);
    }
}

#[test]
fn every_source_stamp_for_itself() {
    let stamp = |codebase: &str, repository: &str, branch: Value| json!({"codebase": codebase, "repository": repository, "revision": "aa", "branch": branch});
    let push = configure(json!({}));
    let mut event = event("build-finished", json!(0));
    event["builds"][0]["buildset"]["sourcestamps"] = json!([
        stamp("none", "", json!("main")),
        stamp("pr", "https://bbs.example/projects/PROJ/repos/a/", json!("refs/pull-requests/7/merge")),
        stamp("plain", "ssh://git@bbs.example:7999/~ada/b.git", Value::Null),
        {"codebase": "gone", "repository": "https://bbs.example/scm/PROJ/repo.git", "revision": ""},
    ]);
    let report = push.report(event);
    let sent: Vec<(String, Value)> = report.sent.iter().map(|sent| (sent.http().path[3..7].join("/"), body(sent)["ref"].clone())).collect();
    assert_eq!(sent, [("projects/PROJ/repos/a".into(), json!("refs/pull-requests/7/merge")), ("projects/~ada/repos/b".into(), Value::Null)]);
    assert_eq!(report.log.iter().filter(|(level, _)| *level == reporter_sdk::services::Level::Warn).count(), 1);
    assert_eq!(report.log.len(), 3);
}

#[test]
fn what_the_server_would_refuse() {
    let long = "ü".repeat(300);
    let push =
        configure(json!({"statusName": long, "key": long, "parentName": long, "buildNumber": long, "ref": long, "endDescription": long, "statusSuffix": "x"}));
    let sent = body(push.report(event("build-finished", json!(0))).only());
    for member in ["name", "key", "parent", "buildNumber", "description"] {
        assert_eq!(sent[member].as_str().unwrap().chars().count(), 255, "{member}");
    }
    // A ref that is cut does not exist, or is another.
    assert_eq!(sent["ref"], Value::Null);
    let mut event = event("build-finished", json!(0));
    for (length, fits) in [(244, true), (245, false)] {
        event["builds"][0]["buildset"]["sourcestamps"][0]["branch"] = json!("b".repeat(length));
        let report = configure(json!({})).report(event.clone());
        assert_eq!(body(report.only())["ref"].is_string(), fits, "{length}");
        assert_eq!(report.log.iter().any(|(_, line)| line.contains("the ref has more than 255 characters")), !fits, "{:?}", report.log);
    }
}

#[test]
fn filters_and_problems() {
    assert_eq!(configure(json!({"builders": ["mac"]})).report(event("build-finished", json!(0))).skipped(), "builder linux is not in builders");
    assert_eq!(configure(json!({"events": "build-finished"})).plan.events, ["build-finished"]);
    let at = |settings: Value| testing::configure::<BitbucketServerCoreAPIStatusPush>(settings).unwrap_err().0.remove(0).at;
    for (settings, pointer) in [
        (json!({"base_url": ""}), "/base_url"),
        (json!({"base_url": "https://b", "token": "t", "auth": ["u", "p"]}), "/auth"),
        (json!({"base_url": "https://b", "testResults": {"passed": 1}}), "/testResults/passed"),
        (json!({"base_url": "https://b", "ref": "%(prop:x"}), "/ref"),
    ] {
        assert_eq!(at(settings.clone()), pointer, "{settings}");
    }
}
