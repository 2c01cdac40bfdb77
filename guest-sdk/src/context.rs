//! The argument `context`: what tells the statuses of one commit apart, or the comments of one pull request.

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

/// Which comment is edited.
#[derive(Clone, Debug)]
pub enum CommentContext {
    /// The one with this context.
    Of(StatusContext),
    /// The one about whole buildsets: which of their builds comes first says nothing.
    OfSets,
}

impl CommentContext {
    /// The setting; without one, `buildbot/%(prop:buildername)s`, or where buildsets are reported, one for all.
    pub fn new(setting: Option<Interpolate>, buildsets: bool) -> Self {
        match setting.filter(|context| *context != Interpolate::literal("")) {
            None if buildsets => Self::OfSets,
            given => Self::Of(StatusContext::new(given)),
        }
    }

    /// The context of a build, or of a set of which it is the first, in at most `most` characters.
    ///
    /// # Errors
    ///
    /// A renderable that does not fit its values.
    pub fn of(&self, first: &Build, most: usize) -> Result<String, Failure> {
        match self {
            Self::Of(context) => context.of(first, most),
            Self::OfSets => Ok("whole buildset".to_owned()),
        }
    }
}
