//! Being called with updates: the host's own address for it, and a path for each bot that nobody can guess.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::CONNECTION;
use axum::http::{HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::super::SourceError;
use super::super::inbox::connections;
use super::{Fetch, MOST_BYTES};
use crate::transport::{Body as Sent, HttpRequest, Webhook};

/// How long a post may take to come.
const BODY: Duration = Duration::from_secs(30);
/// How long a service waits for its answer.
const ANSWER: Duration = Duration::from_secs(30);
/// Posts of one bot that wait to be journalled.
const WAITING: usize = 64;

/// An update that waits to be journalled, and who wants to know that it was.
type Posted = (i64, Value, oneshot::Sender<()>);

/// Who is called at which path.
#[derive(Clone)]
struct Hook {
    header: String,
    secret: String,
    number: String,
    posted: mpsc::Sender<Posted>,
}

/// The paths, and the server for them.
#[derive(Clone, Default)]
pub(super) struct Webhooks {
    hooks: Arc<Mutex<HashMap<String, Hook>>>,
    server: Arc<Mutex<Option<Server>>>,
}

struct Server {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Webhooks {
    pub(super) async fn listen(&self, address: Option<SocketAddr>) -> Result<(), SourceError> {
        if self.server().as_ref().map(|server| server.address) == address {
            return Ok(());
        }
        let new = match address {
            Some(address) => {
                let failed = |cause| SourceError::Webhooks { listen: address, cause };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let routes = Router::new().fallback(take).with_state(self.hooks.clone());
                let (stop, stopped) = watch::channel(false);
                let task = tokio::spawn(async move { connections::serve("webhooks", listener, routes, stopped).await });
                Some(Server { address, stop, task })
            }
            None => None,
        };
        let old = std::mem::replace(&mut *self.server(), new);
        if let Some(old) = old {
            old.stop.send_replace(true);
            old.task.await.ok();
        }
        Ok(())
    }

    fn server(&self) -> std::sync::MutexGuard<'_, Option<Server>> {
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn hooks(&self) -> std::sync::MutexGuard<'_, HashMap<String, Hook>> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes what is posted for one bot, until the host ends.
pub(super) async fn run(mut fetch: Fetch, webhook: &Webhook, webhooks: &Webhooks) {
    let (Some(path), Some(secret)) = (random(), random()) else {
        return tracing::error!(entry = fetch.wanted.entry, "the system gives no random numbers, so there is no webhook");
    };
    let (posted, mut updates) = mpsc::channel(WAITING);
    let hook = Hook { header: webhook.secret_header.clone(), secret: secret.clone(), number: webhook.number.clone(), posted };
    webhooks.hooks().insert(path.clone(), hook);
    let url = format!("{}/{path}", webhook.url.as_str().trim_end_matches('/'));
    let clean = |text: &str| text.replace(&path, "…").replace(&secret, "…");
    if fetch.insist(&registering(&webhook.register, &url, &secret), webhook.pause, clean).await {
        let destination = fetch.wanted.endpoint.destination();
        tracing::info!(entry = fetch.wanted.entry, destination, "what is said to the bot is posted to its webhook");
        (fetch.whereto.wake)(&destination);
        let mut stop = fetch.stop.clone();
        loop {
            let (number, update, journalled) = tokio::select! {
                Some(posted) = updates.recv() => posted,
                () = super::super::ended(&mut stop) => break,
            };
            let mark = fetch.mark();
            if fetch.heard(&mark, number, update).await {
                journalled.send(()).ok();
            }
        }
    }
    webhooks.hooks().remove(&path);
}

/// The request with the address and the secret.
fn registering(register: &HttpRequest, url: &str, secret: &str) -> HttpRequest {
    let mut request = register.clone();
    let put = |pairs: &mut Vec<(String, String)>| pairs.iter_mut().for_each(|(_, value)| *value = value.replace("{url}", url).replace("{secret}", secret));
    put(&mut request.query);
    if let Sent::Form(pairs) = &mut request.body {
        put(pairs);
    }
    request
}

/// 32 hexadecimal digits.
fn random() -> Option<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).ok()?;
    Some(hex::encode(bytes))
}

async fn take(State(hooks): State<Arc<Mutex<HashMap<String, Hook>>>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    // What stands before it is the proxy's.
    let segment = parts.uri.path().rsplit('/').next().unwrap_or_default();
    let found = hooks.lock().unwrap_or_else(PoisonError::into_inner).get(segment).cloned();
    let Some(hook) = found else { return refused(StatusCode::NOT_FOUND) };
    let given = parts.headers.get(&hook.header).map(HeaderValue::as_bytes).unwrap_or_default();
    if Sha256::digest(given) != Sha256::digest(hook.secret.as_bytes()) {
        return refused(StatusCode::UNAUTHORIZED);
    }
    if parts.method != Method::POST {
        return refused(StatusCode::METHOD_NOT_ALLOWED);
    }
    let body = match tokio::time::timeout(BODY, to_bytes(body, MOST_BYTES)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => return refused(StatusCode::PAYLOAD_TOO_LARGE),
        Err(_) => return refused(StatusCode::REQUEST_TIMEOUT),
    };
    let update: Option<Value> = serde_json::from_slice(&body).ok();
    let Some((number, update)) = update.and_then(|update| Some((update[hook.number.as_str()].as_i64()?, update))) else {
        return refused(StatusCode::BAD_REQUEST);
    };
    let (journalled, is_journalled) = oneshot::channel();
    let heard = async {
        hook.posted.send((number, update, journalled)).await.ok()?;
        is_journalled.await.ok()
    };
    match tokio::time::timeout(ANSWER, heard).await {
        Ok(Some(())) => StatusCode::OK.into_response(),
        // The service posts it again.
        _ => refused(StatusCode::SERVICE_UNAVAILABLE),
    }
}

/// Who has no business here learns nothing, and holds no place among the connections.
fn refused(status: StatusCode) -> Response {
    (status, [(CONNECTION, HeaderValue::from_static("close"))]).into_response()
}
