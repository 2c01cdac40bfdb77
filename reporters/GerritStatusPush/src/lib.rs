//! GerritStatusPush: reviews on Gerrit, by its SSH commands.
//!
//! `gerrit review` for each patch set, with what a callback says: when a build starts, when it ends, or when all builds of a set have ended.
//! Which options the server understands is told by `gerrit version`.

mod callback;
mod dialect;
mod settings;
mod target;
mod words;

use reporter_sdk::commit::short;
use reporter_sdk::event::Event;
use reporter_sdk::filter::Filter;
use reporter_sdk::prelude::*;
use reporter_sdk::results;
use reporter_sdk::services::{Level, log};
use reporter_sdk::ssh;
use reporter_sdk::title;

use callback::{Callback, When};
use dialect::Version;
pub use settings::Settings;
use target::{Target, targets};

/// Seconds after which a start is of no use: by then there is a result, or nobody waits for it.
const START_EXPIRES: u32 = 3600;

/// The reporter.
#[derive(Debug)]
pub struct GerritStatusPush {
    start: Option<Callback>,
    review: Option<Callback>,
    summary: Option<Callback>,
    notify: Option<String>,
    filter: Filter,
    /// What callbacks find in a build's document.
    want: Vec<&'static str>,
}

impl Reporter for GerritStatusPush {
    type Settings = Settings;
    const NAME: &'static str = "GerritStatusPush";
    const DESCRIPTION: &'static str = "Reviews changes on Gerrit by SSH: one review for each set of builds, or for each build";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        settings.compile()
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let skip = |reason: String| Ok(Outcome::Skipped(reason));
        let when = settings::EVENTS.iter().find(|(kind, _)| *kind == event.kind()).map(|(_, when)| *when);
        let Some((when, callback)) = when.and_then(|when| Some((when, self.callback(when)?))) else {
            return skip(format!("nothing is said about {}", event.kind()));
        };
        let positions = match self.choose(event, when) {
            Ok(positions) => positions,
            Err(reason) => return skip(reason),
        };
        let (targets, reasons) = of_first(event, &positions);
        if targets.is_empty() {
            return skip(reasons.join("; "));
        }
        for reason in &reasons {
            log(Level::Info, reason);
        }
        let review = match callback.call(event, &positions, &self.want)? {
            Ok(review) => review,
            Err(reason) => return skip(reason),
        };
        let version = Version::of_server(event.occurred_at())?;
        for target in &targets {
            ssh::send(version.command(target, self.notify.as_deref(), &review), terms(event, when, &positions, target));
        }
        Ok(Outcome::Sent)
    }
}

impl GerritStatusPush {
    fn callback(&self, when: When) -> Option<&Callback> {
        match when {
            When::Start => self.start.as_ref(),
            When::End => self.review.as_ref(),
            When::Summary => self.summary.as_ref(),
        }
    }

    /// The builds that are reported, by position.
    fn choose(&self, event: &Event, when: When) -> Result<Vec<usize>, String> {
        let builds = event.builds();
        if when != When::Summary {
            let build = builds.first().ok_or("the event has no build")?;
            return self.filter.decide_origin(build).map(|()| vec![0]);
        }
        let chosen = self.filter.decide_set(builds)?;
        // Attempts that were made again say nothing where there is the last one.
        let last: Vec<usize> = chosen.iter().copied().filter(|n| builds[*n].results() != Some(RETRY)).collect();
        Ok(if last.is_empty() { chosen } else { last })
    }
}

/// The patch sets of the first build that has any: those of a set are about the same change.
fn of_first(event: &Event, positions: &[usize]) -> (Vec<Target>, Vec<String>) {
    let mut reasons = Vec::new();
    for build in positions.iter().filter_map(|n| event.builds().get(*n)) {
        let (targets, why) = targets(build);
        if !targets.is_empty() {
            return (targets, why);
        }
        for reason in why {
            if !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }
    (Vec::new(), reasons)
}

fn terms(event: &Event, when: When, positions: &[usize], target: &Target) -> Terms {
    let to = format!("to {}@{}", target.project, if target.revision.contains(',') { target.revision.clone() } else { short(&target.revision) });
    let build = positions.first().and_then(|n| event.builds().get(*n));
    let what = match (when, build) {
        (When::Summary, _) | (_, None) => {
            let result = event.buildset().and_then(|set| set["results"].as_u64()).and_then(|result| u8::try_from(result).ok());
            format!("{} of whole buildset", results::name(result))
        }
        (_, Some(build)) => title::of_build(event.kind(), build),
    };
    // Votes on a patch set come in the order of what happened.
    let terms = dialect::with_rules(Terms::titled(format!("{what} {to}")).lane(format!("{}/{}", target.project, target.revision)));
    let build = build.filter(|_| when != When::Summary).map(|build| format!("{} {to}", title::lane(&event.source(), build)));
    match (when, build) {
        (When::Start, Some(key)) => terms.supersede(key).expire_after(START_EXPIRES),
        (_, Some(key)) => terms.supersede(key),
        _ => terms,
    }
}

reporter_sdk::export_reporter!(GerritStatusPush);

#[cfg(test)]
mod tests;
