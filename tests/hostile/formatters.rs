//! Formatters that fail: the reporter that asked hears of it, or gets a text that is harmless to it.

use reporter_host::sandbox::{ConfigureError, Outcome, RunError};
use reporter_host::transport::{Body, Payload};
use reporter_host_tests::Kit;
use serde_json::{Value, json};

use super::{kit, run};

/// Words of the reporter that ask a formatter.
const ASKING: &[&str] = &["format", "format-flood"];
/// What the formatter does, and what the reporter is told.
const FAILING: &[(&str, &str)] = &[
    ("loop", "compute_ms"),
    ("memory", "memory_mib"),
    ("huge", "memory_mib"),
    ("recurse", "trapped"),
    ("trap", "trapped"),
    ("panic", "trapped"),
    ("not-utf8", "trapped"),
    ("error", "it was asked to fail"),
    ("not-json", "JSON"),
];
/// Documents that are none of a message's shape; what to make of them is the reporter's affair (tests/component).
const SHAPES: &[(&str, &str)] = &[
    ("fine", r#"{"body":"fine","subject":"for message","type":"plain"}"#),
    ("null", "null"),
    ("array", "[1,2]"),
    ("no-body", r#"{"text":"x"}"#),
    ("bad-type", r#"{"body":"x","type":"pdf"}"#),
    ("crlf", r#"{"body":"x","subject":"a\r\nBcc: all@example.org","type":"plain"}"#),
];
const CONFIGURE: &[(&str, &str)] = &[("configure-loop", "compute_ms"), ("configure-trap", "trapped"), ("configure-error", "it was asked to refuse")];
const LOGGING: &[&str] = &["log-flood"];

pub fn asking() -> Vec<&'static str> {
    ASKING.to_vec()
}

pub fn words() -> Vec<&'static str> {
    [FAILING, SHAPES, CONFIGURE].concat().into_iter().map(|(word, _)| word).chain(LOGGING.iter().copied()).collect()
}

fn with(what: &str) -> Kit {
    let mut kit = kit();
    let formatter = kit.load(test_guests::HOSTILE_FORMATTER).unwrap();
    kit.formatters.insert("message".into(), (formatter, json!({"do": what})));
    kit
}

#[tokio::test(flavor = "multi_thread")]
async fn a_formatter_that_fails_is_an_error_for_its_reporter() {
    for (what, hint) in FAILING.iter().chain(CONFIGURE) {
        let ran = run(&with(what), "format").await;
        let Err(RunError::Failed { message, again: false }) = &ran.answer else { panic!("{what}: {:?}", ran.answer) };
        assert!(message.contains(hint) && message.len() <= 2_000, "{what}: {message}");
        assert!(ran.sends.is_empty(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_comes_through_as_it_is() {
    for (what, document) in SHAPES {
        let ran = run(&with(what), "format").await;
        assert_eq!(ran.answer, Ok(Outcome::Sent), "{what}");
        let Payload::Http(request) = ran.sends[0].payload.as_ref() else { panic!("{what}: not a request") };
        let Body::Text(text) = &request.body else { panic!("{what}: not a text") };
        let (sent, expected): (Value, Value) = (serde_json::from_str(text).unwrap(), serde_json::from_str(document).unwrap());
        assert_eq!(sent, expected, "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn formatters_are_asked_and_heard_within_limits() {
    assert_eq!(run(&with("fine"), "format-flood").await.answer, Err(RunError::Limit("queries")));
    let mut kit = with("log-flood");
    kit.limits.compute = std::time::Duration::from_secs(20);
    let ran = run(&kit, "format").await;
    assert_eq!(ran.answer, Ok(Outcome::Sent), "{:?}", ran.log.last());
    assert!(ran.log.len() <= 201, "{} lines", ran.log.len());
    let last = ran.log.last().map(|(_, line)| line.as_str()).unwrap_or_default();
    assert!(last.contains("more lines were not kept"), "{last}");
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_a_formatter_refuses() {
    let kit = kit();
    let formatter = kit.load(test_guests::HOSTILE_FORMATTER).unwrap();
    let refused = formatter.configure(&json!({"do": "configure-error"}), &kit.limits).await.err();
    let Some(ConfigureError::Problems(problems)) = refused else { panic!("{refused:?}") };
    assert_eq!(problems[0].at, "/do");
}
