//! What a delivery about a build is called in the delivery log, and what keeps its order.

use crate::build::Build;
use crate::results;

/// `failure of build 12 on linux`, `start of build 12 on linux`; `kind` is the event's.
pub fn of_build(kind: &str, build: &Build) -> String {
    let number = build.number().map_or_else(|| "a build request".into(), |number| format!("build {number}"));
    let builder = build.builder();
    match kind {
        "build-finished" => format!("{} of {number} on {builder}", results::name(build.results())),
        "build-started" => format!("start of {number} on {builder}"),
        "buildrequest-cancelled" => format!("end of {number} on {builder}"),
        _ => format!("{number} on {builder}"),
    }
}

/// A lane for everything about one build: its start goes out before its end.
pub fn lane(source: &str, build: &Build) -> String {
    match (build.id(), build.number()) {
        (Some(id), _) => format!("{source}/builds/{id}"),
        (None, number) => format!("{source}/builders/{}/builds/{}", build.builder(), number.unwrap_or_default()),
    }
}
