//! Arguments that all reporters of build statuses have.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::build::Build;
use crate::component::{Failure, Problems};
use crate::endpoint::HttpSettings;
use crate::filter::{Filter, OriginSettings};
use crate::interpolate::Interpolate;
use crate::kinds::EventsSetting;
use crate::slot::Slot;

/// Kinds of event that can be reported.
const EVENTS: [&str; 4] = ["build-started", "build-finished", "buildrequest-new", "buildrequest-cancelled"];

/// The arguments. Flatten them into a reporter's settings.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StatusSettings {
    /// The description while the build runs; renderable, or a formatter component
    #[serde(default)]
    #[schemars(extend("x-slot" = "start-description"))]
    pub start_description: Option<Slot<Interpolate>>,
    /// The description when the build has ended; renderable, or a formatter component
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

/// A renderable; `%(prop:buildername)s` where it is left out or empty, and the builder's own name where it renders to nothing: what is the same
/// for all builders would make them overwrite each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OrBuilder(Interpolate);

impl From<Option<Interpolate>> for OrBuilder {
    fn from(setting: Option<Interpolate>) -> Self {
        let given = setting.filter(|text| *text != Interpolate::literal(""));
        Self(given.unwrap_or_else(|| Interpolate::of_setting("%(prop:buildername)s").unwrap_or_default()))
    }
}

impl OrBuilder {
    /// The text for a build.
    ///
    /// # Errors
    ///
    /// A renderable that does not fit its values.
    pub fn of(&self, build: &Build) -> Result<String, Failure> {
        let text = self.0.render(build)?;
        Ok(if text.is_empty() { build.builder() } else { text })
    }
}
