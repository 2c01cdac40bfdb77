//! Guests that run into each limit, or do what the contract forbids: the call ends with its reason,
//! nothing of it is kept, and the next one works. What the host makes harmless goes out harmless.

mod compile;
mod conversation;
mod formatters;
mod harmless;
mod host;
mod limits;
mod refused;
mod secrets;
mod slow;
mod whole;
mod words;

use std::sync::Arc;
use std::time::Duration;

use reporter_host::sandbox::{LoadError, Outcome, Ran};
use reporter_host_tests::{Kit, build, details};
use serde_json::{Value, json};

/// Runs one word of the hostile reporter on a build that failed.
async fn run(kit: &Kit, what: &str) -> Ran<Outcome> {
    run_with(kit, json!({"do": what})).await
}

/// The same, with all of its settings.
async fn run_with(kit: &Kit, settings: Value) -> Ran<Outcome> {
    let loaded = kit.load(test_guests::HOSTILE).unwrap();
    let (event, source) = build(2);
    kit.report(&loaded, &settings, &details(event, Arc::new(source))).await
}

fn kit() -> Kit {
    let mut kit = Kit::new();
    kit.limits.compute = Duration::from_millis(200);
    kit
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
