//! What all reporters of commit statuses have in common: arguments, and the terms of a status.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::build::Build;
use crate::component::Problems;
use crate::delivery::Terms;
use crate::endpoint::HttpSettings;
use crate::filter::{Filter, OriginSettings};
use crate::interpolate::Interpolate;
use crate::kinds::EventsSetting;
use crate::results::RETRY;
use crate::slot::Slot;

/// Kinds of event that can be reported.
const EVENTS: [&str; 4] = ["build-started", "build-finished", "buildrequest-new", "buildrequest-cancelled"];
/// Seconds after which it is of no use any more that a build waits or runs: by then it has a result, or nobody waits for it.
const UNFINISHED_EXPIRES: u32 = 3600;

/// The arguments. Flatten them into a reporter's settings.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusSettings {
    /// The description while the build runs (default "Build started.", for Bitbucket Cloud none); renderable, or a formatter component
    #[serde(default)]
    #[schemars(extend("x-slot" = "start-description"))]
    pub start_description: Option<Slot<Interpolate>>,
    /// The description when the build has ended (default "Build done.", for Bitbucket Cloud none); renderable, or a formatter component
    #[serde(default)]
    #[schemars(extend("x-slot" = "description"))]
    pub end_description: Option<Slot<Interpolate>>,
    #[serde(flatten)]
    origin: OriginSettings,
    #[serde(flatten)]
    events: EventsSetting,
    /// verify, debug, verbose
    #[serde(flatten)]
    pub http: HttpSettings,
}

impl StatusSettings {
    /// Checks them; the filter and the kinds of event. `requests`: whether pending build requests are reported unless `events` says otherwise.
    ///
    /// # Errors
    ///
    /// Builders together with tags, kinds of event that there are not.
    pub fn compile(&self, requests: bool) -> Result<(Filter, Vec<String>), Problems> {
        let mut problems = Problems::default();
        let filter = problems.take(self.origin.clone().compile());
        let events = problems.take(self.events.compile(&EVENTS, &EVENTS[..if requests { 4 } else { 2 }]));
        problems.or((filter, events))
    }
}

/// Whether there will be no other status of this build. One that is made again (retry) is as one that waits.
pub fn is_final(build: &Build) -> bool {
    build.complete() && build.results() != Some(RETRY)
}

/// The terms of a status. `key` names what it is about: all of one are in one lane, and a newer one replaces those that still wait, so that
/// an older state is never shown after a newer one.
pub fn newest(terms: Terms, key: impl Into<String>, is_final: bool) -> Terms {
    let key = key.into();
    let terms = terms.lane(key.clone()).supersede(key);
    if is_final { terms } else { terms.expire_after(UNFINISHED_EXPIRES) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_waits_or_runs_is_soon_of_no_use() {
        let is_final = |complete: bool, results: Option<u8>| is_final(&Build::from_json(json!({"complete": complete, "results": results})));
        assert_eq!([is_final(false, None), is_final(true, Some(RETRY)), is_final(true, Some(0)), is_final(true, None)], [false, false, true, true]);
        let terms = newest(Terms::titled("x"), "o/r@s ctx", false);
        assert_eq!((terms.lane.as_deref(), &terms.supersede, terms.expire_after), (Some("o/r@s ctx"), &terms.lane, Some(3600)));
        assert_eq!(newest(Terms::titled("x"), "k", true).expire_after, None);
    }
}
