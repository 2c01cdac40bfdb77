//! BitbucketStatusPush: sets a build status on Bitbucket Cloud for each source stamp of a build.
//!
//! `POST /2.0/repositories/{workspace}/{repository}/commit/{sha}/statuses/build` with state, key, name, description and url. Bitbucket keeps
//! one status for each key of a commit and takes the last word for the truth, so all statuses of one commit and key are in one lane, and a
//! newer one replaces those that still wait.

mod settings;

use reporter_sdk::bitbucket::{self, Api, MOST, OrBuilder, State, page, terms};
use reporter_sdk::cut;
use reporter_sdk::event::Event;
use reporter_sdk::filter::Filter;
use reporter_sdk::http::{self, Request};
use reporter_sdk::prelude::*;
use reporter_sdk::stamps;
use reporter_sdk::wording::Descriptions;
use serde_json::json;
use sha1::{Digest as _, Sha1};

use settings::Settings;
pub use settings::Settings as BitbucketStatusPushSettings;

/// Characters of a URL that Bitbucket stores without complaint.
const MOST_URL: usize = 1024;

/// The reporter.
#[derive(Debug)]
pub struct BitbucketStatusPush {
    key: OrBuilder,
    name: OrBuilder,
    descriptions: Descriptions,
    filter: Filter,
    /// What stands between the endpoint and a workspace.
    below: &'static [&'static str],
}

impl Reporter for BitbucketStatusPush {
    type Settings = Settings;
    const NAME: &'static str = "BitbucketStatusPush";
    const DESCRIPTION: &'static str = "Sets build statuses on Bitbucket Cloud";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        settings.compile()
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let found = self.filter.build(event).and_then(|build| Ok((build, stamps::each(build, bitbucket::commit)?, page(event, build, MOST_URL)?)));
        let (build, commits, url) = match found {
            Ok(found) => found,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        let word = State::of(build).word(Api::Cloud);
        let key = hashed(&self.key.of(build)?);
        let status = json!({
            "state": word,
            "key": key,
            "name": cut::to_chars(&self.name.of(build)?, MOST),
            "description": cut::to_chars(&self.descriptions.of(event, build, word)?, MOST),
            "url": url,
        });
        for commit in &commits {
            let path = self.below.iter().copied().chain([&commit.owner, &commit.repo, "commit", &commit.sha, "statuses", "build"]);
            let lane = format!("{}/{}@{} {key}", commit.owner, commit.repo, commit.sha);
            http::send(Request::new(settings::ENDPOINT, "POST", path).json(&status), terms(event, build, &commit.name(), lane));
        }
        Ok(Outcome::Sent)
    }
}

/// Bitbucket takes 40 characters as key; Buildbot's key, so that statuses of both are the same.
fn hashed(key: &str) -> String {
    Sha1::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}

reporter_sdk::export_reporter!(BitbucketStatusPush);

#[cfg(test)]
mod tests;
