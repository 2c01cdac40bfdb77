//! What an answer means. Pure: the table is in the tests, and for operators in docs/delivery.md.

use std::time::Duration;

use serde_json::Value;

use crate::store::{Rule, RuleVerdict};
use crate::transport::{Answer, FailedKind, Payload};

/// The longest pause that a remote is believed.
const LONGEST: Duration = Duration::from_secs(24 * 3_600);
/// The pause of a remote that says "too many" and not until when (GitHub asks for at least a minute).
const UNSAID: Duration = Duration::from_secs(60);

/// What an answer means for a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Delivered.
    Done,
    /// Worth another try.
    Retry {
        /// Not before so long; none: as the backoff says.
        after: Option<Duration>,
        /// Why.
        why: String,
    },
    /// Worth another try, and nothing is to go to this destination before.
    Throttle {
        /// How long.
        pause: Duration,
        /// Why.
        why: String,
    },
    /// Never to be accepted.
    Dead(String),
}

/// Reads an answer. `now` is in seconds since 1970.
pub fn verdict(payload: &Payload, answer: &Answer, rules: &[Rule], now: i64) -> Verdict {
    // What acts is tried once, whatever came of it.
    if let Payload::Master(_) = payload {
        return match &answer.error {
            Some(failed) => Verdict::Dead(failed.message.clone()),
            None if (200..300).contains(&answer.status) => Verdict::Done,
            None => Verdict::Dead(why(payload, answer)),
        };
    }
    if let Some(failed) = &answer.error {
        return match failed.kind {
            FailedKind::Never => Verdict::Dead(failed.message.clone()),
            FailedKind::NotSent | FailedKind::NotTried | FailedKind::Unknown => Verdict::Retry { after: asked(answer, now), why: failed.message.clone() },
        };
    }
    let why = why(payload, answer);
    if let Some(rule) = rules.iter().find(|rule| matches(rule, answer)) {
        return match rule.verdict {
            RuleVerdict::Done => Verdict::Done,
            RuleVerdict::Retry => Verdict::Retry { after: asked(answer, now), why },
            RuleVerdict::Dead => Verdict::Dead(why),
            RuleVerdict::Throttle(seconds) => Verdict::Throttle { pause: Duration::from_secs(seconds.into()).min(LONGEST), why },
        };
    }
    match payload {
        Payload::Http(_) => http(answer, why, now),
        Payload::Smtp(_) => smtp(answer.status, why),
        Payload::Irc(_) => irc(answer, why, now),
        Payload::Master(_) => Verdict::Dead(why),
        Payload::Ssh(_) => ssh(answer.status, why),
    }
}

/// What an SMTP reply code means (RFC 5321, 4.2.1).
pub(super) fn smtp(status: u16, why: String) -> Verdict {
    match status {
        200..=299 => Verdict::Done,
        400..=499 => Verdict::Retry { after: None, why },
        // Not this mail but the account was refused (RFC 4954, 6): the operator can mend that while it waits.
        530 | 534 | 535 | 538 => Verdict::Retry { after: None, why: format!("{why}; look at smtpUser and smtpPassword") },
        _ => Verdict::Dead(why),
    }
}

/// What a numeric of IRC means (RFC 2812, 5.2; <https://modern.ircdocs.horse/#numerics>).
fn irc(answer: &Answer, why: String, now: i64) -> Verdict {
    match answer.status {
        263 => Verdict::Retry { after: asked(answer, now), why },
        200..=399 => Verdict::Done,
        // Not in the channel, silenced, full, banned, without its key or without registration: that changes.
        404 | 405 | 407 | 437 | 439 | 442 | 471 | 473 | 474 | 475 | 477 | 486 | 489 | 531 => Verdict::Retry { after: None, why },
        _ => Verdict::Dead(why),
    }
}

/// What an exit code means: a command says no for a reason. Those that may go better later have rules.
fn ssh(status: u16, why: String) -> Verdict {
    if status == 0 { Verdict::Done } else { Verdict::Dead(why) }
}

fn http(answer: &Answer, why: String, now: i64) -> Verdict {
    match answer.status {
        200..=299 => Verdict::Done,
        429 => Verdict::Throttle { pause: asked(answer, now).unwrap_or(UNSAID), why },
        // GitHub answers 403 to what comes too fast: with a time, without calls left, or in words.
        403 if limited(answer) => Verdict::Throttle { pause: asked(answer, now).unwrap_or(UNSAID), why },
        503 => match asked(answer, now) {
            Some(pause) => Verdict::Throttle { pause, why },
            None => Verdict::Retry { after: None, why },
        },
        408 | 425 | 500 | 502 | 504 | 507..=599 => Verdict::Retry { after: asked(answer, now), why },
        300..=399 => Verdict::Dead(format!("{why}; it has moved: put the new address into the settings")),
        401 | 403 => Verdict::Dead(format!("{why}; look at the credentials and their rights")),
        _ => Verdict::Dead(why),
    }
}

