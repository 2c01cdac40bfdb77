//! What the reporters for Bitbucket share: how a build stands, what a status may have, and where things are.

mod cloud;
mod place;
mod settings;
mod version;

use crate::build::Build;
use crate::delivery::Terms;
use crate::event::Event;
use crate::results::{CANCELLED, EXCEPTION, FAILURE, RETRY, SKIPPED, SUCCESS, WARNINGS};
use crate::{status, title};

pub use cloud::commit;
pub use place::{project_and_repository, pull_request};
pub use settings::{OrBuilder, ServerSettings, server};
pub use version::is_before_8;

/// The most characters of each field of a status but its URL.
pub const MOST: usize = 255;
/// The most characters of a status's URL at Bitbucket Data Center.
pub const MOST_URL: usize = 450;

/// How a build stands.
///
/// | | Cloud | Data Center's builds | Bitbucket Server's build-status |
/// |---|---|---|---|
/// | waits or runs, or is made again (retry) | `INPROGRESS` | `INPROGRESS` | `INPROGRESS` |
/// | success, warnings, skipped | `SUCCESSFUL` | `SUCCESSFUL` | `SUCCESSFUL` |
/// | failure, exception | `FAILED` | `FAILED` | `FAILED` |
/// | cancelled | `STOPPED` | `CANCELLED`, before 8.0 `FAILED` | `FAILED` |
/// | no result that is known | `FAILED` | `UNKNOWN`, before 8.0 `FAILED` | `FAILED` |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits or runs.
    InProgress,
    /// It is well.
    Successful,
    /// It failed.
    Failed,
    /// It was stopped.
    Cancelled,
    /// Nobody knows.
    Unknown,
}

/// Who is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// Bitbucket Cloud.
    Cloud,
    /// Bitbucket Data Center since 8.0, `/rest/api`.
    Builds,
    /// The same before 8.0, and Bitbucket Server: `/rest/build-status`.
    BuildStatus,
}

impl State {
    /// The state of a build.
    pub fn of(build: &Build) -> Self {
        match build.results() {
            _ if !build.complete() => Self::InProgress,
            Some(RETRY) => Self::InProgress,
            Some(SUCCESS | WARNINGS | SKIPPED) => Self::Successful,
            Some(FAILURE | EXCEPTION) => Self::Failed,
            Some(CANCELLED) => Self::Cancelled,
            _ => Self::Unknown,
        }
    }

    /// As the API calls it.
    pub fn word(self, api: Api) -> &'static str {
        match (self, api) {
            (Self::InProgress, _) => "INPROGRESS",
            (Self::Successful, _) => "SUCCESSFUL",
            (Self::Cancelled, Api::Cloud) => "STOPPED",
            (Self::Cancelled, Api::Builds) => "CANCELLED",
            (Self::Unknown, Api::Builds) => "UNKNOWN",
            (Self::Failed | Self::Cancelled | Self::Unknown, _) => "FAILED",
        }
    }
}

/// The page to link to, at most `most` characters long: the build's, or the master's where that one is missing or too long. Bitbucket takes no
/// status without one.
///
/// # Errors
///
/// There is none.
pub fn page(event: &Event, build: &Build, most: usize) -> Result<String, String> {
    let fits = |url: &String| !url.is_empty() && url.chars().count() <= most;
    let own = build.url();
    if fits(&own) {
        return Ok(own);
    }
    let why = if own.is_empty() { "the build has no page to link to" } else { "the URL of the build's page is too long" };
    Some(event.master().url).filter(fits).ok_or_else(|| format!("{why}, and Bitbucket takes no status without one"))
}

/// The terms of a status: its title, and one lane for all statuses that replace each other (`lane` names what they are about), in which a
/// newer one supersedes those that still wait. `place` is for the title.
pub fn terms(event: &Event, build: &Build, place: &str, lane: String) -> Terms {
    status::newest(Terms::titled(format!("{} to {place}", title::of_build(event.kind(), build))), lane, status::is_final(build))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_result() {
        let (cloud, builds, status) = (Api::Cloud, Api::Builds, Api::BuildStatus);
        for (results, words) in [
            (0, ["SUCCESSFUL"; 3]),
            (1, ["SUCCESSFUL"; 3]),
            (2, ["FAILED"; 3]),
            (3, ["SUCCESSFUL"; 3]),
            (4, ["FAILED"; 3]),
            (5, ["INPROGRESS"; 3]),
            (6, ["STOPPED", "CANCELLED", "FAILED"]),
            (7, ["FAILED", "UNKNOWN", "FAILED"]),
        ] {
            let state = |complete: bool| State::of(&Build::from_json(json!({"results": results, "complete": complete})));
            assert_eq!([cloud, builds, status].map(|api| state(true).word(api)), words, "{results}");
            assert_eq!(state(false), State::InProgress);
        }
        assert_eq!(State::of(&Build::from_json(json!({"results": null, "complete": true}))), State::Unknown);
    }

    #[test]
    fn pages_to_link_to() {
        let page = |url: &str, master: &str| {
            let event = Event::from_json(json!({"master": {"url": master}, "builds": [{"url": url}]}));
            page(&event, &event.builds()[0], 20)
        };
        assert_eq!(page("https://ci/b/1", "https://ci/"), Ok("https://ci/b/1".into()));
        for url in ["", "https://ci/builders/1"] {
            assert_eq!(page(url, "https://ci/"), Ok("https://ci/".into()), "{url}");
        }
        assert_eq!(page("", ""), Err("the build has no page to link to, and Bitbucket takes no status without one".into()));
        assert!(page("https://ci/builders/1", &"x".repeat(21)).unwrap_err().starts_with("the URL of the build's page is too long"));
    }
}
