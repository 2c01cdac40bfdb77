//! HTTP: deliveries and queries.
//!
//! A request goes to one origin and stays there. Redirects are answers, but for those by which services
//! point to a resource that has moved on the same origin and below the endpoint's base URL (a renamed repository): 301,
//! 307 and 308 are followed with method and body kept, 302 for GET and HEAD.

mod answer;
mod auth;
mod check;
mod client;
pub(super) mod failure;
mod oauth2;
mod query;
mod request;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod verify;
mod whole;

pub(crate) use failure::{causes, chain};
pub use request::{RequestError, check_endpoint, check_request};
pub use verify::{VerifyError, verified};

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use reqwest::header::{AUTHORIZATION, HeaderValue, LOCATION};
use reqwest::{Client, Method, Response, StatusCode};
use url::Url;

use super::policy::Policy;
use super::{Answer, Attempt, EndpointKind, FailedKind, HttpEndpoint, HttpRequest, Payload, Transport};
use crate::secret::Vault;
use auth::Credentials;
use client::Clients;
use oauth2::{Token, Tokens};
use query::Cache;
use request::Ready;

/// How often a request follows a resource that has moved.
const MOST_MOVES: usize = 3;

/// Makes HTTP requests under one address policy.
pub struct HttpTransport {
    clients: Clients,
    cache: Cache,
    tokens: Arc<Tokens>,
}

impl HttpTransport {
    /// Reaches what the policy permits.
    pub fn new(policy: Arc<Policy>) -> Self {
        Self { clients: Clients::new(policy), cache: Cache::default(), tokens: Arc::default() }
    }

    /// The request with everything that is added to it but an OAuth 2 token, for which it may wait half of its time; or the answer that
    /// says why there is none.
    fn prepare(&self, name: &str, endpoint: &HttpEndpoint, request: &HttpRequest, vault: &dyn Vault, timeout: Duration) -> Result<Prepared, Answer> {
        let wrong = |e: request::RequestError| Answer::failed(e.kind(), e.to_string());
        let mut ready = request::ready(name, endpoint, request, vault).map_err(wrong)?;
        let credentials = Credentials::new(name, endpoint, vault).map_err(wrong)?;
        credentials.apply(&mut ready);
        let of_token = if let Credentials::OAuth2(grant) = &credentials { Some(grant.url()) } else { None };
        for url in of_token.into_iter().chain([&ready.url]) {
            self.clients.check_literal(url).map_err(|denied| Answer::failed(FailedKind::Never, denied.to_string()))?;
        }
        // The file may be put right while the delivery waits.
        let client = self.clients.get(&endpoint.verify).map_err(|e| Answer::failed(FailedKind::NotTried, e.to_string()))?;
        Ok(Prepared { client, ready, credentials, base: endpoint.base_url.clone(), tokens: self.tokens.clone(), token_time: timeout / 2 })
    }
}

#[async_trait]
impl Transport for HttpTransport {
    async fn attempt(&self, attempt: Attempt<'_>) -> Answer {
        let (EndpointKind::Http(endpoint), Payload::Http(request)) = (&attempt.endpoint.kind, attempt.payload) else {
            return Answer::failed(FailedKind::Never, format!("endpoint {:?} is not of the kind of this delivery", attempt.endpoint.name));
        };
        let scrubber = attempt.vault.scrubber();
        let answer = match self.prepare(&attempt.endpoint.name, endpoint, request, attempt.vault, attempt.timeout) {
            Ok(mut prepared) => match prepared.identify(attempt.id) {
                Ok(()) => within(attempt.timeout, prepared.send(scrubber.longest())).await,
                Err(answer) => answer,
            },
            Err(answer) => answer,
        };
        answer.scrubbed(&scrubber)
    }
}

async fn within(timeout: Duration, answer: impl Future<Output = Answer>) -> Answer {
    tokio::time::timeout(timeout, answer).await.unwrap_or_else(|_| {
        Answer::failed(FailedKind::Unknown, format!("no answer within {} seconds; it may have arrived all the same", timeout.as_secs_f32()))
    })
}

