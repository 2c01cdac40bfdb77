use reporter_sdk::http::Body;
use reporter_sdk::testing::{self, Configured, Report};
use serde_json::{Value, json};

use crate::PushjetNotifier;

fn configure(mut settings: Value) -> Configured<PushjetNotifier> {
    settings["secret"] = json!("s");
    testing::configure(settings).unwrap_or_else(|problems| panic!("{problems}"))
}

fn finished(results: u8) -> Value {
    json!({"kind": "build-finished", "source": "main", "master": {"title": "CI", "url": "http://ci/"}, "builds": [{
        "buildid": 7, "number": 12, "complete": true, "results": results, "state_string": "failed test", "builder": {"name": "linux"},
        "url": "http://ci/#/builders/1/builds/12", "prev_build": {"number": 11, "results": 0},
    }]})
}

fn field(report: &Report, name: &str) -> Option<String> {
    let Body::Form(form) = &report.only().http().body else { panic!("no form") };
    form.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

#[test]
fn a_failure_is_pushed() {
    let push = configure(json!({"base_url": "https://push.example.org/", "levels": {"failing": 5, "passing": "1"}}));
    assert_eq!(push.plan.events, ["build-finished"]);
    assert_eq!(push.plan.endpoints[0].settings["base_url"], "https://push.example.org");
    let report = push.report(finished(2));
    assert_eq!((report.only().http().method.as_str(), report.only().http().path.join("/").as_str()), ("POST", "message"));
    let text = field(&report, "message").unwrap();
    for fact in ["linux", "#12", "failure", "before: success", "failed test", "http://ci/#/builders/1/builds/12"] {
        assert!(text.contains(fact), "{fact} is not in {text}");
    }
    assert_eq!(field(&report, "title").unwrap(), "Buildbot failure in CI on linux");
    assert_eq!(field(&report, "level").unwrap(), "5");
    assert_eq!(field(&report, "secret").unwrap(), "s");
    assert_eq!(field(&push.report(finished(0)), "level").unwrap(), "1");
    assert_eq!(field(&push.report(finished(1)), "level"), None);
}

#[test]
fn a_result_without_a_word_is_not_lost() {
    let push = configure(json!({"mode": "all", "levels": {"failing": 5}}));
    assert_eq!(push.plan.endpoints[0].settings["base_url"], "https://api.pushjet.io");
    for results in [3, 5] {
        assert_eq!(field(&push.report(finished(results)), "level"), None, "{results}");
    }
}

#[test]
fn what_is_empty_is_not_sent() {
    // Pushjet's server answers "Missing argument message".
    let push = configure(json!({"messageFormatter": {"template": " {# nothing #} "}}));
    assert_eq!(push.report(finished(2)).skipped(), "the message is empty");
    let missing = configure(json!({"watchedWorkers": "all", "messageFormatterMissingWorker": {"template": "\n"}}));
    assert_eq!(missing.report(json!({"kind": "worker-missing", "worker": {"name": "flaky"}})).skipped(), "the message is empty");
}

#[test]
fn workers_only_where_they_are_watched() {
    let missing = json!({"kind": "worker-missing", "worker": {"name": "flaky"}});
    assert_eq!(configure(json!({})).report(missing.clone()).skipped(), "worker flaky is not in watchedWorkers");
    let push = configure(json!({"watchedWorkers": "all", "levels": {"worker_missing": 4}}));
    assert_eq!(push.plan.events, ["build-finished", "worker-missing"]);
    let report = push.report(missing);
    assert_eq!((field(&report, "title").unwrap().as_str(), field(&report, "level").unwrap().as_str()), ("Buildbot worker flaky missing", "4"));
}

#[test]
fn what_is_wrong_is_named() {
    let problem = |settings: Value| testing::configure::<PushjetNotifier>(settings).unwrap_err().0.remove(0);
    for (settings, at) in [
        (json!({"secret": ""}), "/secret"),
        (json!({"secret": "s", "levels": {"failing": 6}}), "/levels/failing"),
        (json!({"secret": "s", "levels": {"failure": 1}}), "/levels/failure"),
        (json!({"secret": "s", "base_url": "push.example.org"}), "/base_url"),
        (json!({"secret": "s", "addLogs": true}), "/addLogs"),
        (json!({"secret": "s", "subject": "a\nb"}), "/subject"),
    ] {
        assert_eq!(problem(settings).at, at);
    }
}
