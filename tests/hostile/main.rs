//! Guests that run into each limit, or do what the contract forbids: the call ends with its reason,
//! nothing of it is kept, and the next one works.

mod host;
mod slow;

use std::sync::Arc;
use std::time::Duration;

use reporter_host::contract::PlanError;
use reporter_host::sandbox::{ConfigureError, LoadError, Outcome, RunError};
use reporter_host_tests::{Kit, build, details};
use serde_json::json;

/// Runs one word of the hostile reporter on a build that failed.
async fn run(kit: &Kit, what: &str) -> reporter_host::sandbox::Ran<Outcome> {
    let loaded = kit.load(test_guests::HOSTILE).unwrap();
    let (event, source) = build(2);
    kit.report(&loaded, &json!({"do": what}), &details(event, Arc::new(source))).await
}

fn kit() -> Kit {
    let mut kit = Kit::new();
    kit.limits.compute = Duration::from_millis(200);
    kit
}

#[tokio::test(flavor = "multi_thread")]
async fn each_limit_ends_the_call_by_its_name() {
    let kit = kit();
    for (what, limit) in [
        ("loop", "compute_ms"),
        ("memory", "memory_mib"),
        ("flood", "sends"),
        ("huge-messages", "send_kib"),
        ("query-flood", "queries"),
        ("send-then-loop", "compute_ms"),
        ("configure-loop", "compute_ms"),
        ("configure-memory", "memory_mib"),
    ] {
        let ran = run(&kit, what).await;
        assert_eq!(ran.answer, Err(RunError::Limit(limit)), "{what}");
        assert!(ran.sends.is_empty() && ran.writes.is_empty(), "{what}: something was kept");
    }
    assert_eq!(run(&kit, "send").await.answer, Ok(Outcome::Sent));
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
    kit.limits.read_bytes = 1_000;
    assert_eq!(run(&kit, "log-bytes").await.answer, Err(RunError::Limit("read_kib")));
    kit.limits.read_bytes = 1 << 20;
    for what in ["handle-flood", "build-flood"] {
        assert_eq!(run(&kit, what).await.answer, Err(RunError::Limit("read_kib")), "{what}: handles are the host's memory");
    }
    for what in ["state-flood", "huge-state"] {
        assert_eq!(run(&kit, what).await.answer, Err(RunError::Limit("state_kib")), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn traps_undo_everything() {
    let kit = kit();
    for what in ["trap", "panic", "recurse", "send-then-trap", "configure-trap", "configure-panic", "configure-recurse"] {
        let ran = run(&kit, what).await;
        assert!(matches!(ran.answer, Err(RunError::Trap(_) | RunError::Limit("memory_mib"))), "{what}: {:?}", ran.answer);
        assert!(ran.sends.is_empty() && ran.writes.is_empty(), "{what}: something was kept");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_held() {
    let kit = kit();
    for what in [
        "bad-json", "two-jsons", "header-crlf", "header-lf", "header-nul", "header-name", "header-name-crlf", "path-up", "path-here",
        "path-empty", "method", "method-crlf", "method-lower", "unknown-endpoint", "wrong-kind", "mail-without-recipients",
        "mail-subject-crlf", "mail-header-crlf", "mail-header-bcc", "mail-recipient-crlf", "mail-wrong-kind", "query-post",
        "configure-send", "configure-query", "configure-state", "format-unknown-slot",
    ] {
        let ran = run(&kit, what).await;
        assert!(matches!(ran.answer, Err(RunError::Misuse(_))), "{what}: {:?}", ran.answer);
        assert!(ran.sends.is_empty(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_are_cut_and_counted() {
    let kit = kit();
    let ran = run(&kit, "huge-log-line").await;
    assert!(ran.log.iter().all(|(_, line)| line.len() <= 2_000), "a line is too long");
    let ran = run(&kit, "log-flood").await;
    assert!(ran.log.len() <= 201, "{} lines", ran.log.len());
    assert!(ran.log.last().unwrap().1.contains("more lines were not kept"), "{:?}", ran.log.last());
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_checked() {
    let kit = kit();
    let loaded = kit.load(test_guests::HOSTILE).unwrap();
    for what in ["plan-settings-no-object", "plan-unknown-kind", "plan-unknown-member", "plan-bad-url", "plan-same-name"] {
        let refused = kit.configure(&loaded, &json!({"do": what})).await.err();
        assert!(matches!(refused, Some(ConfigureError::Plan(PlanError(_)))), "{what}: {refused:?}");
    }
    let flood = kit.configure(&loaded, &json!({"do": "plan-flood", "count": 100})).await.err();
    assert!(matches!(flood, Some(ConfigureError::Plan(_))), "{flood:?}");
    for what in ["plan-unknown-event", "plan-unknown-use"] {
        assert!(kit.configure(&loaded, &json!({"do": what})).await.is_ok(), "{what}");
    }
    let problems = kit.configure(&loaded, &json!({"do": "configure-error"})).await.err();
    assert!(matches!(problems, Some(ConfigureError::Problems(_))), "{problems:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_component_is_named() {
    let mut kit = kit();
    let said = |bytes: &[u8]| kit.load(bytes).err().map(|error| error.to_string()).unwrap_or_default();
    assert!(said(b"# settings\nnot wasm").contains("not WebAssembly"), "{}", said(b"# settings"));
    assert!(said(test_guests::CORE_MODULE).contains("core module"));
    assert!(said(test_guests::OTHER_WORLD).contains("another world"), "{}", said(test_guests::OTHER_WORLD));
    assert!(said(b"").contains("not WebAssembly"));
    let mut broken = test_guests::HOSTILE[..test_guests::HOSTILE.len() / 2].to_vec();
    assert!(said(&broken).contains("does not compile"));
    broken.clear();
    kit.limits.component_bytes = 1_000;
    assert!(matches!(kit.load(test_guests::HOSTILE), Err(LoadError::TooLarge { most: 1_000, .. })));
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
}
