//! From a verdict to what is written: retries with their time, and recipients whose results differ.

use std::sync::Arc;
use std::time::Duration;

use super::backoff::{Backoff, jitter};
use super::verdict::{Verdict, smtp};
use crate::store::{AttemptLine, Delivery, Settle, Settled, SplitOff, TaggedAnswer};
use crate::transport::{Answer, FailedKind, Mail, Payload, RecipientAnswer};

/// Characters of an answer that the log keeps.
const SHOWN: usize = 2_000;
/// A last try is made so many milliseconds before the expiry, unless one was made as shortly before: the remote needs time to answer.
const LAST_MS: i64 = 5_000;
/// Characters of a reason, and of a title that names people.
const REASON: usize = 1_000;
const TITLE: usize = 300;
/// People who are named before the others are counted.
const NAMED: usize = 3;
/// Bytes of an answer's body that a component is given.
const BODY: usize = 256 << 10;

/// What one attempt leads to. `now` is in milliseconds since 1970.
pub(super) fn settle(delivery: &Delivery, answer: &Answer, verdict: Verdict, line: AttemptLine, now: i64) -> Settled {
    let mut split = Vec::new();
    let settle = match (delivery.new.payload.as_ref(), answer.recipients.as_slice()) {
        (Payload::Smtp(mail), results) if differ(results) => apart(delivery, mail, results, &mut split, now),
        (_, [first, ..]) => again_or_end(delivery, smtp(first.status, format!("{} {}", first.status, first.text)), now),
        _ => rest(again_or_end(delivery, verdict, now), answer),
    };
    let settle = match settle {
        Settle::Dead(why) => Settle::Dead(cut(why, REASON)),
        Settle::Retry { due_ms, why, payload, throttled } => Settle::Retry { due_ms, why: cut(why, REASON), payload, throttled },
        settle => settle,
    };
    let lost = |payload: &Payload| matches!(payload, Payload::Master(_)) && answer.error.as_ref().is_some_and(|failed| failed.kind == FailedKind::Unknown);
    let word = |ended| if lost(&delivery.new.payload) { "unknown" } else { ended };
    let answer = ended(&settle).map(|ended| tagged(answer, word(ended)));
    Settled { delivery: delivery.id, attempt: Some(line), settle, split, answer: answer.filter(|_| delivery.new.tag.is_some()) }
}

/// Another try sends what is left.
fn rest(settle: Settle, answer: &Answer) -> Settle {
    match settle {
        Settle::Retry { due_ms, why, payload: None, throttled } => Settle::Retry { due_ms, why, payload: answer.rest.clone(), throttled },
        settle => settle,
    }
}

/// What a delivery that ends without an attempt leads to.
pub(super) fn without_attempt(delivery: i64, tagged_with: bool, settle: Settle) -> Settled {
    let answer = ended(&settle).filter(|_| tagged_with).map(|ended| tagged(&Answer::default(), ended));
    Settled { delivery, attempt: None, settle, split: Vec::new(), answer }
}

/// The line of an attempt for the log.
pub(super) fn line(answer: &Answer, at_ms: i64, took_ms: i64) -> AttemptLine {
    let text = match &answer.error {
        Some(failed) => failed.message.clone(),
        None if !answer.recipients.is_empty() => {
            let one = |it: &RecipientAnswer| format!("{}: {} {}", it.address, it.status, it.text);
            answer.recipients.iter().map(one).collect::<Vec<_>>().join("\n")
        }
        None => String::from_utf8_lossy(&answer.body).into_owned(),
    };
    let cut = text.floor_char_boundary(SHOWN);
    AttemptLine { at_ms, took_ms, status: answer.status, text: text[..cut].to_owned() }
}

fn ended(settle: &Settle) -> Option<&'static str> {
    match settle {
        Settle::Delivered => Some("delivered"),
        Settle::Superseded(_) => Some("superseded"),
        Settle::Dead(_) => Some("dead"),
        Settle::Retry { .. } => None,
    }
}

fn tagged(answer: &Answer, ended: &str) -> TaggedAnswer {
    let body = &answer.body[..answer.body.len().min(BODY)];
    // Without an answer there is at least a reason.
    let text = match &answer.error {
        Some(failed) if body.is_empty() => failed.message.clone(),
        _ => String::from_utf8_lossy(body).into_owned(),
    };
    TaggedAnswer { status: answer.status, headers: answer.headers.clone(), body: text, ended: ended.to_owned() }
}

fn again_or_end(delivery: &Delivery, verdict: Verdict, now: i64) -> Settle {
    match verdict {
        Verdict::Done => Settle::Delivered,
        Verdict::Dead(why) => Settle::Dead(why),
        Verdict::Throttle { pause, why } => again(delivery, pause, why, None, true, now),
        Verdict::Retry { after: Some(after), why } => again(delivery, after, why, None, false, now),
        Verdict::Retry { after: None, why } => again(delivery, usual(delivery, now), why, None, false, now),
    }
}

