//! BitbucketServerStatusPush: sets a build status on Bitbucket Server and Data Center for each commit of a build.
//!
//! `POST /rest/build-status/1.0/commits/{sha}` with state, url, key, description and name. The server keeps one status for each key of a
//! commit, whatever repositories have it, and takes the last word for the truth: all statuses of one commit and key are in one lane, and a newer
//! one replaces those that still wait.

mod settings;

use reporter_sdk::bitbucket::{Api, MOST, MOST_URL, OrBuilder, State, page, terms};
use reporter_sdk::commit::short;
use reporter_sdk::cut;
use reporter_sdk::event::Event;
use reporter_sdk::filter::Filter;
use reporter_sdk::http::{self, Request};
use reporter_sdk::interpolate::Interpolate;
use reporter_sdk::prelude::*;
use reporter_sdk::stamps;
use reporter_sdk::wording::Descriptions;
use serde_json::json;

use settings::Settings;
pub use settings::Settings as BitbucketServerStatusPushSettings;

/// The reporter.
#[derive(Debug)]
pub struct BitbucketServerStatusPush {
    key: OrBuilder,
    name: Interpolate,
    descriptions: Descriptions,
    filter: Filter,
}

impl Reporter for BitbucketServerStatusPush {
    type Settings = Settings;
    const NAME: &'static str = "BitbucketServerStatusPush";
    const DESCRIPTION: &'static str = "Sets build statuses on Bitbucket Server and Data Center";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        settings.compile()
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let found = self.filter.build(event).and_then(|build| Ok((build, stamps::each(build, stamps::revision)?, page(event, build, MOST_URL)?)));
        let (build, commits, url) = match found {
            Ok(found) => found,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        let word = State::of(build).word(Api::BuildStatus);
        let text = |rendered: String| cut::to_chars(&rendered, MOST).into_owned();
        let key = text(self.key.of(build)?);
        let mut status = json!({"state": word, "url": url, "key": key});
        for (member, value) in [("description", text(self.descriptions.of(event, build, word)?)), ("name", text(self.name.render(build)?))] {
            if !value.is_empty() {
                status[member] = json!(value);
            }
        }
        for sha in &commits {
            let request = Request::new(settings::ENDPOINT, "POST", ["rest", "build-status", "1.0", "commits", sha]).json(&status);
            http::send(request, terms(event, build, &short(sha), format!("{sha} {key}")));
        }
        Ok(Outcome::Sent)
    }
}

reporter_sdk::export_reporter!(BitbucketServerStatusPush);

#[cfg(test)]
mod tests;
