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
    assert_eq!(say(&bot, "x", "#ci", "list builders"), "#ci: The master main cannot be asked now.");
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
    assert_eq!(say(&bot, "x", "#ci", "list builders"), "#ci: I found these builders: `east/linux` `east/only-east` `west/linux` `west/only-west`");
    assert!(say(&bot, "x", "#ci", "status").contains("`west/linux`: running: build [#3](https://west.example/#/builders/2/builds/3)"));
    assert!(say(&bot, "x", "#ci", "status only-west").contains("`west/only-west`: idle"), "a name that one has is enough");
    assert!(say(&bot, "x", "#ci", "status west/only-west").contains("`west/only-west`: idle"));
    for ask in ["status linux", "last linux", "watch linux", "stop build linux why", "force build linux why"] {
        assert_eq!(say(&bot, "x", "#ci", ask), "#ci: More than one builder goes by `linux`. Say which, as one of: `east/linux` `west/linux`", "{ask}");
    }
    assert_eq!(say(&bot, "x", "x", "stop build west/linux why"), r#"act stop builds/72 {"reason":"stopped by x: why"}"#);
    assert!(say(&bot, "x", "x", "watch east/linux").contains("[#3](https://east.example/#/builders/1/builds/3) of `east/linux`"));
    assert!(say(&bot, "x", "x", "status north/linux").contains("no builder `north/linux`"));
    // With a tag that one of them has, the other is not spoken of.
    assert!(say(&bot, "x", "x", "force build east/linux why").contains("No ForceScheduler of the master lists `east/linux`"));
}

/// Masters with these builders each; one without a list is away.
fn several(masters: &[(&'static str, Option<&'static [&'static str]>)]) {
    let names: Vec<&str> = masters.iter().map(|(name, _)| *name).collect();
    let masters = masters.to_vec();
    testing::masters(&names, move |master, path, query| {
        let found = masters.iter().find(|(name, _)| *name == master).and_then(|(_, builders)| *builders);
        let Some(builders) = found else {
            return Answer { status: 0, headers: vec![], body: b"http://10.0.0.7:8010/: tcp connect error".to_vec(), ended: "answered".into() };
        };
        let rows = match path.join("/").as_str() {
            "builders" => builders.iter().enumerate().map(|(id, name)| json!({"builderid": id, "name": name, "masterids": [1]})).collect(),
            "workers" => {
                let on: Vec<Value> = (0..builders.len()).map(|id| json!({"builderid": id})).collect();
                json!([{"name": format!("w-{master}"), "configured_on": on, "connected_to": [{"masterid": 1}]}])
            }
            "changes" => json!([{"comments": format!("change on {master}"), "author": "a", "when_timestamp": 0}]),
            "builds" if query.contains(&("complete".into(), "false".into())) => json!([{"buildid": 70, "number": 3, "builderid": 0}]),
            _ => json!([]),
        };
        Answer { status: 200, headers: vec![], body: rows.to_string().into_bytes(), ended: "answered".into() }
    });
}

#[test]
fn a_master_that_is_away_takes_nothing_from_the_others() {
    several(&[("east", Some(&["linux"])), ("west", None)]);
    let bot = everything();
    let away = "The master west cannot be asked now.";
    for (ask, answer) in [
        ("list builders", "I found these builders: `east/linux`"),
        ("list workers", "I found these workers: `w-east`"),
        ("list changes", "change on east"),
        ("status all", "`east/linux`: running"),
        ("last all", "`east/linux`: no build has ended yet"),
    ] {
        let said = say(&bot, "x", "#ci", ask);
        assert!(said.contains(answer) && said.ends_with(away), "{ask}: {said}");
    }
    for ask in ["status linux", "watch linux", "last east/linux"] {
        let said = say(&bot, "x", "#ci", ask);
        assert!(said.contains("`east/linux`") && !said.contains("cannot"), "{ask}: {said}");
    }
    assert_eq!(say(&bot, "x", "#ci", "stop build east/linux why"), r##"act stop builds/70 {"reason":"stopped by x on #ci: why"}"##);
    for ask in ["stop build linux why", "force build linux why"] {
        assert_eq!(say(&bot, "x", "#ci", ask), format!("#ci: {away} It may have a builder of this name too; if it is not meant, say `east/linux`."), "{ask}");
    }
    assert!(say(&bot, "x", "#ci", "force build east/linux why").contains("No ForceScheduler of the master lists `east/linux`"));
    assert!(say(&bot, "x", "#ci", "status west/linux").ends_with(away), "it may be there");
    several(&[("east", None), ("west", None)]);
    for ask in ["list builders", "list workers", "status", "stop build linux why"] {
        assert_eq!(say(&bot, "x", "#ci", ask), "#ci: The masters east, west cannot be asked now.", "{ask}");
    }
    assert!(say(&bot, "x", "#ci", "list changes").ends_with(away));
}

#[test]
fn a_builder_that_is_called_as_anothers_master_and_name() {
    several(&[("east", Some(&["west/linux"])), ("west", Some(&["linux"]))]);
    let bot = everything();
    for ask in ["status west/linux", "stop build west/linux why", "force build west/linux why"] {
        assert_eq!(say(&bot, "x", "#ci", ask), "#ci: More than one builder goes by `west/linux`. Say which, as one of: `east/west/linux` `linux`", "{ask}");
    }
    assert!(say(&bot, "x", "#ci", "status east/west/linux").contains("`east/west/linux`: running"));
    assert!(say(&bot, "x", "#ci", "status linux").contains("`west/linux`: running"));
    several(&[("east", Some(&["west/linux", "linux"])), ("west", Some(&["linux"]))]);
    let said = say(&bot, "x", "#ci", "status west/linux");
    assert!(said.contains("as one of: `east/west/linux` (What has no name of its own has to be renamed"), "{said}");
}

#[test]
fn announcements_name_the_master_where_there_are_several() {
    let bot = everything();
    say(&bot, "al", "al", "notify on started");
    several(&[("main", Some(&["linux"])), ("west", None)]);
    assert_eq!(said(&bot.report(event("build-started", build(1, Value::Null)))), "al: Build [#1](https://ci/1) of `main/linux` started.");
    let mut elsewhere = event("build-started", build(2, Value::Null));
    elsewhere["source"] = json!("inbox");
    assert_eq!(said(&bot.report(elsewhere)), "al: Build [#2](https://ci/2) of `linux` started.", "an inbox has one builder of a name");
    several(&[("main", Some(&["linux"]))]);
    assert_eq!(said(&bot.report(event("build-started", build(3, Value::Null)))), "al: Build [#3](https://ci/3) of `linux` started.");
}
