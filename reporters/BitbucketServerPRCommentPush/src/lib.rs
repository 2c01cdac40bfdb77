//! BitbucketServerPRCommentPush: comments on the pull request that a build is about, on Bitbucket Server and Data Center.
//!
//! `POST /rest/api/1.0/projects/{project}/repos/{repository}/pull-requests/{id}/comments` with the text; with `editComment`, the comment of an
//! earlier report is edited instead (`PUT …/comments/{id}` with its version). The pull request is the one whose page the property
//! `pullrequesturl` names, as Buildbot's hook sets it.

mod forum;
mod settings;

use reporter_sdk::bitbucket::pull_request;
use reporter_sdk::comment::{self, Thread};
use reporter_sdk::context::CommentContext;
use reporter_sdk::cut;
use reporter_sdk::event::Event;
use reporter_sdk::filter::Filter;
use reporter_sdk::http;
use reporter_sdk::message::MessageFormatter;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::subject::About;
use serde_json::Value;

use forum::{LIMITS, PullRequests};
use settings::Settings;
pub use settings::Settings as BitbucketServerPRCommentPushSettings;

/// Characters of a context.
const MOST_CONTEXT: usize = 255;

/// The reporter.
#[derive(Debug)]
pub struct BitbucketServerPRCommentPush {
    /// The server's base URL.
    base: String,
    /// Who logs in, or a placeholder.
    user: String,
    filter: Filter,
    message: MessageFormatter,
    edited: Option<CommentContext>,
}

impl Reporter for BitbucketServerPRCommentPush {
    type Settings = Settings;
    const NAME: &'static str = "BitbucketServerPRCommentPush";
    const DESCRIPTION: &'static str = "Comments on pull requests on Bitbucket Server and Data Center";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        settings.compile()
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let builds = event.builds();
        let found = self.filter.chosen(event).and_then(|chosen| {
            let places = pull_requests(&self.base, chosen.iter().filter_map(|n| builds.get(*n)))?;
            Ok((chosen, places))
        });
        let (chosen, places) = match found {
            Ok(found) => found,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        let Some(first) = chosen.first().and_then(|n| builds.get(*n)) else { return Ok(Outcome::Skipped("there is no build".into())) };
        let is_buildset = event.kind() == "buildset-complete";
        let message = self.message.or_plain(event, &chosen, self.filter.mode(), is_buildset)?;
        let text = message.body.trim_end();
        if text.is_empty() {
            return Ok(Outcome::Skipped("the comment would be empty".into()));
        }
        let about = About::of(event, first, is_buildset).title;
        let context = self.edited.as_ref().map(|context| context.of(first, MOST_CONTEXT)).transpose()?;
        let service = PullRequests { user: &self.user };
        for place in places {
            let name = place.join("/");
            let terms = Terms::titled(format!("{about} to {name}"));
            match &context {
                Some(context) => comment::say(&service, &Thread::new(place, context), text, &first.url(), terms),
                // One after another, but each: none makes those before it useless.
                None => {
                    let text = comment::harmless(&service, text);
                    http::send(forum::add(&place, &cut::with_link_below(&text, &first.url(), LIMITS.chars, LIMITS.bytes)), terms.lane(name));
                }
            }
        }
        Ok(Outcome::Sent)
    }

    fn answered(&self, tag: &str, answer: &Answer) -> Result<Outcome, Failure> {
        comment::answered(&PullRequests { user: &self.user }, tag, answer)
    }
}

/// The pull requests of these builds on the server at `base`, each once.
fn pull_requests<'a>(base: &str, builds: impl Iterator<Item = &'a Build>) -> Result<Vec<Vec<String>>, String> {
    let mut places = Vec::new();
    let mut reasons = Vec::new();
    for build in builds {
        let found = match build.property("pullrequesturl") {
            Some(Value::String(url)) if !url.is_empty() => pull_request(base, &url),
            _ => Err("the build has no property pullrequesturl".into()),
        };
        match found {
            Ok(place) if places.contains(&place) => {}
            Ok(place) => places.push(place),
            Err(reason) if reasons.contains(&reason) => {}
            Err(reason) => reasons.push(reason),
        }
    }
    if places.is_empty() {
        return Err(reasons.join("; "));
    }
    reasons.iter().for_each(|reason| log(Level::Info, reason));
    Ok(places)
}

reporter_sdk::export_reporter!(BitbucketServerPRCommentPush);

#[cfg(test)]
mod tests;