/// The pause after one more failure, what was throttled being none. Where it would be over when the delivery has expired, there is time
/// left for a last try: nobody asked for the pause but us.
fn usual(delivery: &Delivery, now: i64) -> Duration {
    let pause = Backoff::of(&delivery.new.payload).pause(failed(delivery) + 1, jitter());
    let last = delivery.new.expires_ms.saturating_sub(LAST_MS).saturating_sub(now);
    if last < LAST_MS { pause } else { pause.min(Duration::from_millis(last.unsigned_abs())) }
}

fn failed(delivery: &Delivery) -> u32 {
    delivery.attempts.saturating_sub(delivery.throttled)
}

/// A verdict with what a remote asks for held to the least that makes sense: many ask for no pause at all, or name a time
/// that is past.
pub(super) fn held_to_least(verdict: Verdict, delivery: &Delivery) -> Verdict {
    match verdict {
        Verdict::Throttle { pause, why } => Verdict::Throttle { pause: pause.max(Backoff::ASKED.pause(delivery.throttled + 1, 0.5)), why },
        Verdict::Retry { after: Some(after), why } => Verdict::Retry { after: Some(after.max(Backoff::ASKED.pause(failed(delivery) + 1, 0.5))), why },
        verdict => verdict,
    }
}

fn again(delivery: &Delivery, pause: Duration, why: String, payload: Option<Arc<Payload>>, throttled: bool, now: i64) -> Settle {
    let due_ms = now.saturating_add(i64::try_from(pause.as_millis()).unwrap_or(i64::MAX));
    if due_ms >= delivery.new.expires_ms {
        return Settle::Dead(format!("expired before another try could be made: {why}"));
    }
    Settle::Retry { due_ms, why, payload, throttled }
}

fn cut(mut text: String, most: usize) -> String {
    if text.len() > most {
        text.truncate(text.floor_char_boundary(most));
        text.push('…');
    }
    text
}

/// `ann@x.org, bob@x.org and 7 more`
fn people(addresses: &[&str]) -> String {
    match addresses.len().checked_sub(NAMED + 1) {
        Some(more) => format!("{} and {} more", addresses[..NAMED].join(", "), more + 1),
        None => addresses.join(", "),
    }
}

/// What was said, each with those to whom it was said.
fn reasons(results: &[&RecipientAnswer]) -> String {
    let mut said: Vec<(String, Vec<&str>)> = Vec::new();
    for it in results {
        let text = format!("{} {}", it.status, it.text);
        match said.iter_mut().find(|(other, _)| *other == text) {
            Some((_, of)) => of.push(&it.address),
            None => said.push((text, vec![&it.address])),
        }
    }
    said.iter().map(|(text, of)| format!("{}: {text}", people(of))).collect::<Vec<_>>().join("; ")
}

fn class(status: u16) -> u16 {
    status / 100
}

fn differ(results: &[RecipientAnswer]) -> bool {
    results.windows(2).any(|pair| class(pair[0].status) != class(pair[1].status))
}

/// Some recipients were accepted, others not: each refused one becomes a dead letter of its own, for which the store does not keep the mail once
/// more, and what may be tried again stays with the delivery.
fn apart(delivery: &Delivery, mail: &Mail, results: &[RecipientAnswer], split: &mut Vec<SplitOff>, now: i64) -> Settle {
    let only = |addresses: Vec<String>| Arc::new(Payload::Smtp(Mail { only: Some(addresses), ..mail.clone() }));
    let mut part = |of: &[&RecipientAnswer], dead: Option<String>| {
        let addresses: Vec<String> = of.iter().map(|it| it.address.clone()).collect();
        split.push(SplitOff {
            of: delivery.new.clone(),
            event: delivery.event,
            title: cut(format!("{} (to {})", delivery.new.title, people(&addresses.iter().map(String::as_str).collect::<Vec<_>>())), TITLE),
            payload: only(addresses),
            dead: dead.map(|why| cut(why, REASON)),
        });
    };
    let of = |wanted: u16| results.iter().filter(|it| class(it.status) == wanted).collect::<Vec<_>>();
    let (taken, later) = (of(2), of(4));
    for refused in results.iter().filter(|it| !matches!(class(it.status), 2 | 4)) {
        part(&[refused], Some(reasons(&[refused])));
    }
    if later.is_empty() {
        return Settle::Delivered;
    }
    let why = reasons(&later);
    match again(delivery, usual(delivery, now), why, Some(only(later.iter().map(|it| it.address.clone()).collect())), false, now) {
        // A dead letter of the whole would mail those again who have it, if it is delivered once more.
        Settle::Dead(why) if !taken.is_empty() => {
            part(&later, Some(why));
            Settle::Delivered
        }
        settle => {
            if !taken.is_empty() {
                part(&taken, None);
            }
            settle
        }
    }
}
