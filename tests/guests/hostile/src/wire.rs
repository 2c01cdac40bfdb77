//! What it sends.

use reporter_sdk::delivery::Rule;
use reporter_sdk::http::{self, Body, Request};
use reporter_sdk::prelude::*;
use reporter_sdk::smtp::{self, Message};

use crate::exhaust;

/// An ordinary request.
pub fn post(text: &str) {
    http::send(request(["hook"]).body(Body::Text(text.into())), Terms::default());
}

/// One whose answer is asked for.
pub fn post_tagged(text: &str) {
    http::send(request(["hook"]).body(Body::Text(text.into())), Terms::default().tag("t"));
}

/// Terms that the host keeps a handle of.
#[cfg(target_arch = "wasm32")]
pub fn terms() -> reporter_sdk::bindings::reporter::reporter_host::reporter::delivery::Terms {
    reporter_sdk::bindings::reporter::reporter_host::reporter::delivery::Terms::new()
}

/// Outside the host there are no handles.
#[cfg(not(target_arch = "wasm32"))]
pub fn terms() -> Terms {
    Terms::default()
}

fn request<S: Into<String>>(path: impl IntoIterator<Item = S>) -> Request {
    Request::new("server", "POST", path)
}

fn mail() -> Message {
    Message {
        endpoint: "relay".into(),
        sender: "a@example.org".into(),
        to: vec!["b@example.org".into()],
        subject: "s".into(),
        body: vec![("text/plain".into(), "t".into())],
        ..Message::default()
    }
}

