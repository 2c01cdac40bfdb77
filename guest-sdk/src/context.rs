//! The argument `context` of reporters of commit statuses: what tells the statuses of one commit apart.

use crate::build::Build;
use crate::component::Failure;
use crate::cut;
use crate::interpolate::Interpolate;

/// A renderable context.
#[derive(Clone, Debug, Default)]
pub struct StatusContext(Interpolate);

impl StatusContext {
    /// The setting; without one, or with an empty one, `buildbot/%(prop:buildername)s`.
    pub fn new(setting: Option<Interpolate>) -> Self {
        let given = setting.filter(|context| *context != Interpolate::literal(""));
        Self(given.unwrap_or_else(|| Interpolate::of_setting("buildbot/%(prop:buildername)s").unwrap_or_default()))
    }

    /// The context of a build, in at most `most` characters; never empty, since all builders would overwrite each other then.
    ///
    /// # Errors
    ///
    /// A renderable that does not fit its values.
    pub fn of(&self, build: &Build, most: usize) -> Result<String, Failure> {
        let context = self.0.render(build)?;
        let context = if context.is_empty() { format!("buildbot/{}", build.builder()) } else { context };
        Ok(cut::to_chars(&context, most).into_owned())
    }
}
