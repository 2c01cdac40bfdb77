//! The inbox: builds posted to the host, by a master's own `HttpStatusPush` or by any other CI.
//!
//! `POST {path}` with a bearer token takes a document of the published schema (docs/inbox.schema.json, served at
//! `GET {path}/schema.json`) and answers 202, or 200 if that event is known already:
//! `{"id": "inbox/42/finished", "known": false}`. Errors are `{"error": …, "member": "/builder"}`.

pub(super) mod connections;
mod document;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jsonschema::Validator;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};

use super::{Arrived, Journal, Reveal, SourceError, lenient, now};
use crate::event::{Fetch, FetchError, Rows, paths};
use crate::secret::Plain;
use crate::tenant::settings::InboxSettings;

/// The schema of what is posted.
pub const SCHEMA: &str = include_str!("../../../../docs/inbox.schema.json");
/// How long a document may take to come.
const BODY: Duration = Duration::from_secs(30);
/// Documents that are parsed at a time; further ones wait.
const READING: usize = 4;
/// KiB of documents that come at a time; further ones wait.
const ARRIVING: u32 = 64 << 10;
/// Values (texts, numbers, lists, objects …) of one document. Each can take many times its bytes in memory.
const VALUES: usize = 50_000;
/// The header that may carry the event's id.
const KEY: &str = "idempotency-key";

/// An inbox: [`Inbox::run`] journals what is posted. Details are journalled with their events; as a [`Fetch`] it
/// knows only what stands for a master's `config`.
pub struct Inbox {
    name: String,
    settings: InboxSettings,
    reveal: Reveal,
    /// Why the token could not be read, as it was last said.
    said: Mutex<Option<String>>,
}

impl Inbox {
    /// An inbox by its settings. `reveal` gives the token, anew for each post.
    pub fn new(name: &str, settings: InboxSettings, reveal: Reveal) -> Arc<Self> {
        Arc::new(Self { name: name.to_owned(), settings, reveal, said: Mutex::default() })
    }

    /// Listens on the settings' address, until the shutdown.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub async fn run(self: Arc<Self>, journal: Arc<dyn Journal>, shutdown: watch::Receiver<bool>) -> Result<(), SourceError> {
        let (listener, _) = self.listen().await?;
        self.serve(listener, journal, shutdown).await;
        Ok(())
    }

    /// Begins to listen. Answers with the address, which says the port if the settings have 0.
    ///
    /// # Errors
    /// As [`Inbox::run`].
    pub async fn listen(&self) -> Result<(TcpListener, SocketAddr), SourceError> {
        let failed = |cause| SourceError::Listen { name: self.name.clone(), listen: self.settings.listen, cause };
        let listener = TcpListener::bind(self.settings.listen).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok((listener, address))
    }

    /// The token as it is now. What keeps it from being read is said once, not as often as anybody posts.
    fn token(&self) -> Option<Plain> {
        let (token, why) = match (self.reveal)(&self.settings.token) {
            Ok(token) => (Some(token), None),
            Err(error) => (None, Some(error.to_string())),
        };
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if *said != why {
            match &why {
                Some(error) => tracing::error!(source = self.name, error, "the inbox's token cannot be read, so every post is refused"),
                None => tracing::info!(source = self.name, "the inbox's token can be read again"),
            }
            *said = why;
        }
        token
    }

    /// Takes posts until the shutdown; those under way are answered.
    pub async fn serve(self: Arc<Self>, listener: TcpListener, journal: Arc<dyn Journal>, shutdown: watch::Receiver<bool>) {
        let path = format!("/{}", self.settings.path.trim_matches('/'));
        let schema = format!("{}/schema.json", path.trim_end_matches('/'));
        let document: Value = serde_json::from_str(SCHEMA).unwrap_or_default();
        let Ok(validator) = jsonschema::validator_for(&document) else {
            return tracing::error!(source = self.name, "the schema of the inbox is broken");
        };
        let posts = Posts {
            inbox: self.clone(),
            journal,
            schema: Arc::new((document, validator)),
            arriving: Arc::new(Semaphore::new(ARRIVING as usize)),
            reading: Arc::new(Semaphore::new(READING)),
        };
        let routes = Router::new()
            .route(&path, post(take))
            .route(&schema, get(|| async { ([(CONTENT_TYPE, "application/schema+json")], SCHEMA) }))
            .fallback(|| async { refused(StatusCode::NOT_FOUND, "there is nothing here", None) })
            .method_not_allowed_fallback(|| async { refused(StatusCode::METHOD_NOT_ALLOWED, "events are sent with POST", None) })
            .with_state(posts);
        connections::serve(&self.name, listener, routes, shutdown).await;
    }
}

#[async_trait]
impl Fetch for Inbox {
    async fn fetch(&self, path: &str) -> Result<Rows, FetchError> {
        match path {
            paths::CONFIG => {
                let InboxSettings { title, url, .. } = &self.settings;
                Ok(vec![json!({"title": title, "titleURL": url, "buildbotURL": url, "versions": []})])
            }
            _ => Err(FetchError::Missing(format!("what was posted has no {path}"))),
        }
    }
}

#[derive(Clone)]
struct Posts {
    inbox: Arc<Inbox>,
    journal: Arc<dyn Journal>,
    schema: Arc<(Value, Validator)>,
    /// KiB of documents that are held at a time.
    arriving: Arc<Semaphore>,
    /// Documents that are parsed and journalled at a time: parsed, one takes many times its bytes.
    reading: Arc<Semaphore>,
}

