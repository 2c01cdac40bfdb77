//! Comments of pull requests, as the API of Bitbucket Server and Data Center has them.

use reporter_sdk::comment::{Comment, Limits, Page, Service, plain};
use reporter_sdk::giturl::unescaped;
use reporter_sdk::http::{self, Answer, Request};
use reporter_sdk::settings::is_placeholder;
use serde_json::{Value, json};

use crate::settings::ENDPOINT;

/// What Bitbucket takes.
pub const LIMITS: Limits = Limits { chars: 32_768, bytes: usize::MAX };

/// Adds a comment; `place` is `projects`, project, `repos`, repository, `pull-requests`, id.
pub fn add(place: &[String], text: &str) -> Request {
    request("POST", place, &["comments"]).json(&json!({"text": text}))
}

fn request(method: &str, place: &[String], rest: &[&str]) -> Request {
    Request::new(ENDPOINT, method, ["rest", "api", "1.0"].into_iter().chain(place.iter().map(String::as_str)).chain(rest.iter().copied()))
}

/// Bitbucket counts the versions of a comment, and an edit names the one that it has seen.
fn version(comment: &Comment) -> u64 {
    comment.version.unwrap_or_default()
}

/// A user's name, of which the case does not matter.
fn login(name: &str) -> String {
    name.to_lowercase()
}

/// All pull requests' comments.
#[derive(Debug)]
pub struct PullRequests<'a> {
    /// Who logs in, or a placeholder.
    pub user: &'a str,
}

impl Service for PullRequests<'_> {
    fn limits(&self) -> Limits {
        LIMITS
    }

    /// The address of comments wants a file; those of the whole pull request are among its activities only.
    fn page(&self, place: &[String], from: u64, most: u64) -> Request {
        request("GET", place, &["activities"]).query("limit", most.to_string()).query("start", from.to_string())
    }

    fn read_page(&self, answer: &Answer, _: u64, _: u64) -> Option<Page> {
        let page: Value = serde_json::from_slice(&answer.body).ok()?;
        let comments = page["values"].as_array()?.iter().filter(|activity| activity["action"] == "COMMENTED");
        let next = page["nextPageStart"].as_u64().filter(|_| page["isLastPage"] == false);
        Some(Page { comments: comments.filter_map(|activity| self.read(&activity["comment"])).collect(), next })
    }

    fn one(&self, place: &[String], id: &str) -> Request {
        request("GET", place, &["comments", id])
    }

    fn read(&self, comment: &Value) -> Option<Comment> {
        let author = comment["author"]["name"].as_str().map(login).unwrap_or_default();
        let text = comment["text"].as_str().unwrap_or_default().to_owned();
        Some(Comment { id: comment["id"].as_u64()?.to_string(), version: comment["version"].as_u64(), author, text })
    }

    /// The server names who has logged in in a header of every answer, as of this one, which anybody gets. Behind a proxy that keeps it to itself, it is
    /// who the settings say.
    fn ourselves(&self) -> Option<String> {
        let answer = http::query(Request::new(ENDPOINT, "GET", ["rest", "api", "1.0", "application-properties"]));
        let said = answer.headers.iter().find(|(name, _)| name == "x-ausername").and_then(|(_, name)| unescaped(name));
        let told = || Some(self.user.to_owned()).filter(|user| !is_placeholder(user));
        said.filter(|name| !name.is_empty()).or_else(told).map(|name| login(&name))
    }

    fn add(&self, place: &[String], text: &str) -> Request {
        add(place, text)
    }

    fn edit(&self, place: &[String], comment: &Comment, text: &str) -> Request {
        request("PUT", place, &["comments", &comment.id]).json(&json!({"text": text, "version": version(comment)}))
    }

    fn remove(&self, place: &[String], comment: &Comment) -> Request {
        request("DELETE", place, &["comments", &comment.id]).query("version", version(comment).to_string())
    }

    /// HTML would be shown as text. This is a definition of a link that nothing uses.
    fn marker(&self, context: &str) -> String {
        format!("[//]: # ({})", plain(context))
    }
}
