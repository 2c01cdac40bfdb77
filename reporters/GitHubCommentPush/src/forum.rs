//! Comments of issues, which pull requests are, as GitHub's API has them.

use reporter_sdk::comment::{Comment, Limits, Page, Service};
use reporter_sdk::http::{self, Answer, Request};
use reporter_sdk::services::{Level, log};
use serde_json::{Value, json};

use crate::settings::ENDPOINT;

/// GitHub speaks of 65,536 characters, and takes 262,144 bytes.
pub const LIMITS: Limits = Limits { chars: 65_536, bytes: 262_144 };

/// Adds a comment; `place` is owner, repository and number.
pub fn add(place: &[String], text: &str) -> Request {
    request("POST", place, &place[2..], &["comments"]).json(&json!({"body": text}))
}

/// `/repos/{owner}/{repo}/issues/…`
fn request(method: &str, place: &[String], issue: &[String], rest: &[&str]) -> Request {
    let repository = place[..2].iter().map(String::as_str);
    Request::new(
        ENDPOINT,
        method,
        ["repos"].into_iter().chain(repository).chain(["issues"]).chain(issue.iter().map(String::as_str)).chain(rest.iter().copied()),
    )
}

/// All issues' comments.
#[derive(Debug)]
pub struct Issues;

impl Service for Issues {
    fn limits(&self) -> Limits {
        LIMITS
    }

    fn page(&self, place: &[String], from: u64, most: u64) -> Request {
        request("GET", place, &place[2..], &["comments"]).query("per_page", most.to_string()).query("page", (from / most + 1).to_string())
    }

    fn read_page(&self, answer: &Answer, from: u64, most: u64) -> Option<Page> {
        let comments: Vec<Value> = serde_json::from_slice(&answer.body).ok()?;
        Some(Page { comments: comments.iter().filter_map(|comment| self.read(comment)).collect(), next: has_next(answer).then_some(from + most) })
    }

    fn one(&self, place: &[String], id: &str) -> Request {
        request("GET", place, &[], &["comments", id])
    }

    fn read(&self, comment: &Value) -> Option<Comment> {
        let author = comment["user"]["id"].as_u64().map(|id| id.to_string()).unwrap_or_default();
        let text = comment["body"].as_str().unwrap_or_default().to_owned();
        Some(Comment { id: comment["id"].as_u64()?.to_string(), version: None, author, text })
    }

    /// The token's user. The installation of an app is none (403), and learns by its first comment who it is.
    fn ourselves(&self) -> Option<String> {
        let answer = http::query(Request::new(ENDPOINT, "GET", ["user"]));
        if answer.status != 200 && answer.status != 0 {
            log(Level::Info, &format!("GitHub does not say whose the token is, as for the token of an app: the answer was {}", answer.status));
        }
        let user: Value = serde_json::from_slice(&answer.body).ok().filter(|_| answer.status == 200)?;
        user["id"].as_u64().map(|id| id.to_string())
    }

    fn add(&self, place: &[String], text: &str) -> Request {
        add(place, text)
    }

    fn edit(&self, place: &[String], comment: &Comment, text: &str) -> Request {
        request("PATCH", place, &[], &["comments", &comment.id]).json(&json!({"body": text}))
    }

    fn remove(&self, place: &[String], comment: &Comment) -> Request {
        request("DELETE", place, &[], &["comments", &comment.id])
    }
}

/// Whether there is another page: GitHub says it in a header `Link: <…?page=2>; rel="next"`.
fn has_next(answer: &Answer) -> bool {
    answer.headers.iter().any(|(name, links)| name == "link" && links.split(',').any(|link| link.contains("rel=\"next\"")))
}
