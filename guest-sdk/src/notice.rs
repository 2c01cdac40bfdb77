//! Short messages with a title: what PushoverNotifier and PushjetNotifier share.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::component::{Failure, Problems};
use crate::event::Event;
use crate::filter::{Filter, FilterSettings};
use crate::message::{MessageFormatter, MessageFormatterSettings};
use crate::missing::{MissingWorkerFormatter, MissingWorkerSettings};
use crate::results::{CANCELLED, EXCEPTION, FAILURE, SUCCESS, WARNINGS};
use crate::settings::{Table, pointer};
use crate::slot::{OnlyComponent, Slot};
use crate::subject::{About, SubjectFormat};
use crate::template::TemplateType;
use crate::watched::WatchedWorkers;

/// The shared arguments. Flatten them into a reporter's settings.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NoticeSettings {
    /// The title, with %(builder)s, %(result)s, %(title)s, %(projectName)s
    #[serde(default)]
    pub subject: Option<String>,
    /// mode, builders, tags, schedulers, branches, buildSetSummary
    #[serde(flatten)]
    pub filter: FilterSettings,
    /// What the message says
    #[serde(default)]
    #[schemars(extend("x-slot" = "message"))]
    pub message_formatter: Option<Slot<MessageFormatterSettings>>,
    /// Additional variables for the templates, from a component
    #[serde(default)]
    #[schemars(extend("x-slot" = "context"))]
    pub build_additional_context: Option<Slot<OnlyComponent>>,
    /// Names of workers that are watched, or "all"; without it, none
    #[serde(default)]
    pub watched_workers: Option<WatchedWorkers>,
    /// What the message about a missing worker says
    #[serde(default)]
    #[schemars(extend("x-slot" = "missing-worker-message"))]
    pub message_formatter_missing_worker: Option<Slot<MissingWorkerSettings>>,
}

/// Words short messages.
#[derive(Debug)]
pub struct Notifier {
    filter: Filter,
    subject: SubjectFormat,
    message: MessageFormatter,
    watched: Option<WatchedWorkers>,
    missing: MissingWorkerFormatter,
}

/// A short message.
#[derive(Clone, Debug, PartialEq)]
pub struct Notice {
    /// One line.
    pub title: String,
    /// The text, without blanks at its ends.
    pub text: String,
    /// Whether the text is HTML.
    pub html: bool,
    /// How much it matters: the words under which a table of priorities may have it, best first.
    pub words: Vec<&'static str>,
    /// The page of what it is about; empty if there is none.
    pub link: String,
    /// For the delivery log: `failure of build 12 on linux`.
    pub about: String,
}

/// Words that a table of priorities may have: those of `mode`, and `worker_missing`.
pub const WORDS: [&str; 7] = ["change", "failing", "passing", "warnings", "exception", "cancelled", "worker_missing"];

/// A table of priorities: `{ failing = 1 }`, also with numbers as texts.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Levels(Table);

impl Levels {
    /// Checks words and numbers; `at` is the pointer to the setting.
    ///
    /// # Errors
    ///
    /// Unknown words, and what is out of `range`.
    pub fn compile(&self, range: RangeInclusive<i64>, at: &str) -> Result<BTreeMap<&'static str, i64>, Problems> {
        let mut problems = Problems::default();
        let mut levels = BTreeMap::new();
        for (word, value) in &self.0 {
            let at = pointer(at, word);
            let number = value.as_i64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
            match (WORDS.iter().find(|known| *known == word), number) {
                (None, _) => problems.add(at, format!("{word} is never looked up: there are {}", WORDS.join(", "))),
                (Some(word), Some(number)) if range.contains(&number) => {
                    levels.insert(*word, number);
                }
                _ => problems.add(at, format!("write a number from {} to {}", range.start(), range.end())),
            }
        }
        problems.or(levels)
    }
}

impl NoticeSettings {
    /// Checks everything; `kind` is that of the default text. Answers with the kinds of event and the words for the plan as well.
    ///
    /// # Errors
    ///
    /// Everything wrong in it.
    pub fn compile(self, kind: TemplateType) -> Result<(Notifier, Vec<&'static str>, Vec<&'static str>), Problems> {
        let mut problems = Problems::default();
        let filter = problems.take(self.filter.compile(&["failing", "passing", "warnings"]));
        let mut collect = |found: Problems| problems.0.extend(found.0);
        let subject = SubjectFormat::compile(self.subject).map_err(&mut collect).ok();
        let message = MessageFormatter::compile_short(self.message_formatter, self.build_additional_context.is_some(), kind).map_err(&mut collect).ok();
        let missing = MissingWorkerFormatter::compile(self.message_formatter_missing_worker).map_err(&mut collect).ok();
        let (Some(subject), Some(message), Some(missing), []) = (subject, message, missing, &problems.0[..]) else { return Err(problems) };
        let mut events = vec![if self.filter.build_set_summary { "buildset-complete" } else { "build-finished" }];
        let watched = self.watched_workers.filter(|watched| !watched.is_none());
        if watched.is_some() {
            events.push("worker-missing");
        }
        let words = message.words().to_vec();
        Ok((Notifier { filter, subject, message, watched, missing }, events, words))
    }
}

