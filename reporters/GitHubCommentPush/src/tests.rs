use reporter_sdk::delivery::Verdict;
use reporter_sdk::http::Body;
use reporter_sdk::prelude::*;
use reporter_sdk::testing::{self, Configured, Delivery};
use serde_json::{Value, json};

use crate::GitHubCommentPush;

const SHA: &str = "4f1c9d2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const URL: &str = "https://ci.example/#/builders/1/builds/12";

fn configure(mut settings: Value) -> Configured<GitHubCommentPush> {
    if settings.get("token").is_none() {
        settings["token"] = json!("tok");
    }
    testing::configure(settings).unwrap_or_else(|problems| panic!("{problems}"))
}

fn build(number: u64, results: Value) -> Value {
    json!({
        "number": number, "results": results, "complete": !results.is_null(), "url": URL,
        "builder": {"name": "linux", "tags": ["unit"]},
        "properties": {"buildername": ["linux", "Builder"], "buildnumber": [number, "Build"], "branch": ["refs/pull/7/merge", "Change"]},
        "buildset": {"sourcestamps": [{"codebase": "", "project": "octo/repo", "repository": "https://github.com/octo/repo", "revision": SHA, "branch": "refs/pull/7/merge"}]}
    })
}

fn event(kind: &str, results: Value) -> Value {
    json!({"kind": kind, "source": "main", "master": {"title": "CI"}, "builds": [build(12, results)]})
}

fn with_stamps(branch: &str, stamps: Value) -> Value {
    let mut event = event("build-finished", json!(0));
    event["builds"][0]["properties"]["branch"][0] = json!(branch);
    event["builds"][0]["buildset"]["sourcestamps"] = stamps;
    event
}

fn body(delivery: &Delivery) -> String {
    let Body::Json(text) = &delivery.http().body else { panic!("no JSON") };
    let body: Value = serde_json::from_str(text).unwrap();
    assert_eq!(body.as_object().unwrap().len(), 1, "{body}");
    body["body"].as_str().unwrap().into()
}

fn path(delivery: &Delivery) -> String {
    format!("{} {}", delivery.http().method, delivery.http().path.join("/"))
}

fn answer(ended: &str, status: u16, body: Value) -> Answer {
    Answer { status, headers: Vec::new(), body: body.to_string().into_bytes(), ended: ended.into() }
}

#[test]
fn at_the_end_only_unless_there_is_something_to_say_before() {
    let push = configure(json!({}));
    assert_eq!(push.plan.events, ["build-finished"]);
    assert!(push.plan.uses.is_empty());
    let report = push.report(event("build-finished", json!(2)));
    assert_eq!((path(report.only()).as_str(), body(report.only()).as_str()), ("POST repos/octo/repo/issues/7/comments", "Build done."));
    let terms = report.only().terms();
    assert_eq!(terms.title.as_deref(), Some("failure of build 12 on linux to octo/repo#7"));
    assert_eq!((terms.lane.as_deref(), &terms.supersede, &terms.tag), (Some("octo/repo#7"), &None, &None));
    let dead: Vec<u16> = terms.rules.iter().filter(|rule| matches!(rule.verdict, Verdict::Dead)).map(|rule| rule.from_status).collect();
    assert_eq!(dead, [401, 404, 422]);

    let push = configure(json!({"startDescription": "Started %(prop:buildername)s", "endDescription": "Done #%(prop:buildnumber)s"}));
    assert_eq!(push.plan.events, ["build-started", "build-finished"]);
    let started = push.report(event("build-started", Value::Null));
    assert_eq!(body(started.only()), "Started linux");
    assert_eq!(started.only().terms().title.as_deref(), Some("start of build 12 on linux to octo/repo#7"));
    assert_eq!(body(push.report(event("build-finished", json!(0))).only()), "Done #12");

    let empty = configure(json!({"startDescription": "", "endDescription": ""}));
    assert_eq!(empty.plan.events, ["build-finished"]);
    assert_eq!(body(empty.report(event("build-finished", json!(0))).only()), "Build done.");
    assert_eq!(configure(json!({"endDescription": "%(prop:gone)s"})).report(event("build-finished", json!(0))).sent.len(), 0);
}

