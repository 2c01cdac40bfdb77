//! What it does in `report` and `answered`.

use reporter_sdk::event::{Event, Subjects};
use reporter_sdk::http::{self, Request};
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log, state};
use reporter_sdk::slot::ask;

use crate::{Settings, exhaust, shell, wire};

/// Does it.
pub fn report(settings: &Settings, event: &Event) -> Result<Outcome, Failure> {
    let endless = 0..settings.count;
    match settings.what.as_str() {
        // Nothing wrong: what the others are compared with.
        "send" | "configure-log" => wire::post("well done"),
        "skip" => return Ok(Outcome::Skipped("it was asked to".into())),
        "fail" => return Err(Failure::for_good("it was asked to fail")),
        "fail-for-now" => return Err(Failure::for_now("it was asked to fail for now")),
        "late" if event.late() => wire::post("late"),
        "late" => return Ok(Outcome::Skipped("not late".into())),

        // Using things up.
        "loop" => exhaust::spin(),
        "recurse" => wire::post(&exhaust::recurse(1).to_string()),
        "memory" => exhaust::memory(),
        "flood" => endless.for_each(|n| wire::post(&n.to_string())),
        "huge-message" => wire::post(&"x".repeat(64 << 20)),
        "huge-messages" => endless.for_each(|_| wire::post(&"x".repeat(1 << 20))),
        "log-flood" => endless.for_each(|n| log(Level::Error, &format!("line {n}"))),
        "huge-log-line" => log(Level::Error, &"x".repeat(8 << 20)),
        "odd-log-line" => log(Level::Error, "two\nlines \u{1b}[31mred\u{1b}[0m \u{0} \u{202e}"),
        "handle-flood" => {
            let terms: Vec<_> = endless.map(|_| wire::terms()).collect();
            wire::post(&terms.len().to_string());
        }
        "build-flood" => {
            // Grown by and by: room for all of them at once would be over the limit of memory.
            let mut builds = Vec::new();
            endless.for_each(|_| builds.push(event.subjects(None)));
            wire::post(&builds.len().to_string());
        }
        "state-flood" => endless.for_each(|n| state::set(&format!("key {n}"), Some("value"))),
        "reminder-flood" => endless.for_each(|n| state::remind(&format!("reminder {n}"), 0)),
        "reminders" => (0..settings.count.min(100)).for_each(|n| state::remind(&format!("reminder {n}"), 3_600)),
        "reminder-again" => state::remind("again", 0),
        "reminders-again" => (0..2).for_each(|n| state::remind(&format!("again {n}"), 0)),
        "huge-reminder" => state::remind(&"x".repeat(8 << 10), 1),
        "huge-state" => state::set("key", Some(&"x".repeat(8 << 20))),
        "state-count" => {
            let so_far = state::get("count").and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
            state::set("count", Some(&(so_far + 1).to_string()));
            wire::post(&format!("call {}", so_far + 1));
        }
        // An event whose id contains `text` fails; what the call wrote must not be counted by the next.
        "state-count-but" => {
            let so_far = state::get("count").and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
            state::set("count", Some(&(so_far + 1).to_string()));
            wire::post(&format!("call {}", so_far + 1));
            if event.id().contains(&settings.text) {
                return Err(Failure::for_good("this event is not for it"));
            }
        }
        "log-bytes" => {
            let logs = event.builds().into_iter().flat_map(|build| build.steps()).flat_map(|step| step.logs());
            let read: usize = logs.map(|log| log.read(0, u32::MAX).len()).sum();
            wire::post(&read.to_string());
        }

        // Waiting.
        "wait" => wire::post(&http::query(Request::new::<&str>("server", "GET", ["slow"])).status.to_string()),
        // Only if the event's id contains `text`.
        "wait-for-some" if !event.id().contains(&settings.text) => wire::post(&event.id()),
        "wait-for-some" => wire::post(&http::query(Request::new::<&str>("server", "GET", ["slow"])).status.to_string()),
        "query-flood" => endless.for_each(|n| {
            http::query(Request::new("server", "GET", ["q", &n.to_string()]));
        }),
        "query-post" => wire::post(&http::query(Request::new::<&str>("server", "POST", ["q"])).status.to_string()),

        // Ending badly after something was sent: all of it must be undone.
        "send-then-trap" => {
            wire::post("must not go out");
            exhaust::trap()
        }
        "send-then-loop" => {
            wire::post("must not go out");
            exhaust::spin()
        }
        "state-then-fail" => {
            state::set("key", Some("must not stay"));
            wire::post("must not go out");
            return Err(Failure::for_good("after it had sent"));
        }
        "plan-no-state" => state::set("key", Some("value")),
        "state-shown" => wire::post(&state::get("key").unwrap_or_else(|| "nothing".into())),
        "trap" => exhaust::trap(),
        "panic" => panic!("it was asked to"),
        "not-utf8-reason" => return Ok(Outcome::Skipped(exhaust::not_utf8())),
        "huge-failure" => return Err(Failure::for_good("x".repeat(4 << 20))),
        "huge-reason" => return Ok(Outcome::Skipped("x".repeat(8 << 20))),

        // Formatters.
        "format" => {
            let document = ask("message", event.subjects(None), Context::default())?;
            wire::post(&document.0.to_string());
        }
        "format-unknown-slot" => match ask("no-such-slot", Subjects::Users(Vec::new()), Context::default()) {
            Ok(document) => wire::post(&document.0.to_string()),
            Err(failure) => return Err(failure),
        },
        "format-flood" => {
            for _ in endless {
                ask("message", event.subjects(None), Context::default())?;
            }
        }

        // A conversation with a remote.
        "tagged" | "tagged-trap" | "tagged-loop" | "tagged-again" => wire::post_tagged("first"),

        other => {
            if !wire::misbehave(other, &settings.text) && !shell::misbehave(other, &settings.text) {
                return Err(Failure::for_good(format!("nothing is known about {other}")));
            }
        }
    }
    Ok(Outcome::Sent)
}

/// Answers come for the words that begin with `tagged`.
pub fn answered(settings: &Settings, tag: &str, answer: &Answer) -> Result<Outcome, Failure> {
    match settings.what.as_str() {
        "tagged" => {
            state::set("answered", Some(&format!("{tag} {} {}", answer.status, answer.ended)));
            wire::post(&format!("answered {} {}: {}", answer.status, answer.ended, String::from_utf8_lossy(&answer.body)));
        }
        "tagged-trap" => {
            wire::post("must not go out");
            exhaust::trap()
        }
        "tagged-loop" => exhaust::spin(),
        // A ping-pong that never ends by itself.
        "tagged-again" => wire::post_tagged("once more"),
        // As well, and without a remote; one becomes two each time.
        "reminder-again" => state::remind(tag, 0),
        "reminders-again" => (0..2).for_each(|_| state::remind(tag, 0)),
        other => return Err(Failure::for_good(format!("no answer was expected by {other}"))),
    }
    Ok(Outcome::Sent)
}
