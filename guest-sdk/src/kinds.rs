//! Which kinds of event are reported: the setting `events`, which does what a list of generators does in later Buildbots.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::component::Problems;
use crate::settings::OneOrMany;

/// Every kind that a source may have.
pub const KINDS: [&str; 7] =
    ["build-started", "build-finished", "buildrequest-new", "buildrequest-cancelled", "buildset-complete", "worker-missing", "worker-connected"];

/// The setting. Flatten it into a reporter's settings.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct EventsSetting {
    /// Kinds of event that are reported: build-started, build-finished, buildrequest-new, buildrequest-cancelled …
    #[serde(default)]
    pub events: Option<OneOrMany<String>>,
}

impl EventsSetting {
    /// The kinds for `Plan::events`: as written, or `default`. `possible` are those that the reporter knows what to do with.
    ///
    /// # Errors
    ///
    /// Kinds that are not possible; an empty list.
    pub fn compile(&self, possible: &[&str], default: &[&str]) -> Result<Vec<String>, Problems> {
        let Some(events) = &self.events else {
            return Ok(default.iter().map(|kind| (*kind).to_owned()).collect());
        };
        let mut problems = Problems::default();
        let mut kinds: Vec<String> = Vec::new();
        for (n, kind) in events.iter().enumerate() {
            let at = if events.list { format!("/events/{n}") } else { "/events".into() };
            if !possible.contains(&kind.as_str()) {
                let why = if KINDS.contains(&kind.as_str()) { "is not reported here" } else { "is no kind of event" };
                problems.add(at, format!("{kind:?} {why}; there are {}", possible.join(", ")));
            } else if !kinds.contains(kind) {
                kinds.push(kind.clone());
            }
        }
        if events.is_empty() {
            problems.add("/events", "without events nothing is ever reported: leave it out, or name some");
        }
        problems.or(kinds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_written_or_default() {
        let compile = |events: Option<&[&str]>| {
            let events = events.map(|kinds| OneOrMany { items: kinds.iter().map(|kind| (*kind).to_owned()).collect(), list: true });
            EventsSetting { events }.compile(&KINDS[..4], &KINDS[..2])
        };
        assert_eq!(compile(None).unwrap(), ["build-started", "build-finished"]);
        assert_eq!(compile(Some(&["build-finished", "build-finished"])).unwrap(), ["build-finished"]);
        assert!(compile(Some(&["finished"])).unwrap_err().0[0].message.contains("is no kind of event"));
        assert_eq!(compile(Some(&["build-started", "worker-missing"])).unwrap_err().0[0].at, "/events/1");
        assert_eq!(compile(Some(&[])).unwrap_err().0[0].at, "/events");
    }
}
