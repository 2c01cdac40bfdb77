//! Limits and traps: the call ends, and nothing of it is kept.

use std::sync::Arc;
use std::time::Duration;

use reporter_host::sandbox::{Outcome, RunError};
use reporter_host_tests::{build, details};
use serde_json::json;

use super::{kit, run, run_with};

/// What runs into which limit.
const LIMITS: &[(&str, &str)] = &[
    ("loop", "compute_ms"),
    ("memory", "memory_mib"),
    ("flood", "sends"),
    ("huge-message", "memory_mib"),
    ("huge-messages", "send_kib"),
    ("rule-flood", "memory_mib"),
    ("query-flood", "queries"),
    ("send-then-loop", "compute_ms"),
    ("configure-loop", "compute_ms"),
    ("configure-memory", "memory_mib"),
];
/// What the host would have to hold.
const READING: &[(&str, &str)] =
    &[("log-bytes", "read_kib"), ("handle-flood", "read_kib"), ("build-flood", "read_kib"), ("state-flood", "state_kib"), ("huge-state", "state_kib")];
/// What traps, or uses the stack up. That of a guest is in its memory.
const TRAPS: &[&str] = &["trap", "panic", "recurse", "send-then-trap", "configure-trap", "configure-panic", "configure-recurse", "not-utf8", "not-utf8-reason"];
/// What ends by itself, and badly.
const FAILURES: &[(&str, &str, bool)] =
    &[("fail", "it was asked to fail", false), ("fail-for-now", "it was asked to fail for now", true), ("state-then-fail", "after it had sent", false)];
const SILENT: &[(&str, &str)] = &[("skip", "it was asked to"), ("late", "not late")];
const LOGGED: &[&str] = &["huge-log-line", "odd-log-line", "log-flood", "configure-log", "configure-log-flood"];
const OTHERS: &[&str] = &["wait", "send", "huge-reason", "huge-failure"];

pub fn words() -> Vec<&'static str> {
    let limits = [LIMITS, READING, SILENT].concat().into_iter().map(|(word, _)| word);
    limits.chain(FAILURES.iter().map(|(word, ..)| *word)).chain([TRAPS, LOGGED, OTHERS].concat()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_ends_the_call_by_its_name() {
    let kit = kit();
    for (what, limit) in LIMITS {
        let ran = run(&kit, what).await;
        assert_eq!(ran.answer, Err(RunError::Limit(limit)), "{what}");
        assert!(ran.sends.is_empty() && ran.writes.is_empty(), "{what}: something was kept");
    }
    assert_eq!(run(&kit, "send").await.answer, Ok(Outcome::Sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn with_more_memory_a_huge_message_is_still_too_large() {
    let mut kit = kit();
    kit.limits.memory = 256 << 20;
    kit.limits.compute = Duration::from_secs(20);
    assert_eq!(run(&kit, "huge-message").await.answer, Err(RunError::Limit("send_kib")));
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_is_bounded_too() {
    let mut kit = kit();
    kit.query_takes = Duration::from_secs(3_600);
    kit.limits.wait = Duration::from_millis(300);
    assert_eq!(run(&kit, "wait").await.answer, Err(RunError::Limit("wait_ms")));
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_and_state_are_bounded() {
    let mut kit = kit();
    for (what, limit) in READING {
        kit.limits.read_bytes = if *what == "log-bytes" { 1_000 } else { 1 << 20 };
        assert_eq!(run(&kit, what).await.answer, Err(RunError::Limit(limit)), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn traps_undo_everything() {
    let kit = kit();
    for what in TRAPS {
        let ran = run(&kit, what).await;
        assert!(matches!(ran.answer, Err(RunError::Trap(_) | RunError::Limit("memory_mib"))), "{what}: {:?}", ran.answer);
        assert!(ran.sends.is_empty() && ran.writes.is_empty(), "{what}: something was kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn failures_undo_everything_and_silence_has_a_reason() {
    let kit = kit();
    for (what, message, again) in FAILURES {
        let ran = run(&kit, what).await;
        assert_eq!(ran.answer, Err(RunError::Failed { message: (*message).into(), again: *again }), "{what}");
        assert!(ran.sends.is_empty() && ran.writes.is_empty(), "{what}: something was kept");
    }
    for (what, why) in SILENT {
        assert_eq!(run(&kit, what).await.answer, Ok(Outcome::Skipped((*why).into())), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_it_says_of_itself_is_cut() {
    let kit = kit();
    let Ok(Outcome::Skipped(why)) = run(&kit, "huge-reason").await.answer else { panic!("not skipped") };
    let Err(RunError::Failed { message, .. }) = run(&kit, "huge-failure").await.answer else { panic!("not failed") };
    for text in [why, message] {
        assert!(text.len() <= 2_000 && text.ends_with("x…"), "{} bytes", text.len());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_cut_and_counted() {
    let kit = kit();
    let ran = run(&kit, "huge-log-line").await;
    assert!(ran.log.iter().all(|(_, line)| line.len() <= 2_000), "a line is too long");
    let ran = run(&kit, "odd-log-line").await;
    assert_eq!(ran.log.len(), 1, "{:?}", ran.log);
    let loaded = kit.load(test_guests::HOSTILE).unwrap();
    let ran = run_with(&kit, json!({"do": "log-flood", "count": 10_000})).await;
    let flooded = kit.configure(&loaded, &json!({"do": "configure-log-flood", "count": 10_000})).await.unwrap();
    for lines in [ran.log, flooded.plan.said] {
        assert!(lines.len() <= 201, "{} lines", lines.len());
        assert!(lines.last().unwrap().1.contains("more lines were not kept"), "{:?}", lines.last());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_settings_is_said_once() {
    let kit = kit();
    let loaded = kit.load(test_guests::HOSTILE).unwrap();
    let ready = kit.configure(&loaded, &json!({"do": "configure-log"})).await.unwrap();
    assert_eq!(ready.plan.warnings().collect::<Vec<_>>(), ["from configure"]);
    // Each call configures a fresh instance.
    let (event, source) = build(2);
    let ran = ready.report(&details(event, Arc::new(source))).await;
    assert_eq!((ran.answer, ran.log), (Ok(Outcome::Sent), vec![]));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_spins_does_not_stop_the_others() {
    let mut kit = kit();
    kit.limits.compute = Duration::from_millis(500);
    let spinning = async { futures_util::future::join_all((0..8).map(|_| run(&kit, "loop"))).await };
    let working = async { futures_util::future::join_all((0..50).map(|_| run(&kit, "send"))).await };
    let (spun, worked) = futures_util::future::join(spinning, working).await;
    assert!(spun.iter().all(|ran| ran.answer == Err(RunError::Limit("compute_ms"))));
    assert!(worked.iter().all(|ran| ran.answer == Ok(Outcome::Sent)));
    // 500 ms are 50 ticks of the epoch clock. Each check yields, so none has more than its own, however many there are …
    assert!(spun.iter().all(|ran| (50..=52).contains(&ran.ticks)), "{:?}", spun.iter().map(|ran| ran.ticks).collect::<Vec<_>>());
    // … and one that only sends is hardly ever found at it.
    assert!(worked.iter().all(|ran| ran.ticks < 10), "{:?}", worked.iter().map(|ran| ran.ticks).collect::<Vec<_>>());
}
