//! What the contract forbids is refused when the component does it, with its reason.

use reporter_host::contract::PlanError;
use reporter_host::sandbox::{ConfigureError, Outcome, RunError};
use serde_json::json;

use super::{kit, run};

/// What ends the call, and a part of what is said.
const MISUSES: &[(&str, &str)] = &[
    ("bad-json", "json body does not parse"),
    ("two-jsons", "json body does not parse"),
    ("deep-json", "json body does not parse"),
    ("header-crlf", "HTTP does not allow"),
    ("header-lf", "HTTP does not allow"),
    ("header-nul", "HTTP does not allow"),
    ("header-name", "HTTP does not allow"),
    ("header-name-crlf", "HTTP does not allow"),
    ("header-host", "\"host\" is written by the host"),
    ("header-length", "\"content-length\" is written by the host"),
    ("header-chunked", "\"transfer-encoding\" is written by the host"),
    ("header-idempotency", "\"idempotency-key\" is written by the host"),
    ("header-flood", "101 headers"),
    ("huge-header", "1 headers with"),
    ("path-up", "leaves the endpoint"),
    ("path-here", "leaves the endpoint"),
    ("path-empty", "leaves the endpoint"),
    ("path-long", "path and query"),
    ("method", "use GET"),
    ("method-crlf", "use GET"),
    ("method-lower", "use GET"),
    ("query-post", "a query is one of GET, HEAD"),
    ("unknown-endpoint", "which its plan does not have"),
    ("wrong-kind", "is of another kind"),
    ("huge-tag", "a tag of 8192 bytes"),
    ("reminder-flood", "more than 100 reminders"),
    ("huge-reminder", "a tag of 8192 bytes"),
    ("rule-many", "more than 32 rules"),
    ("rule-long", "a text of 2000 bytes"),
    ("rule-backwards", "from status 599 to 100"),
    ("mail-without-recipients", "no recipients"),
    ("mail-recipient-flood", "1001 recipients"),
    ("mail-without-body", "no body"),
    ("mail-body-type", "use text/plain or text/html"),
    ("mail-subject-crlf", "\"Subject\""),
    ("mail-header-crlf", "mail does not allow"),
    ("mail-header-bcc", "written by the host"),
    ("mail-recipient-crlf", "no mail address"),
    ("mail-sender", "no mail address"),
    ("mail-wrong-kind", "is of another kind"),
    ("ssh-other-command", "it ran \"sh -c\", which is not among the commands of endpoint \"shell\": gerrit review"),
    ("ssh-fewer-words", "is not among the commands"),
    ("ssh-more-words", "is not among the commands"),
    ("ssh-no-words", "is not among the commands"),
    ("ssh-glued-words", "is not among the commands"),
    ("ssh-empty-word", "is not among the commands"),
    ("ssh-word-with-more", "is not among the commands"),
    ("ssh-word-of-two-lines", "is not among the commands"),
    ("ssh-send-query", "is not among the commands"),
    ("ssh-query-command", "it ran \"gerrit review\", which is not among the queries of endpoint \"shell\": gerrit version"),
    ("ssh-wrong-kind", "is of another kind"),
    ("ssh-request", "is of another kind"),
    ("ssh-empty-argument", "an argument is empty"),
    ("ssh-nul", "an argument has a NUL"),
    ("ssh-argument-flood", "it has arguments over 1000"),
    ("ssh-long-argument", "it has bytes of arguments over 65536"),
    ("ssh-huge-stdin", "it has bytes of standard input over 1048576"),
    ("configure-send", "in configure"),
    ("configure-query", "in configure"),
    ("configure-state", "in configure"),
    ("plan-no-state", "no \"state\""),
    ("format-unknown-slot", "no formatter in slot"),
];
/// Plans that are refused.
const PLANS: &[(&str, &str)] = &[
    ("plan-settings-no-object", "not an object"),
    ("plan-unknown-kind", "is not one of http, smtp, irc, ssh"),
    ("plan-ssh-option", "the command \"sh -c\" is not words"),
    ("plan-ssh-quotes", "is not words of letters"),
    ("plan-ssh-no-word", "the command \"\" is not words"),
    ("plan-ssh-host", "is no name and no address"),
    ("plan-ssh-no-user", "it has no user"),
    ("plan-ssh-member", "unknown field `proxy_command`"),
    ("plan-ssh-fallback", "fallback: an endpoint of kind ssh has none"),
    ("plan-unknown-member", "unknown field `proxy`"),
    ("plan-bad-url", "write http:// or https://"),
    ("plan-user-in-url", "credentials: auth"),
    ("plan-header-host", "written by the host"),
    ("plan-odd-name", "no control characters"),
    ("plan-same-name", "the name is given twice"),
    ("plan-flood", "more than 16 endpoints"),
    ("plan-fallback-twice", "has a fallback already"),
    ("plan-fallback-path", "fallback: the path"),
    ("plan-fallback-header", "fallback: header \"host\" is written by the host"),
    ("plan-fallback-kind", "fallback: unknown field `method`"),
    ("plan-fallback-sender", "fallback: \"nobody\" is no mail address"),
    ("plan-fallback-only", "fallback: unknown field `only`"),
    ("plan-fallback-spooled", "fallback: unknown field `attachments`"),
];
/// Plans that say more than this host knows.
const TAKEN: &[&str] = &["plan-unknown-event", "plan-unknown-use", "plan-state"];
/// Settings that the component refuses, and the number of problems that are kept.
const PROBLEMS: &[(&str, usize)] = &[("configure-error", 2), ("configure-error-without-problems", 0), ("configure-error-flood", 100)];

pub fn words() -> Vec<&'static str> {
    let refused = [MISUSES, PLANS].concat().into_iter().map(|(word, _)| word);
    refused.chain(TAKEN.iter().copied()).chain(PROBLEMS.iter().map(|(word, _)| *word)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_contract_is_held() {
    let kit = kit();
    for (what, hint) in MISUSES {
        let ran = run(&kit, what).await;
        let Err(RunError::Misuse(why)) = &ran.answer else { panic!("{what}: {:?}", ran.answer) };
        assert!(why.contains(hint) && why.len() <= 2_000, "{what}: {why}");
        assert!(ran.sends.is_empty() && ran.writes.is_empty(), "{what}");
    }
    assert_eq!(run(&kit, "send").await.answer, Ok(Outcome::Sent));
}

#[tokio::test(flavor = "multi_thread")]
async fn plans_are_checked() {
    let kit = kit();
    let loaded = kit.load(test_guests::HOSTILE).unwrap();
    for (what, hint) in PLANS {
        let refused = kit.configure(&loaded, &json!({"do": what, "count": 100})).await.err();
        let Some(ConfigureError::Plan(PlanError(why))) = &refused else { panic!("{what}: {refused:?}") };
        assert!(why.contains(hint), "{what}: {why}");
    }
    for what in TAKEN {
        assert!(kit.configure(&loaded, &json!({"do": what})).await.is_ok(), "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_a_component_refuses() {
    let mut kit = kit();
    kit.limits.memory = 64 << 20;
    let loaded = kit.load(test_guests::HOSTILE).unwrap();
    for (what, kept) in PROBLEMS {
        let refused = kit.configure(&loaded, &json!({"do": what, "count": 2_000})).await.err();
        let Some(ConfigureError::Problems(problems)) = refused else { panic!("{what}: {refused:?}") };
        assert_eq!(problems.len(), *kept, "{what}");
        assert!(problems.iter().all(|problem| problem.message.len() <= 2_000), "{what}");
    }
}
