//! What is announced of events.

use std::collections::BTreeSet;

use super::bot::{Bot, Presenter};
use super::channel::Channel;
use super::commands::waiting::{Build as WaitingBuild, Early, EarlySet, Forcing, Request};
use super::events::{Occasion, before};
use super::read;
use super::text::Line;
use crate::build::Build;
use crate::component::{Failure, Outcome};
use crate::delivery::Terms;
use crate::event::Event;
use crate::results::{RETRY, SUCCESS, name};
use crate::services::{Level, log};

/// Places where one event is told: fewer than an entry may send in one call.
const PLACES: usize = 80;

impl<P: Presenter> Bot<P> {
    /// The kinds of event that a bot wants to see.
    pub const EVENTS: [&'static str; 5] = ["build-started", "build-finished", "buildset-complete", "worker-missing", "worker-connected"];

    /// Announces an event where it was asked for.
    pub fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        match event.kind() {
            "build-started" | "build-finished" => match event.builds().first() {
                Some(build) => self.build(event, build),
                None => Ok(Outcome::Skipped("the event has no build".into())),
            },
            "buildset-complete" => self.set(event),
            "worker-missing" | "worker-connected" => self.worker(event),
            other => Ok(Outcome::Skipped(format!("events of kind {other} are not announced"))),
        }
    }

    fn worker(&self, event: &Event) -> Result<Outcome, Failure> {
        let Some(worker) = event.worker() else { return Ok(Outcome::Skipped("the event has no worker".into())) };
        let words = self.words();
        let (line, what) = if event.kind() == "worker-missing" {
            (words.worker_missing(&worker.name(), &worker.last_connection()), "missing")
        } else {
            (words.worker_back(&worker.name()), "back")
        };
        let places = listening(|channel| channel.notify.iter().any(|word| word.is(&Occasion::Worker)));
        self.tell(&places, &line, &format!("worker {} is {what}", worker.name()))
    }

    /// Tells whoever asked for a build that there is none: its request was cancelled, or merged into another.
    fn set(&self, event: &Event) -> Result<Outcome, Failure> {
        let (source, set) = (event.source(), event.buildset().unwrap_or_default());
        let id = read::number(&set, "bsid");
        let asked = Request::of_set(&source, id);
        if asked.is_empty() && !Forcing::any() {
            return Ok(Outcome::Skipped("nobody asked for this event".into()));
        }
        if event.builds().iter().any(|build| build.results() != Some(RETRY)) {
            return Ok(Outcome::Skipped("its builds have events of their own".into()));
        }
        let results = read::results(&set);
        if asked.is_empty() {
            EarlySet::keep(&source, id, results);
            return Ok(Outcome::Skipped("nobody asked for this event yet".into()));
        }
        for (request, asked) in asked {
            Request::forget(&source, request);
            if !Channel::load(&asked.place).is_silent() {
                let line = self.words().no_build(&asked.who, &asked.builder, results);
                let title = format!("end of request {request} on {} to {}", asked.builder, asked.place);
                self.presenter.send(&asked.place, &line.into(), Terms::titled(title));
            }
        }
        Ok(Outcome::Sent)
    }

