//! Comments of issues, which pull requests are, as GitHub's API has them.

use reporter_sdk::comment::{Comment, Limits, Page, Service};
use reporter_sdk::http::{Answer, Request};
use serde_json::{Value, json};

use crate::settings::ENDPOINT;

/// GitHub speaks of 65,536 characters, and takes 262,144 bytes.
pub const LIMITS: Limits = Limits { chars: 65_536, bytes: 262_144 };
/// The most on one page.
const PER_PAGE: &str = "100";

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

    fn page(&self, place: &[String], next: Option<&str>) -> Request {
        request("GET", place, &place[2..], &["comments"]).query("per_page", PER_PAGE).query("page", next.unwrap_or("1"))
    }

    fn read_page(&self, answer: &Answer) -> Page {
        let comments: Vec<Value> = serde_json::from_slice(&answer.body).unwrap_or_default();
        Page { comments: comments.iter().filter_map(|comment| self.read(comment)).collect(), next: next(answer) }
    }

    fn one(&self, place: &[String], id: &str) -> Request {
        request("GET", place, &[], &["comments", id])
    }

    fn read(&self, comment: &Value) -> Option<Comment> {
        let author = comment["user"]["id"].as_u64().map(|id| id.to_string()).unwrap_or_default();
        let text = comment["body"].as_str().unwrap_or_default().to_owned();
        Some(Comment { id: comment["id"].as_u64()?.to_string(), version: None, author, text })
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

/// The number of the next page: GitHub says it in a header `Link: <…?page=2>; rel="next"`.
fn next(answer: &Answer) -> Option<String> {
    let (_, links) = answer.headers.iter().find(|(name, _)| name == "link")?;
    let link = links.split(',').find(|link| link.contains("rel=\"next\""))?;
    let url = link.split_once('<')?.1.split_once('>')?.0;
    let page = url.split_once('?')?.1.split('&').find_map(|pair| pair.strip_prefix("page="))?;
    page.bytes().all(|byte| byte.is_ascii_digit()).then(|| page.to_owned())
}
