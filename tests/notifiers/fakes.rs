//! Pushover, Pushjet, HipChat and Zulip, as far as they publish their rules: what they would refuse is refused here.

use std::collections::BTreeMap;

use reporter_host_tests::server::{Post, Reply};
use serde_json::{Value, json};

/// `/pushover` (<https://pushover.net/api>), `/pushjet`, `/hipchat` (API v2) and `/zulip` (its Buildbot integration).
pub fn answer(post: &Post, before: usize) -> Reply {
    let path = post.path();
    match path.split('/').nth(1).unwrap_or_default() {
        "pushover" if path.starts_with("/pushover/1/receipts/") => receipt(post, before),
        "pushover" => pushover(post),
        "pushjet" => pushjet(post),
        "hipchat" => hipchat(post),
        "zulip" => zulip(post),
        _ => Reply::of(404, ""),
    }
}

/// An integer in a range.
fn within(value: Option<&String>, range: std::ops::RangeInclusive<i64>) -> bool {
    value.is_some_and(|value| value.parse().is_ok_and(|number| range.contains(&number)))
}

fn pushover(post: &Post) -> Reply {
    let form = post.form();
    let length = |name: &str| form.get(name).map_or(0, |value| value.chars().count());
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    let mut errors = Vec::new();
    for (wrong, error) in [
        (post.method != "POST" || post.path() != "/pushover/1/messages.json", "no such method"),
        (!post.query().is_empty(), "parameters belong in the body"),
        (field("token") != "app-token", "application token is invalid"),
        (field("user") != "user-key", "user identifier is invalid"),
        (field("message").trim().is_empty(), "message cannot be blank"),
        (length("message") > 1_024, "message is too long"),
        (length("title") > 250, "title is too long"),
        (length("url") > 512 || length("url_title") > 100, "url is too long"),
        (!["", "1"].contains(&field("html")), "html must be 1"),
        (form.contains_key("priority") && !within(form.get("priority"), -2..=2), "priority is invalid"),
        (field("priority") == "2" && !(within(form.get("retry"), 30..=10_800) && within(form.get("expire"), 1..=10_800)), "retry and expire must be supplied"),
    ] {
        if wrong {
            errors.push(error);
        }
    }
    let mut body = json!({"status": u8::from(errors.is_empty()), "request": "647d2300-702c-4b38-8b2f-d56326ae460b"});
    if !errors.is_empty() {
        body["errors"] = json!(errors);
        return Reply::of(400, body.to_string());
    }
    if field("priority") == "2" {
        // What nobody acknowledges is told by its title.
        body["receipt"] = json!(if field("title").contains("ignored") { "rIgnored" } else { "rSeen" });
    }
    Reply::of(200, body.to_string()).header("x-limit-app-remaining", 9_999)
}

fn receipt(post: &Post, before: usize) -> Reply {
    if post.method != "GET" || post.query().get("token").is_none_or(|token| token != "app-token") {
        return Reply::of(400, r#"{"status":0,"errors":["application token is invalid"]}"#);
    }
    let seen = before > 0 && post.path().ends_with("/rSeen.json");
    let expired = before > 0 && post.path().ends_with("/rIgnored.json");
    Reply::of(
        200,
        json!({"status": 1, "acknowledged": u8::from(seen), "acknowledged_at": 0, "last_delivered_at": 1, "expired": u8::from(expired), "called_back": 0})
            .to_string(),
    )
}

fn pushjet(post: &Post) -> Reply {
    let form = post.form();
    let field = |name: &str| form.get(name).map_or("", String::as_str);
    if (post.method.as_str(), post.path()) != ("POST", "/pushjet/message") || field("secret") != "service-secret" {
        return Reply::of(404, r#"{"error":{"id":2,"message":"Service does not exist"}}"#);
    }
    if field("message").is_empty() || form.contains_key("level") && !within(form.get("level"), 0..=5) {
        return Reply::of(400, r#"{"error":{"id":7,"message":"Missing or invalid argument"}}"#);
    }
    Reply::of(200, r#"{"status":"ok"}"#)
}

fn hipchat(post: &Post) -> Reply {
    if post.query() != BTreeMap::from([("auth_token".to_owned(), "chat-token".to_owned())]) {
        return Reply::of(401, r#"{"error":{"code":401,"message":"Invalid OAuth session"}}"#);
    }
    let parts: Vec<&str> = post.path().split('/').collect();
    if !matches!(parts[..], ["", "hipchat", "v2", "room", _, "notification"] | ["", "hipchat", "v2", "user", _, "message"]) || post.method != "POST" {
        return Reply::of(404, "");
    }
    let body = post.json();
    let message = body["message"].as_str().map_or(0, |message| message.chars().count());
    let color = body.get("color").is_none_or(|color| ["yellow", "green", "red", "purple", "gray", "random"].iter().any(|known| color == known));
    let known = body.as_object().is_some_and(|body| body.keys().all(|key| ["message", "color", "notify", "message_format"].contains(&key.as_str())));
    if !(1..=10_000).contains(&message) || !color || !known {
        return Reply::of(400, r#"{"error":{"code":400,"message":"Invalid body"}}"#);
    }
    Reply::of(204, "")
}

fn zulip(post: &Post) -> Reply {
    let error = |status, text: &str| Reply::of(status, json!({"result": "error", "msg": text}).to_string());
    if (post.method.as_str(), post.path()) != ("POST", "/zulip/api/v1/external/buildbot") {
        return error(404, "Not found");
    }
    if post.query().get("api_key").is_none_or(|key| key != "bot-key") {
        return error(401, "Invalid API key");
    }
    let body = post.json();
    let finished = body["event"] == "finished";
    let texts = ["buildername", "url", "project"].iter().all(|key| body[key].is_string());
    let numbers = ["buildid", "timestamp"].iter().all(|key| body[key].is_i64());
    if !texts || !numbers || !(finished || body["event"] == "new") || finished && body["results"] == Value::Null {
        return error(400, "Malformed payload");
    }
    Reply::of(200, r#"{"result":"success","msg":""}"#)
}
