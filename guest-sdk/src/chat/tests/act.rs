//! What is done to a master, and what came of it.

use super::*;

fn schedulers() -> (&'static str, Value) {
    (
        "builders/1/forceschedulers",
        json!([{"name": "force", "enabled": true, "all_fields": [
        {"type": "text", "name": "reason", "fullName": "reason"}, {"type": "text", "name": "branch", "fullName": "branch", "default": ""}]}]),
    )
}

#[test]
fn force_goes_through_a_force_scheduler_and_tells_the_result() {
    usual(&[schedulers(), ("builders/2/forceschedulers", json!([]))]);
    let bot = bot(json!({"authz": {"force": ["alice"]}}));
    assert_eq!(say(&bot, "mallory", "#ci", "force build linux why"), "#ci: You may not use `force` here, mallory.");
    assert!(say(&bot, "alice", "#ci", "force build 'slow one' why").contains("No ForceScheduler of the master lists `slow one`"));
    assert!(say(&bot, "alice", "#ci", "force build --props=x=1 linux why").contains("does not take the property x"));
    assert!(say(&bot, "alice", "#ci", "force linux").starts_with("#ci: Try 'force build"));
    let report = bot.heard(json!({"kind": "message", "nick": "Alice", "place": "#ci", "text": "force build --branch=dev linux why not"}));
    assert_eq!(said(&report), r##"act force forceschedulers/force {"branch":"dev","reason":"forced by Alice on #ci: why not","builderid":1}"##);
    let terms = report.only().terms();
    assert_eq!(terms.title.as_deref(), Some("force of linux through force, asked for by Alice!~u@host on #ci"));
    let tag = terms.tag.clone().unwrap();
    let answer = |status: u16, body: &str, ended: &str| Answer { status, headers: vec![], body: body.into(), ended: ended.into() };
    assert!(
        said(&bot.answered(&tag, &answer(200, r#"[7, {"1": 50}]"#, "delivered"))).starts_with("#ci: Alice: the build of `linux` is requested ([request 50](")
    );
    assert_eq!(said(&bot.report(event("build-started", build(1, Value::Null)))), "#ci: Build [#1](https://ci/1) of `linux` started.");
    assert_eq!(said(&bot.report(event("build-finished", build(1, json!(5))))), "#ci: Build [#1](https://ci/1) of `linux` is to be tried again: failed test");
    assert_eq!(said(&bot.report(event("build-started", build(2, Value::Null)))), "#ci: Build [#2](https://ci/2) of `linux` started.", "the request goes on");
    assert_eq!(said(&bot.report(event("build-finished", build(2, json!(0))))), "#ci: Build [#2](https://ci/2) of `linux` completed successfully.");
    assert!(testing::state().is_empty(), "{:?}", testing::state());

    let refused = said(&bot.answered(&tag, &answer(400, r#"{"reason": "'Reason' needs to be specified"}"#, "dead")));
    assert_eq!(refused, "#ci: The build could not be forced, Alice: reason: 'Reason' needs to be specified");
    usual(&[("builders/1/buildrequests?order=-buildrequestid&limit=5", json!([{"buildrequestid": 77, "submitted_at": 1_000_001}]))]);
    let lost = said(&bot.answered(&tag, &answer(0, "broken pipe", "unknown")));
    assert!(lost.contains("I do not know whether it was done") && lost.contains("is 77, made after you asked"), "{lost}");
}

#[test]
fn a_lost_answers_request_is_found_whatever_the_masters_clock_says() {
    let requests = |limit: u64, ids: &[u64]| {
        let rows: Vec<Value> = ids.iter().map(|id| json!({"buildrequestid": id, "submitted_at": 9, "buildsetid": 7})).collect();
        (
            if limit == 1 { "builders/1/buildrequests?order=-buildrequestid&limit=1" } else { "builders/1/buildrequests?order=-buildrequestid&limit=5" },
            json!(rows),
        )
    };
    let bot = bot(json!({"authz": {"force": ["alice"]}}));
    for (before, after, words) in
        [(&[40][..], &[41, 40, 39][..], "is 41, made after you asked"), (&[], &[1], "is 1, made"), (&[40], &[40, 39], "There is no request")]
    {
        usual(&[schedulers(), requests(1, before), requests(5, after)]);
        let report = bot.heard(json!({"kind": "message", "nick": "Alice", "place": "#ci", "text": "force build linux why"}));
        let lost = Answer { status: 0, headers: vec![], body: vec![], ended: "unknown".into() };
        let said = said(&bot.answered(report.only().terms().tag.as_ref().unwrap(), &lost));
        assert!(said.contains(words), "{said}");
    }
}

/// What is said in #ci when a forced build's events and the answer to its request come in this order, and of it what tells that the build began and how it ended.
fn in_order(bot: &Configured<Mine>, order: &str) -> (String, usize, usize) {
    let report = bot.heard(json!({"kind": "message", "nick": "Alice", "place": "#ci", "text": "force build linux why"}));
    let tag = report.only().terms().tag.clone().unwrap();
    let mut all = String::new();
    for step in order.split(' ') {
        let report = match step {
            "answer" => bot.answered(&tag, &Answer { status: 200, headers: vec![], body: br#"[7, {"1": 50}]"#.to_vec(), ended: "delivered".into() }),
            "lost" => bot.answered(&tag, &Answer { status: 0, headers: vec![], body: b"broken pipe".to_vec(), ended: "unknown".into() }),
            "start" => bot.report(event("build-started", build(1, Value::Null))),
            "retry" => bot.report(event("build-finished", build(1, json!(5)))),
            "again" => bot.report(event("build-started", build(2, Value::Null))),
            "over" => bot.report(event("build-finished", build(2, json!(0)))),
            "cancelled" | "merged" => {
                let results = if step == "merged" { 0 } else { 6 };
                bot.report(json!({"kind": "buildset-complete", "source": "main", "buildset": {"bsid": 7, "results": results}, "builds": []}))
            }
            "set" => bot.report(json!({"kind": "buildset-complete", "source": "main", "buildset": {"bsid": 7, "results": 2}, "builds": [build(1, json!(2))]})),
            "foreign" => bot.report(json!({"kind": "buildset-complete", "source": "main", "buildset": {"bsid": 8, "results": 6}, "builds": []})),
            "other" => {
                let mut other = build(8, json!(0));
                other["buildrequestid"] = json!(51);
                bot.report(event("build-finished", other))
            }
            _ => bot.report(event("build-finished", build(1, json!(2)))),
        };
        all.push_str(&said(&report));
        all.push('\n');
    }
    assert_eq!(testing::state().keys().filter(|key| !key.starts_with("channel/")).collect::<Vec<_>>(), [""; 0], "{order}: nothing is left behind");
    let (started, ended) = (all.matches("`linux` started.").count(), all.matches("`linux` failed: failed test").count());
    (all, started, ended)
}

#[test]
fn a_forced_builds_result_is_told_once_whatever_comes_first() {
    // By the time of the answer the master's own table says more than its events have said.
    let rows = json!([{"buildid": 101, "number": 1, "complete": true, "results": 2, "state_string": "failed test"}]);
    let newest = json!([{"buildrequestid": 50, "submitted_at": 1_000_001}]);
    usual(&[schedulers(), ("buildrequests/50/builds", rows), ("builders/1/buildrequests?order=-buildrequestid&limit=5", newest)]);
    let alone = bot(json!({"authz": {"force": ["alice"]}}));
    for (order, began) in [
        ("answer start end", 1),
        ("start answer end", 1),
        // What has ended already has begun.
        ("start end answer", 0),
        ("end answer", 0),
        ("other start other answer other end", 1),
        ("lost start end", 1),
        ("start lost end", 1),
        ("start end lost", 0),
    ] {
        let (all, started, ended) = in_order(&alone, order);
        assert_eq!((started, ended), (began, 1), "{order}: {all}");
        assert!(!all.contains("I shall tell how it goes") || !order.ends_with("answer"), "{order}: {all}");
    }
    let (all, started, ended) = in_order(&alone, "answer start end set");
    assert_eq!((started, ended, all.lines().count()), (1, 1, 4), "the buildset says nothing more: {all}");
    let (all, ..) = in_order(&alone, "start retry answer again over");
    assert!(all.contains("`linux` started.") && all.ends_with("`linux` completed successfully.\n") && !all.contains("tried again"), "{all}");

    // Where events are announced anyway, it is not said a second time.
    let announcing = bot(json!({"authz": {"force": ["alice"]}, "notify": ["started", "finished"]}));
    announcing.heard(json!({"kind": "started"}));
    for order in ["answer start end", "start answer end", "start end answer"] {
        let (all, started, ended) = in_order(&announcing, order);
        // In #ci and in private with bob, whom the settings name.
        assert_eq!((started, ended), (2, 2), "{order}: {all}");
    }
}

#[test]
fn a_request_that_ends_without_a_build_is_told_once() {
    usual(&[schedulers()]);
    let bot = bot(json!({"authz": {"force": ["alice"]}}));
    for (end, words) in [("cancelled", "that you asked for was cancelled before it began"), ("merged", "was merged into a later request")] {
        for order in ["answer foreign END END", "foreign END answer END", "END answer", "start retry answer END"] {
            let (all, _, ended) = in_order(&bot, &order.replace("END", end));
            assert_eq!((all.matches(words).count(), ended), (1, 0), "{order}: {all}");
            assert!(all.contains("#ci: Alice: the build of `linux`") && !(order.ends_with("answer") && all.contains("I shall tell")), "{order}: {all}");
        }
    }
    assert_eq!(bot.report(json!({"kind": "buildset-complete", "source": "main", "buildset": {"bsid": 7}})).skipped(), "nobody asked for this event");
}

#[test]
fn stop_and_shutdown() {
    let running = json!([{"buildid": 9, "number": 3, "builderid": 1}]);
    usual(&[
        ("builds?complete=false&order=buildid&builderid=1", running),
        ("builds?complete=false&order=buildid&builderid=3", json!([])),
        ("shutdown", json!([{"state": "running"}])),
    ]);
    let bot = everything();
    assert_eq!(say(&bot, "al", "al", "stop build linux mistake made"), r#"act stop builds/9 {"reason":"stopped by al: mistake made"}"#);
    assert!(say(&bot, "al", "al", "stop build away x").contains("No build is running"));
    for wrong in ["stop", "stop build", "stop build linux", "stop it linux x"] {
        assert!(say(&bot, "al", "al", wrong).starts_with("al: Try 'stop build BUILDER REASON'"), "{wrong}");
    }
    assert_eq!(say(&bot, "al", "al", "shutdown check"), "al: The master main is running.");
    let report = bot.heard(json!({"kind": "message", "nick": "al", "place": "#ci", "text": "shutdown start"}));
    assert_eq!(said(&report), r##"act start shutdown {"reason":"asked for by al on #ci"}"##);
    let tag = report.only().terms().tag.clone().unwrap();
    let answer = Answer { status: 200, headers: vec![], body: br#""is shutting down""#.to_vec(), ended: "delivered".into() };
    assert_eq!(said(&bot.answered(&tag, &answer)), "#ci: Master main: is shutting down, al.");
    assert!(say(&bot, "al", "al", "shutdown").starts_with("al: Try 'shutdown check"));
    testing::masters(&["east", "west"], |master, _, _| match master {
        "east" => Answer { status: 0, headers: vec![], body: b"connection refused".to_vec(), ended: "answered".into() },
        _ => Answer { status: 200, headers: vec![], body: br#"[{"state": "shutting down"}]"#.to_vec(), ended: "answered".into() },
    });
    assert_eq!(
        say(&bot, "al", "al", "shutdown check"),
        "al: The master east cannot be asked now.\nThe master west is shutting down.",
        "of each master something is said"
    );
    assert_eq!(say(&bot, "al", "al", "shutdown now"), "al: Say which master: 'shutdown now NAME'; there are east, west.");
    let refused = Answer { status: 403, headers: vec![], body: b"no role".to_vec(), ended: "dead".into() };
    let report = bot.heard(json!({"kind": "message", "nick": "al", "place": "al", "text": "shutdown now west"}));
    assert_eq!(said(&bot.answered(report.only().terms().tag.as_ref().unwrap(), &refused)), "al: The master west could not be ended, al: no role");
    assert_eq!(bot.answered("other", &answer).skipped(), "it is not the answer to an action");
}
