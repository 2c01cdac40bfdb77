//! What can be announced, and which build is which.

use serde::{Deserialize, Serialize};

use crate::build::Build;
use crate::component::Problems;
use crate::results::{CANCELLED, EXCEPTION, FAILURE, RETRY, SKIPPED, SUCCESS, WARNINGS};
use crate::settings::OneOrMany;

/// The words of `notify`, and of `notify_events`. Beside these there is `XToY`, of two results: `failureToSuccess`.
const WORDS: [&str; 12] =
    ["started", "finished", "success", "warnings", "failure", "exception", "cancelled", "problem", "recovery", "worse", "better", "worker"];

/// Results of `XToY`.
const OF_CHANGE: [(&str, &str, u8); 4] =
    [("success", "Success", SUCCESS), ("warnings", "Warnings", WARNINGS), ("failure", "Failure", FAILURE), ("exception", "Exception", EXCEPTION)];

/// A word of `notify`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct EventWord(String);

impl EventWord {
    /// Reads a word, capitals ignored but for `XToY`; none if there is no such event.
    pub fn parse(word: &str) -> Option<Self> {
        let lower = word.to_lowercase();
        if WORDS.contains(&lower.as_str()) {
            return Some(Self(lower));
        }
        change(word).map(|_| Self(word.to_owned()))
    }

    /// Reads the setting at `at`.
    ///
    /// # Errors
    ///
    /// Words that are no events.
    pub fn parse_all(words: Option<&OneOrMany<String>>, at: &str) -> Result<Vec<Self>, Problems> {
        let mut problems = Problems::default();
        let mut events = Vec::new();
        for (n, word) in words.into_iter().flat_map(|many| many.iter()).enumerate() {
            match Self::parse(word) {
                Some(event) => events.push(event),
                None => {
                    problems.add(format!("{at}/{n}"), format!("there is no event {word:?}; there are {}, and changes as failureToSuccess", WORDS.join(", ")))
                }
            }
        }
        problems.or(events)
    }

    /// Every word but `XToY`.
    pub fn all() -> [&'static str; 12] {
        WORDS
    }

    /// The word.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is about this.
    pub fn is(&self, occasion: &Occasion) -> bool {
        match occasion {
            Occasion::Started => self.0 == "started",
            Occasion::Worker => self.0 == "worker",
            Occasion::Finished { results, before } => self.is_finished(*results, *before),
        }
    }

    fn is_finished(&self, results: u8, before: Option<u8>) -> bool {
        let good = |results: u8| matches!(results, SUCCESS | WARNINGS);
        let bad = |results: u8| matches!(results, FAILURE | EXCEPTION);
        let compared = before.and_then(|before| Some((severity(before)?, severity(results)?, before)));
        match (self.0.as_str(), compared) {
            ("finished", _) => true,
            ("success", _) => results == SUCCESS,
            ("warnings", _) => results == WARNINGS,
            ("failure", _) => results == FAILURE,
            ("exception", _) => results == EXCEPTION,
            ("cancelled", _) => results == CANCELLED,
            ("better", Some((then, now, _))) => now < then,
            ("worse", Some((then, now, _))) => now > then,
            ("problem", Some((.., before))) => good(before) && bad(results),
            ("recovery", Some((.., before))) => bad(before) && good(results),
            (word, Some((.., before))) => change(word) == Some((before, results)),
            _ => false,
        }
    }

    /// Whether it compares with the build before.
    pub fn compares(&self) -> bool {
        matches!(self.0.as_str(), "better" | "worse" | "problem" | "recovery") || change(&self.0).is_some()
    }
}

/// What is to be announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// A build has begun.
    Started,
    /// A build has ended.
    Finished {
        /// How.
        results: u8,
        /// How the one before it that counts did.
        before: Option<u8>,
    },
    /// A worker is missing, or back.
    Worker,
}

fn change(word: &str) -> Option<(u8, u8)> {
    let from = OF_CHANGE.iter().find(|(from, ..)| word.strip_prefix(from).is_some_and(|rest| rest.starts_with("To")))?;
    let to = OF_CHANGE.iter().find(|(_, to, _)| word[from.0.len()..].strip_prefix("To") == Some(to))?;
    Some((from.2, to.2))
}

/// What is worse than what. A build that was skipped, retried or cancelled says nothing about the code.
fn severity(results: u8) -> Option<u8> {
    [SUCCESS, WARNINGS, FAILURE, EXCEPTION].iter().position(|one| *one == results).and_then(|place| u8::try_from(place).ok())
}

/// How many builds are looked at for one that counts.
const BACK: usize = 10;

/// How the previous build ended that counts: not one that runs still, was skipped, retried or cancelled. *Fetches.*
pub fn before(build: &Build) -> Option<u8> {
    let mut previous = build.previous();
    for _ in 0..BACK {
        let one = previous?;
        match one.results() {
            Some(SKIPPED | RETRY | CANCELLED) | None => previous = one.previous(),
            results => return results,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(results: u8, before: Option<u8>) -> String {
        let words = WORDS.into_iter().chain(["failureToSuccess", "successToWarnings", "warningsToException"]);
        words.filter(|word| EventWord::parse(word).unwrap().is(&Occasion::Finished { results, before })).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn every_word_of_a_finished_build() {
        assert_eq!(told(SUCCESS, None), "finished success");
        assert_eq!(told(SUCCESS, Some(SUCCESS)), "finished success");
        assert_eq!(told(WARNINGS, Some(SUCCESS)), "finished warnings worse successToWarnings");
        assert_eq!(told(SUCCESS, Some(WARNINGS)), "finished success better");
        assert_eq!(told(FAILURE, Some(SUCCESS)), "finished failure problem worse");
        assert_eq!(told(EXCEPTION, Some(WARNINGS)), "finished exception problem worse warningsToException");
        assert_eq!(told(EXCEPTION, Some(FAILURE)), "finished exception worse");
        assert_eq!(told(SUCCESS, Some(FAILURE)), "finished success recovery better failureToSuccess");
        assert_eq!(told(FAILURE, Some(EXCEPTION)), "finished failure better");
        assert_eq!(told(CANCELLED, Some(SUCCESS)), "finished cancelled");
        for results in [SKIPPED, RETRY] {
            assert_eq!(told(results, Some(FAILURE)), "finished");
        }
    }

    #[test]
    fn words_are_read_strictly() {
        for wrong in ["", "begin", "successTo", "To", "successToCancelled", "SuccessToFailure", "failureToSuccess!"] {
            assert_eq!(EventWord::parse(wrong), None, "{wrong}");
        }
        assert_eq!(EventWord::parse("Started").unwrap().as_str(), "started");
    }

    #[test]
    fn builds_that_do_not_count_are_passed_over() {
        let chain = [json!(null), json!(5), json!(6), json!(3), json!(2)];
        let mut build = json!({"results": 0});
        for results in chain.iter().rev().chain([&json!(0)]) {
            let inner = build.clone();
            build = json!({"results": results, "prev_build": inner});
        }
        assert_eq!(before(&Build::from_json(build)), Some(FAILURE));
        assert_eq!(before(&Build::from_json(json!({"results": 2}))), None);
    }
}
