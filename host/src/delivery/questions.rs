//! What components ask now (`query`) keeps to what remotes ask for, as deliveries do; and one question that nobody can answer does not hold up
//! its entry for as long as a report is of use. In the memory of the running host: a restart begins anew.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::verdict::{Verdict, of_question};
use super::worker::LONGEST_PAUSE_MS;
use crate::contract::Later;
use crate::secret::{Encode, encode};
use crate::transport::{Answer, Endpoint, EndpointKind, HttpRequest};

/// How long a question is asked again to which the answer is that the remote has failed, in milliseconds.
const PATIENCE_MS: i64 = 600_000;
/// After how long a failure that was not seen again says nothing any more, in milliseconds.
const FORGOTTEN_MS: i64 = 3_600_000;
/// Questions that are remembered.
const MOST: usize = 10_000;

/// What is known of questions, for all entries.
#[derive(Debug, Default)]
pub struct Questions(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Until when, in milliseconds since 1970, and why, by destination.
    held: HashMap<String, (i64, String)>,
    /// When it failed first and last, by question, and by entry and destination for all of them.
    failing: HashMap<String, (i64, i64)>,
}

impl Questions {
    /// A destination is held, or is no longer.
    pub(super) fn hold(&self, destination: &str, until: Option<i64>, why: &str) {
        match until {
            Some(until) => self.known().hold(destination, until, why),
            None => drop(self.known().held.remove(destination)),
        }
    }

    /// Whether a destination may be asked now.
    ///
    /// # Errors
    /// It is held.
    pub fn admit(&self, destination: &str, now_ms: i64) -> Result<(), Later> {
        let mut known = self.known();
        known.held.retain(|_, (until, _)| *until > now_ms);
        let Some((until, why)) = known.held.get(destination) else { return Ok(()) };
        Err(Later { why: format!("{destination} is held: the last attempt there came to {why:?}"), pause: Some(millis(until - now_ms)) })
    }

    /// Whether an answer is one for the component. One that there is none is: what that means is decided elsewhere.
    ///
    /// # Errors
    /// It is to be asked again: the remote asks for a pause, or has failed for less than ten minutes.
    pub fn judge(&self, entry: &str, endpoint: &Endpoint, request: &HttpRequest, answer: &Answer, now_ms: i64) -> Result<(), Later> {
        if answer.error.is_some() {
            return Ok(());
        }
        let destination = endpoint.destination();
        let question = serde_json::to_string(&(entry, &destination, request)).unwrap_or_default();
        let all = serde_json::to_string(&(entry, &destination)).unwrap_or_default();
        let mut known = self.known();
        let (pause, why) = match of_question(answer, now_ms / 1_000) {
            Verdict::Done | Verdict::Dead(_) => {
                known.failing.remove(&question);
                known.failing.remove(&all);
                return Ok(());
            }
            Verdict::Retry { after, why } => (after, why),
            Verdict::Throttle { pause, why } => {
                // Who asks too much has a limit, which ends.
                let limit = matches!(answer.status, 403 | 429);
                if limit || !known.has_failed_long([&question, &all], now_ms) {
                    let until = now_ms.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX)).min(now_ms.saturating_add(LONGEST_PAUSE_MS));
                    known.hold(&destination, until, &why);
                    return Err(Later { why: asked(endpoint, request, &why), pause: Some(pause) });
                }
                return Ok(());
            }
        };
        if known.has_failed_long([&question, &all], now_ms) { Ok(()) } else { Err(Later { why: asked(endpoint, request, &why), pause }) }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn hold(&mut self, destination: &str, until: i64, why: &str) {
        let held = self.held.entry(destination.to_owned()).or_insert_with(|| (until, why.to_owned()));
        if held.0 < until {
            *held = (until, why.to_owned());
        }
    }

    /// Notes one more failure. Whether one of these has been failing for longer than anybody waits.
    fn has_failed_long(&mut self, keys: [&String; 2], now_ms: i64) -> bool {
        if self.failing.len() >= MOST {
            self.failing.retain(|_, (_, last)| *last + FORGOTTEN_MS > now_ms);
        }
        if self.failing.len() >= MOST {
            self.failing.clear();
        }
        let mut long = false;
        for key in keys {
            let (first, last) = self.failing.entry(key.clone()).or_insert((now_ms, now_ms));
            if *last + FORGOTTEN_MS <= now_ms {
                *first = now_ms;
            }
            *last = now_ms;
            long |= now_ms - *first >= PATIENCE_MS;
        }
        long
    }
}

