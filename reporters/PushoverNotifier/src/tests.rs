use reporter_sdk::http::{Answer, Body};
use reporter_sdk::prelude::*;
use reporter_sdk::testing::{self, Configured, Report};
use serde_json::{Value, json};

use crate::PushoverNotifier;

fn configure(mut settings: Value) -> Configured<PushoverNotifier> {
    settings["user_key"] = json!("u");
    settings["api_token"] = json!("t");
    testing::configure(settings).unwrap_or_else(|problems| panic!("{problems}"))
}

fn finished(results: u8) -> Value {
    json!({"kind": "build-finished", "source": "main", "master": {"title": "CI", "url": "http://ci/"}, "builds": [{
        "buildid": 7, "number": 12, "complete": true, "results": results, "state_string": "failed <test>", "builder": {"name": "linux", "tags": ["unit"]},
        "properties": {"scheduler": ["nightly", "Scheduler"], "branch": ["main", "Build"]},
        "url": "http://ci/#/builders/1/builds/12", "prev_build": {"number": 11, "results": 0},
    }]})
}

fn form(report: &Report) -> Vec<(String, String)> {
    let Body::Form(form) = &report.only().http().body else { panic!("no form") };
    form.clone()
}

fn field(report: &Report, name: &str) -> Option<String> {
    form(report).into_iter().find(|(key, _)| key == name).map(|(_, value)| value)
}

#[test]
fn a_failure_is_pushed() {
    let push = configure(json!({}));
    assert_eq!(push.plan.events, ["build-finished"]);
    assert_eq!(push.plan.endpoints.len(), 1);
    assert_eq!(push.plan.endpoints[0].settings, json!({"base_url": "https://api.pushover.net", "most_at_once": 2}));
    let report = push.report(finished(2));
    assert_eq!((report.only().http().method.as_str(), report.only().http().path.join("/").as_str()), ("POST", "1/messages.json"));
    let names: Vec<String> = form(&report).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["message", "title", "html", "user", "token"]);
    let text = field(&report, "message").unwrap();
    for fact in ["<a href=\"http://ci/#/builders/1/builds/12\">linux #12</a>", "<b>failure</b>", "before: success", "failed &lt;test&gt;"] {
        assert!(text.contains(fact), "{fact} is not in {text}");
    }
    assert_eq!(field(&report, "title").unwrap(), "Buildbot failure in CI on linux");
    assert_eq!((field(&report, "user").unwrap().as_str(), field(&report, "token").unwrap().as_str()), ("u", "t"));
    assert!(report.only().terms().tag.is_none());
}

#[test]
fn shared_arguments() {
    let skipped = |settings: Value, results| configure(settings).report(finished(results)).skipped().to_owned();
    assert_eq!(skipped(json!({"mode": "failing"}), 0), "mode is failing, the build succeeded");
    assert_eq!(skipped(json!({"builders": ["mac"]}), 2), "builder linux is not in builders");
    assert_eq!(skipped(json!({"tags": ["slow"]}), 2), "builder linux has none of the tags slow");
    assert_eq!(skipped(json!({"schedulers": ["force"]}), 2), "scheduler nightly is not in schedulers");
    assert_eq!(skipped(json!({"branches": ["old"]}), 2), "branch main is not in branches");
    let own = configure(json!({"subject": "%(builder)s: %(result)s", "messageFormatter": {"template": "{{ summary }}"}}));
    let report = own.report(finished(2));
    assert_eq!((field(&report, "title").unwrap().as_str(), field(&report, "message").unwrap().as_str()), ("linux: failure", "BUILD FAILED: failed <test>"));
    assert_eq!(field(&report, "html"), None);
    let set = configure(json!({"buildSetSummary": true}));
    assert_eq!(set.plan.events, ["buildset-complete"]);
    let mut event = finished(2);
    event["kind"] = json!("buildset-complete");
    event["buildset"] = json!({"bsid": 3, "results": 2});
    assert_eq!(field(&set.report(event), "title").unwrap(), "Buildbot failure in CI on whole buildset");
    let watching = configure(json!({"watchedWorkers": ["flaky"], "messageFormatterMissingWorker": {"template": "{{ worker.name }} is gone"}}));
    let report = watching.report(json!({"kind": "worker-missing", "worker": {"name": "flaky"}}));
    assert_eq!(field(&report, "message").unwrap(), "flaky is gone");
}

#[test]
fn priorities() {
    let push = configure(json!({"mode": ["change", "failing"], "priorities": {"failing": 1, "change": "-1", "exception": -2}}));
    assert_eq!(field(&push.report(finished(2)), "priority").unwrap(), "1");
    // Reported because it changed.
    assert_eq!(field(&push.report(finished(4)), "priority").unwrap(), "-1");
    let all = configure(json!({"mode": "all", "priorities": {"failing": 1}}));
    for results in [0, 1, 3, 4, 5, 6] {
        assert_eq!(field(&all.report(finished(results)), "priority"), None, "{results}");
    }
}

