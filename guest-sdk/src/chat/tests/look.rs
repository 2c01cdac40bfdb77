//! What is asked about builders, builds and changes.

use super::*;

#[test]
fn lists() {
    let bot = everything();
    usual(&[(
        "changes?order=-changeid&limit=2",
        json!([
        {"comments": "second\nmore", "author": "b", "when_timestamp": 951_782_400, "repository": "r", "branch": "main", "revision": "2", "revlink": "https://x/2"},
        {"comments": "first", "author": "a", "when_timestamp": 0, "branch": null, "revision": "1"}]),
    )]);
    assert_eq!(say(&bot, "x", "#ci", "list builders"), "#ci: I found these builders: `linux` `slow one`");
    assert_eq!(say(&bot, "x", "x", "LIST all builders"), "x: I found these builders: `linux` `slow one` `away` [offline]");
    assert_eq!(say(&bot, "x", "#ci", "list workers"), "#ci: I found these workers: `w1` `w2` [disconnected]");
    assert_eq!(say(&bot, "x", "#ci", "list all workers"), "#ci: I found these workers: `w1` `w2` [disconnected] `old` [offline]");
    assert_eq!(
        say(&bot, "x", "#ci", "list 2 changes"),
        "#ci: I found these recent changes:\n[first]()\n    Author: a, date: 1970-01-01 00:00, revision: 1\n[second](https://x/2)\n    \
         Author: b, date: 2000-02-29 00:00, repository: r, branch: main, revision: 2"
    );
    for wrong in ["list", "list birds", "list some builders", "list 1 2 3"] {
        assert!(say(&bot, "x", "#ci", wrong).starts_with("#ci: Try 'list [all|N] builders"), "{wrong}");
    }
    let tagged = self::bot(json!({"tags": ["unit"]}));
    assert_eq!(say(&tagged, "x", "#ci", "list all builders"), "#ci: I found these builders: `linux` `away` [offline]");
    usual(&[("builders", json!("connection refused"))]);
    assert_eq!(say(&bot, "x", "#ci", "list builders"), "#ci: The master main cannot be asked now: connection refused");
}

#[test]
fn status_last_and_watch() {
    let bot = everything();
    let running = json!([{"buildid": 9, "number": 3, "builderid": 2}]);
    usual(&[
        ("builds?complete=false&order=buildid", running.clone()),
        ("builds?complete=false&order=buildid&builderid=2", running),
        ("builds?complete=false&order=buildid&builderid=1", json!([])),
        ("builds/9/steps?complete=false&order=number&limit=1", json!([{"state_string": "compiling", "complete": false}])),
        (
            "builds?complete=true&order=-buildid&limit=200",
            json!([{"builderid": 1, "number": 7, "results": 2, "complete": true, "complete_at": 999_880, "state_string": "failed test"}]),
        ),
        (
            "builds?builderid=1&complete=true&order=-number&limit=1",
            json!([{"number": 7, "results": 2, "complete": true, "complete_at": 999_880, "state_string": "failed test"}]),
        ),
    ]);
    assert_eq!(
        say(&bot, "x", "#ci", "status"),
        "#ci: `linux`: idle, last build 2 minutes ago, failure\n`slow one`: running: build [#3](https://ci.example/#/builders/2/builds/3) (compiling)"
    );
    assert!(say(&bot, "x", "#ci", "status all").ends_with("\n`away`: offline"));
    assert_eq!(say(&bot, "x", "#ci", "status linux"), "#ci: `linux`: idle, last build 2 minutes ago, failed");
    assert!(say(&bot, "x", "#ci", "status slow one").contains("a name with blanks goes in quotes"));
    assert!(say(&bot, "x", "#ci", "status nope").contains("no builder `nope`"));
    assert_eq!(say(&bot, "x", "#ci", "last"), "#ci: `linux`: last build #7 failed (2 minutes ago): failed test\n`slow one`: no build has ended yet");
    assert!(say(&bot, "x", "#ci", "last 'a").contains("not closed"));
    assert!(say(&bot, "x", "#ci", "watch linux").contains("no currently running builds"));
    assert_eq!(
        say(&bot, "x", "#ci", "watch 'slow one'"),
        "#ci: Watching until it finishes: Build [#3](https://ci.example/#/builders/2/builds/3) of `slow one`"
    );
    let mut ended = build(3, json!(6));
    ended["buildid"] = json!(9);
    ended["id"] = json!(9);
    assert_eq!(said(&bot.report(event("build-finished", ended.clone()))), "#ci: Build [#3](https://ci/3) of `linux` was cancelled: failed test");
    assert_eq!(bot.report(event("build-finished", ended)).skipped(), "nobody asked for this event");
    assert!(testing::state().is_empty(), "{:?}", testing::state());
}

