//! What it does in `configure`.

use reporter_sdk::http::{self, Request};
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log, state};
use serde_json::json;

use crate::{Settings, exhaust, shell};

/// Words that are about `configure`; every other is about `report`.
pub fn configure(settings: &Settings) -> Result<Plan, Problems> {
    let plan = Plan::events(["build-started", "build-finished", "buildset-complete", "worker-missing"]);
    let plan = plan.endpoint("server", "http", json!({"base_url": settings.server_url}));
    let plan = plan.endpoint("relay", "smtp", json!({"host": "127.0.0.1", "port": 25}));
    let ssh = |more: serde_json::Value| shell::endpoint(more.as_object().unwrap_or(&settings.shell));
    let plan = if settings.what.starts_with("ssh-") { plan.endpoint("shell", "ssh", shell::endpoint(&settings.shell)) } else { plan };
    Ok(match settings.what.as_str() {
        "configure-loop" => exhaust::spin(),
        "configure-recurse" => plan.uses([exhaust::recurse(1).to_string()]),
        "configure-memory" => exhaust::memory(),
        "configure-trap" => exhaust::trap(),
        "configure-panic" => panic!("it was asked to"),
        // Refused, with a pointer that leads nowhere beside one that leads somewhere.
        "configure-error" => {
            let mut problems = Problems::at("/do", "it was asked to refuse");
            problems.add("/not/there", "there is nothing there");
            return Err(problems);
        }
        "configure-error-flood" => {
            let mut problems = Problems::default();
            (0..settings.count).for_each(|n| problems.add(format!("/{n}"), "x".repeat(4_000)));
            return Err(problems);
        }
        "configure-error-without-problems" => return Err(Problems::default()),
        // Effects, which configure may not have.
        "configure-send" => {
            http::send(Request::new::<&str>("server", "POST", []), Terms::default());
            plan
        }
        "configure-query" => plan.uses([http::query(Request::new::<&str>("server", "GET", [])).status.to_string()]),
        "configure-state" => {
            state::set("key", Some("value"));
            plan
        }
        // Allowed, and too much of it.
        "configure-log" => {
            log(Level::Warn, "from configure");
            plan
        }
        "configure-log-flood" => {
            for n in 0..settings.count {
                log(Level::Error, &format!("line {n}"));
            }
            plan
        }
        // Plans that make no sense.
        "plan-settings-no-object" => plan.endpoint("odd", "http", json!("http://127.0.0.1/")),
        "plan-unknown-kind" => plan.endpoint("odd", "carrier-pigeon", json!({})),
        "plan-unknown-member" => plan.endpoint("odd", "http", json!({"base_url": "http://127.0.0.1/", "proxy": "http://evil.example/"})),
        "plan-bad-url" => plan.endpoint("odd", "http", json!({"base_url": "file:///etc/passwd"})),
        "plan-user-in-url" => plan.endpoint("odd", "http", json!({"base_url": "http://user:password@127.0.0.1/"})),
        "plan-header-host" => plan.endpoint("odd", "http", json!({"base_url": "http://127.0.0.1/", "headers": [["Host", "evil.example"]]})),
        "plan-odd-name" => plan.endpoint("two\nlines", "http", json!({"base_url": "http://127.0.0.1/"})),
        "plan-same-name" => plan.endpoint("server", "http", json!({"base_url": "http://127.0.0.1/"})),
        "plan-unknown-event" => Plan { events: vec!["full-moon".into()], ..plan },
        "plan-unknown-use" => plan.uses(["tea-leaves"]),
        "plan-flood" => (0..settings.count).fold(plan, |plan, n| plan.endpoint(&format!("e{n}"), "http", json!({"base_url": "http://127.0.0.1/"}))),
        // Commands that are more than words, and servers that are more than a name.
        "plan-ssh-option" => plan.endpoint("shell", "ssh", ssh(json!({"commands": ["sh -c"]}))),
        "plan-ssh-quotes" => plan.endpoint("shell", "ssh", ssh(json!({"queries": ["gerrit 'version'"]}))),
        "plan-ssh-no-word" => plan.endpoint("shell", "ssh", ssh(json!({"commands": [""]}))),
        "plan-ssh-host" => plan.endpoint("shell", "ssh", ssh(json!({"host": "127.0.0.1:22/gerrit/review"}))),
        "plan-ssh-no-user" => plan.endpoint("shell", "ssh", ssh(json!({"user": ""}))),
        "plan-ssh-member" => plan.endpoint("shell", "ssh", ssh(json!({"proxy_command": "touch /tmp/evil"}))),
        "plan-ssh-fallback" => plan.endpoint("shell", "ssh", ssh(json!({}))).fallback("shell", json!({"words": ["gerrit", "review"], "arguments": ["{text}"]})),
        // Plain messages; the first is as it should be.
        "plan-fallback" => plan.fallback("server", json!({"method": "POST", "path": ["plain"], "body": {"text": "{text}"}})),
        "plan-fallback-twice" => {
            let plan = plan.fallback("server", json!({"method": "POST"}));
            plan.fallback("relay", json!({"sender": "a@example.org", "to": ["b@example.org"], "subject": "s", "body": [{"content_type": "text/plain", "text": "t"}]}))
        }
        "plan-fallback-path" => plan.fallback("server", json!({"method": "POST", "path": ["..", "admin"]})),
        "plan-fallback-header" => plan.fallback("server", json!({"method": "POST", "headers": [["Host", "evil.example"]]})),
        "plan-fallback-kind" => plan.fallback("relay", json!({"method": "POST", "body": {"text": "{text}"}})),
        "plan-fallback-sender" => plan.fallback("relay", json!({"sender": "nobody", "to": ["b@example.org"], "subject": "s", "body": [{"content_type": "text/plain", "text": "t"}]})),
        "plan-fallback-only" => plan.fallback("relay", json!({"sender": "a@example.org", "to": ["b@example.org"], "only": ["c@example.org"], "subject": "s", "body": [{"content_type": "text/plain", "text": "t"}]})),
        "plan-fallback-spooled" => plan.fallback("relay", json!({"sender": "a@example.org", "to": ["b@example.org"], "subject": "s", "body": [{"content_type": "text/plain", "text": "t"}],
            "attachments": [{"filename": "passwd", "content_type": "text/plain", "content": {"spooled": "../../etc/passwd"}}]})),
        // The words of `report` need state, and so does this one, which says so itself.
        "plan-state" => plan.uses(["state"]),
        "plan-no-state" => plan,
        _ => plan.uses(["state"]),
    })
}
