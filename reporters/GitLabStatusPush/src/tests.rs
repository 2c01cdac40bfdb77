use reporter_sdk::delivery::Verdict;
use reporter_sdk::http::Body;
use reporter_sdk::prelude::*;
use reporter_sdk::testing::{self, Configured, Delivery};
use serde_json::{Value, json};

use crate::GitLabStatusPush;

const SHA: &str = "4f1c9d2aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const GONE: &str =
    "GitLab has no project a/gone, or hides it from the setting token: 404 Project Not Found; give that token scope api and role Developer in the project";
const URL: &str = "https://ci.example/#/builders/1/builds/12";

fn configure(mut settings: Value) -> Configured<GitLabStatusPush> {
    settings.as_object_mut().unwrap().entry("token").or_insert(json!("tok"));
    testing::configure(settings).unwrap_or_else(|problems| panic!("{problems}"))
}

fn stamp(codebase: &str, repository: &str, branch: Value, revision: Value) -> Value {
    json!({"codebase": codebase, "project": "x", "repository": repository, "branch": branch, "revision": revision})
}

fn event(kind: &str, results: Value) -> Value {
    json!({"kind": kind, "source": "main", "builds": [{
        "number": 12, "buildrequestid": 30, "results": results, "complete": !results.is_null(), "url": URL,
        "builder": {"name": "linux", "tags": ["unit"]},
        "properties": {"buildername": ["linux", "Builder"], "buildnumber": [12, "Build"]},
        "buildset": {"sourcestamps": [stamp("", "git@gitlab.com:grp/sub/proj.git", json!("main"), json!(SHA))]}
    }]})
}

fn request(kind: &str, results: Value) -> Value {
    let mut event = event(kind, results);
    event["builds"][0]["number"] = Value::Null;
    of_request(30, event)
}

/// The same event, of another build request.
fn of_request(id: u64, mut event: Value) -> Value {
    let build = &mut event["builds"][0];
    // As the host has them: of a pseudo-build, only the request says its id.
    build["buildrequestid"] = if build["number"].is_null() { Value::Null } else { json!(id) };
    build["buildrequest"] = json!({"buildrequestid": id});
    event
}

fn with(properties: Value, stamps: Value) -> Value {
    let mut event = event("build-finished", json!(0));
    for (name, value) in properties.as_object().unwrap() {
        event["builds"][0]["properties"][name] = json!([value, "Change"]);
    }
    event["builds"][0]["buildset"]["sourcestamps"] = stamps;
    event
}

