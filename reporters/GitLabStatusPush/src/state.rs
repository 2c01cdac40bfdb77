//! GitLab's states.

use reporter_sdk::prelude::*;

/// The state of a build; one without a number is a build request that waits, or was cancelled.
pub fn of(build: &Build) -> &'static str {
    match build.results() {
        _ if !build.complete() => {
            if build.number().is_none() {
                "pending"
            } else {
                "running"
            }
        }
        Some(SUCCESS | WARNINGS | SKIPPED) => "success",
        Some(RETRY) => "pending",
        Some(CANCELLED) => "canceled",
        _ => "failed",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_result() {
        let of = |number: Value, results: Value| of(&Build::from_json(json!({"number": number, "complete": !results.is_null(), "results": results})));
        for (results, state) in [(0, "success"), (1, "success"), (2, "failed"), (3, "success"), (4, "failed"), (5, "pending"), (6, "canceled"), (7, "failed")] {
            assert_eq!(of(json!(12), json!(results)), state, "{results}");
        }
        assert_eq!(of(json!(12), Value::Null), "running");
        assert_eq!(of(Value::Null, Value::Null), "pending");
        assert_eq!(of(Value::Null, json!(6)), "canceled");
    }
}