impl Notifier {
    /// The message about an event; or why there is none: also if there is nothing in it, which no service takes.
    ///
    /// # Errors
    ///
    /// A template or a component that failed, and may go better later.
    pub fn notice(&self, event: &Event) -> Result<Result<Notice, String>, Failure> {
        let notice = self.worded(event)?;
        Ok(notice.and_then(|notice| if notice.text.is_empty() { Err("the message is empty".into()) } else { Ok(notice) }))
    }

    fn worded(&self, event: &Event) -> Result<Result<Notice, String>, Failure> {
        if event.kind() == "worker-missing" {
            return self.of_worker(event);
        }
        let builds = event.builds();
        let is_buildset = event.kind() == "buildset-complete";
        let chosen = match self.filter.chosen(event) {
            Ok(chosen) => chosen,
            Err(reason) => return Ok(Err(reason)),
        };
        let Some(first) = chosen.first().and_then(|n| builds.get(*n)) else { return Ok(Err("there is no build".into())) };
        let mode = self.filter.mode();
        let message = self.message.or_plain(event, &chosen, mode, is_buildset)?;
        let about = About::of(event, first, is_buildset);
        let title = match message.subject {
            Some(subject) => subject,
            None => self.subject.about(&about, &event.master().title)?,
        };
        let words = words(about.result, mode);
        let html = message.kind == TemplateType::Html;
        Ok(Ok(Notice { title, text: message.body.trim().to_owned(), html, words, link: first.url(), about: about.title }))
    }

    fn of_worker(&self, event: &Event) -> Result<Result<Notice, String>, Failure> {
        let Some(worker) = event.worker() else { return Ok(Err("the event has no worker".into())) };
        let name = worker.name();
        if !self.watched.as_ref().is_some_and(|watched| watched.includes(&name)) {
            return Ok(Err(format!("worker {name} is not in watchedWorkers")));
        }
        let message = self.missing.worker(event)?;
        Ok(Ok(Notice {
            title: message.subject.unwrap_or_default(),
            text: message.body.trim().to_owned(),
            html: message.kind == TemplateType::Html,
            words: vec!["worker_missing"],
            link: event.master().url,
            about: format!("missing worker {name}"),
        }))
    }
}

/// A result's own word; before it `change`, if that is what it is reported for.
fn words(result: Option<u8>, mode: &[&str]) -> Vec<&'static str> {
    let own = match result {
        Some(SUCCESS) => Some("passing"),
        Some(WARNINGS) => Some("warnings"),
        Some(FAILURE) => Some("failing"),
        Some(EXCEPTION) => Some("exception"),
        Some(CANCELLED) => Some("cancelled"),
        _ => None,
    };
    let for_its_own_sake = own.is_some_and(|own| mode.contains(&own) || own == "failing" && mode.contains(&"problem"));
    let changed = mode.contains(&"change") && !for_its_own_sake;
    changed.then_some("change").into_iter().chain(own).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::SKIPPED;

    #[test]
    fn a_change_counts_where_the_mode_has_it_and_the_result_is_not_reported_anyway() {
        for (result, mode, expected) in [
            (FAILURE, &["change"][..], &["change", "failing"][..]),
            (FAILURE, &["change", "failing"], &["failing"]),
            (SUCCESS, &["change", "failing"], &["change", "passing"]),
            (FAILURE, &["problem"], &["failing"]),
            (FAILURE, &["change", "problem"], &["failing"]),
            (EXCEPTION, &["change", "problem"], &["change", "exception"]),
            (FAILURE, &["failing", "passing", "warnings", "exception", "cancelled"], &["failing"]),
            // A buildset as a whole may end as none of its builds that are reported.
            (FAILURE, &["warnings"], &["failing"]),
            (SKIPPED, &["change"], &["change"]),
            (SKIPPED, &["failing"], &[]),
        ] {
            assert_eq!(words(Some(result), mode), expected, "{result} {mode:?}");
        }
    }
}