    fn build(&self, event: &Event, build: &Build) -> Result<Outcome, Failure> {
        let started = event.kind() == "build-started";
        let mut places = BTreeSet::new();
        let speaks = self.speaks_of(&build.tags());
        // Those who wait for this build hear of it whatever is switched on where they asked.
        let source = event.source();
        let document = build.document(&[]);
        let (id, request) = (build.id().unwrap_or_default(), document["buildrequestid"].as_u64().unwrap_or_default());
        let asked = Request::find(&source, request);
        if started {
            if let Some(asked) = &asked {
                WaitingBuild::add(&source, id, &asked.place);
                places.insert(asked.place.clone());
            }
        } else {
            places.extend(WaitingBuild::take(&source, id));
            places.extend(asked.iter().map(|asked| asked.place.clone()));
            if asked.is_some() && build.results() != Some(RETRY) {
                Request::forget(&source, request);
            }
        }
        places.retain(|place| !Channel::load(place).is_silent());
        if speaks {
            let occasion = |compare| match (started, build.results()) {
                (true, _) => Some(Occasion::Started),
                (false, Some(results)) => Some(Occasion::Finished { results, before: if compare { before(build) } else { None } }),
                (false, None) => None,
            };
            // The build before is only asked for if somebody wants to compare with it.
            let all: Vec<(String, Channel)> = Channel::all().into_iter().filter(|(_, channel)| !channel.is_silent()).collect();
            let compare = all.iter().any(|(_, channel)| channel.notify.iter().any(super::EventWord::compares));
            if let Some(occasion) = occasion(compare) {
                places.extend(all.into_iter().filter(|(_, channel)| channel.notify.iter().any(|word| word.is(&occasion))).map(|(place, _)| place));
            }
        }
        if asked.is_none() {
            let ended = if started { None } else { build.results().map(|results| (results, build.state_string())) };
            let url = build.url();
            Early { build: id, number: build.number().unwrap_or_default(), url, ended, told: places.clone() }.keep(&source, request);
        }
        if places.is_empty() {
            let why = if speaks { "nobody asked for this event" } else { "the builder has none of the tags" };
            return Ok(Outcome::Skipped(why.into()));
        }
        let words = self.words();
        let builder = self.called(&source, &build.builder());
        let (line, what) = if started {
            (words.build_started(self.of_event(build, &builder)), "start")
        } else {
            let blame = if self.show_blame_list && build.results() != Some(SUCCESS) { blamed(build) } else { Vec::new() };
            (words.build_finished(self.of_event(build, &builder), build.results(), &build.state_string(), &blame), name(build.results()))
        };
        self.tell(&places, &line, &format!("{what} of build {} on {builder}", build.number().unwrap_or_default()))
    }

    fn of_event(&self, build: &Build, builder: &str) -> Line {
        if self.use_revisions {
            let mut revisions = read::revisions(&build.changes());
            if revisions.is_empty() {
                revisions = read::revisions(&build.sourcestamps());
            }
            if !revisions.is_empty() {
                return read::by_revisions(&revisions, builder);
            }
        }
        read::by_number(build.number().unwrap_or_default(), build.url(), builder)
    }

    fn tell(&self, places: &BTreeSet<String>, line: &Line, what: &str) -> Result<Outcome, Failure> {
        if places.is_empty() {
            return Ok(Outcome::Skipped("nobody asked for this event".into()));
        }
        // What the settings name comes first, and private conversations last: names of channels have a sign before them.
        let rank = |place: &String| (!self.configured.contains(place), !place.starts_with(['#', '&', '-', '@']));
        let mut all: Vec<&String> = places.iter().collect();
        if all.len() > PLACES {
            all.sort_by_key(|place| rank(place));
            let left_out = all.split_off(PLACES).len();
            log(Level::Warn, &format!("{what} is told in {PLACES} places, as many as one event is told in; {left_out} places are left out"));
        }
        for place in all {
            self.presenter.send(place, &line.clone().into(), Terms::titled(format!("{what} to {place}")));
        }
        Ok(Outcome::Sent)
    }
}

fn listening(to: impl Fn(&Channel) -> bool) -> BTreeSet<String> {
    Channel::all().into_iter().filter(|(_, channel)| !channel.is_silent() && to(channel)).map(|(place, _)| place).collect()
}

/// The authors of the changes, each once; of many, some.
fn blamed(build: &Build) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for author in build.changes().iter().filter_map(|change| change["author"].as_str()) {
        let author = crate::cut::to_chars(author, read::WORD);
        if !names.iter().any(|known| *known == author) {
            names.push(author.into_owned());
        }
    }
    read::some_of(names)
}
