use reporter_sdk::http::Body;
use reporter_sdk::prelude::*;
use reporter_sdk::testing::{self, Configured, Report};
use serde_json::{Value, json};

use crate::HttpStatusPush;

fn configure(mut settings: Value) -> Configured<HttpStatusPush> {
    settings["serverUrl"] = json!("http://example.com/submit");
    testing::configure(settings).unwrap_or_else(|problems| panic!("{problems}"))
}

fn problem(settings: Value) -> (String, String) {
    let problem = testing::configure::<HttpStatusPush>(settings).unwrap_err().0.remove(0);
    (problem.at, problem.message)
}

fn build(results: Value) -> Value {
    json!({
        "buildid": 7, "number": 12, "buildrequestid": 5, "complete": !results.is_null(), "state_string": "failed test", "results": results,
        "properties": {"scheduler": ["nightly", "Scheduler"], "branch": ["main", "Build"]},
        "buildrequest": {"buildrequestid": 5}, "buildset": {"bsid": 3, "sourcestamps": []},
        "builder": {"name": "linux", "tags": ["unit"]}, "url": "http://ci/#/builders/1/builds/12",
        "prev_build": {"number": 11, "results": 0},
        "steps": [{"name": "test", "logs": [
            {"name": "stdio", "type": "s", "content": {"content": "oone\n"}},
            {"name": "junk", "type": "t", "content": {"content": "two\n"}}]}]
    })
}

fn event(kind: &str, results: Value) -> Value {
    json!({"kind": kind, "source": "main", "builds": [build(results)]})
}

