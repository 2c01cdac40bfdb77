//! Buildbot's REST API: session, login, pages.
//!
//! A master of 4.2 to 4.3.0 can break for good when a client goes away while it writes an answer.
//! So every request runs in a task of its own, which reads the answer to its end whoever still
//! waits for it; large things are asked for in pages; and only a few requests are under way at a time. What has no end is not
//! read to it: a connection that has gone silent, more than any master has to say ([`answer`](super::answer)).

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::header::{ACCEPT, COOKIE};
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode, redirect};
use serde_json::Value;
use tokio::sync::{Mutex, Semaphore};
use url::Url;

use super::answer::{Ended, Read, read, unanswered};
use crate::event::{Acted, FetchError, Rows};
use crate::secret::{Plain, VaultError};
use crate::source::lenient;
use crate::transport::Verify;
use crate::transport::http::{chain, verified};
use crate::transport::policy::{Policy, Resolver};

/// Requests under way at a time.
const MOST_AT_ONCE: u32 = 4;
/// A connection that says nothing for so long is dead. Masters have been seen to need minutes for an answer.
const SILENCE: Duration = Duration::from_secs(300);
/// Rows in a page.
pub(super) const PAGE: usize = 200;

/// Gives user and password, read anew at each login. None: no login.
pub type Login = Arc<dyn Fn() -> Result<Option<(Plain, Plain)>, VaultError> + Send + Sync>;

/// What can go wrong in reading from a master.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RestError {
    /// No connection, or 5xx: for now.
    #[error("{0}")]
    Away(String),
    /// 403 or a failed login: until an operator does something.
    #[error("{0}")]
    Refused(String),
    /// There is no such thing.
    #[error("{0}")]
    Missing(String),
}

impl From<RestError> for FetchError {
    fn from(error: RestError) -> Self {
        match error {
            RestError::Away(why) | RestError::Refused(why) => Self::NotNow(why),
            RestError::Missing(why) => Self::Missing(why),
        }
    }
}

/// A client of one master.
pub struct Rest {
    base: Url,
    policy: Arc<Policy>,
    client: Client,
    /// Upgrades need HTTP/1.1.
    upgrading: Client,
    login: Login,
    cookie: RwLock<Option<String>>,
    logging_in: Mutex<()>,
    gate: Arc<Semaphore>,
}

impl Rest {
    /// A client of the master at `base` (its `buildbotURL`), as far as the policy lets it be reached.
    ///
    /// # Errors
    /// A certificate file that cannot be read, or a base that is no HTTP URL: in words.
    pub fn new(base: &Url, verify: &Verify, login: Login, policy: Arc<Policy>) -> Result<Self, String> {
        if !matches!(base.scheme(), "http" | "https") {
            return Err(format!("{base} is no HTTP address; write url = \"https://…/\""));
        }
        let mut base = base.clone();
        if !base.path().ends_with('/') {
            base.set_path(&format!("{}/", base.path()));
        }
        base.set_query(None);
        base.set_fragment(None);
        let made = |error: reqwest::Error| format!("cannot make an HTTP client: {}", chain(&error));
        Ok(Self {
            client: builder(verify, &policy)?.read_timeout(SILENCE).build().map_err(made)?,
            upgrading: builder(verify, &policy)?.http1_only().build().map_err(made)?,
            base,
            policy,
            login,
            cookie: RwLock::new(None),
            logging_in: Mutex::new(()),
            gate: Arc::new(Semaphore::new(MOST_AT_ONCE as usize)),
        })
    }

    /// The master's address.
    pub fn base(&self) -> &Url {
        &self.base
    }