async fn take(State(posts): State<Posts>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    if let Some(refusal) = posts.unauthorised(&parts.headers) {
        return refusal;
    }
    let most = posts.inbox.settings.most_bytes;
    let too_large = || {
        refused(StatusCode::PAYLOAD_TOO_LARGE, &format!("the document is larger than {most} bytes; leave out logs, or raise `most_bytes` of the inbox"), None)
    };
    let announced = parts.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > most) {
        return too_large();
    }
    // Closed by nobody. One that may be larger than all there is goes by itself.
    let kib = u32::try_from(announced.unwrap_or(most).div_ceil(1 << 10)).unwrap_or(u32::MAX).min(ARRIVING);
    let _arriving = posts.arriving.acquire_many(kib).await.ok();
    let body = match tokio::time::timeout(BODY, to_bytes(body, usize::try_from(most).unwrap_or(usize::MAX))).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return too_large(),
        Err(_) => return refused(StatusCode::REQUEST_TIMEOUT, "the document did not come within 30 seconds", None),
    };
    if values(&body) > VALUES {
        let why = format!("the document has more than {VALUES} values; post less of it, or as several events");
        return refused(StatusCode::PAYLOAD_TOO_LARGE, &why, None);
    }
    // Closed by nobody; without a permit the document would still have to be parsed.
    let _reading = posts.reading.acquire().await.ok();
    let document = match lenient::read(&body) {
        Ok(document) => document::with_integers(document),
        Err(error) => return refused(StatusCode::BAD_REQUEST, &format!("the body is not JSON: {error}"), None),
    };
    match posts.arrived(&parts.headers, &document) {
        Ok(arrived) => posts.journal(arrived).await,
        Err(refusal) => *refusal,
    }
}

impl Posts {
    fn unauthorised(&self, headers: &HeaderMap) -> Option<Response> {
        let Some(token) = self.inbox.token() else {
            return Some(refused(StatusCode::SERVICE_UNAVAILABLE, "the inbox's token cannot be read; its log says why", None));
        };
        let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let (scheme, given) = given.split_at(given.len().min("bearer ".len()));
        if scheme.eq_ignore_ascii_case(b"bearer ") && !token.expose().is_empty() && same(given.trim_ascii(), token.expose().as_bytes()) {
            return None;
        }
        let mut refusal = refused(StatusCode::UNAUTHORIZED, "the header `Authorization: Bearer …` with the inbox's token is missing or wrong", None);
        refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        // Who has no token holds no place among the connections.
        refusal.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        Some(refusal)
    }

    fn arrived(&self, headers: &HeaderMap, document: &Value) -> Result<Arrived, Box<Response>> {
        let wrong = |why: &str, member: &str| Box::new(refused(StatusCode::BAD_REQUEST, why, Some(member)));
        let (schema, validator) = self.schema.as_ref();
        if let Err(error) = validator.validate(document) {
            let member = error.instance_path().to_string();
            // The description of what was expected stands beside the keyword that failed.
            let expected = error.schema_path().to_string();
            let expected = expected.rsplit_once('/').and_then(|(parent, _)| schema.pointer(parent)?["description"].as_str());
            let why = error.masked().to_string();
            return Err(wrong(&expected.map_or(why.clone(), |expected| format!("{why}. {expected}")), &member));
        }
        let key = match headers.get(KEY).map(|key| key.to_str()) {
            Some(Ok(key)) => Some(key),
            Some(Err(_)) => return Err(wrong("the header Idempotency-Key is not plain text", "/id")),
            None => None,
        };
        document::event(&self.inbox.name, key, document, now()).map_err(|error| wrong(&error.why, error.member))
    }

    async fn journal(&self, arrived: Arrived) -> Response {
        let id = arrived.0.id.clone();
        match self.journal.journal(&self.inbox.name, None, vec![arrived]).await {
            Ok(new) => {
                let status = if new > 0 { StatusCode::ACCEPTED } else { StatusCode::OK };
                answer(status, &json!({"id": id, "known": new == 0}))
            }
            Err(error) => {
                tracing::error!(source = self.inbox.name, %error, "cannot journal {id}");
                let mut refusal = refused(StatusCode::SERVICE_UNAVAILABLE, "the event cannot be kept now; post it again", None);
                refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("30"));
                refusal
            }
        }
    }
}

/// How many values a document has, or would have if it went on as it begins: each but the first comes after a comma or an
/// opening bracket.
fn values(document: &[u8]) -> usize {
    let (mut values, mut in_text, mut escaped) = (1, false, false);
    for byte in document {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_text => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b'[' | b'{' if !in_text => values += 1,
            _ => {}
        }
    }
    values
}

/// Compares without telling by the time it takes how much is right.
fn same(a: &[u8], b: &[u8]) -> bool {
    let (a, b) = (Sha256::digest(a), Sha256::digest(b));
    a.iter().zip(b.iter()).fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
}

fn refused(status: StatusCode, why: &str, member: Option<&str>) -> Response {
    match member {
        Some(member) => answer(status, &json!({"error": why, "member": member})),
        None => answer(status, &json!({"error": why})),
    }
}

fn answer(status: StatusCode, body: &Value) -> Response {
    (status, [(CONTENT_TYPE, "application/json")], body.to_string()).into_response()
}