#[test]
fn pull_requests_of_source_stamps() {
    let stamp = |codebase: &str, repository: &str, branch: &str, revision: Value| json!({"codebase": codebase, "project": "", "repository": repository, "branch": branch, "revision": revision});
    let push = configure(json!({}));
    let paths = |branch: &str, stamps: Value| -> Vec<String> { push.report(with_stamps(branch, stamps)).sent.iter().map(path).collect() };
    let (a, b) = ("https://github.com/octo/a", "git@github.com:octo/b.git");
    // Where no stamp says, the property does, for all of them.
    assert_eq!(
        paths("refs/pull/9/head", json!([stamp("a", a, "main", json!("aa")), stamp("b", b, "", json!("bb"))])),
        ["POST repos/octo/a/issues/9/comments", "POST repos/octo/b/issues/9/comments"]
    );
    assert_eq!(
        paths("", json!([stamp("a", a, "refs/pull/5/merge", json!("aa")), stamp("b", b, "main", json!("bb"))])),
        ["POST repos/octo/a/issues/5/comments"]
    );
    // One without a revision or a repository stops nobody, and two of one pull request are told once.
    let report = push.report(with_stamps(
        "refs/pull/9/merge",
        json!([
            stamp("gone", a, "", Value::Null),
            stamp("file", "/srv/git/r", "", json!("cc")),
            stamp("long", "https://github.com/octo/long", "", json!("d".repeat(20_000))),
            stamp("a", a, "", json!("aa")),
            stamp("again", "https://github.com/octo/a.git", "", json!("ab")),
        ]),
    ));
    assert_eq!(path(report.only()), "POST repos/octo/a/issues/9/comments");
    assert_eq!(report.log.len(), 3);
    assert_eq!(
        push.report(with_stamps("main", json!([stamp("", a, "main", json!("aa"))]))).skipped(),
        "the source stamp (octo/a@aa) is of no pull request: neither its branch nor the property branch is like refs/pull/7/merge"
    );
    assert_eq!(push.report(with_stamps("refs/pull/9/merge", json!([]))).skipped(), "the build has no source stamp");
}

#[test]
fn what_is_too_long_is_cut_and_its_link_survives() {
    let long = |text: &str| {
        let text = text.to_owned();
        testing::plug("description", move |_, _| Ok(Document(json!(text))));
        body(configure(json!({"endDescription": {"component": "mine.wasm"}})).report(event("build-finished", json!(2))).only())
    };
    let exact = "x".repeat(65_536);
    assert_eq!(long(&exact), exact);
    let ascii = long(&"x".repeat(65_537));
    assert!(ascii.ends_with(&format!("x…\n\n{URL}")));
    assert!((65_500..=65_536).contains(&ascii.chars().count()), "{}", ascii.chars().count());
    let wide = long(&format!("```\n{}", "🙂".repeat(70_000)));
    assert!(wide.chars().count() <= 65_536 && wide.len() <= 262_144);
    assert!(wide.ends_with(&format!("🙂…\n```\n\n{URL}")), "{}", &wide[wide.len() - 80..]);
}

