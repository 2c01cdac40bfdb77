//! Without a host: settings and an event as JSON go in, what would be sent comes out.

use reporter_sdk::http::Body;
use reporter_sdk::testing::{self, Report};
use serde_json::{Value, json};
use {{name_snake}}::Mine;

fn report(results: u8) -> Report {
    let mine = testing::configure::<Mine>(json!({"url": "https://example.org/hook"})).unwrap();
    let build = json!({"number": 12, "results": results, "state_string": "failed test", "url": "https://ci.example/12", "builder": {"name": "linux"}});
    mine.report(json!({"kind": "build-finished", "builds": [build]}))
}

#[test]
fn a_failure_is_posted() {
    let report = report(2);
    let Body::Json(body) = &report.only().http().body else { panic!("{report:?}") };
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), json!({"text": "linux: failed test https://ci.example/12"}));
}

#[test]
fn everything_else_is_not() {
    assert_eq!(report(0).skipped(), "only failures are reported");
}

#[test]
fn the_token_is_the_hosts_to_send() {
    let plan = testing::configure::<Mine>(json!({"url": "https://example.org/hook", "token": "placeholder"})).unwrap().plan;
    assert_eq!(plan.endpoints[0].settings["auth"], json!({"bearer": "placeholder"}));
}
