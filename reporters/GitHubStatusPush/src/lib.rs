//! GitHubStatusPush: sets a commit status on GitHub for each source stamp of a build.
//!
//! `POST /repos/{owner}/{repo}/statuses/{sha}` with state, description, target_url and context. GitHub keeps every status
//! and shows the newest, so an older one must never arrive after a newer one: all statuses of one commit and context are
//! in one lane, and a newer one replaces those that still wait.

mod settings;

use reporter_sdk::commit::Commit;
use reporter_sdk::context::StatusContext;
use reporter_sdk::cut;
use reporter_sdk::event::Event;
use reporter_sdk::filter::Filter;
use reporter_sdk::github::{self, State, Token, authorized};
use reporter_sdk::http::{self, Request};
use reporter_sdk::prelude::*;
use reporter_sdk::stamps;
use reporter_sdk::status;
use reporter_sdk::title;
use reporter_sdk::wording::Descriptions;
use serde_json::json;

use settings::Settings;
pub use settings::Settings as GitHubStatusPushSettings;

/// Characters that GitHub takes as description; it refuses more.
const MOST_DESCRIPTION: usize = 140;
/// Characters that GitHub takes as context.
const MOST_CONTEXT: usize = 255;

/// The reporter.
#[derive(Debug)]
pub struct GitHubStatusPush {
    token: Token,
    context: StatusContext,
    descriptions: Descriptions,
    filter: Filter,
}

impl Reporter for GitHubStatusPush {
    type Settings = Settings;
    const NAME: &'static str = "GitHubStatusPush";
    const DESCRIPTION: &'static str = "Sets commit statuses on GitHub";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        settings.compile()
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let (build, commits) = match self.filter.build(event).and_then(|build| Ok((build, stamps::each(build, github::commit)?))) {
            Ok(found) => found,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        let state = State::of(build.complete(), build.results());
        let status = Status {
            event: event.kind().to_owned(),
            state,
            description: cut::to_chars(&self.descriptions.of(event, build, state.word())?, MOST_DESCRIPTION).into_owned(),
            context: self.context.of(build, MOST_CONTEXT)?,
            url: build.url(),
            token: self.token.of(build)?,
        };
        for commit in &commits {
            status.send(build, commit);
        }
        Ok(Outcome::Sent)
    }
}

/// What is said about every commit of the build.
struct Status {
    event: String,
    state: State,
    description: String,
    context: String,
    url: String,
    token: Option<String>,
}

impl Status {
    fn send(&self, build: &Build, commit: &Commit) {
        let mut body = json!({"state": self.state.word(), "description": self.description});
        if !self.url.is_empty() {
            body["target_url"] = json!(self.url);
        }
        body["context"] = json!(self.context);
        let request = Request::new(settings::ENDPOINT, "POST", ["repos", &commit.owner, &commit.repo, "statuses", &commit.sha]).json(&body);
        let key = format!("{}/{}@{} {}", commit.owner, commit.repo, commit.sha, self.context);
        let terms = status::newest(github::terms(self.title(build, commit)), key, status::is_final(build));
        http::send(authorized(request, self.token.as_deref()), terms);
    }

    /// `failure of build 12 on linux to octo/repo@4f1c9d2`
    fn title(&self, build: &Build, commit: &Commit) -> String {
        let what = match self.event.as_str() {
            "build-finished" => reporter_sdk::results::name(build.results()),
            _ => self.state.word(),
        };
        format!("{} to {}", title::of(what, build), commit.name())
    }
}

reporter_sdk::export_reporter!(GitHubStatusPush);

#[cfg(test)]
mod tests;