    /// The rows of one path below `api/v2/`, in one answer.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn rows(&self, path: &str) -> Result<Rows, RestError> {
        let body = self.get(&format!("api/v2/{path}")).await?;
        let mut answer: Value =
            lenient::read(&body).map_err(|error| RestError::Away(format!("{path}: the answer is no JSON ({error}); is {} a Buildbot master?", self.base)))?;
        let plural = answer.as_object_mut().and_then(|object| object.iter_mut().find(|(key, value)| *key != "meta" && value.is_array()));
        match plural {
            Some((_, Value::Array(rows))) => Ok(std::mem::take(rows)),
            _ => Err(RestError::Away(format!("{path}: the answer holds no list; is {} a Buildbot master?", self.base))),
        }
    }

    /// All rows of a collection that satisfy `filter` (`complete=false&field=…`, or empty), by ascending `id`, page by
    /// page until a short one: `meta.total` cannot be trusted. What is inserted meanwhile does no harm.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn all(&self, path: &str, id: &str, after: i64, filter: &str) -> Result<Rows, RestError> {
        Ok(self.some(path, id, after, filter, usize::MAX).await?.0)
    }

    /// The same, but no further page when there are `most` rows. Tells whether these are all.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn some(&self, path: &str, id: &str, after: i64, filter: &str, most: usize) -> Result<(Rows, bool), RestError> {
        let mut rows = Rows::new();
        let mut after = after;
        loop {
            let amp = if filter.is_empty() { "" } else { "&" };
            let page = self.rows(&format!("{path}?{filter}{amp}{id}__gt={after}&order={id}&limit={PAGE}")).await?;
            let short = page.len() < PAGE;
            let last = page.iter().filter_map(|row| row[id].as_i64()).max();
            rows.extend(page);
            match last {
                Some(last) if !short && last > after && rows.len() >= most => return Ok((rows, false)),
                Some(last) if !short && last > after => after = last,
                _ => return Ok((rows, true)),
            }
        }
    }

    /// The body at a path below the master's address. Logs in (again) where that is needed.
    ///
    /// # Errors
    /// See [`RestError`].
    pub async fn get(&self, path: &str) -> Result<Vec<u8>, RestError> {
        let url = Url::parse(&format!("{}{path}", self.base)).map_err(|error| RestError::Missing(format!("{path}: {error}")))?;
        let mut again = true;
        loop {
            let cookie = self.session().await?;
            let (status, body) = self.read(url.clone(), cookie.clone()).await?;
            match status {
                200..=299 => return Ok(body),
                // An expired session turns silently into an anonymous one, which may be allowed less.
                401 | 403 if again && self.log_in(cookie.as_deref()).await? => again = false,
                401 | 403 => {
                    return Err(RestError::Refused(format!(
                        "{url}: the master refuses ({}); give `user` and `password` of somebody whose role may read",
                        said(&body)
                    )));
                }
                300..=399 => {
                    return Err(RestError::Away(format!("{url} answers {status}, leading to {}; write that as `url`", said(&body))));
                }
                // A proxy's, or a master's that is busy: what it has is not known.
                408 | 425 | 429 => return Err(RestError::Away(format!("{url} answers {status}: {}", said(&body)))),
                400..=499 => return Err(RestError::Missing(format!("{path}: {status}, {}", said(&body)))),
                _ => return Err(RestError::Away(format!("{url} answers {status}: {}", said(&body)))),
            }
        }
    }

    /// Posts JSON to a path below the master's address, once: again only after a login, because what was refused was not done. Status and body.
    ///
    /// # Errors
    /// What came of it, where there is no answer.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<(u16, Vec<u8>), Acted> {
        let not_asked = |error: RestError| match error {
            RestError::Away(why) | RestError::Missing(why) => Acted::NotAsked(why),
            RestError::Refused(why) => Acted::Refused(403, why),
        };
        let url = Url::parse(&format!("{}{path}", self.base)).map_err(|error| Acted::Refused(404, format!("{path}: {error}")))?;
        let mut again = true;
        loop {
            let cookie = self.session().await.map_err(not_asked)?;
            let mut request = self.client.post(url.clone()).header(ACCEPT, "application/json").json(body);
            if let Some(cookie) = &cookie {
                request = request.header(COOKIE, cookie);
            }
            self.permitted().map_err(not_asked)?;
            let answered = match self.ask(&url, request).await {
                Ok(answered) => answered,
                Err(Ended::NotSent(why)) => return Err(Acted::NotAsked(format!("{url}: {why}"))),
                // It was done, whatever it said.
                Err(Ended::TooLong { status, .. }) => Read { status, ..Read::default() },
                Err(Ended::Lost(why) | Ended::Endless(why)) => return Err(Acted::Lost(format!("{url}: {why}"))),
            };
            match answered.status {
                401 | 403 if again && self.log_in(cookie.as_deref()).await.map_err(not_asked)? => again = false,
                _ => return Ok((answered.status, answered.body)),
            }
        }
    }

    /// Waits until no request is under way (and lets no new one begin), or until the time is up.
    pub async fn settle(&self, most: Duration) {
        let _ = tokio::time::timeout(most, self.gate.acquire_many(MOST_AT_ONCE)).await;
    }

    /// Sends a WebSocket handshake; the answer is for the caller to check.
    pub(super) async fn handshake(&self, key: &str) -> Result<Response, RestError> {
        let url = Url::parse(&format!("{}ws", self.base)).map_err(|error| RestError::Missing(error.to_string()))?;
        self.permitted()?;
        let mut again = true;
        loop {
            let cookie = self.session().await?;
            let mut request = self
                .upgrading
                .get(url.clone())
                .header("connection", "Upgrade")
                .header("upgrade", "websocket")
                .header("sec-websocket-version", "13")
                .header("sec-websocket-key", key);
            if let Some(cookie) = &cookie {
                request = request.header(COOKIE, cookie);
            }
            let answer = tokio::time::timeout(Duration::from_secs(60), request.send())
                .await
                .map_err(|_| RestError::Away(format!("{url}: no answer to the WebSocket handshake within a minute")))?
                .map_err(|error| RestError::Away(format!("{url}: {}", unanswered(&error))))?;
            match answer.status() {
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if again && self.log_in(cookie.as_deref()).await? => {
                    self.to_its_end(&url, answer);
                    again = false;
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    self.to_its_end(&url, answer);
                    return Err(RestError::Refused(format!(
                        "{url}: the master refuses the WebSocket; give `user` and `password` of somebody who may read `masters`"
                    )));
                }
                _ => return Ok(answer),
            }
        }
    }

    /// The session's cookie, after a login if there was none yet.
    async fn session(&self) -> Result<Option<String>, RestError> {
        let cookie = self.cookie.read().unwrap_or_else(PoisonError::into_inner).clone();
        if cookie.is_none() && self.log_in(None).await? {
            return Ok(self.cookie.read().unwrap_or_else(PoisonError::into_inner).clone());
        }
        Ok(cookie)
    }

    /// Logs in, unless somebody else did since `stale` was the cookie. False: no login is configured.
    async fn log_in(&self, stale: Option<&str>) -> Result<bool, RestError> {
        let _one = self.logging_in.lock().await;
        if self.cookie.read().unwrap_or_else(PoisonError::into_inner).as_deref() != stale {
            return Ok(true);
        }
        let Some((user, password)) = (self.login)().map_err(|error| RestError::Refused(error.to_string()))? else {
            return Ok(false);
        };
        self.permitted()?;
        let url = Url::parse(&format!("{}auth/login", self.base)).map_err(|error| RestError::Missing(error.to_string()))?;
        let request = self.client.get(url.clone()).basic_auth(user.expose(), Some(password.expose()));
        let answer = self.ask(&url, request).await.map_err(|ended| ended.at(&url))?;
        match (answer.status, answer.cookie) {
            (200..=399, Some(cookie)) if !foreign(&self.base, &answer.leads) => {
                *self.cookie.write().unwrap_or_else(PoisonError::into_inner) = Some(cookie);
                Ok(true)
            }
            (401 | 403, _) => Err(RestError::Refused(format!("{url}: the master does not accept this `user` and `password`"))),
            (500.., _) => Err(RestError::Away(format!("{url} answers {}", answer.status))),
            (status, _) => Err(RestError::Refused(format!(
                "{url} answers {status} and opens no session: this master has no login by user and password (docs/sources.md says what to do with OAuth)"
            ))),
        }
    }

    async fn read(&self, url: Url, cookie: Option<String>) -> Result<(u16, Vec<u8>), RestError> {
        self.permitted()?;
        let mut request = self.client.get(url.clone()).header(ACCEPT, "application/json");
        if let Some(cookie) = cookie {
            request = request.header(COOKIE, cookie);
        }
        let answer = self.ask(&url, request).await.map_err(|ended| ended.at(&url))?;
        let leads = (300..400).contains(&answer.status) && !answer.leads.is_empty();
        Ok((answer.status, if leads { answer.leads.into_bytes() } else { answer.body }))
    }

    /// One request, when its turn has come. It goes on when nobody waits for it any more.
    async fn ask(&self, url: &Url, request: RequestBuilder) -> Result<Read, Ended> {
        let permit = self.gate.clone().acquire_owned().await.map_err(|_| Ended::NotSent("shutting down".to_owned()))?;
        let url = url.clone();
        let asking = tokio::spawn(async move {
            let _permit = permit;
            match request.send().await {
                Ok(answer) => read(&url, answer).await,
                Err(error) if error.is_connect() => Err(Ended::NotSent(chain(&error))),
                Err(error) => Err(Ended::Lost(unanswered(&error))),
            }
        });
        asking.await.unwrap_or_else(|error| Err(Ended::Lost(error.to_string())))
    }

    /// Reads what nobody wants of an answer, beside everything else.
    pub(super) fn to_its_end(&self, url: &Url, answer: Response) {
        let url = url.clone();
        tokio::spawn(tokio::time::timeout(SILENCE, async move { read(&url, answer).await.map(drop) }));
    }

    /// Whether the address may be connected to. Names are looked at when they are resolved.
    fn permitted(&self) -> Result<(), RestError> {
        self.policy.check_url(&self.base).map_err(|denied| RestError::Refused(format!("{}: {denied}", self.base)))
    }
}

fn builder(verify: &Verify, policy: &Arc<Policy>) -> Result<ClientBuilder, String> {
    let builder = Client::builder()
        .dns_resolver(Resolver::new(policy.clone()))
        // A proxy of the environment would get the login, and resolve names where no policy looks.
        .no_proxy()
        .user_agent(concat!("reporter-host/", env!("CARGO_PKG_VERSION")))
        .no_gzip()
        .redirect(redirect::Policy::none())
        .connect_timeout(Duration::from_secs(30));
    verified(builder, verify).map_err(|error| error.to_string())
}

/// Whether a login leads to another server, an OAuth provider.
fn foreign(base: &Url, leads: &str) -> bool {
    base.join(leads).is_ok_and(|url| url.origin() != base.origin())
        && base.join(leads).is_ok_and(|url| url.query().is_some_and(|query| query.contains("client_id")))
}

/// What an error answer says: its `error`, or its beginning.
fn said(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    match lenient::read(body).ok().and_then(|answer| Some(answer["error"].as_str()?.to_owned())) {
        Some(error) => error,
        None => text.chars().take(200).collect(),
    }
}
