//! What a delivery about a build is called in the delivery log, and what keeps its order.

use crate::build::Build;
use crate::event::Event;
use crate::results;

/// `failure of build 12 on linux`, `start of build 12 on linux`; `kind` is the event's.
pub fn of_build(kind: &str, build: &Build) -> String {
    match kind {
        "build-finished" => of(results::name(build.results()), build),
        "build-started" => of("start", build),
        "buildrequest-cancelled" => of("end", build),
        _ => name(build),
    }
}

/// `pending of build 12 on linux`: what there is to say of it.
pub fn of(what: &str, build: &Build) -> String {
    format!("{what} of {}", name(build))
}

/// Of an event, and of these of its builds: [`of_build`], `end of a buildset with 3 builds on linux`, `worker-missing w1`.
pub fn of_event(event: &Event, chosen: &[usize]) -> String {
    if let Some(worker) = event.worker() {
        return format!("{} {}", event.kind(), worker.name());
    }
    let builds = event.builds();
    match chosen.first().and_then(|n| builds.get(*n)) {
        None if event.kind() == "buildset-complete" => "end of a buildset without builds".into(),
        None => event.kind().to_owned(),
        Some(build) if event.kind() == "buildset-complete" && chosen.len() == 1 => format!("end of a buildset with {}", name(build)),
        Some(build) if event.kind() == "buildset-complete" => format!("end of a buildset with {} builds on {}", chosen.len(), build.builder()),
        Some(build) => of_build(event.kind(), build),
    }
}

/// `build 12 on linux`
fn name(build: &Build) -> String {
    let number = build.number().map_or_else(|| "a build request".into(), |number| format!("build {number}"));
    format!("{number} on {}", build.builder())
}

/// A lane for everything about one build: its start goes out before its end.
pub fn lane(source: &str, build: &Build) -> String {
    match (build.id(), build.number()) {
        (Some(id), _) => format!("{source}/builds/{id}"),
        (None, number) => format!("{source}/builders/{}/builds/{}", build.builder(), number.unwrap_or_default()),
    }
}
