//! The REST paths under which an event's details are known, the same for every source. An inbox and a
//! recording keep what they have under these; a [build](super::Build) is composed by asking for them.

use std::fmt::Display;

/// The master's title, URLs and version.
pub const CONFIG: &str = "config";

/// A builder.
pub fn builder(id: impl Display) -> String {
    format!("builders/{id}")
}

/// A build.
pub fn build(id: impl Display) -> String {
    format!("builds/{id}")
}

/// A build's properties: one row, `{name: [value, source]}`.
pub fn properties(build: impl Display) -> String {
    format!("builds/{build}/properties")
}

/// A build's steps.
pub fn steps(build: impl Display) -> String {
    format!("builds/{build}/steps")
}

/// The changes since the builder's last success: who is responsible.
pub fn changes(build: impl Display) -> String {
    format!("builds/{build}/changes")
}

/// A step's logs.
pub fn logs(step: impl Display) -> String {
    format!("steps/{step}/logs")
}

/// A log's contents: one row, see [`super::Fetch`].
pub fn contents(log: impl Display) -> String {
    format!("logs/{log}/contents")
}

/// Whether a path is that of a log's contents.
pub fn is_contents(path: &str) -> bool {
    path.starts_with("logs/") && path.ends_with("/contents")
}

/// A build request.
pub fn buildrequest(id: impl Display) -> String {
    format!("buildrequests/{id}")
}

/// A buildset, source stamps included.
pub fn buildset(id: impl Display) -> String {
    format!("buildsets/{id}")
}

/// A buildset's properties: what a build request knows before it has a build.
pub fn buildset_properties(id: impl Display) -> String {
    format!("buildsets/{id}/properties")
}

/// A buildset's requests.
pub fn buildset_requests(id: impl Display) -> String {
    format!("buildrequests?buildsetid={id}")
}

/// A request's builds, attempts that ended as RETRY included.
pub fn request_builds(id: impl Display) -> String {
    format!("buildrequests/{id}/builds")
}

/// The builds of a builder before one, the newest first: the previous build is the first of them that is not RETRY.
pub fn earlier_builds(builder: impl Display, number: impl Display) -> String {
    format!("builders/{builder}/builds?number__lt={number}&order=-number&limit=10")
}