/// The same of a question of HTTP, for which nobody has rules.
pub(super) fn of_question(answer: &Answer, now: i64) -> Verdict {
    http(answer, in_words("the answer was", answer), now)
}

fn limited(answer: &Answer) -> bool {
    header(answer, "retry-after").is_some()
        || header(answer, "x-ratelimit-remaining") == Some("0")
        || String::from_utf8_lossy(&answer.body).to_lowercase().contains("rate limit")
}

fn matches(rule: &Rule, answer: &Answer) -> bool {
    (rule.from..=rule.to).contains(&answer.status)
        && (rule.contains.is_empty() || String::from_utf8_lossy(&answer.body).to_lowercase().contains(&rule.contains.to_lowercase()))
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    answer.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.trim())
}

/// How long the remote asks to be left alone, in its dialect: `Retry-After` in seconds or as a date (RFC 9110,
/// 10.2.3), `X-RateLimit-Reset` as a time (GitHub, Zulip) or in seconds, `RateLimit-Reset` in seconds or as a time (GitLab),
/// `X-Limit-App-Reset` as a time (Pushover), `retry_after` in the body (Discord), or below `parameters` (Telegram).
fn asked(answer: &Answer, now: i64) -> Option<Duration> {
    let seconds = retry_after(answer, now).or_else(|| reset(answer, now)).or_else(|| in_body(answer))?;
    if !seconds.is_finite() || seconds < 0.0 {
        return None;
    }
    Some(Duration::from_secs_f64(seconds.min(LONGEST.as_secs_f64())))
}

fn retry_after(answer: &Answer, now: i64) -> Option<f64> {
    let value = header(answer, "retry-after")?;
    if let Ok(seconds) = value.parse::<f64>() {
        return Some(seconds);
    }
    let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value.replace("GMT", "+0000")).ok()?;
    Some(until(date.as_second(), now))
}

fn reset(answer: &Answer, now: i64) -> Option<f64> {
    if header(answer, "x-ratelimit-remaining").is_some_and(|left| left != "0") {
        return None;
    }
    let value = ["x-ratelimit-reset", "ratelimit-reset", "x-limit-app-reset"].iter().find_map(|name| header(answer, name))?;
    let number: f64 = value.parse().ok()?;
    // A number of this size is a time and not a duration.
    if number > 1e9 { Some(until(number as i64, now)) } else { Some(number) }
}

fn in_body(answer: &Answer) -> Option<f64> {
    let body: Value = serde_json::from_slice(&answer.body).ok()?;
    body["retry_after"].as_f64().or_else(|| body["parameters"]["retry_after"].as_f64())
}

fn until(time: i64, now: i64) -> f64 {
    time.saturating_sub(now).max(0) as f64
}

/// The answer in one line.
fn why(payload: &Payload, answer: &Answer) -> String {
    in_words(if let Payload::Ssh(_) = payload { "the exit code was" } else { "the answer was" }, answer)
}