/// Requests and mails that the host must refuse, or make harmless. `text` is from the settings. False for a word that it does not know.
pub fn misbehave(what: &str, text: &str) -> bool {
    let send = |request: Request| http::send(request, Terms::default());
    let on = |terms: Terms| http::send(request(["hook"]), terms);
    match what {
        // Bodies.
        "bad-json" => send(request(["hook"]).body(Body::Json("{\"a\": ".into()))),
        "two-jsons" => send(request(["hook"]).body(Body::Json("{} {}".into()))),
        "not-utf8" => send(request(["hook"]).body(Body::Text(exhaust::not_utf8()))),
        "deep-json" => send(request(["hook"]).body(Body::Json("[".repeat(1 << 20)))),

        // Headers.
        "header-crlf" => send(request(["hook"]).header("x-a", "a\r\nx-evil: 1")),
        "header-lf" => send(request(["hook"]).header("x-a", "a\nx-evil: 1")),
        "header-nul" => send(request(["hook"]).header("x-a", "a\0b")),
        "header-name" => send(request(["hook"]).header("x a:", "b")),
        "header-name-crlf" => send(request(["hook"]).header("x-a: 1\r\nx-evil", "b")),
        "header-host" => send(request(["hook"]).header("Host", "evil.example")),
        "header-length" => send(request(["hook"]).header("content-length", "0")),
        "header-chunked" => send(request(["hook"]).header("transfer-encoding", "chunked")),
        "header-idempotency" => send(request(["hook"]).header("idempotency-key", "mine")),
        "header-flood" => send((0..101).fold(request(["hook"]), |request, n| request.header(format!("x-{n}"), "a"))),
        "huge-header" => send(request(["hook"]).header("x-a", "x".repeat(8 << 20))),

        // Targets.
        "path-up" => send(request(["..", "admin"])),
        "path-here" => send(request([".", "admin"])),
        "path-empty" => send(request(["", "admin"])),
        "path-encoded" => send(request(["%2e%2e", "admin"])),
        "path-slash" => send(request(["../admin"])),
        "path-backslash" => send(request(["..\\admin"])),
        "path-query" => send(request(["hook?x=1#y"])),
        "path-crlf" => send(request(["a\r\nb"])),
        "path-url" => send(request(["http://evil.example/"])),
        "path-long" => send(request(["x".repeat(17 << 10)])),
        "path-text" => send(request(["hook", text])),
        "query-pair" => send(request(["hook"]).query("a&b=c", "d&e=f#g")),
        "method" => send(Request::new("server", "TRACE", ["hook"])),
        "method-crlf" => send(Request::new("server", "POST / HTTP/1.1\r\nx: ", ["hook"])),
        "method-lower" => send(Request::new("server", "post", ["hook"])),
        "unknown-endpoint" => send(Request::new("elsewhere", "POST", ["hook"])),
        "wrong-kind" => send(Request::new("relay", "POST", ["hook"])),

        // Secrets: `text` is a placeholder, perhaps another entry's.
        "secret-in-header" => send(request(["hook"]).header("x-token", text)),
        "secret-in-path" => send(request(["hook", &format!("bot{text}")])),
        "secret-in-query" => send(request(["hook"]).query("token", text)),
        "secret-in-form" => send(request(["hook"]).body(Body::Form(vec![("token".into(), text.into())]))),
        "secret-in-json" => send(request(["hook"]).body(Body::Json(serde_json::Value::from(text).to_string()))),
        "secret-in-text" => send(request(["hook"]).body(Body::Text(text.into()))),
        "secret-in-title" => on(Terms::titled(text)),

        // Terms.
        "huge-lane" => on(Terms::default().lane("x".repeat(8 << 20))),
        "huge-tag" => on(Terms::default().tag("x".repeat(8 << 10))),
        "huge-title" => on(Terms::titled("x".repeat(8 << 20))),
        "odd-title" => on(Terms::titled("two\nlines \u{1b}[31mred")),
        "rule-flood" => on(Terms {
            rules: vec![Rule { from_status: 0, to_status: 999, body_contains: "x".repeat(1 << 10), verdict: Verdict::Retry }; 100_000],
            ..Terms::default()
        }),
        "rule-many" => on((0..33).fold(Terms::default(), |terms, _| terms.rule(500..=599, "", Verdict::Dead))),
        "rule-long" => on(Terms::default().rule(500..=599, &"x".repeat(2_000), Verdict::Dead)),
        // Answers read differently: the test's server answers with these.
        "rule-done" => on(Terms::default().rule(409..=409, "already EXISTS", Verdict::Done)),
        "rule-dead" => on(Terms::default().rule(200..=299, "\"ok\":false", Verdict::Dead)),
        "rule-retry" => on(Terms::default().rule(404..=404, "not yet", Verdict::Retry)),
        "rule-throttle" => on(Terms::default().rule(200..=200, "slow down", Verdict::Throttle(1))),
        "rule-order" => on(Terms::default().rule(200..=599, "", Verdict::Done).rule(400..=400, "", Verdict::Dead)),
        "rule-backwards" => on(Terms {
            rules: vec![Rule { from_status: 599, to_status: 100, body_contains: String::new(), verdict: Verdict::Throttle(u32::MAX) }],
            ..Terms::default()
        }),
        "expired" => on(Terms::default().expire_after(0)),
        "throttle-for-ever" => on(Terms::default().rule(0..=999, "", Verdict::Throttle(u32::MAX))),

        // Mail.
        "mail-without-recipients" => smtp::send(Message { to: Vec::new(), ..mail() }, Terms::default()),
        "mail-subject-crlf" => smtp::send(Message { subject: "s\r\nBcc: all@example.org".into(), ..mail() }, Terms::default()),
        "mail-header-crlf" => smtp::send(Message { headers: vec![("X-A".into(), "a\r\nBcc: all@example.org".into())], ..mail() }, Terms::default()),
        "mail-header-bcc" => smtp::send(Message { headers: vec![("Bcc".into(), "all@example.org".into())], ..mail() }, Terms::default()),
        "mail-recipient-crlf" => smtp::send(Message { to: vec!["b@example.org>\r\nRCPT TO:<all@example.org".into()], ..mail() }, Terms::default()),
        "mail-sender" => smtp::send(Message { sender: "nobody".into(), ..mail() }, Terms::default()),
        "mail-recipient-flood" => smtp::send(Message { to: vec!["b@example.org".into(); 1_001], ..mail() }, Terms::default()),
        "mail-without-body" => smtp::send(Message { body: Vec::new(), ..mail() }, Terms::default()),
        "mail-body-type" => smtp::send(Message { body: vec![("application/x-sh".into(), "t".into())], ..mail() }, Terms::default()),
        "mail-filename-crlf" => {
            let content = smtp::Content::Bytes(b"attached".to_vec());
            let attachment = smtp::Attachment { filename: "a\r\nBcc: all@example.org".into(), content_type: "x\r\ny".into(), content };
            smtp::send(Message { attachments: vec![attachment], ..mail() }, Terms::default());
        }
        "mail-wrong-kind" => smtp::send(Message { endpoint: "server".into(), ..mail() }, Terms::default()),
        "mail-dot" => smtp::send(Message { body: vec![("text/plain".into(), "a\r\n.\r\nRSET\r\n".into())], ..mail() }, Terms::default()),
        _ => return false,
    }
    true
}