#[test]
fn an_edited_comment() {
    let push = configure(json!({"editComment": true, "startDescription": "Started", "context": "ci/%(prop:buildername)s"}));
    assert_eq!(push.plan.uses, ["state"]);
    // Nobody's comments are looked through as long as it is unknown which are ours: an app's installation is no user.
    testing::remote(|request| match request.path.join("/").as_str() {
        "user" => answer("answered", 403, json!({"message": "Resource not accessible by integration"})),
        _ => panic!("{request:?}"),
    });
    let started = push.report(event("build-started", Value::Null));
    assert_eq!(body(started.only()), "Started\n\n<!-- reporter-host:ci/linux -->");
    let terms = started.only().terms();
    assert_eq!((terms.lane.as_deref(), &terms.supersede), (Some("octo/repo/7 ci/linux"), &terms.lane));
    let marked = |id: u64, user: u64| json!({"id": id, "user": {"id": user}, "body": "old\n\n<!-- reporter-host:ci/linux -->"});
    let comments = json!([marked(96, 6), marked(97, 5), marked(99, 5)]);
    testing::remote(move |request| {
        assert_eq!(request.path.join("/"), "repos/octo/repo/issues/7/comments");
        answer("answered", 200, comments.clone())
    });
    // The first comment tells who we are, and so that there is one of ours before it.
    let removal = push.answered(terms.tag.as_ref().unwrap(), &answer("delivered", 201, json!({"id": 99, "user": {"id": 5}, "body": "Started"})));
    assert_eq!(path(removal.only()), "DELETE repos/octo/repo/issues/comments/97");
    let finished = push.report(event("build-finished", json!(0)));
    assert_eq!(path(finished.only()), "PATCH repos/octo/repo/issues/comments/99");
    assert_eq!(body(finished.only()), "Build done.\n\n<!-- reporter-host:ci/linux -->");
    let anew = push.answered(finished.only().terms().tag.as_ref().unwrap(), &answer("dead", 404, json!({})));
    assert_eq!(path(anew.only()), "POST repos/octo/repo/issues/7/comments");
}

#[test]
fn an_earlier_comment_is_found_on_later_pages() {
    let push = configure(json!({"editComment": true}));
    // Of the first 64, the host hands on no 32 at once.
    testing::remote(|request| {
        if request.path == ["user"] {
            return answer("answered", 200, json!({"login": "ci", "id": 5}));
        }
        let number = |n: usize| request.query[n].1.parse::<u64>().unwrap();
        assert_eq!((request.query[0].0.as_str(), request.query[1].0.as_str()), ("per_page", "page"));
        let (size, page) = (number(0), number(1));
        let text =
            |id: u64| if id == 100 { "old\r\n\r\n<!-- reporter-host:buildbot/linux -->".to_owned() } else { "x".repeat(if id < 64 { 12_000 } else { 10 }) };
        let comments: Vec<Value> = ((page - 1) * size..(page * size).min(120)).map(|id| json!({"id": id, "user": {"id": 5}, "body": text(id)})).collect();
        let mut answer = answer("answered", 200, json!(comments));
        answer.body.truncate(256 << 10);
        let link = |n: u64, rel: &str| format!("<https://api.github.com/repositories/1/issues/7/comments?per_page={size}&page={n}>; rel=\"{rel}\"");
        let next = if page * size < 120 { link(page + 1, "next") } else { link(1, "first") };
        answer.headers.push(("link".into(), format!("{}, {next}", link(120 / size, "last"))));
        answer
    });
    let report = push.report(event("build-finished", json!(0)));
    assert_eq!(path(report.only()), "PATCH repos/octo/repo/issues/comments/100", "{:?}", report.log);
    assert_eq!(report.log.iter().filter(|(_, line)| line.contains("cannot be read")).count(), 2, "{:?}", report.log);
}

#[test]
fn a_buildset_has_one_comment() {
    let push = configure(json!({"buildSetSummary": true, "mode": "all", "endDescription": {"component": "mine.wasm"}}));
    assert_eq!(push.plan.events, ["buildset-complete"]);
    testing::plug("description", |subjects, context| {
        let Subjects::Builds(builds) = subjects else { return Err("no builds".into()) };
        Ok(Document(json!(format!("{} builds, {}, {}", builds.len(), context.text("state"), context.text("buildername")))))
    });
    let set = json!({"kind": "buildset-complete", "master": {}, "buildset": {"results": 2}, "builds": [build(12, json!(0)), build(13, json!(2))]});
    let report = push.report(set);
    assert_eq!(body(report.only()), "2 builds, failure, whole buildset");
    assert_eq!(report.only().terms().title.as_deref(), Some("end of a buildset with build 12 on linux to octo/repo#7"));
}