fn body(delivery: &Delivery) -> Value {
    match &delivery.http().body {
        Body::Json(text) => serde_json::from_str(text).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn path(delivery: &Delivery) -> String {
    delivery.http().path[3..].join(" ")
}

fn answer(ended: &str, status: u16, body: Value) -> Answer {
    Answer { status, headers: Vec::new(), body: body.to_string().into_bytes(), ended: ended.into() }
}

/// A GitLab in which every project has this id, but those that are called `gone`.
fn projects(id: u64) {
    testing::remote(move |request| {
        assert_eq!((request.endpoint.as_str(), &request.path[..3]), ("api", &["api", "v4", "projects"].map(str::to_owned)[..]));
        match request.path[3].ends_with("gone") {
            true => answer("answered", 404, json!({"message": "404 Project Not Found"})),
            false => answer("answered", 200, json!({"id": id, "path_with_namespace": request.path[3]})),
        }
    });
}

#[test]
fn start_and_end() {
    projects(42);
    let push = configure(json!({}));
    assert_eq!(push.plan.events, ["build-started", "build-finished", "buildrequest-new", "buildrequest-cancelled"]);
    assert_eq!(push.plan.uses, ["state"]);
    let started = push.report(event("build-started", Value::Null));
    assert_eq!(started.only().http().path, ["api", "v4", "projects", "42", "statuses", SHA]);
    assert_eq!(body(started.only()), json!({"state": "running", "ref": "main", "description": "Build started.", "target_url": URL, "name": "buildbot/linux"}));
    assert_eq!(testing::state()["projects"], r#"[["grp/sub/proj","42"]]"#);
    testing::remote(|request| panic!("asked again: {request:?}"));
    let finished = push.report(event("build-finished", json!(2)));
    assert_eq!((&body(finished.only())["state"], &body(finished.only())["description"]), (&json!("failed"), &json!("Build done.")));
    let (start, end) = (started.only().terms(), finished.only().terms());
    assert_eq!(start.lane.as_deref(), Some(format!("42 {SHA} buildbot/linux \"main\"").as_str()));
    assert_eq!((&start.supersede, &end.lane, &end.supersede), (&start.lane, &start.lane, &start.lane));
    assert_eq!((start.expire_after, end.expire_after), (Some(3600), None));
    assert_eq!(end.title.as_deref(), Some("failure of build 12 on linux to grp/sub/proj@4f1c9d2"));
    let rule = &end.rules[0];
    assert_eq!((rule.from_status, rule.to_status, rule.body_contains.as_str()), (400, 400, "Cannot transition status"));
    assert!(matches!(rule.verdict, Verdict::Done));
    assert_eq!(push.report(event("build-finished", json!(5))).only().terms().expire_after, Some(3600));
}

#[test]
fn build_requests() {
    projects(42);
    let push = configure(json!({}));
    let said = |kind: &str, results: Value| body(push.report(request(kind, results)).only());
    let new = said("buildrequest-new", Value::Null);
    assert_eq!((&new["state"], &new["description"]), (&json!("pending"), &json!("Build pending.")));
    let cancelled = said("buildrequest-cancelled", json!(6));
    assert_eq!((&cancelled["state"], &cancelled["description"]), (&json!("canceled"), &json!("Build pending.")));
    assert_eq!(configure(json!({"events": ["build-finished"]})).plan.events, ["build-finished"]);
}

#[test]
fn every_source_stamp_for_itself() {
    projects(42);
    let report = configure(json!({})).report(with(
        json!({}),
        json!([
            stamp("none", "https://gitlab.com/a/none", Value::Null, Value::Null),
            stamp("a", "https://gitlab.com/a/a.git/", Value::Null, json!("aa")),
            stamp("gone", "https://gitlab.com/a/gone", json!("main"), json!("bb")),
            stamp("flat", "https://gitlab.com/flat.git", json!("main"), json!("cc")),
            stamp("file", "file:///srv/git/r.git", json!("main"), json!("dd")),
            stamp("long", "https://gitlab.com/a/long", json!("main"), json!("f".repeat(20_000))),
            stamp("deep", &format!("https://gitlab.com/{}deep", "g/".repeat(9_000)), json!("main"), json!("ff")),
            stamp("again", "git@gitlab.com:a/a.git", json!("main"), json!("aa")),
            stamp("empty", "", json!("main"), json!("ee")),
        ]),
    ));
    assert_eq!((path(report.only()).as_str(), &body(report.only())["ref"]), ("42 statuses aa", &Value::Null));
    let said: Vec<&str> = report.log.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(
        said,
        [
            "the source stamp of codebase none has no revision",
            "the source stamp of codebase flat has a repository without a group: https://gitlab.com/flat.git",
            "the source stamp of codebase file has a repository that is no URL of a group and a name: file:///srv/git/r.git",
            "the source stamp of codebase long has a revision of 20000 characters",
            "the source stamp of codebase deep has a repository whose path has 18004 bytes",
            "the source stamp of codebase empty has no repository",
            GONE,
        ]
    );
    let skipped = |stamps: Value| configure(json!({})).report(with(json!({}), stamps)).skipped().to_owned();
    assert_eq!(skipped(json!([])), "the build has no source stamp");
    // GitLab has the same answer for a token of the wrong scope, which is not to be silent.
    let gone = configure(json!({})).report(with(json!({}), json!([stamp("", "https://gitlab.com/a/gone", json!("main"), json!("bb"))])));
    assert_eq!(gone.outcome, Err(Failure::for_good(GONE)));
}

#[test]
fn merge_requests() {
    testing::remote(|request| match request.path[3].as_str() {
        "grp/lib" => answer("answered", 200, json!({"id": 8})),
        other => panic!("{other}"),
    });
    let push = configure(json!({}));
    let stamps = json!([
        stamp("", "https://gitlab.com/grp/proj.git", json!("main"), json!("aa")),
        stamp("lib", "https://gitlab.com/grp/lib", json!("dev"), json!("bb"))
    ]);
    let told = |properties: Value| -> Vec<String> {
        let report = push.report(with(properties, stamps.clone()));
        report.sent.iter().map(|sent| format!("{} {}", path(sent), body(sent)["ref"].as_str().unwrap())).collect()
    };
    let mut properties = json!({"source_project_id": 77, "source_branch": "fix", "target_repository": "git@gitlab.com:grp/proj.git"});
    assert_eq!(told(properties.clone()), ["77 statuses aa fix", "8 statuses bb dev"]);
    // Where nothing says which one it is about, both are, as in Buildbot.
    properties["target_repository"] = Value::Null;
    properties["source_project_id"] = json!("77");
    assert_eq!(told(properties), ["77 statuses aa fix", "77 statuses bb fix"]);
}

#[test]
fn a_project_that_has_moved_is_asked_for_again() {
    projects(42);
    let push = configure(json!({}));
    let tag = |report: &testing::Report| report.only().terms().tag.clone();
    let first = tag(&push.report(event("build-started", Value::Null))).unwrap();
    assert_eq!(push.answered(&first, &answer("dead", 404, json!({"message": "404 Project Not Found"}))).skipped(), "the project was not looked up");
    let report = push.report(event("build-finished", json!(0)));
    let tag = tag(&report).unwrap();
    for other in [answer("dead", 404, json!({"message": "404 Commit Not Found"})), answer("dead", 403, json!({})), answer("superseded", 0, json!({}))] {
        assert_eq!(push.answered(&tag, &other).skipped(), "the project is known");
    }
    assert_eq!(push.answered(&tag, &answer("delivered", 201, json!({"pipeline_id": 7}))).skipped(), "there is nothing to keep");
    let not_found = answer("dead", 404, json!({"message": "404 Project Not Found"}));
    projects(43);
    let again = push.answered(&tag, &not_found);
    assert_eq!((path(again.only()), body(again.only())), (format!("43 statuses {SHA}"), body(report.only())));
    assert_eq!((&again.only().terms().title, &again.only().terms().tag), (&report.only().terms().title, &None));
    assert_eq!(testing::state()["projects"], r#"[["grp/sub/proj","43"]]"#);
    // The same id again leads nowhere, nor does a project that is gone.
    let tag = tag.replace("\"42\"", "\"43\"");
    assert!(push.answered(&tag, &not_found).skipped().starts_with("GitLab says that the project is there"));
    testing::remote(|_| answer("answered", 404, json!({})));
    assert!(push.answered(&tag, &not_found).skipped().starts_with("GitLab has no project"));
    assert!(!testing::state().contains_key("projects"));
}

#[test]
fn a_build_stays_in_the_pipeline_of_its_first_status() {
    projects(42);
    let push = configure(json!({}));
    let numbered = |number: u64, kind: &str, results: Value| {
        let mut event = event(kind, results);
        event["builds"][0]["number"] = json!(number);
        of_request(number, event)
    };
    let pipeline = |report: &testing::Report| body(report.only()).get("pipeline_id").cloned();
    let started = push.report(numbered(12, "build-started", Value::Null));
    assert_eq!(pipeline(&started), None);
    let tag = |report: &testing::Report| report.only().terms().tag.clone().unwrap();
    let said = push.answered(&tag(&started), &answer("delivered", 201, json!({"id": 1, "pipeline_id": 100})));
    assert_eq!(said.skipped(), "the status is in the pipeline 100");
    // A build request, and another build of the same commit, are where GitLab puts them.
    assert_eq!(pipeline(&push.report(request("buildrequest-new", Value::Null))), None);
    let other = push.report(numbered(13, "build-started", Value::Null));
    assert_eq!(pipeline(&other), None);
    // Of what is not sent, nothing is waited for.
    push.answered(&tag(&other), &answer("superseded", 0, json!({})));
    push.answered(&tag(&push.report(request("buildrequest-new", Value::Null))), &answer("delivered", 400, json!({"message": "Cannot transition status"})));
    // A retry is no end.
    let retry = push.report(numbered(12, "build-finished", json!(5)));
    assert_eq!(pipeline(&retry), Some(json!(100)));
    let ended = push.report(numbered(12, "build-finished", json!(0)));
    assert_eq!((pipeline(&ended), testing::state().contains_key("pipelines")), (Some(json!(100)), false));

    // The pipeline has been deleted.
    let gone = answer("dead", 404, json!({"message": "404 Pipeline for pipeline_id, sha and ref Not Found"}));
    let again = push.answered(&tag(&ended), &gone);
    let mut without = body(ended.only());
    without.as_object_mut().unwrap().remove("pipeline_id");
    assert_eq!((body(again.only()), path(again.only())), (without, path(ended.only())));
    assert_eq!((again.only().terms().expire_after, &again.only().terms().title), (None, &ended.only().terms().title));
    assert!(push.answered(&tag(&started), &gone).sent.is_empty());
}

#[test]
fn a_build_stays_in_the_pipeline_of_its_request() {
    projects(42);
    let push = configure(json!({}));
    let pipeline = |report: &testing::Report| body(report.only()).get("pipeline_id").cloned();
    let waits = || {
        let report = push.report(request("buildrequest-new", Value::Null));
        assert_eq!(pipeline(&report), None);
        let answer = answer("delivered", 201, json!({"id": 1, "pipeline_id": 100}));
        assert_eq!(push.answered(report.only().terms().tag.as_ref().unwrap(), &answer).skipped(), "the status is in the pipeline 100");
    };
    for kinds in [&[("build-started", Value::Null), ("build-finished", json!(5)), ("build-finished", json!(2))][..], &[("build-finished", json!(0))]] {
        waits();
        for (kind, results) in kinds {
            assert_eq!(pipeline(&push.report(event(kind, results.clone()))), Some(json!(100)), "{kind}");
        }
        assert!(!testing::state().contains_key("pipelines"));
    }
    waits();
    assert_eq!(pipeline(&push.report(request("buildrequest-cancelled", json!(6)))), Some(json!(100)));
    assert!(!testing::state().contains_key("pipelines"));
}

#[test]
fn a_pipeline_is_that_of_one_request_alone() {
    projects(42);
    let push = configure(json!({}));
    let pipeline = |report: &testing::Report| body(report.only()).get("pipeline_id").cloned();
    let put =
        |report: &testing::Report, id: u64| push.answered(report.only().terms().tag.as_ref().unwrap(), &answer("delivered", 201, json!({"pipeline_id": id})));
    // GitLab answers to what the request says before its build begins, before that ends, and after that.
    for answered in 0..3 {
        let waits = push.report(request("buildrequest-new", Value::Null));
        let late = |now: usize| {
            if answered == now {
                assert_eq!(put(&waits, 100).skipped(), "the status is in the pipeline 100, which is not kept: the build has begun or ended meanwhile");
            }
        };
        if answered == 0 {
            put(&waits, 100);
        }
        let started = push.report(event("build-started", Value::Null));
        assert_eq!(pipeline(&started), (answered == 0).then(|| json!(100)));
        late(1);
        put(&started, 101);
        assert_eq!(pipeline(&push.report(event("build-finished", json!(0)))), Some(json!(101)));
        late(2);
        assert!(!testing::state().contains_key("pipelines"), "{answered}");

        // The same commit is built again, in another pipeline of the same ref.
        put(&push.report(of_request(31, request("buildrequest-new", Value::Null))), 105);
        for (kind, results) in [("build-started", Value::Null), ("build-finished", json!(0))] {
            assert_eq!(pipeline(&push.report(of_request(31, event(kind, results)))), Some(json!(105)), "{kind}");
        }
        assert!(!testing::state().contains_key("pipelines"));
    }
    // What is answered to a build's start after its end.
    let started = push.report(event("build-started", Value::Null));
    push.report(event("build-finished", json!(0)));
    put(&started, 107);
    assert!(!testing::state().contains_key("pipelines"));
    // A build that is made again, under another number.
    put(&push.report(event("build-started", Value::Null)), 108);
    push.report(event("build-finished", json!(5)));
    let mut again = event("build-finished", json!(0));
    again["builds"][0]["number"] = json!(13);
    assert_eq!(pipeline(&push.report(again)), Some(json!(108)));
    assert!(!testing::state().contains_key("pipelines"));
}

#[test]
fn what_names_the_path_and_what_names_the_id_keep_their_order() {
    let push = configure(json!({}));
    let about = |report: &testing::Report| {
        let terms = report.only().terms();
        (terms.lane.clone().unwrap(), terms.supersede.clone().unwrap())
    };
    let answered = |report: &testing::Report, answer: Answer| push.answered(report.only().terms().tag.as_ref().unwrap(), &answer);
    testing::remote(|_| answer("answered", 500, Value::Null));
    let started = push.report(event("build-started", Value::Null));
    assert_eq!(path(started.only()), format!("grp/sub/proj statuses {SHA}"));
    answered(&started, answer("delivered", 201, json!({"pipeline_id": 100})));
    projects(43);
    // Asked for, and kept.
    for results in [5, 0] {
        let ended = push.report(event("build-finished", json!(results)));
        assert_eq!((path(ended.only()), &body(ended.only())["pipeline_id"]), (format!("43 statuses {SHA}"), &json!(100)));
        assert_eq!(about(&ended), about(&started));
        let again = answered(&ended, answer("dead", 404, json!({"message": "404 Pipeline for pipeline_id, sha and ref Not Found"})));
        assert_eq!((path(again.only()), about(&again)), (path(ended.only()), about(&started)));
        if results == 5 {
            answered(&again, answer("delivered", 201, json!({"pipeline_id": 100})));
        }
    }
    assert!(!testing::state().contains_key("pipelines"));
    projects(44);
    let kept = push.report(event("build-finished", json!(0)));
    let moved = answered(&kept, answer("dead", 404, json!({"message": "404 Project Not Found"})));
    assert_eq!((path(moved.only()), about(&moved)), (format!("44 statuses {SHA}"), about(&started)));
}

#[test]
fn a_pipeline_that_the_operator_names_and_gitlab_does_not_have() {
    projects(42);
    let push = configure(json!({"pipelineId": "77"}));
    let gone = answer("dead", 404, json!({"message": "404 Pipeline for pipeline_id, sha and ref Not Found"}));
    for report in [event("build-started", Value::Null), event("build-finished", json!(0)), request("buildrequest-new", Value::Null)] {
        let report = push.report(report);
        assert_eq!(body(report.only())["pipeline_id"], 77);
        let again = push.answered(report.only().terms().tag.as_ref().unwrap(), &gone);
        let mut without = body(report.only());
        without.as_object_mut().unwrap().remove("pipeline_id");
        assert_eq!((body(again.only()), path(again.only())), (without, path(report.only())));
        assert!(again.log[0].1.starts_with("GitLab has no pipeline 77 of this commit and ref, as pipelineId says"), "{:?}", again.log);
    }
}

#[test]
fn a_pipeline_that_the_operator_names() {
    projects(42);
    let push = configure(json!({"pipelineId": "%(prop:pipeline_id)s"}));
    let named = |id: Value| push.report(with(json!({"pipeline_id": id}), json!([stamp("", "git@gitlab.com:grp/sub/proj.git", json!("main"), json!(SHA))])));
    assert_eq!(body(named(json!(77)).only())["pipeline_id"], 77);
    assert_eq!(body(named(json!("78")).only())["pipeline_id"], 78);
    let wrong = named(json!("main"));
    assert_eq!((body(wrong.only()).get("pipeline_id"), wrong.log.len()), (None, 1));
    let none = push.report(event("build-finished", json!(0)));
    assert_eq!((body(none.only()).get("pipeline_id"), none.log.len()), (None, 0));
}

#[test]
fn what_is_too_long_for_its_tag_is_said_with_the_next_one() {
    projects(42);
    let push = configure(json!({"endDescription": "ü".repeat(600), "context": "ä".repeat(600)}));
    push.report(event("build-started", Value::Null));
    let report = push.report(event("build-finished", json!(0)));
    let tag = report.only().terms().tag.clone().unwrap();
    assert!(tag.len() <= 1_000);
    // Its description is what it can do without.
    projects(43);
    let again = push.answered(&tag, &answer("dead", 404, json!({"message": "404 Project Not Found"})));
    assert_eq!((path(again.only()), body(again.only()).get("description")), (format!("43 statuses {SHA}"), None));
    let mut event = event("build-finished", json!(0));
    event["builds"][0]["buildset"]["sourcestamps"][0]["branch"] = json!("ö".repeat(255));
    let tag = push.report(event).only().terms().tag.clone().unwrap();
    assert!(tag.len() <= 1_000);
    let answered = push.answered(&tag, &answer("dead", 404, json!({"message": "404 Project Not Found"})));
    assert_eq!(answered.skipped(), "the project has moved: the next status asks for it again");
    assert!(!testing::state().contains_key("projects"));
}

#[test]
fn a_question_that_is_refused_is_no_silence() {
    testing::remote(|_| answer("answered", 401, json!({"message": "401 Unauthorized"})));
    let failure = configure(json!({})).report(event("build-finished", json!(0))).outcome.unwrap_err();
    assert!(!failure.again && failure.message.contains("401 Unauthorized") && failure.message.contains("look at the token"), "{failure}");
    testing::remote(|_| answer("answered", 200, json!({"html": 1})));
    assert!(configure(json!({})).report(event("build-finished", json!(0))).outcome.unwrap_err().message.contains("look at baseURL"));
    // Without a network, or a GitLab that can say, its other name for a project stands in.
    for status in [0, 500, 502, 503] {
        testing::remote(move |_| answer("answered", status, Value::Null));
        assert_eq!(path(configure(json!({})).report(event("build-finished", json!(0))).only()), format!("grp/sub/proj statuses {SHA}"));
        assert!(!testing::state().contains_key("projects"));
    }
}

#[test]
fn what_gitlab_would_refuse_is_cut_or_left_out() {
    projects(42);
    let push = configure(json!({"context": "c".repeat(300), "endDescription": "ü".repeat(300)}));
    let mut event = with(json!({"source_branch": "b".repeat(256)}), json!([stamp("", "git@gitlab.com:a/b.git", json!("main"), json!("aa"))]));
    event["builds"][0]["url"] = json!(format!("https://ci.example/{}", "x".repeat(255)));
    let sent = body(push.report(event.clone()).only());
    let length = |key: &str| sent[key].as_str().unwrap().chars().count();
    assert_eq!((length("description"), length("name"), &sent["ref"], sent.get("target_url")), (255, 255, &Value::Null, None));
    event["builds"][0]["url"] = json!("");
    assert!(body(push.report(event).only()).get("target_url").is_none());
}

#[test]
fn renderables_and_components() {
    projects(42);
    let push =
        configure(json!({"context": "ci/%(prop:buildername)s", "startDescription": "#%(prop:buildnumber)s", "endDescription": {"component": "mine.wasm"}}));
    let started = body(push.report(event("build-started", Value::Null)).only());
    assert_eq!((&started["name"], &started["description"]), (&json!("ci/linux"), &json!("#12")));
    testing::plug("description", |subjects, context| Ok(Document(json!(format!("{} {}", subjects.build()?.builder(), context.text("state"))))));
    assert_eq!(body(push.report(event("build-finished", json!(6))).only())["description"], "linux canceled");
    testing::plug("description", |_, _| Ok(Document(json!(""))));
    assert!(body(push.report(event("build-finished", json!(6))).only()).get("description").is_none());
}

#[test]
fn the_endpoint_and_problems() {
    let endpoint = |settings: Value| configure(settings).plan.endpoints.remove(0).settings;
    let auth = json!({"header": {"name": "PRIVATE-TOKEN", "value": "tok"}});
    assert_eq!(endpoint(json!({})), json!({"base_url": "https://gitlab.com", "auth": auth, "probe": ["api", "v4", "user"]}));
    for base in ["https://git.yourcompany.com", "https://git.yourcompany.com/"] {
        assert_eq!(endpoint(json!({"baseURL": base, "verbose": true, "debug": true}))["base_url"], "https://git.yourcompany.com");
    }
    assert_eq!(endpoint(json!({"baseURL": "https://example.org/gitlab/", "verify": false}))["base_url"], "https://example.org/gitlab");
    let problem = |settings: Value| {
        let problem = testing::configure::<GitLabStatusPush>(settings).unwrap_err().0.remove(0);
        (problem.at, problem.message)
    };
    for base in ["https://git.yourcompany.com/api/v4", "https://git.yourcompany.com/api/", "https://git.yourcompany.com/api"] {
        assert_eq!(
            problem(json!({"token": "t", "baseURL": base})),
            ("/baseURL".into(), "the API below it is added here: write https://git.yourcompany.com".into())
        );
    }
    assert_eq!(problem(json!({"token": ""})).0, "/token");
    assert_eq!(problem(json!({"token": "t", "baseURL": "git.yourcompany.com"})).0, "/baseURL");
    assert_eq!(problem(json!({"token": "t", "events": ["worker-missing"]})).0, "/events/0");
    let skipped = |settings: Value| configure(settings).report(event("build-finished", json!(0))).skipped().to_owned();
    assert_eq!(skipped(json!({"builders": ["mac"]})), "builder linux is not in builders");
    assert_eq!(skipped(json!({"tags": "nightly"})), "builder linux has none of the tags nightly");
}
