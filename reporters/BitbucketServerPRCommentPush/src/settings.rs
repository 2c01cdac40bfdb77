//! The arguments, and the plan that they make.

use reporter_sdk::bitbucket::ServerSettings;
use reporter_sdk::context::CommentContext;
use reporter_sdk::endpoint::HttpSettings;
use reporter_sdk::filter::FilterSettings;
use reporter_sdk::message::{MessageFormatter, MessageFormatterSettings};
use reporter_sdk::prelude::*;
use reporter_sdk::slot::Slot;

use crate::BitbucketServerPRCommentPush;

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "server";

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    #[serde(flatten)]
    server: ServerSettings,
    /// What the comment says
    #[serde(default)]
    #[schemars(extend("x-slot" = "message"))]
    message_formatter: Option<Slot<MessageFormatterSettings>>,
    /// Whether the comment of an earlier report is edited instead of adding another (default false)
    #[serde(default)]
    edit_comment: bool,
    /// With editComment: reports with the same context share a comment; renderable (default "buildbot/%(prop:buildername)s", and one for all buildsets)
    #[serde(default)]
    context: Option<Interpolate>,
    /// mode, builders, tags, schedulers, branches, buildSetSummary
    #[serde(flatten)]
    filter: FilterSettings,
    #[serde(flatten)]
    http: HttpSettings,
}

impl Settings {
    /// Checks everything, and makes the reporter and its plan.
    pub fn compile(self) -> Result<(BitbucketServerPRCommentPush, Plan), Problems> {
        let mut problems = Problems::default();
        let (base, endpoint) = problems.take(self.server.compile(&self.http));
        let filter = problems.take(self.filter.compile(&["failing", "passing", "warnings"]));
        let message = match MessageFormatter::compile(self.message_formatter, false) {
            Ok(message) => message,
            Err(found) => {
                problems.0.extend(found.0);
                return Err(problems);
            }
        };
        let event = if self.filter.build_set_summary { "buildset-complete" } else { "build-finished" };
        let plan = Plan::events([event]).endpoint(ENDPOINT, "http", endpoint).uses(message.words().iter().copied());
        let edited = self.edit_comment.then(|| CommentContext::new(self.context, self.filter.build_set_summary));
        let plan = if edited.is_some() { plan.uses(["state"]) } else { plan };
        problems.or((BitbucketServerPRCommentPush { base, user: self.server.user, filter, message, edited }, plan))
    }
}
