//! What is said to bots on services that do not keep a connection: fetched by asking again and again ([`poll`]), or posted by the
//! service to the host's address for webhooks ([`webhook`]). Each update is journalled under its number before the service is told
//! that it arrived, so that one that comes twice is heard once.

mod poll;
#[cfg(test)]
mod tests;
mod webhook;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::SourceError;
use crate::secret::{Encode, substitute};
use crate::store::now_ms;
use crate::transport::http::HttpTransport;
use crate::transport::{Answer, ByLevel, EndpointKind, HttpRequest, Kept, Updates as How, Wanted, Whereto};
use webhook::Webhooks;

/// Bytes of one update. Services' own limits are far below.
const MOST_BYTES: usize = 512 << 10;
/// How long a request of the host's own may take.
const TIMEOUT: Duration = Duration::from_secs(30);
/// The pause while the store takes nothing.
const STORE: Duration = Duration::from_secs(1);

/// Keeps updates coming.
pub struct Updates {
    http: Arc<ByLevel<HttpTransport>>,
    kept: Kept<Task>,
    webhooks: Webhooks,
}

struct Task {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Task {
    async fn end(self) {
        self.stop.send_replace(true);
        self.task.await.ok();
    }
}

impl Updates {
    /// Fetches through this transport.
    pub fn new(http: Arc<ByLevel<HttpTransport>>) -> Self {
        Self { http, kept: Kept::default(), webhooks: Webhooks::default() }
    }

    /// Takes posts to webhooks at this address from now on, and nowhere else.
    ///
    /// # Errors
    /// [`SourceError::Webhooks`]: the address cannot be listened on. What was before goes on.
    pub async fn listen(&self, address: Option<SocketAddr>) -> Result<(), SourceError> {
        self.webhooks.listen(address).await
    }

    /// Keeps these coming and no others, and leaves alone those that are as wanted already.
    pub async fn keep(&self, wanted: Vec<Wanted>, whereto: &Whereto) {
        let (gone, new) = self.kept.change(wanted);
        for task in gone {
            task.end().await;
        }
        for wanted in new {
            let place = Kept::<Task>::place(&wanted);
            whereto.listen(&wanted, json!({"kind": "started"})).await;
            let (stop, stopping) = watch::channel(false);
            let fetch = Fetch { http: self.http.clone(), wanted, whereto: whereto.clone(), stop: stopping };
            let webhooks = self.webhooks.clone();
            let task = tokio::spawn(async move {
                match fetch.wanted.endpoint.updates().cloned() {
                    Some(How::Poll(poll)) => poll::run(fetch, &poll).await,
                    Some(How::Webhook(hook)) => webhook::run(fetch, &hook, &webhooks).await,
                    None => {}
                }
            });
            self.kept.add(place, Task { stop, task });
        }
    }

    /// Ends all.
    pub async fn end(&self) {
        let all = self.kept.take();
        for task in &all {
            task.stop.send_replace(true);
        }
        for task in all {
            task.end().await;
        }
        self.webhooks.listen(None).await.ok();
    }
}

/// One endpoint's updates.
struct Fetch {
    http: Arc<ByLevel<HttpTransport>>,
    wanted: Wanted,
    whereto: Whereto,
    stop: watch::Receiver<bool>,
}

impl Fetch {
    /// Makes a request. Answers with the body of a success; otherwise with why there is none, in words without secrets, and with how long the
    /// remote asks to be left alone.
    async fn ask(&self, request: &HttpRequest, timeout: Duration, most: usize) -> Result<Value, (u16, String, Option<Duration>)> {
        let endpoint = &self.wanted.endpoint;
        let answer = self.http.at(endpoint).whole(endpoint, request, self.wanted.vault.as_ref(), timeout, most).await;
        if let Some(failed) = &answer.error {
            return Err((0, failed.message.clone(), None));
        }
        let body: Option<Value> = serde_json::from_slice(&answer.body).ok();
        match (answer.status, body) {
            (200..=299, Some(body)) => Ok(body),
            (status, body) => Err((status, said(&answer), body.and_then(|body| asked(&answer, &body)))),
        }
    }

    /// Makes a request until it succeeds. False: the host ends before.
    async fn insist(&mut self, request: &HttpRequest, pause: u32, clean: impl Fn(&str) -> String) -> bool {
        let mut told = false;
        loop {
            let mut stop = self.stop.clone();
            let made = tokio::select! {
                made = self.ask(request, TIMEOUT, MOST_BYTES) => made,
                () = super::ended(&mut stop) => return false,
            };
            let Err((_, why, asked)) = made else { return true };
            let pause = Duration::from_secs(pause.into()).max(asked.unwrap_or_default());
            if !told {
                self.trouble(&clean(&why), pause);
                told = true;
            }
            if super::pause(pause, &mut self.stop).await {
                return false;
            }
        }
    }

    fn trouble(&self, why: &str, pause: Duration) {
        let destination = self.wanted.endpoint.destination();
        tracing::warn!(entry = self.wanted.entry, destination, "nothing that is said to the bot arrives: {why}; tried again every {} seconds", pause.as_secs());
    }

    /// Journals an update. False: the host ends before the store takes it.
    async fn heard(&mut self, mark: &str, number: i64, update: Value) -> bool {
        let at = now_ms() / 1_000;
        let (entry, endpoint) = (self.wanted.entry.clone(), self.wanted.endpoint.name.clone());
        let update = json!({"kind": "update", "endpoint": endpoint, "at": at, "update": update});
        let number = format!("{mark}-{number}");
        loop {
            if self.whereto.ears.clone().heard(&entry, &endpoint, at, Some(&number), update.clone()).await {
                return true;
            }
            if super::pause(STORE, &mut self.stop).await {
                return false;
            }
        }
    }

    /// Whom the numbers are of: another bot counts anew.
    fn mark(&self) -> String {
        let EndpointKind::Http(http) = &self.wanted.endpoint.kind else { return String::new() };
        let whole = substitute(http.base_url.as_str(), &self.wanted.endpoint.name, self.wanted.vault.as_ref(), Encode::Key).unwrap_or_default();
        hex::encode(&Sha256::digest(whole.as_bytes())[..4])
    }
}

/// What a remote says about a failure.
fn said(answer: &Answer) -> String {
    let text = String::from_utf8_lossy(&answer.body);
    let text: String = text.chars().take(300).map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("the answer was {} {text}", answer.status)
}

/// How long the remote asks to be left alone, in seconds, an hour at most.
fn asked(answer: &Answer, body: &Value) -> Option<Duration> {
    let header = answer.headers.iter().find(|(name, _)| name == "retry-after").and_then(|(_, value)| value.trim().parse().ok());
    let seconds: u64 = header.or_else(|| body["parameters"]["retry_after"].as_u64()).or_else(|| body["retry_after"].as_u64())?;
    Some(Duration::from_secs(seconds.min(3_600)))
}