fn in_words(said: &str, answer: &Answer) -> String {
    const SHOWN: usize = 300;
    let body = String::from_utf8_lossy(&answer.body);
    let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = &line[..line.floor_char_boundary(SHOWN)];
    if line.is_empty() { format!("{said} {}", answer.status) } else { format!("{said} {}: {line}", answer.status) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Failed, HttpRequest, SshCommand};

    const NOW: i64 = 1_800_000_000;

    fn http_payload() -> Payload {
        Payload::Http(HttpRequest { method: "POST".into(), path: vec![], query: vec![], headers: vec![], body: Default::default() })
    }

    fn judge(status: u16, headers: &[(&str, &str)], body: &str, rules: &[Rule]) -> Verdict {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let answer = Answer { status, headers, body: body.into(), ..Answer::default() };
        verdict(&http_payload(), &answer, rules, NOW)
    }

    fn word(verdict: &Verdict) -> &'static str {
        match verdict {
            Verdict::Done => "done",
            Verdict::Retry { .. } => "retry",
            Verdict::Throttle { .. } => "throttle",
            Verdict::Dead(_) => "dead",
        }
    }

    #[test]
    fn every_http_status() {
        for status in 100..=599 {
            let expected = match status {
                200..=299 => "done",
                429 => "throttle",
                408 | 425 | 500 | 502 | 503 | 504 | 507..=599 => "retry",
                _ => "dead",
            };
            assert_eq!(word(&judge(status, &[], "", &[])), expected, "{status}");
        }
    }

    #[test]
    fn every_smtp_reply() {
        for status in 200..=599 {
            let expected = match status {
                200..=299 => "done",
                400..=499 | 530 | 534 | 535 | 538 => "retry",
                _ => "dead",
            };
            assert_eq!(word(&smtp(status, String::new())), expected, "{status}");
        }
    }

    #[test]
    fn exit_codes() {
        let payload = Payload::Ssh(SshCommand { words: vec!["gerrit".into(), "review".into()], arguments: vec![], stdin: vec![] });
        let judge = |status, rules: &[Rule]| {
            verdict(&payload, &Answer { status, body: b"fatal: internal server error while reviewing\n".to_vec(), ..Answer::default() }, rules, NOW)
        };
        assert_eq!(judge(0, &[]), Verdict::Done);
        assert_eq!(judge(1, &[]), Verdict::Dead("the exit code was 1: fatal: internal server error while reviewing".into()));
        let again = Rule { from: 1, to: 255, contains: "internal server error".into(), verdict: RuleVerdict::Retry };
        assert_eq!(word(&judge(1, &[again])), "retry");
    }

    #[test]
    fn dialects_of_later() {
        let pause = |status, headers: &[(&str, &str)], body| match judge(status, headers, body, &[]) {
            Verdict::Throttle { pause, .. } => Some(pause.as_secs_f64()),
            Verdict::Retry { after, .. } => after.map(|after| after.as_secs_f64()),
            _ => None,
        };
        let (soon, reset) = ((NOW + 90).to_string(), ("x-ratelimit-remaining", "0"));
        assert_eq!(pause(429, &[("retry-after", "7")], ""), Some(7.0));
        assert_eq!(pause(503, &[("retry-after", "Fri, 15 Jan 2027 08:01:00 GMT")], ""), Some(60.0));
        assert_eq!(pause(403, &[reset, ("x-ratelimit-reset", &soon)], ""), Some(90.0));
        assert_eq!(pause(429, &[("ratelimit-reset", "12")], ""), Some(12.0));
        assert_eq!(pause(429, &[("x-limit-app-reset", &soon)], ""), Some(90.0));
        assert_eq!(pause(429, &[], r#"{"retry_after": 0.5}"#), Some(0.5));
        assert_eq!(pause(429, &[], r#"{"ok": false, "parameters": {"retry_after": 33}}"#), Some(33.0));
        assert_eq!(pause(403, &[], "You have exceeded a secondary rate limit"), Some(60.0));
        assert_eq!(pause(403, &[], "no"), None);
        assert_eq!(pause(429, &[("retry-after", "1e300")], ""), Some(LONGEST.as_secs_f64()));
        assert_eq!(pause(429, &[("retry-after", "-5")], ""), Some(60.0));
        assert_eq!(pause(429, &[("retry-after", "NaN")], "{"), Some(60.0));
        assert_eq!(pause(500, &[("retry-after", "3")], ""), Some(3.0));
    }

    #[test]
    fn the_first_rule_that_matches_decides() {
        let rule = |from, to, contains: &str, verdict| Rule { from, to, contains: contains.into(), verdict };
        let rules =
            [rule(400, 400, "Cannot Transition", RuleVerdict::Done), rule(400, 499, "", RuleVerdict::Throttle(5)), rule(200, 299, "no", RuleVerdict::Dead)];
        assert_eq!(judge(400, &[], "cannot transition status", &rules), Verdict::Done);
        assert_eq!(word(&judge(400, &[], "else", &rules)), "throttle");
        assert_eq!(word(&judge(200, &[], "NO", &rules)), "dead");
        assert_eq!(judge(200, &[], "yes", &rules), Verdict::Done);
    }

    #[test]
    fn attempts_without_an_answer_may_say_when() {
        let headers = vec![("retry-after".to_owned(), "30".to_owned())];
        let answer = Answer { headers, ..Answer::failed(FailedKind::NotTried, "no token now") };
        let after = Some(Duration::from_secs(30));
        assert_eq!(verdict(&http_payload(), &answer, &[], NOW), Verdict::Retry { after, why: "no token now".into() });
    }

    #[test]
    fn attempts_without_an_answer() {
        for (kind, expected) in [(FailedKind::NotSent, "retry"), (FailedKind::NotTried, "retry"), (FailedKind::Unknown, "retry"), (FailedKind::Never, "dead")] {
            let answer = Answer { error: Some(Failed { message: "x".into(), kind }), ..Answer::default() };
            assert_eq!(word(&verdict(&http_payload(), &answer, &[], NOW)), expected);
        }
    }
}
