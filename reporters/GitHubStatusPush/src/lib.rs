//! GitHubStatusPush: sets a commit status on GitHub for each source stamp of a build.
//!
//! `POST /repos/{owner}/{repo}/statuses/{sha}` with state, description, target_url and context. GitHub keeps every status
//! and shows the newest, so an older one must never arrive after a newer one: all statuses of one commit and context are
//! in one lane, and a newer one replaces those that still wait.

mod settings;
mod stamp;
mod state;

use reporter_sdk::cut;
use reporter_sdk::event::Event;
use reporter_sdk::filter::Filter;
use reporter_sdk::http::{self, Request};
use reporter_sdk::interpolate::Interpolate;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::title;
use reporter_sdk::wording::Wording;
use serde_json::{Value, json};

use settings::Settings;
pub use settings::Settings as GitHubStatusPushSettings;
use stamp::Commit;
use state::State;

/// Characters that GitHub takes as description; it refuses more.
const MOST_DESCRIPTION: usize = 140;
/// Characters that GitHub takes as context.
const MOST_CONTEXT: usize = 255;
/// Seconds after which `pending` is of no use: by then it has a result, or nobody waits for it.
const PENDING_EXPIRES: u32 = 3600;
/// The description of a build that waits for a worker.
const PENDING: &str = "Build pending.";

/// The reporter.
#[derive(Debug)]
pub struct GitHubStatusPush {
    /// Rendered for each build; none if the endpoint has the token.
    token: Option<Interpolate>,
    context: Interpolate,
    start: Wording,
    end: Wording,
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
        let builds = event.builds();
        let Some(build) = builds.first() else {
            return Ok(Outcome::Skipped("the event has no build".into()));
        };
        if let Err(reason) = self.filter.decide_origin(build) {
            return Ok(Outcome::Skipped(reason));
        }
        let stamps = build.sourcestamps();
        let (commits, reasons) = commits(&stamps);
        if commits.is_empty() {
            let reason = if reasons.is_empty() { "the build has no source stamp".into() } else { reasons.join("; ") };
            return Ok(Outcome::Skipped(reason));
        }
        for reason in &reasons {
            log(Level::Info, reason);
        }
        let state = State::of(build.complete(), build.results());
        let status = Status {
            event: event.kind().to_owned(),
            state,
            description: self.description(event, build, state)?,
            context: self.context(build)?,
            url: build.url(),
            token: self.token(build)?,
        };
        for commit in &commits {
            status.send(build, commit);
        }
        Ok(Outcome::Sent)
    }
}

/// Every commit once, and why the other source stamps have none.
fn commits(stamps: &[Value]) -> (Vec<Commit>, Vec<String>) {
    let mut commits = Vec::new();
    let mut reasons = Vec::new();
    for stamp in stamps {
        match Commit::of(stamp) {
            Ok(commit) if commits.contains(&commit) => {}
            Ok(commit) => commits.push(commit),
            Err(reason) => reasons.push(reason),
        }
    }
    (commits, reasons)
}

impl GitHubStatusPush {
    fn description(&self, event: &Event, build: &Build, state: State) -> Result<String, Failure> {
        let text = match event.kind() {
            "build-started" => self.start.text(event, build, state.word())?,
            "build-finished" => self.end.text(event, build, state.word())?,
            _ => PENDING.into(),
        };
        Ok(cut::to_chars(&text, MOST_DESCRIPTION).into_owned())
    }

    fn context(&self, build: &Build) -> Result<String, Failure> {
        let context = self.context.render(build)?;
        // Without one, GitHub would take `default`, and all builders would overwrite each other.
        let context = if context.is_empty() { format!("buildbot/{}", build.builder()) } else { context };
        Ok(cut::to_chars(&context, MOST_CONTEXT).into_owned())
    }

    fn token(&self, build: &Build) -> Result<Option<String>, Failure> {
        let Some(token) = &self.token else { return Ok(None) };
        let token = token.render(build)?;
        if token.is_empty() || token.contains(|c: char| c.is_control()) {
            return Err(Failure::for_good("the token renders to nothing, or to several lines"));
        }
        Ok(Some(token))
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
        let mut request = Request::new(settings::ENDPOINT, "POST", ["repos", &commit.owner, &commit.repo, "statuses", &commit.sha]).json(&body);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("token {token}"));
        }
        let key = format!("{}/{}@{} {}", commit.owner, commit.repo, commit.sha, self.context);
        let mut terms = Terms::titled(self.title(build, commit)).lane(key.clone()).supersede(key);
        // They mean what they say; GitHub suspends who asks again.
        for status in [401, 404, 422] {
            terms = terms.rule(status..=status, "", Verdict::Dead);
        }
        if self.state == State::Pending {
            terms = terms.expire_after(PENDING_EXPIRES);
        }
        http::send(request, terms);
    }

    /// `failure of build 12 on linux to octo/repo@4f1c9d2`
    fn title(&self, build: &Build, commit: &Commit) -> String {
        let what = match self.event.as_str() {
            "build-finished" => reporter_sdk::results::name(build.results()),
            _ => self.state.word(),
        };
        let sha: String = commit.sha.chars().take(7).collect();
        format!("{} to {}/{}@{sha}", title::of(what, build), commit.owner, commit.repo)
    }
}

reporter_sdk::export_reporter!(GitHubStatusPush);

#[cfg(test)]
mod tests;
