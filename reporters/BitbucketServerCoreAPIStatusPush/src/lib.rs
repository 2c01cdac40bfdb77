//! BitbucketServerCoreAPIStatusPush: sets a build status on Bitbucket Data Center for each source stamp of a build.
//!
//! `POST /rest/api/1.0/projects/{project}/repos/{repository}/commits/{sha}/builds` with ten members, what is not known as null. The server
//! keeps one status for each key of a commit and takes the last word for the truth, so all statuses of one commit and key are in one lane, and
//! a newer one replaces those that still wait.

mod settings;
mod status;

use reporter_sdk::bitbucket::{Api, MOST, MOST_URL, State, is_before_8, page, project_and_repository, terms};
use reporter_sdk::commit::short;
use reporter_sdk::event::Event;
use reporter_sdk::filter::Filter;
use reporter_sdk::http::{self, Request};
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::stamps::{self, part, revision, text};
use serde_json::{Value, json};

use settings::Settings;
pub use settings::{Settings as BitbucketServerCoreAPIStatusPushSettings, TestResults};
use status::Wanted;

/// The reporter.
#[derive(Debug)]
pub struct BitbucketServerCoreAPIStatusPush {
    wanted: Wanted,
    /// The ref; none: that of the source stamp's branch.
    reference: Option<Interpolate>,
    filter: Filter,
}

/// A commit of a repository on Bitbucket Data Center.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Commit {
    project: String,
    repo: String,
    sha: String,
    branch: String,
}

impl Commit {
    fn of(stamp: &Value) -> Result<Self, String> {
        let sha = revision(stamp)?;
        let (project, repo) = project_and_repository(text(stamp, "repository"))?;
        Ok(Self { project: part("a project", &project)?, repo: part("a repository", &repo)?, sha, branch: text(stamp, "branch").into() })
    }

    fn reference(&self) -> Option<String> {
        let branch = self.branch.as_str();
        (!branch.is_empty()).then(|| if branch.starts_with("refs/") { branch.into() } else { format!("refs/heads/{branch}") })
    }
}

impl Reporter for BitbucketServerCoreAPIStatusPush {
    type Settings = Settings;
    const NAME: &'static str = "BitbucketServerCoreAPIStatusPush";
    const DESCRIPTION: &'static str = "Sets build statuses on Bitbucket Data Center";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        settings.compile()
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let found = self.filter.build(event).and_then(|build| Ok((build, stamps::each(build, Commit::of)?, page(event, build, MOST_URL)?)));
        let (build, commits, url) = match found {
            Ok(found) => found,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        let is_new_word = matches!(State::of(build), State::Cancelled | State::Unknown);
        let api = if is_new_word && is_before_8(settings::ENDPOINT) { Api::BuildStatus } else { Api::Builds };
        let mut status = self.wanted.status(event, build, &url, api)?;
        let key = text(&status, "key").to_owned();
        let given = self.reference.as_ref().map(|reference| reference.render(build)).transpose()?.filter(|reference| !reference.is_empty());
        for commit in &commits {
            let Commit { project, repo, sha, .. } = commit;
            let reference = given.clone().or_else(|| commit.reference()).ok_or("the source stamp has no branch");
            // One that is cut is another.
            let fits = |reference: String| if reference.chars().count() > MOST { Err("the ref has more than 255 characters") } else { Ok(reference) };
            let reference = reference.and_then(fits);
            if let Err(why) = &reference {
                log(Level::Warn, &format!("{project}/{repo}@{}: {why}, so the status is shown at the commit only", short(sha)));
            }
            status["ref"] = json!(reference.ok());
            let path = ["rest", "api", "1.0", "projects", project, "repos", repo, "commits", sha, "builds"];
            let about = terms(event, build, &format!("{project}/{repo}@{}", short(sha)), format!("{project}/{repo}@{sha} {key}"));
            http::send(Request::new(settings::ENDPOINT, "POST", path).json(&status), about);
        }
        Ok(Outcome::Sent)
    }
}

reporter_sdk::export_reporter!(BitbucketServerCoreAPIStatusPush);

#[cfg(test)]
mod tests;
