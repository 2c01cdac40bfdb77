//! GitHubCommentPush: comments on a pull request when a build of it ends, and when it begins if there is something to say then.
//!
//! `POST /repos/{owner}/{repo}/issues/{number}/comments` with `body`; with `editComment`, the comment of an earlier report is edited instead
//! (`PATCH /repos/{owner}/{repo}/issues/comments/{id}`).

mod forum;
mod settings;

use reporter_sdk::comment::{self, Thread};
use reporter_sdk::commit::Commit;
use reporter_sdk::context::CommentContext;
use reporter_sdk::cut;
use reporter_sdk::event::Event;
use reporter_sdk::filter::Filter;
use reporter_sdk::github::{self, State, Token, authorized, pull_request};
use reporter_sdk::http;
use reporter_sdk::message::hook_context;
use reporter_sdk::prelude::*;
use reporter_sdk::stamps::{self, text};
use reporter_sdk::title;
use reporter_sdk::wording::Wording;
use serde_json::Value;

use forum::{Issues, LIMITS};
use settings::Settings;
pub use settings::Settings as GitHubCommentPushSettings;

/// Characters of a context, as GitHubStatusPush has it.
const MOST_CONTEXT: usize = 255;

/// The reporter.
#[derive(Debug)]
pub struct GitHubCommentPush {
    token: Token,
    /// None: nothing is said when a build begins.
    start: Option<Wording>,
    end: Wording,
    /// None: every report adds a comment.
    edited: Option<CommentContext>,
    filter: Filter,
}

impl Reporter for GitHubCommentPush {
    type Settings = Settings;
    const NAME: &'static str = "GitHubCommentPush";
    const DESCRIPTION: &'static str = "Comments on pull requests on GitHub";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        settings.compile()
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let chosen = match self.choose(event) {
            Ok(chosen) => chosen,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        let Some(build) = chosen.first().and_then(|n| event.builds().get(*n)) else {
            return Ok(Outcome::Skipped("the event has no build".into()));
        };
        let issues = match pull_requests(build) {
            Ok(issues) => issues,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        let text = self.text(event, build, &chosen)?;
        if text.trim().is_empty() {
            return Ok(Outcome::Skipped("there is nothing to say: the description is empty".into()));
        }
        let token = self.token.of(build)?;
        for issue in &issues {
            let terms = github::terms(format!("{} to {}", title(event, build), issue.name()));
            match &self.edited {
                Some(context) => comment::say(&Issues, &Thread::new(issue.place(), &context.of(build, MOST_CONTEXT)?), &text, &build.url(), terms),
                None => {
                    let text = comment::harmless(&Issues, &text);
                    let body = cut::with_link_below(&text, &build.url(), LIMITS.chars, LIMITS.bytes);
                    http::send(authorized(forum::add(&issue.place(), &body), token.as_deref()), terms.lane(issue.name()));
                }
            }
        }
        Ok(Outcome::Sent)
    }

    fn answered(&self, tag: &str, answer: &Answer) -> Result<Outcome, Failure> {
        comment::answered(&Issues, tag, answer)
    }
}

impl GitHubCommentPush {
    /// The builds that are reported, by position.
    fn choose(&self, event: &Event) -> Result<Vec<usize>, String> {
        let builds = event.builds();
        if event.kind() == "buildset-complete" {
            return self.filter.decide_set(builds);
        }
        let build = builds.first().ok_or("the event has no build")?;
        match event.kind() {
            "build-finished" => self.filter.decide(build)?,
            _ => self.filter.decide_origin(build)?,
        }
        Ok(vec![0])
    }

    fn text(&self, event: &Event, build: &Build, chosen: &[usize]) -> Result<String, Failure> {
        let (wording, is_buildset) = match (event.kind(), &self.start) {
            ("build-started", Some(start)) => (start, false),
            ("build-started", None) => return Ok(String::new()),
            (kind, _) => (&self.end, kind == "buildset-complete"),
        };
        wording.about(build, || {
            let results = event.buildset().filter(|_| is_buildset).and_then(|set| set["results"].as_u64()).and_then(|results| u8::try_from(results).ok());
            let state = State::of(build.complete(), results.or_else(|| build.results()));
            let context = hook_context(event, chosen, self.filter.mode(), is_buildset, &event.master());
            (event.subjects(Some(chosen)), context.with("state", state.word()))
        })
    }
}

/// A pull request to comment on.
#[derive(Debug, PartialEq, Eq)]
struct Issue {
    owner: String,
    repo: String,
    number: u64,
}

impl Issue {
    /// `octo/repo#7`
    fn name(&self) -> String {
        format!("{}/{}#{}", self.owner, self.repo, self.number)
    }

    fn place(&self) -> [String; 3] {
        [self.owner.clone(), self.repo.clone(), self.number.to_string()]
    }
}

/// The pull requests of a build, each once.
fn pull_requests(build: &Build) -> Result<Vec<Issue>, String> {
    let of_build = build.property("branch").and_then(|branch| pull_request(branch.as_str()?));
    let own = |stamp: &Value| pull_request(text(stamp, "branch"));
    // Of several codebases, only those that are of a pull request are meant.
    let some_have_one = build.sourcestamps().iter().any(|stamp| own(stamp).is_some());
    stamps::each(build, |stamp| {
        let Commit { owner, repo, sha } = github::commit(stamp)?;
        match own(stamp).or(of_build.filter(|_| !some_have_one)) {
            Some(number) => Ok(Issue { owner, repo, number }),
            None => Err(format!("({owner}/{repo}@{sha}) is of no pull request: neither its branch nor the property branch is like refs/pull/7/merge")),
        }
    })
}

fn title(event: &Event, build: &Build) -> String {
    match event.kind() {
        "buildset-complete" => format!("end of a buildset with {}", title::of_build("", build)),
        kind => title::of_build(kind, build),
    }
}

reporter_sdk::export_reporter!(GitHubCommentPush);

#[cfg(test)]
mod tests;