#[test]
fn other_parameters() {
    let push = configure(json!({"otherParams": {"sound": "siren", "url": "https://x.test/", "timestamp": 5, "html": false, "retry": 60, "expire": "3600"}}));
    let report = push.report(finished(2));
    for (name, value) in [("sound", "siren"), ("url", "https://x.test/"), ("timestamp", "5"), ("html", "0")] {
        assert_eq!(field(&report, name).as_deref(), Some(value));
    }
    assert_eq!(form(&report).iter().filter(|(name, _)| name == "html").count(), 1);
    assert_eq!((field(&report, "retry"), field(&report, "expire")), (None, None), "they belong to an emergency");
    // What is not to be read as HTML has no tags.
    let message = field(&report, "message").unwrap();
    assert!(message.starts_with("linux #12: failure") && message.ends_with("\nhttp://ci/#/builders/1/builds/12"), "{message}");
    for plain in [json!({"html": 0}), json!({"monospace": 1})] {
        let report = configure(json!({"otherParams": plain})).report(finished(2));
        assert_eq!(field(&report, "url").as_deref(), Some("http://ci/#/builders/1/builds/12"), "{plain}");
    }
    let mono = configure(json!({"otherParams": {"monospace": true, "ttl": "3600", "tags": "ci"}})).report(finished(2));
    assert_eq!(["monospace", "ttl", "tags", "html"].map(|name| field(&mono, name)), [Some("1".into()), Some("3600".into()), Some("ci".into()), None]);
}

#[test]
fn additional_context() {
    let push = configure(json!({"buildAdditionalContext": {"component": "a.wasm"}, "messageFormatter": {"template": "{{ extra }} of {{ buildername }}"}}));
    testing::plug("context", |_, _| Ok(Document(json!({"extra": 7}))));
    assert_eq!(field(&push.report(finished(2)), "message").unwrap(), "7 of linux");
}

#[test]
fn an_emergency_is_followed_until_somebody_has_seen_it() {
    let push = configure(json!({"priorities": {"failing": 2}, "otherParams": {"retry": 60, "expire": 3600}}));
    assert_eq!(push.plan.endpoints.iter().map(|endpoint| endpoint.name.as_str()).collect::<Vec<_>>(), ["api", "receipts"]);
    let report = push.report(finished(2));
    assert_eq!((field(&report, "priority").unwrap().as_str(), field(&report, "retry").unwrap().as_str()), ("2", "60"));
    let tag = report.only().terms().tag.clone().unwrap();
    let answer = |body: &str, ended: &str| Answer { status: 200, headers: Vec::new(), body: body.into(), ended: ended.into() };
    let asked = push.answered(&tag, &answer(r#"{"status":1,"request":"r","receipt":"R1"}"#, "delivered"));
    let request = asked.only().http();
    assert_eq!((request.endpoint.as_str(), request.method.as_str(), request.path.join("/").as_str()), ("receipts", "GET", "1/receipts/R1.json"));
    assert_eq!(request.query, [("token".into(), "t".into())]);
    let terms = asked.only().terms();
    assert_eq!((terms.title.as_deref(), terms.expire_after), (Some("acknowledgement of failure of build 12 on linux"), Some(4_200)));
    let verdict = |body: &str| terms.rules.iter().find(|rule| body.contains(&rule.body_contains)).map(|rule| format!("{:?}", rule.verdict)).unwrap();
    assert!(verdict(r#"{"status":1,"acknowledged":1,"expired":1}"#).contains("Done"));
    assert!(verdict(r#"{"status": 1, "acknowledged": 0, "expired": 1}"#).contains("Dead"));
    assert!(verdict(r#"{"status":1,"acknowledged":0,"expired":0,"acknowledged_at":0}"#).contains("Retry"));
    for (body, ended) in [(r#"{"status":1}"#, "delivered"), (r#"{"receipt":"../x"}"#, "delivered"), ("rubbish", "delivered"), (r#"{"receipt":"R1"}"#, "dead")] {
        assert!(matches!(push.answered(&tag, &answer(body, ended)).outcome, Ok(Outcome::Skipped(_))), "{body}");
    }
}

#[test]
fn what_is_empty_is_not_sent() {
    let push = configure(json!({"messageFormatter": {"template": " {# nothing #} "}}));
    assert_eq!(push.report(finished(2)).skipped(), "the message is empty");
    let tags = configure(json!({"messageFormatter": {"template": "<b> </b>", "template_type": "html"}, "otherParams": {"monospace": 1}}));
    assert_eq!(tags.report(finished(2)).skipped(), "the message is empty");
}

#[test]
fn what_is_wrong_is_named() {
    let at = |mut settings: Value| {
        for key in ["user_key", "api_token"] {
            settings.as_object_mut().unwrap().entry(key).or_insert(json!("x"));
        }
        testing::configure::<PushoverNotifier>(settings).unwrap_err().0.remove(0).at
    };
    for (settings, expected) in [
        (json!({"user_key": ""}), "/user_key"),
        (json!({"api_token": ""}), "/api_token"),
        (json!({"priorities": {"failing": 3}}), "/priorities/failing"),
        (json!({"priorities": {"failing": "high"}}), "/priorities/failing"),
        (json!({"priorities": {"failure": 1}}), "/priorities/failure"),
        (json!({"priorities": {"failing": 2}}), "/priorities"),
        (json!({"otherParams": {"colour": "red"}}), "/otherParams/colour"),
        (json!({"otherParams": {"retry": 10}}), "/otherParams/retry"),
        (json!({"otherParams": {"expire": 20_000}}), "/otherParams/expire"),
        (json!({"otherParams": {"url": []}}), "/otherParams/url"),
        (json!({"otherParams": {"url": format!("https://x.test/{}", "a".repeat(498))}}), "/otherParams/url"),
        (json!({"otherParams": {"url_title": "ü".repeat(101)}}), "/otherParams/url_title"),
        (json!({"otherParams": {"ttl": 0}}), "/otherParams/ttl"),
        (json!({"otherParams": {"html": 1, "monospace": 1}}), "/otherParams/monospace"),
        (json!({"addLogs": true}), "/addLogs"),
        (json!({"addPatch": true}), "/addPatch"),
    ] {
        assert_eq!(at(settings), expected);
    }
}
