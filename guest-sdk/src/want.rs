//! How much of a build a formatter gets: the `want…` arguments.

use schemars::JsonSchema;
use serde::Deserialize;

use crate::component::Problems;

/// The arguments. Flatten them into settings.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct WantSettings {
    /// Whether build['properties'] is filled (a messageFormatter's is by default)
    #[serde(default)]
    pub want_properties: Option<bool>,
    /// Whether there is build['steps']
    #[serde(default)]
    pub want_steps: Option<bool>,
    /// Whether the steps have their logs, contents included; needs wantSteps
    #[serde(default)]
    pub want_logs: Option<bool>,
    /// Whether there is build['prev_build']
    #[serde(default)]
    pub want_previous_build: Option<bool>,
}

/// Words of `build.document`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Want(Vec<&'static str>);

impl WantSettings {
    /// The words; `properties` says what `wantProperties` is by default, `at` is the pointer to the table that has these arguments.
    ///
    /// # Errors
    ///
    /// If logs are wanted without steps.
    pub fn compile(&self, properties: bool, at: &str) -> Result<Want, Problems> {
        let mut words = Vec::new();
        if self.want_properties.unwrap_or(properties) {
            words.push("properties");
        }
        let steps = self.want_steps.unwrap_or(false);
        if steps {
            words.push("steps");
        }
        if self.want_logs.unwrap_or(false) {
            if !steps {
                return Err(Problems::at(format!("{at}/wantLogs"), "logs stand in steps: write wantSteps = true as well"));
            }
            words.extend(["logs", "log-contents"]);
        }
        if self.want_previous_build.unwrap_or(false) {
            words.push("previous-build");
        }
        Ok(Want(words))
    }
}

impl Want {
    /// These words.
    pub fn of(words: &[&'static str]) -> Self {
        Self(words.to_vec())
    }

    /// The words, for `Build::document` and `Plan::uses`.
    pub fn words(&self) -> &[&'static str] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::WantSettings;

    #[test]
    fn words() {
        let want = |steps, logs| WantSettings { want_steps: steps, want_logs: logs, ..WantSettings::default() }.compile(true, "/messageFormatter");
        assert_eq!(want(None, None).unwrap().words(), ["properties"]);
        assert_eq!(want(Some(true), Some(true)).unwrap().words(), ["properties", "steps", "logs", "log-contents"]);
        assert_eq!(want(None, Some(true)).unwrap_err().0[0].at, "/messageFormatter/wantLogs");
    }
}
