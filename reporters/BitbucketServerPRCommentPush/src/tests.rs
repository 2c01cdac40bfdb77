use reporter_sdk::http::Body;
use reporter_sdk::prelude::*;
use reporter_sdk::testing::{self, Configured, Delivery};
use serde_json::{Value, json};

use crate::BitbucketServerPRCommentPush;

const PAGE: &str = "https://ci.example/#/builders/1/builds/12";
const PULL: &str = "https://bitbucket.example.org/stash/projects/PROJ/repos/repo/pull-requests/7/overview";

fn configure(mut settings: Value) -> Configured<BitbucketServerPRCommentPush> {
    for (key, value) in [("base_url", "https://bitbucket.example.org/stash/"), ("user", "bot"), ("password", "p")] {
        settings.as_object_mut().unwrap().entry(key).or_insert(json!(value));
    }
    testing::configure(settings).unwrap_or_else(|problems| panic!("{problems}"))
}

fn build(name: &str, results: u8, pull: Value) -> Value {
    json!({"number": 12, "results": results, "complete": true, "state_string": "failed test", "url": PAGE, "builder": {"name": name, "tags": ["unit"]},
        "properties": {"buildername": [name, "Builder"], "pullrequesturl": [pull, "Change"], "scheduler": ["pr", "Scheduler"], "branch": ["main", "Build"]}})
}

fn finished(results: u8, pull: Value) -> Value {
    json!({"kind": "build-finished", "source": "main", "master": {"title": "CI", "url": "https://ci.example/"}, "builds": [build("linux", results, pull)]})
}