/// What was asked and what the answer was, for people: `GET https://forge.example/…/api/v4/projects/grp%2Fproj: …`.
fn asked(endpoint: &Endpoint, request: &HttpRequest, why: &str) -> String {
    // The base's own path may be a token.
    let base = match &endpoint.kind {
        EndpointKind::Http(http) if http.base_url.path().trim_end_matches('/').is_empty() => "",
        EndpointKind::Http(_) => "/…",
        _ => "",
    };
    let path: String = request.path.iter().map(|segment| format!("/{}", encode(segment, Encode::Segment).unwrap_or_default())).collect();
    format!("{} {}{base}{path}: {why}", request.method, endpoint.destination())
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const MINUTE: i64 = 60_000;

    fn endpoint() -> Endpoint {
        serde_json::from_value(serde_json::json!({"name": "api", "kind": "http", "base_url": "https://forge.example/"})).unwrap()
    }

    /// Asks for `path` as the entry, `minute` minutes after the beginning.
    fn ask(questions: &Questions, entry: &str, path: &str, minute: i64, status: u16, headers: &[(&str, &str)], body: &str) -> Result<(), Later> {
        let now = NOW + minute * MINUTE;
        questions.admit("https://forge.example", now)?;
        let request = HttpRequest { method: "GET".into(), path: vec![path.into()], query: vec![], headers: vec![], body: Default::default() };
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        questions.judge(entry, &endpoint(), &request, &Answer { status, headers, body: body.into(), ..Answer::default() }, now)
    }

    #[test]
    fn limits_are_waited_for_in_each_dialect() {
        let reset = (NOW / 1_000 + 90).to_string();
        let limits: [(u16, &[(&str, &str)], &str, u64); 5] = [
            (429, &[("retry-after", "60")], "", 60),
            (403, &[("retry-after", "7200")], "", 7_200),
            (403, &[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", &reset)], "", 90),
            (403, &[], "You have exceeded a secondary rate limit.", 60),
            (503, &[("retry-after", "30")], "", 30),
        ];
        for (status, headers, body, seconds) in limits {
            let questions = Questions::default();
            let later = ask(&questions, "it", "a", 0, status, headers, body).unwrap_err();
            assert_eq!(later.pause, Some(Duration::from_secs(seconds)), "{later:?}");
            assert!(later.why.starts_with(&format!("GET https://forge.example/a: the answer was {status}")), "{later:?}");
            // Nobody asks there meanwhile, but no longer than five minutes: others may have another account.
            let held = ask(&questions, "another", "b", 0, 200, &[], "").unwrap_err();
            assert_eq!(held.pause, Some(Duration::from_secs(seconds.min(300))), "{held:?}");
            assert_eq!(ask(&questions, "another", "b", 5, 200, &[], ""), Ok(()));
        }
        for (status, body) in [(200, ""), (401, ""), (403, "no"), (404, ""), (501, "")] {
            assert_eq!(ask(&Questions::default(), "it", "a", 0, status, &[], body), Ok(()), "{status}");
        }
    }

    #[test]
    fn a_reason_names_what_was_asked_but_not_the_bases_path() {
        for (base, shown) in [
            ("https://forge.example", "https://forge.example/api/grp%2Fproj"),
            ("https://forge.example/", "https://forge.example/api/grp%2Fproj"),
            ("https://forge.example:8443/t0ken", "https://forge.example:8443/…/api/grp%2Fproj"),
            ("https://forge.example/gl/t0ken/", "https://forge.example/…/api/grp%2Fproj"),
        ] {
            let endpoint = serde_json::from_value(serde_json::json!({"name": "api", "kind": "http", "base_url": base})).unwrap();
            let request =
                HttpRequest { method: "GET".into(), path: vec!["api".into(), "grp/proj".into()], query: vec![], headers: vec![], body: Default::default() };
            for status in [502, 429] {
                let later = Questions::default().judge("it", &endpoint, &request, &Answer { status, ..Answer::default() }, NOW).unwrap_err();
                assert!(later.why.starts_with(&format!("GET {shown}: the answer was {status}")), "{later:?}");
            }
        }
    }

    #[test]
    fn deliveries_hold_questions() {
        let questions = Questions::default();
        questions.hold("https://forge.example", Some(NOW + 2 * MINUTE), "the answer was 429");
        assert!(ask(&questions, "it", "a", 1, 200, &[], "").unwrap_err().why.contains("the answer was 429"));
        questions.hold("https://forge.example", None, "");
        assert_eq!(ask(&questions, "it", "a", 1, 200, &[], ""), Ok(()));
    }

    #[test]
    fn patience_with_a_question_ends() {
        let questions = Questions::default();
        let (broken, whole) = (|minute| ask(&questions, "it", "a", minute, 500, &[], "boom"), |minute| ask(&questions, "it", "b", minute, 200, &[], ""));
        assert!(broken(0).is_err_and(|later| later.pause.is_none()));
        // Others of the same entry are answered meanwhile.
        assert_eq!((whole(1), broken(9).is_err(), whole(9)), (Ok(()), true, Ok(())));
        assert_eq!((broken(10), broken(11)), (Ok(()), Ok(())), "nobody waits for it any more");
        // Another entry's patience is its own.
        assert!(ask(&questions, "another", "a", 11, 500, &[], "").is_err());
        assert_eq!(ask(&questions, "it", "a", 12, 200, &[], ""), Ok(()));
        assert!(broken(13).is_err(), "it begins anew");
        assert!(broken(90).is_err(), "so does what was long ago");
    }

    #[test]
    fn patience_with_a_remote_that_answers_nothing_ends_for_all_questions() {
        let questions = Questions::default();
        assert!(ask(&questions, "it", "a", 0, 502, &[], "").is_err());
        assert!(ask(&questions, "it", "b", 9, 502, &[], "").is_err());
        assert_eq!(ask(&questions, "it", "c", 10, 503, &[("retry-after", "600")], ""), Ok(()));
        // Limits are waited for all the same.
        assert!(ask(&questions, "it", "d", 11, 429, &[], "").is_err());
    }
}
