//! Without a host: an event as JSON goes in, the message comes out.

use reporter_sdk::testing;
use serde_json::{Value, json};
use {{name_snake}}::Mine;

fn message(settings: Value, results: u8) -> Result<Value, String> {
    let build = json!({
        "number": 12, "results": results, "state_string": "failed test", "url": "https://ci.example/12",
        "builder": {"name": "linux"}, "users": ["bob", "zoe"]
    });
    testing::format::<Mine>(settings, "message", json!({"builds": [build]}), json!({}))
}

#[test]
fn a_failure_is_loud() {
    let message = message(json!({}), 2).unwrap();
    assert_eq!(message["subject"], "!! linux: failed test");
    assert_eq!(message["body"], "!! linux: failed test\nby bob, zoe\nhttps://ci.example/12\n");
}

#[test]
fn the_alarm_is_a_setting() {
    assert_eq!(message(json!({"alarm": "? "}), 2).unwrap()["subject"], "? linux: failed test");
    assert_eq!(message(json!({"alarm": "? "}), 0).unwrap()["subject"], "linux: failed test");
}

#[test]
fn a_misspelt_setting_is_refused() {
    assert!(message(json!({"alarms": "?"}), 2).unwrap_err().starts_with("/alarms"));
}
