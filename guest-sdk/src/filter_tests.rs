use serde_json::json;

use super::*;

fn filter(settings: Value) -> Result<Filter, Problems> {
    serde_json::from_value::<FilterSettings>(settings).unwrap().compile(&["failing", "passing", "warnings"])
}

/// Whether a result is reported after a previous one.
type Expected = fn(u8, Option<u8>) -> bool;

/// mode × result × previous (none, the same, another), the whole table.
#[test]
fn modes() {
    let table: [(Value, Expected); 11] = [
        (json!("change"), |r, p| p.is_some_and(|p| p != r)),
        (json!(["change"]), |r, p| p.is_some_and(|p| p != r)),
        (json!("failing"), |r, _| r == 2),
        (json!("passing"), |r, _| r == 0),
        (json!("problem"), |r, p| r == 2 && p.is_some_and(|p| p != 2)),
        (json!(["warnings"]), |r, _| r == 1),
        (json!("warnings"), |r, _| r == 1 || r == 2),
        (json!("exception"), |r, _| r == 4),
        (json!("cancelled"), |r, _| r == 6),
        (json!("all"), |_, _| true),
        (json!(["failing", "passing", "warnings"]), |r, _| r < 3),
    ];
    for (mode, expected) in table {
        let filter = filter(json!({"mode": mode})).unwrap();
        for results in 0..7_u8 {
            for previous in [None, Some(results), Some((results + 1) % 7), Some(2), Some(0)] {
                let build = Build::from_json(json!({"results": results, "prev_build": previous.map(|p| json!({"results": p}))}));
                let decision = filter.decide(&build);
                assert_eq!(decision.is_ok(), expected(results, previous), "{mode} {results} {previous:?} {decision:?}");
            }
        }
    }
}

#[test]
fn reasons() {
    let failed =
        json!({"results": 2, "builder": {"name": "linux", "tags": ["fast"]}, "properties": {"branch": ["main", "Build"]}, "prev_build": {"results": 2}});
    for (settings, changes, reason) in [
        (json!({"mode": "failing"}), json!({"results": 0}), "mode is failing, the build succeeded"),
        (json!({"mode": "failing"}), json!({"results": null}), "mode is failing, the build is not finished"),
        (json!({"mode": "problem"}), json!({}), "mode is problem, the build failed like the one before"),
        (json!({"mode": ["change"]}), json!({"prev_build": null}), "mode is change, the build failed and is the first of its builder"),
        (json!({"mode": "failing"}), json!({"results": 5}), "mode is failing, the build ended as retry"),
        (json!({"builders": "win"}), json!({}), "builder linux is not in builders"),
        (json!({"tags": ["slow"]}), json!({}), "builder linux has none of the tags slow"),
        (json!({"branches": ["v1"]}), json!({}), "branch main is not in branches"),
        (json!({"schedulers": ["nightly"]}), json!({}), "the build has no scheduler, and schedulers is set"),
        // Origin goes before result, in Buildbot's order.
        (
            json!({"builders": ["linux"], "schedulers": ["x"], "mode": "passing"}),
            json!({"properties": {"scheduler": ["y", "Scheduler"]}}),
            "scheduler y is not in schedulers",
        ),
    ] {
        let mut build = failed.clone();
        for (key, value) in changes.as_object().unwrap() {
            build[key] = value.clone();
        }
        assert_eq!(filter(settings.clone()).unwrap().decide(&Build::from_json(build)).unwrap_err(), reason, "{settings}");
    }
}

#[test]
fn what_is_refused() {
    for (settings, at, part) in [
        (json!({"mode": ["failing", "all"]}), "/mode/1", "write mode = \"all\""),
        (json!({"mode": ["all"]}), "/mode/0", "stands alone"),
        (json!({"mode": "fail"}), "/mode", "there is no mode"),
        (json!({"mode": []}), "/mode", "empty"),
        (json!({"builders": ["a"], "tags": ["b"]}), "/tags", "leave one of them out"),
    ] {
        let problems = filter(settings.clone()).unwrap_err();
        assert_eq!(problems.0[0].at, at, "{settings}");
        assert!(problems.0[0].message.contains(part), "{problems}");
    }
}

#[test]
fn sets() {
    let builds = [json!({"results": 0}), json!({"results": 2}), json!({"results": 5})].map(Build::from_json);
    assert_eq!(filter(json!({"mode": "warnings"})).unwrap().decide_set(&builds), Ok(vec![1]));
    assert_eq!(filter(json!({"mode": "all"})).unwrap().decide_set(&builds), Ok(vec![0, 1, 2]));
    let reason = filter(json!({"mode": "exception"})).unwrap().decide_set(&builds).unwrap_err();
    assert_eq!(
        reason,
        "no build of the set is reported: mode is exception, the build succeeded; mode is exception, the build failed; mode is exception, the build ended as retry"
    );
}

#[test]
fn modes_for_templates() {
    assert_eq!(filter(json!({})).unwrap().mode(), ["failing", "passing", "warnings"]);
    assert_eq!(filter(json!({"mode": "warnings"})).unwrap().mode(), ["failing", "warnings"]);
    assert_eq!(filter(json!({"mode": "all"})).unwrap().mode(), ["failing", "passing", "warnings", "exception", "cancelled"]);
}