#[test]
fn a_busy_master_is_asked_within_its_budget() {
    let builders: Vec<Value> = (1..=40).map(|id| json!({"builderid": id, "name": format!("b{id:02}"), "tags": [], "masterids": [1]})).collect();
    let running: Vec<Value> = (1..=40).map(|id| json!({"buildid": id, "number": 1, "builderid": id})).collect();
    let asked = std::rc::Rc::new(std::cell::Cell::new(0));
    let counts = asked.clone();
    testing::masters(&["main"], move |_, path, query| {
        counts.set(counts.get() + 1);
        let rows = match path.join("/").as_str() {
            "config" => json!([{"buildbotURL": "https://ci.example"}]),
            "builders" => json!(builders),
            "builds" if query.contains(&("complete".into(), "false".into())) => json!(running),
            _ => json!([]),
        };
        Answer { status: 200, headers: vec![], body: rows.to_string().into_bytes(), ended: "answered".into() }
    });
    let bot = everything();
    assert!(say(&bot, "x", "#ci", "status all").contains("`b40`: running: build [#1](https://ci.example/#/builders/40/builds/1)"));
    assert!(asked.get() < 50, "{}", asked.get());
    let last = say(&bot, "x", "#ci", "last all");
    assert!(
        last.contains("No build has ended yet: `b01` `b02`") && last.contains("No build has ended lately (say last and its name for the last one): `b21`"),
        "{last}"
    );
    assert_eq!(last.lines().count(), 2, "{last}");
}

#[test]
fn of_many_builders_those_that_do_nothing_are_told_together() {
    let builders: Vec<Value> = (1..=300).map(|id| json!({"builderid": id, "name": format!("b{id:03}"), "tags": [], "masterids": [1]})).collect();
    let running: Vec<Value> = (1..=60).map(|id| json!({"buildid": id, "number": 1, "builderid": id})).collect();
    let ended: Vec<Value> = (61..=65)
        .map(|id| json!({"buildid": 500 + id, "number": 1, "builderid": id, "complete": true, "complete_at": 9, "results": if id == 63 { 2 } else { 0 }}))
        .collect();
    usual(&[
        ("builders", json!(builders)),
        (
            "workers",
            json!([{"name": "w", "configured_on": (1..=299).map(|id| json!({"builderid": id})).collect::<Vec<_>>(), "connected_to": [{"masterid": 1}]}]),
        ),
        ("builds?complete=false&order=buildid", json!(running)),
        ("builds?complete=true&order=-buildid&limit=200", json!(ended)),
    ]);
    let said = say(&everything(), "x", "#ci", "status all");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 50 + 1 + 4, "{said}");
    assert!(lines[0].contains("`b001`: running: build") && lines[49].contains("`b050`: running"), "{said}");
    assert_eq!(lines[50], "Builds run on 10 more builders.");
    assert_eq!(lines[51..53], ["4 idle, last build success: `b061` `b062` `b064` `b065`", "1 idle, last build failure: `b063`"]);
    assert!(lines[53].starts_with("234 idle: `b066` ") && lines[53].ends_with("`b265` and 34 more"), "{}", lines[53]);
    assert_eq!(lines[54], "1 offline: `b300`");
    let list = say(&everything(), "x", "#ci", "list all builders");
    assert!(list.ends_with("`b200` and 100 more"), "{list}");
}

#[test]
fn builders_of_one_name_are_told_apart() {
    let answer = |status: u16, rows: Value| Answer { status, headers: vec![], body: rows.to_string().into_bytes(), ended: "answered".into() };
    testing::masters(&["east", "west"], move |master, path, query| {
        let number = if master == "east" { 1 } else { 2 };
        answer(
            200,
            match path.join("/").as_str() {
                "config" => json!([{"buildbotURL": format!("https://{master}.example/")}]),
                "builders" => {
                    json!([{"builderid": number, "name": "linux", "masterids": [1]}, {"builderid": 9, "name": format!("only-{master}"), "masterids": [1]}])
                }
                "workers" => json!([{"name": "w", "configured_on": [{"builderid": number}, {"builderid": 9}], "connected_to": [{"masterid": 1}]}]),
                "builds" if query.contains(&("complete".into(), "false".into())) && query.iter().any(|(_, value)| value == "9") => json!([]),
                "builds" if query.contains(&("complete".into(), "false".into())) => json!([{"buildid": 70 + number, "number": 3, "builderid": number}]),
                _ => json!([]),
            },
        )
    });
    let bot = everything();
    assert_eq!(say(&bot, "x", "#ci", "list builders"), "#ci: I found these builders: `east/linux` `only-east` `west/linux` `only-west`");
    assert!(say(&bot, "x", "#ci", "status").contains("`west/linux`: running: build [#3](https://west.example/#/builders/2/builds/3)"));
    assert!(say(&bot, "x", "#ci", "status only-west").contains("`only-west`: idle"));
    for ask in ["status linux", "last linux", "watch linux", "stop build linux why", "force build linux why"] {
        assert_eq!(say(&bot, "x", "#ci", ask), "#ci: More than one master has a builder `linux`. Say which, as one of: `east/linux` `west/linux`", "{ask}");
    }
    assert_eq!(say(&bot, "x", "x", "stop build west/linux why"), r#"act stop builds/72 {"reason":"stopped by x: why"}"#);
    assert!(say(&bot, "x", "x", "watch east/linux").contains("[#3](https://east.example/#/builders/1/builds/3) of `east/linux`"));
    assert!(say(&bot, "x", "x", "status north/linux").contains("no builder `north/linux`"));
    // With a tag that one of them has, the other is not spoken of.
    assert!(say(&bot, "x", "x", "force build east/linux why").contains("No ForceScheduler of the master lists `east/linux`"));
}