fn body(report: &Report) -> Value {
    match &report.only().http().body {
        Body::Json(text) => serde_json::from_str(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_build_goes_out_at_its_start_and_at_its_end() {
    let push = configure(json!({}));
    assert_eq!(push.plan.events, ["build-started", "build-finished"]);
    assert_eq!(push.plan.endpoints[0].settings, json!({"base_url": "http://example.com/submit", "headers": []}));
    let finished = push.report(event("build-finished", json!(4)));
    assert_eq!(finished.outcome, Ok(Outcome::Sent));
    let request = finished.only().http();
    assert_eq!((request.endpoint.as_str(), request.method.as_str(), request.path.len()), ("server", "POST", 0));
    let body = body(&finished);
    for key in ["buildid", "number", "state_string", "url", "buildset", "buildrequest", "builder"] {
        assert!(body.get(key).is_some(), "{key}");
    }
    assert_eq!(body["properties"], json!({}));
    assert!(body.get("steps").is_none() && body.get("prev_build").is_none());

    let started = push.report(event("build-started", Value::Null));
    assert_eq!(started.only().terms().lane, finished.only().terms().lane);
    assert_eq!(finished.only().terms().lane.as_deref(), Some("main/buildrequests/5"));
    assert_eq!(finished.only().terms().title.as_deref(), Some("exception of build 12 on linux"));
    assert_eq!(started.only().terms().title.as_deref(), Some("start of build 12 on linux"));
}

#[test]
fn wants() {
    let of = |settings: Value| body(&configure(settings).report(event("build-finished", json!(0))));
    assert_eq!(of(json!({"wantProperties": true}))["properties"]["branch"][0], "main");
    assert!(of(json!({"wantSteps": true}))["steps"][0].get("logs").is_none());
    assert_eq!(of(json!({"wantSteps": true, "wantLogs": true}))["steps"][0]["logs"][0]["content"]["content"], "oone\n");
    assert_eq!(of(json!({"wantPreviousBuild": true}))["prev_build"]["number"], 11);
    let without = of(json!({"wantSteps": true, "wantLogs": true, "wantLogsContent": false}));
    assert!(without["steps"][0]["logs"][0].get("content").is_none() && without["steps"][0]["logs"][0]["name"] == "stdio");
    for names in [json!(["junk"]), json!(["test.junk"])] {
        let logs = of(json!({"wantSteps": true, "wantLogsContent": names}))["steps"][0]["logs"].clone();
        assert!(logs[0].get("content").is_none() && logs[1]["content"]["content"] == "two\n", "{logs}");
    }
    let push = configure(json!({"wantProperties": true, "wantSteps": true, "wantLogs": true, "wantPreviousBuild": true}));
    assert_eq!(push.plan.uses, ["properties", "steps", "previous-build", "logs", "log-contents"]);
    assert_eq!(problem(json!({"serverUrl": "http://e/", "wantLogs": true})).0, "/wantLogs");
    assert_eq!(problem(json!({"serverUrl": "http://e/", "wantLogsContent": true})).0, "/wantLogsContent");
}

#[test]
fn authentication_headers_and_verification() {
    let endpoint = |settings: Value| configure(settings).plan.endpoints.remove(0).settings;
    let login = json!({"user": "u", "password": "p"});
    assert_eq!(endpoint(json!({"user": "u", "password": "p"}))["auth"], json!({"basic": login}));
    assert_eq!(endpoint(json!({"auth": ["u", "p"]}))["auth"], json!({"basic": login}));
    assert_eq!(endpoint(json!({"auth": {"digest": login}}))["auth"], json!({"digest": login}));
    assert_eq!(endpoint(json!({"auth": {"bearer": "t"}}))["auth"], json!({"bearer": "t"}));
    assert_eq!(endpoint(json!({"verify": false}))["verify"], json!(false));
    assert_eq!(endpoint(json!({"headers": {"X-Custom": "yes"}}))["headers"], json!([["X-Custom", "yes"]]));
    let at = |settings: Value| {
        let mut settings = settings;
        settings["serverUrl"] = json!("http://e/");
        problem(settings).0
    };
    assert_eq!(at(json!({"user": "u", "auth": ["u", "p"]})), "/auth");
    assert_eq!(at(json!({"user": "u"})), "/user");
    assert_eq!(at(json!({"password": "p"})), "/password");
    assert_eq!(at(json!({"headers": {"X-A": "a\r\nb"}})), "/headers/X-A");
    assert_eq!(at(json!({"headers": {"X A": "a"}})), "/headers/X A");
    assert_eq!(at(json!({"headers": {"Idempotency-Key": "a"}})), "/headers/Idempotency-Key");
    assert!(at(json!({"auth": ["u"]})).starts_with("/auth"));
}

#[test]
fn the_query_of_the_url_is_kept() {
    let push = testing::configure::<HttpStatusPush>(json!({"serverUrl": "https://example.com/hook?token=a%20b&x="})).unwrap();
    assert_eq!(push.plan.endpoints[0].settings["base_url"], "https://example.com/hook");
    let report = push.report(event("build-finished", json!(0)));
    assert_eq!(report.only().http().query, [("token".into(), "a b".into()), ("x".into(), String::new())]);
}

#[test]
fn filters() {
    let skipped = |settings: Value, kind: &str, results: Value| configure(settings).report(event(kind, results)).skipped().to_owned();
    assert_eq!(skipped(json!({"builders": ["mac"]}), "build-started", Value::Null), "builder linux is not in builders");
    assert_eq!(skipped(json!({"tags": ["nightly"]}), "build-finished", json!(0)), "builder linux has none of the tags nightly");
    assert_eq!(skipped(json!({"mode": "failing"}), "build-finished", json!(0)), "mode is failing, the build succeeded");
    assert_eq!(skipped(json!({"schedulers": ["force"]}), "build-finished", json!(0)), "scheduler nightly is not in schedulers");
    // A start has no result that the mode could refuse.
    assert_eq!(configure(json!({"mode": "failing"})).report(event("build-started", Value::Null)).sent.len(), 1);
    assert_eq!(configure(json!({"mode": "problem"})).report(event("build-finished", json!(2))).sent.len(), 1);
}

#[test]
fn a_buildset_as_a_whole() {
    let push = configure(json!({"buildSetSummary": true, "mode": "failing"}));
    assert_eq!(push.plan.events, ["buildset-complete"]);
    let set = |results: &[i32]| {
        let builds: Vec<Value> = results.iter().map(|results| build(json!(results))).collect();
        json!({"kind": "buildset-complete", "source": "main", "buildset": {"bsid": 3, "results": 2}, "builds": builds})
    };
    let report = push.report(set(&[0, 2]));
    let sent = body(&report);
    assert_eq!(sent["buildset"], json!({"bsid": 3, "results": 2}));
    assert_eq!(sent["builds"].as_array().unwrap().len(), 1);
    assert_eq!(sent["builds"][0]["results"], 2);
    assert!(sent["builds"][0].get("buildrequest").is_none());
    assert_eq!(report.only().terms().lane.as_deref(), Some("main/buildsets/3"));
    assert_eq!(push.report(set(&[0])).skipped(), "no build of the set is reported: mode is failing, the build succeeded");
}

#[test]
fn build_requests_and_workers() {
    let push = configure(json!({"events": ["buildrequest-new", "buildrequest-cancelled"]}));
    let request = json!({"kind": "buildrequest-new", "source": "main", "builds": [{"buildrequest": {"buildrequestid": 9}, "builder": {"name": "linux"}, "complete": false}]});
    assert_eq!(push.report(request).only().terms().lane.as_deref(), Some("main/buildrequests/9"));

    let push = configure(json!({"events": "worker-missing", "watchedWorkers": ["flaky"]}));
    assert_eq!(push.plan.events, ["worker-missing"]);
    let missing = |name: &str| json!({"kind": "worker-missing", "source": "main", "worker": {"name": name, "notify": ["ops"]}});
    assert_eq!(body(&push.report(missing("flaky"))), json!({"worker": {"name": "flaky", "notify": ["ops"]}}));
    assert_eq!(push.report(missing("solid")).skipped(), "worker solid is not in watchedWorkers");
    assert_eq!(configure(json!({"watchedWorkers": "all"})).plan.events, ["build-started", "build-finished", "worker-missing"]);
    assert_eq!(configure(json!({"watchedWorkers": "all"})).report(missing("solid")).sent.len(), 1);
}

#[test]
fn format_fn_makes_the_body() {
    let push = configure(json!({"format_fn": {"component": "mine.wasm"}}));
    testing::plug("payload", |subjects, context| Ok(Document(json!({"only": subjects.build()?.number(), "event": context.text("event")}))));
    let report = push.report(event("build-finished", json!(0)));
    assert_eq!(body(&report), json!({"only": 12, "event": "build-finished"}));
    assert_eq!(report.only().terms().lane.as_deref(), Some("main/buildrequests/5"));

    testing::plug("payload", |_, _| Ok(Document(json!("as text"))));
    let report = push.report(event("build-finished", json!(0)));
    assert!(matches!(&report.only().http().body, Body::Text(text) if text == "as text"));

    testing::plug("payload", |_, _| Ok(Document(Value::Null)));
    assert_eq!(push.report(event("build-finished", json!(0))).skipped(), "the formatter answered with nothing to send");

    testing::plug("payload", |_, _| Err("division by zero".into()));
    let report = push.report(event("build-finished", json!(0)));
    assert_eq!(body(&report)["number"], 12);
    assert!(body(&report)["formatter_error"].as_str().unwrap().ends_with("division by zero"));
    assert_eq!(report.log.len(), 1);
}

#[test]
fn a_message_is_posted_as_text() {
    let push = configure(json!({"messageFormatter": {"component": "mine.wasm"}}));
    testing::plug("message", |_, _| Ok(Document::message("all well")));
    assert!(matches!(&push.report(event("build-finished", json!(0))).only().http().body, Body::Text(text) if text == "all well"));
    testing::plug("message", |_, _| Ok(Document::message("<b>well</b>").html()));
    let report = push.report(event("build-finished", json!(0)));
    assert_eq!(report.only().http().headers, [("content-type".into(), "text/html; charset=utf-8".into())]);
    testing::plug("message", |_, _| Ok(Document(json!({"body": {"n": 1}, "type": "json"}))));
    assert_eq!(body(&push.report(event("build-finished", json!(0)))), json!({"n": 1}));
    let both = json!({"serverUrl": "http://e/", "format_fn": {"component": "a.wasm"}, "messageFormatter": {"component": "b.wasm"}});
    assert_eq!(problem(both).0, "/messageFormatter");
}

#[test]
fn templates_make_text() {
    let text = |report: &Report| match &report.only().http().body {
        Body::Text(text) => text.clone(),
        other => panic!("{other:?}"),
    };
    let push = configure(json!({"messageFormatter": {"template": "{{ buildername }}: {{ summary }}"}, "watchedWorkers": "all",
        "messageFormatterMissingWorker": {"template": "{{ worker.name }} is gone"}}));
    assert_eq!(text(&push.report(event("build-finished", json!(0)))), "linux: Build succeeded!");
    assert_eq!(text(&push.report(json!({"kind": "worker-missing", "worker": {"name": "flaky"}}))), "flaky is gone");
    let set = json!({"kind": "buildset-complete", "buildset": {"bsid": 3, "results": 2}, "builds": [build(json!(0)), build(json!(2))]});
    let whole = configure(json!({"buildSetSummary": true, "messageFormatter": {"template": "{{ results }} "}}));
    assert_eq!(text(&whole.report(set)), "0 2 ");

    let default = configure(json!({"messageFormatter": {}}));
    assert!(text(&default.report(event("build-finished", json!(2)))).contains("linux"));
    let html = configure(json!({"messageFormatter": {"template": "<b>{{ buildername }}</b>", "template_type": "html"}}));
    assert_eq!(html.report(event("build-finished", json!(0))).only().http().headers, [("content-type".into(), "text/html; charset=utf-8".into())]);

    let broken = configure(json!({"messageFormatter": {"template": "{{ nothing.at.all }}"}}));
    let report = broken.report(event("build-finished", json!(0)));
    assert!(body(&report)["formatter_error"].as_str().is_some_and(|error| error.contains("template line 1")), "{}", body(&report));
    assert_eq!(problem(json!({"serverUrl": "http://e/", "messageFormatter": {"template": "{{"}})).0, "/messageFormatter/template");
}

#[test]
fn what_is_wrong_is_named() {
    assert_eq!(problem(json!({"serverUrl": "example.com"})), ("/serverUrl".into(), "this URL has no scheme: write https://example.com".into()));
    assert_eq!(problem(json!({"serverUrl": "http://e/", "serverURL": "x"})).0, "/serverURL");
    assert_eq!(problem(json!({"serverUrl": "http://e/", "events": ["finished"]})).0, "/events/0");
    assert_eq!(problem(json!({"serverUrl": "http://e/", "builders": ["a"], "tags": ["b"]})).0, "/tags");
    testing::configure::<HttpStatusPush>(json!({"serverUrl": "http://e/", "skipEncoding": true, "debug": true, "verbose": true})).unwrap();
}