fn comment(delivery: &Delivery) -> String {
    match &delivery.http().body {
        Body::Json(text) => serde_json::from_str::<Value>(text).unwrap()["text"].as_str().unwrap().to_owned(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_failure_is_commented_on() {
    let push = configure(json!({}));
    assert_eq!(push.plan.events, ["build-finished"]);
    let endpoint = &push.plan.endpoints[0].settings;
    assert_eq!(
        endpoint,
        &json!({"base_url": "https://bitbucket.example.org/stash", "auth": {"basic": {"user": "bot", "password": "p"}}, "probe": ["rest", "api", "1.0", "users"]})
    );
    let report = push.report(finished(2, json!(PULL)));
    let request = report.only().http();
    assert_eq!((request.method.as_str(), request.path.join("/").as_str()), ("POST", "rest/api/1.0/projects/PROJ/repos/repo/pull-requests/7/comments"));
    let text = comment(report.only());
    for fact in ["linux", "failed test", PAGE] {
        assert!(text.contains(fact), "{fact} is not in {text}");
    }
    let terms = report.only().terms();
    assert_eq!(terms.title.as_deref(), Some("failure of build 12 on linux to projects/PROJ/repos/repo/pull-requests/7"));
    assert_eq!((terms.lane.as_deref(), terms.supersede.as_deref()), (Some("projects/PROJ/repos/repo/pull-requests/7"), None));
}

#[test]
fn builds_of_no_pull_request() {
    let push = configure(json!({}));
    assert_eq!(push.report(finished(2, Value::Null)).skipped(), "the build has no property pullrequesturl");
    for other in ["https://github.com/acme/widget/pull/50", "https://bitbucket.org/team/rep/pull-requests/3"] {
        assert_eq!(push.report(finished(2, json!(other))).skipped(), format!("{other} is no pull request of a Bitbucket server"));
    }
    // One of the same name may be on each.
    for other in [PULL.replace("bitbucket.", "bbs."), PULL.replace("/stash", "")] {
        let why = format!("{other} is a pull request of another server than https://bitbucket.example.org/stash");
        assert_eq!(push.report(finished(2, json!(other))).skipped(), why);
    }
}

#[test]
fn filters() {
    let skipped = |settings: Value, results: u8| configure(settings).report(finished(results, json!(PULL))).skipped().to_owned();
    assert_eq!(skipped(json!({}), 4), "mode is failing, passing, warnings, the build ended as exception");
    assert_eq!(configure(json!({"mode": "all"})).report(finished(4, json!(PULL))).sent.len(), 1);
    assert_eq!(skipped(json!({"mode": "warnings"}), 0), "mode is warnings, the build succeeded");
    assert_eq!(skipped(json!({"builders": ["mac"]}), 2), "builder linux is not in builders");
    assert_eq!(skipped(json!({"tags": ["slow"]}), 2), "builder linux has none of the tags slow");
    assert_eq!(skipped(json!({"schedulers": ["nightly"]}), 2), "scheduler pr is not in schedulers");
    assert_eq!(skipped(json!({"branches": ["dev"]}), 2), "branch main is not in branches");
}

#[test]
fn a_set_is_one_comment_for_each_pull_request() {
    let push = configure(json!({"buildSetSummary": true, "messageFormatter": {"template": "{{ buildername }}: {{ summary }}\n"}}));
    assert_eq!(push.plan.events, ["buildset-complete"]);
    let set = |builds: Value| json!({"kind": "buildset-complete", "source": "main", "buildset": {"bsid": 3, "results": 2}, "builds": builds});
    let report =
        push.report(set(json!([build("linux", 2, json!(PULL)), build("mac", 0, json!(PULL)), build("bsd", 4, json!(PULL)), build("docs", 0, Value::Null)])));
    let text = comment(report.only());
    assert!(text.starts_with("linux: ") && text.contains("mac: ") && !text.contains("bsd") && text.contains("docs: "), "{text}");
    assert_eq!(report.log, [(reporter_sdk::services::Level::Info, "the build has no property pullrequesturl".to_owned())]);
    assert_eq!(report.only().terms().title.as_deref(), Some("failure of whole buildset to projects/PROJ/repos/repo/pull-requests/7"));
    let other = json!(PULL.replace("/7/", "/8/"));
    assert_eq!(push.report(set(json!([build("linux", 2, json!(PULL)), build("mac", 0, other)]))).sent.len(), 2);
    assert_eq!(
        push.report(set(json!([build("linux", 4, json!(PULL))]))).skipped(),
        "no build of the set is reported: mode is failing, passing, warnings, the build ended as exception"
    );
}

#[test]
fn long_comments_keep_their_link() {
    let push = configure(json!({"messageFormatter": {"template": "{{ 'ü' * 40000 }}"}}));
    let text = comment(push.report(finished(2, json!(PULL))).only());
    assert!((32_700..=32_768).contains(&text.chars().count()), "{}", text.chars().count());
    assert!(text.ends_with(PAGE));
}

#[test]
fn comments_of_components() {
    let push = configure(json!({"messageFormatter": {"component": "mine.wasm"}}));
    testing::plug("message", |subjects, _| Ok(Document::message(format!("*{}*\n\n", subjects.build()?.builder()))));
    assert_eq!(comment(push.report(finished(2, json!(PULL))).only()), "*linux*");
    testing::plug("message", |_, _| Ok(Document::message(" \n")));
    assert_eq!(push.report(finished(2, json!(PULL))).skipped(), "the comment would be empty");
    testing::plug("message", |_, _| Err("division by zero".into()));
    let text = comment(push.report(finished(2, json!(PULL))).only());
    assert!(text.contains("linux") && text.contains("division by zero"), "{text}");
}

#[test]
fn an_edited_comment() {
    let push = configure(json!({"editComment": true}));
    assert!(push.plan.uses.contains(&"state".to_owned()));
    let answer = |status: u16, body: &[u8]| Answer { status, headers: Vec::new(), body: body.to_vec(), ended: "answered".into() };
    let pages = move |request: &reporter_sdk::http::Request| {
        if request.path.join("/") == "rest/api/1.0/application-properties" {
            let mut properties = answer(200, &br#"{"version": "9.4.1"}"#[..]);
            properties.headers.push(("x-ausername".into(), "b%C3%B6t".into()));
            return properties;
        }
        assert_eq!(request.path.join("/"), "rest/api/1.0/projects/PROJ/repos/repo/pull-requests/7/activities");
        let start = request.query.iter().find(|(name, _)| name == "start").map_or("", |(_, value)| value.as_str());
        let by = |name: &str, id: u64, text: &str| json!({"action": "COMMENTED", "comment": {"id": id, "version": 4, "text": text, "author": {"name": name}}});
        let comment = |id: u64, text: &str| by("Böt", id, text);
        let most = request.query.iter().find(|(name, _)| name == "limit").map_or("", |(_, value)| value.as_str());
        let page = match start {
            // As the host cuts it.
            "0" if most == "32" => return answer(200, &br#"{"values": [{"action": "COMMENTED", "comm"#[..]),
            "0" => {
                let copied = by("eve", 3, "[//]: # (reporter-host:buildbot/linux)");
                json!({"values": [{"action": "OPENED"}, copied, comment(1, "I think …")], "isLastPage": false, "nextPageStart": 100})
            }
            _ => json!({"values": [comment(2, "old\n\n[//]: # (reporter-host:buildbot/linux)")], "isLastPage": true}),
        };
        answer(200, page.to_string().as_bytes())
    };
    testing::remote(pages);
    let report = push.report(finished(2, json!(PULL)));
    assert!(report.log.iter().any(|(_, line)| line.contains("cannot be read") && line.ends_with("16 are asked for")), "{:?}", report.log);
    let request = report.only().http();
    assert_eq!((request.method.as_str(), request.path[9..].join("/").as_str()), ("PUT", "comments/2"));
    let Body::Json(body) = &request.body else { panic!("no JSON") };
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["version"], 4);
    assert!(body["text"].as_str().unwrap().ends_with("\n\n[//]: # (reporter-host:buildbot/linux)"), "{body}");
    let tag = report.only().terms().tag.clone().unwrap();

    // Somebody else has edited it meanwhile.
    testing::remote(|request| {
        assert_eq!(request.path[9..].join("/"), "comments/2");
        reporter_sdk::http::Answer { status: 200, headers: Vec::new(), body: br#"{"id": 2, "version": 9}"#.to_vec(), ended: "answered".into() }
    });
    let conflict = reporter_sdk::http::Answer { status: 409, headers: Vec::new(), body: Vec::new(), ended: "dead".into() };
    let again = push.answered(&tag, &conflict);
    let Body::Json(body) = &again.only().http().body else { panic!("no JSON") };
    assert_eq!(serde_json::from_str::<Value>(body).unwrap()["version"], 9);

    let sets = configure(json!({"editComment": true, "buildSetSummary": true}));
    testing::remote(|_| reporter_sdk::http::Answer { status: 200, headers: Vec::new(), body: br#"{"values": []}"#.to_vec(), ended: "answered".into() });
    let set = json!({"kind": "buildset-complete", "buildset": {"results": 2}, "builds": [build("linux", 2, json!(PULL))]});
    assert!(comment(sets.report(set).only()).ends_with("[//]: # (reporter-host:whole%20buildset)"));
}

#[test]
fn what_a_build_prints_is_no_marker() {
    const PRINTED: &str = "[//]: # (reporter-host:buildbot/release)";
    testing::remote(|_| Answer { status: 403, headers: Vec::new(), body: Vec::new(), ended: "answered".into() });
    for edit in [false, true] {
        let push = configure(json!({"editComment": edit, "messageFormatter": {"template": PRINTED}}));
        let text = comment(push.report(finished(2, json!(PULL))).only());
        assert!(text.contains("[//]: # (reporter-host :buildbot/release)") && !text.contains(PRINTED), "{text}");
    }
}

#[test]
fn who_logs_in_is_who_comments_if_the_server_does_not_say_it() {
    let found = |user: &'static str| {
        testing::remote(|request| {
            let body = match request.path.last().map(String::as_str) {
                Some("application-properties") => json!({"version": "7.21.0"}),
                _ => {
                    json!({"values": [{"action": "COMMENTED", "comment": {"id": 2, "text": "[//]: # (reporter-host:buildbot/linux)", "author": {"name": "bot"}}}]})
                }
            };
            Answer { status: 200, headers: Vec::new(), body: body.to_string().into_bytes(), ended: "answered".into() }
        });
        configure(json!({"editComment": true, "user": user})).report(finished(2, json!(PULL))).only().http().method.clone()
    };
    // Each thread has a state of its own.
    let found = |user: &'static str| std::thread::spawn(move || found(user)).join().unwrap();
    assert_eq!(["Bot", "eve", "RHSECRETAAAAAAAAAAAAAAAAAAAAAAAA"].map(found), ["PUT", "POST", "POST"]);
}

#[test]
fn problems() {
    let at = |settings: Value| testing::configure::<BitbucketServerPRCommentPush>(settings).unwrap_err().0.remove(0).at;
    let with = |key: &str, value: Value| {
        let mut settings = json!({"base_url": "https://b", "user": "u", "password": "p"});
        settings[key] = value;
        at(settings)
    };
    assert_eq!(with("base_url", json!("bitbucket.example.org")), "/base_url");
    assert_eq!(with("mode", json!(["all"])), "/mode/0");
    assert_eq!(with("messageFormatter", json!({"template": "{{ x"})), "/messageFormatter/template");
    let both = json!({"base_url": "https://b", "user": "u", "password": "p", "builders": ["a"], "tags": ["b"]});
    assert_eq!(at(both), "/tags");
}
