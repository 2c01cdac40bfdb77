//! The arguments, and the plan that they make.

use reporter_sdk::context::CommentContext;
use reporter_sdk::endpoint::HttpSettings;
use reporter_sdk::filter::FilterSettings;
use reporter_sdk::github;
use reporter_sdk::interpolate::Interpolate;
use reporter_sdk::prelude::*;
use reporter_sdk::slot::Slot;
use reporter_sdk::wording::Wording;

use crate::GitHubCommentPush;

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "api";

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// A token that may write comments; renderable
    token: Interpolate,
    /// The comment when a build begins; without it, none. Renderable, or a formatter component
    #[serde(default)]
    #[schemars(extend("x-slot" = "start-description"))]
    start_description: Option<Slot<Interpolate>>,
    /// The comment when a build, or with buildSetSummary a buildset, has ended (default "Build done."); renderable, or a formatter component
    #[serde(default)]
    #[schemars(extend("x-slot" = "description"))]
    end_description: Option<Slot<Interpolate>>,
    /// Whether the comment of an earlier report is edited instead of adding another (default false)
    #[serde(default)]
    edit_comment: bool,
    /// With editComment: reports with the same context share a comment; renderable (default "buildbot/%(prop:buildername)s", and one for all buildsets)
    #[serde(default)]
    context: Option<Interpolate>,
    /// The API of GitHub Enterprise (default "https://api.github.com")
    #[serde(default, rename = "baseURL")]
    base_url: Option<String>,
    /// Without mode, every result is commented on
    #[serde(flatten)]
    filter: FilterSettings,
    #[serde(flatten)]
    http: HttpSettings,
}

impl Settings {
    /// Checks everything, and makes the reporter and its plan.
    pub fn compile(self) -> Result<(GitHubCommentPush, Plan), Problems> {
        let mut problems = Problems::default();
        let (token, endpoint) = problems.take(github::account(self.token, self.base_url.as_deref(), &self.http));
        if self.edit_comment && token.is_rendered() {
            problems.add(
                "/token",
                "an edited comment is followed without its build, of which this token is made: write token = { secret = \"…\" }, or leave editComment out",
            );
        }
        let buildsets = self.filter.build_set_summary;
        let filter = problems.take(self.filter.compile(&[]));
        let is_empty = |text: &Slot<Interpolate>| *text == Slot::Own(Interpolate::literal(""));
        let start = self.start_description.filter(|text| !is_empty(text));
        let mut events = vec![if buildsets { "buildset-complete" } else { "build-finished" }];
        if start.is_some() {
            events.insert(0, "build-started");
        }
        let reporter = GitHubCommentPush {
            token,
            start: start.map(|start| Wording::new("start-description", Some(start), "Build started.")),
            end: Wording::new("description", self.end_description, "Build done."),
            edited: self.edit_comment.then(|| CommentContext::new(self.context, buildsets)),
            filter,
        };
        let plan = Plan::events(events).endpoint(ENDPOINT, "http", endpoint);
        problems.or((reporter, if self.edit_comment { plan.uses(["state"]) } else { plan }))
    }
}