/// A request with its client.
struct Prepared {
    client: Client,
    ready: Ready,
    credentials: Credentials,
    base: Url,
    tokens: Arc<Tokens>,
    token_time: Duration,
}

impl Prepared {
    /// The delivery's id, by which a receiver knows that it has seen it before: <https://www.standardwebhooks.com> and
    /// the IETF draft of `Idempotency-Key`.
    fn identify(&mut self, id: &str) -> Result<(), Answer> {
        let wrong = |_| Answer::failed(FailedKind::Never, "the delivery's id does not fit in a header".to_owned());
        let id = HeaderValue::from_str(id).map_err(wrong)?;
        let seconds = crate::store::now_ms() / 1000;
        self.ready.headers.insert("idempotency-key", id.clone());
        self.ready.headers.insert("webhook-id", id);
        self.ready.headers.insert("webhook-timestamp", HeaderValue::from(seconds));
        Ok(())
    }

    /// Sends it, answering one challenge, following what has moved, and asking once for another token in the place of one that is refused.
    /// `slack` more bytes of the body are kept than an answer may have.
    async fn send(mut self, slack: usize) -> Answer {
        let began = Instant::now();
        let mut challenged = false;
        let mut moves = 0;
        let mut token = match self.token(None).await {
            Ok(token) => token,
            Err(answer) => return answer,
        };
        loop {
            let response = match self.once().await {
                Ok(response) => response,
                Err(error) => return failure::failed(error),
            };
            if response.status() == StatusCode::UNAUTHORIZED
                && !challenged
                && let Some(again) = self.credentials.answer(&self.ready, response.headers())
            {
                challenged = true;
                answer::drain(response).await;
                self.ready = again;
            } else if response.status() == StatusCode::UNAUTHORIZED
                && let Some(refused) = token.as_ref().filter(|token| token.since < began)
            {
                answer::drain(response).await;
                token = match self.token(Some(refused)).await {
                    Ok(token) => token,
                    Err(answer) => return answer,
                };
            } else if moves < MOST_MOVES
                && let Some(url) = self.moved(&response)
            {
                moves += 1;
                challenged = false;
                answer::drain(response).await;
                self.ready.url = url;
            } else {
                return match token {
                    Some(Token { scrubber, .. }) => answer::read(response, slack.max(scrubber.longest())).await.without(&scrubber),
                    None => answer::read(response, slack).await,
                };
            }
        }
    }

    /// Puts a token into the request, if the endpoint has tokens.
    async fn token(&mut self, refused: Option<&Token>) -> Result<Option<Token>, Answer> {
        let Credentials::OAuth2(grant) = &self.credentials else { return Ok(None) };
        let got = tokio::time::timeout(self.token_time, self.tokens.get(&self.client, grant, refused)).await;
        let token = got.unwrap_or_else(|_| Err(oauth2::late(grant, self.token_time)))?;
        self.ready.headers.insert(AUTHORIZATION, token.header.clone());
        Ok(Some(token))
    }

    async fn once(&self) -> Result<Response, reqwest::Error> {
        let Ready { method, url, headers, body } = self.ready.clone();
        let mut request = self.client.request(method.clone(), url).headers(headers);
        if !body.is_empty() || !matches!(method, Method::GET | Method::HEAD | Method::DELETE) {
            request = request.body(body);
        }
        request.send().await
    }

    fn moved(&self, response: &Response) -> Option<Url> {
        let reads = matches!(self.ready.method, Method::GET | Method::HEAD);
        let follows = match response.status() {
            StatusCode::MOVED_PERMANENTLY | StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
            StatusCode::FOUND => reads,
            _ => false,
        };
        let location = response.headers().get(LOCATION).filter(|_| follows)?;
        let url = self.ready.url.join(location.to_str().ok()?).ok()?;
        let below = self.base.path().trim_end_matches('/');
        let stays = url.origin() == self.base.origin()
            && url.username().is_empty()
            && url.password().is_none()
            && url.path().strip_prefix(below).is_some_and(|rest| rest.starts_with('/'));
        stays.then_some(url)
    }
}