#[test]
fn buildsets_share_an_edited_comment_whichever_build_is_first() {
    testing::remote(|_| answer("answered", 403, json!({})));
    let ends = |settings: Value, builder: &str| {
        let mut first = build(12, json!(2));
        first["builder"]["name"] = json!(builder);
        first["properties"]["buildername"][0] = json!(builder);
        let set = json!({"kind": "buildset-complete", "master": {}, "buildset": {"results": 2}, "builds": [first]});
        body(configure(settings).report(set).only()).lines().last().unwrap().to_owned()
    };
    let sets = json!({"buildSetSummary": true, "mode": "all", "editComment": true});
    for builder in ["linux", "mac"] {
        assert_eq!(ends(sets.clone(), builder), "<!-- reporter-host:whole%20buildset -->");
    }
    let mut named = sets;
    named["context"] = json!("ci/%(prop:buildername)s");
    assert_eq!(ends(named, "mac"), "<!-- reporter-host:ci/mac -->");
}

#[test]
fn a_comment_that_is_not_edited_is_no_marker_either() {
    let push = configure(json!({"endDescription": "log:\n<!-- reporter-host:buildbot/release -->"}));
    assert_eq!(body(push.report(event("build-finished", json!(2))).only()), "log:\n<!-- reporter-host :buildbot/release -->");
}

#[test]
fn components() {
    let push = configure(json!({"endDescription": {"component": "mine.wasm"}, "startDescription": {"component": "mine.wasm"}}));
    assert_eq!(push.plan.events, ["build-started", "build-finished"]);
    testing::plug("description", |subjects, context| Ok(Document(json!(format!("{} {}", subjects.build()?.builder(), context.text("state"))))));
    assert_eq!(body(push.report(event("build-finished", json!(2))).only()), "linux failure");
    testing::plug("description", |_, _| Ok(Document(json!(""))));
    assert_eq!(push.report(event("build-finished", json!(2))).skipped(), "there is nothing to say: the description is empty");
    testing::plug("description", |_, _| Err("division by zero".into()));
    assert_eq!(body(push.report(event("build-finished", json!(2))).only()), "Build done. (Its formatter failed.)");
}

#[test]
fn tokens_and_problems() {
    let push = configure(json!({"token": "tok-%(prop:buildername)s"}));
    assert_eq!(push.report(event("build-finished", json!(0))).only().http().headers, [("authorization".into(), "token tok-linux".into())]);
    // A token that is made of the build cannot be tried without one.
    assert_eq!(push.plan.endpoints[0].settings.get("probe"), None);
    let endpoint =
        configure(json!({"baseURL": "https://ghe.example/api/v3/", "verify": false, "verbose": true, "debug": true})).plan.endpoints.remove(0).settings;
    assert_eq!((&endpoint["base_url"], &endpoint["verify"]), (&json!("https://ghe.example/api/v3"), &json!(false)));
    let skipped = |settings: Value| configure(settings).report(event("build-finished", json!(0))).skipped().to_owned();
    assert_eq!(skipped(json!({"builders": ["mac"]})), "builder linux is not in builders");
    assert_eq!(skipped(json!({"mode": ["failing"]})), "mode is failing, the build succeeded");
    let at = |settings: Value| testing::configure::<GitHubCommentPush>(settings).unwrap_err().0.remove(0).at;
    assert_eq!(at(json!({"token": ""})), "/token");
    assert_eq!(at(json!({"token": "t-%(prop:x)s", "editComment": true})), "/token");
    assert_eq!(at(json!({"token": "t", "baseURL": "ghe.example"})), "/baseURL");
    assert_eq!(at(json!({"token": "t", "mode": ["every"]})), "/mode/0");
    assert_eq!(at(json!({})), "");
}
