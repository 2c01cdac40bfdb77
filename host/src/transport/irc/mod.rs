//! IRC: one connection for each endpoint of an entry, for as long as the host runs.
//!
//! Addresses are checked and certificates verified ([`connect`]), the host registers and authenticates ([`register`], [`sasl`]), and a
//! [`session`] says what deliveries bring ([`sending`]) and hears what people say. Framing and keep-alive are the `irc` crate's.

mod check;
mod clean;
mod connect;
mod hearing;
mod line;
mod register;
mod rooms;
mod sasl;
mod sending;
mod session;
#[cfg(test)]
mod tests;

pub use check::{check_endpoint, check_message};
pub use rooms::fold;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::master::AUDIT;
use super::policy::{Level, Policy};
use super::{Answer, Attempt, Ears, Endpoint, EndpointKind, FailedKind, IrcEndpoint, IrcMessage, Kept, Payload, Sasl, Transport, Wanted, Whereto};
use crate::secret::{Encode, Vault, substitute};
use register::{Login, Registered, register};
use sending::Job;
use session::{Ended, Place, Session, Wishes};

/// Updates that wait to be journalled.
const WAITING: usize = 200;
/// Keeps connections, and sends through them.
pub struct IrcTransport {
    operator: Arc<Policy>,
    strict: Arc<Policy>,
    connections: Kept<Connection>,
}

struct Connection {
    jobs: mpsc::Sender<Job>,
    state: watch::Receiver<State>,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

#[derive(Clone, Debug)]
enum State {
    Down(String),
    Up,
}

impl IrcTransport {
    /// Reaches what the policies permit.
    pub fn new(operator: Arc<Policy>, strict: Arc<Policy>) -> Self {
        Self { operator, strict, connections: Kept::default() }
    }

    fn policy(&self, endpoint: &Endpoint) -> &Arc<Policy> {
        match endpoint.level {
            Level::Operator => &self.operator,
            Level::Strict => &self.strict,
        }
    }

    /// Makes these connections, ends all others, and leaves alone those that are as wanted already.
    pub async fn keep(&self, wanted: Vec<Wanted>, whereto: &Whereto) {
        let (gone, new) = self.connections.change(wanted);
        // The nick is to be free before it is taken again.
        for connection in gone {
            connection.end().await;
        }
        for wanted in new {
            let place = Kept::<Connection>::place(&wanted);
            let connection = Connection::begin(wanted, self, whereto.clone()).await;
            self.connections.add(place, connection);
        }
    }

    /// Makes one connection that hears nothing, to send something through it.
    pub async fn only_send(&self, entry: &str, endpoint: &Arc<Endpoint>, vault: Arc<dyn Vault>) {
        let wanted = Wanted { entry: entry.to_owned(), endpoint: endpoint.clone(), vault, made_from: String::new() };
        self.keep(vec![wanted], &Whereto { ears: Arc::new(Deaf), wake: Arc::new(|_| {}) }).await;
    }

    /// Ends all connections.
    pub async fn end(&self) {
        let all = self.connections.take();
        for connection in &all {
            connection.stop.send_replace(true);
        }
        for connection in all {
            connection.end().await;
        }
    }

    /// Connects, registers, and says goodbye.
    ///
    /// # Errors
    /// In words, scrubbed: what fails.
    pub async fn check_connect(&self, endpoint: &Endpoint, vault: &dyn Vault, timeout: Duration) -> Result<String, String> {
        let EndpointKind::Irc(irc) = &endpoint.kind else {
            return Err(format!("endpoint {:?} is not of kind irc", endpoint.name));
        };
        let checked = async {
            let login = login(&endpoint.name, irc, vault)?;
            let stream = connect::connect(irc, self.policy(endpoint)).await?;
            let mut registered = register(stream, &login).await?;
            let encrypted = if irc.tls { "encrypted" } else { "in the clear" };
            let how = registered.authenticated.take().unwrap_or_else(|| "without SASL".into());
            let text = format!("{encrypted}, as {}, {how}", registered.me);
            futures_util::SinkExt::send(&mut registered.lines, line::command("QUIT", &["checked"])).await.ok();
            Ok(text)
        };
        let answer = tokio::time::timeout(timeout, checked).await.unwrap_or_else(|_| Err(format!("not finished within {} seconds", timeout.as_secs())));
        answer.map_err(|why: String| vault.scrubber().text(&why))
    }
}

/// What the endpoint says of the host, secrets revealed.
fn login(name: &str, endpoint: &IrcEndpoint, vault: &dyn Vault) -> Result<Login, String> {
    let reveal = |text: &String| substitute(text, name, vault, Encode::Credential).map_err(|error| error.to_string());
    let password = endpoint.password.as_ref().map(reveal).transpose()?;
    let server_password = endpoint.server_password.as_ref().map(reveal).transpose()?;
    Ok(Login { nick: endpoint.nick.clone(), password, server_password, sasl: endpoint.sasl, certificate: endpoint.certificate.is_some() })
}

impl Connection {
    async fn begin(wanted: Wanted, transport: &IrcTransport, whereto: Whereto) -> Self {
        let (jobs, received) = mpsc::channel(1);
        let (up, state) = watch::channel(State::Down("it is being connected".into()));
        let (stop, stopping) = watch::channel(false);
        let (heard, updates) = mpsc::channel(WAITING);
        let policy = transport.policy(&wanted.endpoint).clone();
        // Before anything else of the endpoint.
        whereto.listen(&wanted, json!({"kind": "started"})).await;
        let keeper = Keeper { wanted, policy, whereto, jobs: received, up, stop: stopping };
        let task = tokio::spawn(keeper.keep(heard, updates));
        Self { jobs, state, stop, task }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        drop(self.jobs);
        self.task.await.ok();
    }
}

/// Whoever only speaks.
struct Deaf;

#[async_trait]
impl Ears for Deaf {
    async fn heard(self: Arc<Self>, _: &str, _: &str, _: i64, _: Option<&str>, _: Value) -> bool {
        true
    }
}

/// Returns when the connection is to end.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    // Whoever could say so is gone: the same.
    stop.wait_for(|stop| *stop).await.ok();
}

/// Keeps one connection.
struct Keeper {
    wanted: Wanted,
    policy: Arc<Policy>,
    whereto: Whereto,
    jobs: mpsc::Receiver<Job>,
    up: watch::Sender<State>,
    stop: watch::Receiver<bool>,
}

impl Keeper {
    async fn keep(mut self, heard: mpsc::Sender<Value>, mut updates: mpsc::Receiver<Value>) {
        let EndpointKind::Irc(endpoint) = &self.wanted.endpoint.kind else { return };
        let endpoint = endpoint.clone();
        let (lost, failed) = delays(&endpoint);
        let mut channels: Option<BTreeMap<String, Place>> = None;
        let destination = self.wanted.endpoint.destination();
        let entry = self.wanted.entry.clone();
        let mut stop = self.stop.clone();
        loop {
            let made = tokio::select! {
                made = self.connect(&endpoint) => made,
                () = stopped(&mut stop) => return,
            };
            let delay = match made {
                Err(why) => {
                    let why = self.wanted.vault.scrubber().text(&why);
                    tracing::warn!(entry, destination, "no connection: {why}; tried again in {} seconds", failed.as_secs());
                    self.up.send_replace(State::Down(why));
                    failed
                }
                Ok((registered, login)) => {
                    // Keys are read anew only for the first: what was joined since has keys that came otherwise.
                    let channels = channels.get_or_insert_with(|| self.channels(&endpoint));
                    let authenticated = registered.authenticated.clone();
                    tracing::info!(entry, destination, nick = registered.me, "connected ({})", authenticated.as_deref().unwrap_or("without SASL"));
                    let identify = login.password.filter(|_| authenticated.is_none() && endpoint.sasl != Sasl::Only);
                    let identify = identify.map(|password| (endpoint.nickserv.as_deref().unwrap_or("NickServ"), password));
                    let rate = endpoint.line_rate.unwrap_or(1.0);
                    let (up, wake) = (&self.up, &self.whereto.wake);
                    let rejoined = || wake(&destination);
                    let (heard, stop) = (heard.clone(), self.stop.clone());
                    let wishes = Wishes { nick: &endpoint.nick, identify, channels, jobs: &mut self.jobs, heard, rejoined: &rejoined, stop };
                    let session = Session::new(registered, rate).run(wishes, |_| {
                        up.send_replace(State::Up);
                        wake(&destination);
                    });
                    let ended = with_updates(session, &mut updates, &self.wanted, &self.whereto).await;
                    match ended {
                        Ended::Stopped => return,
                        Ended::Lost(why) => {
                            let why = self.wanted.vault.scrubber().text(&why);
                            tracing::warn!(entry, destination, "{why}; connected again in {} seconds", lost.as_secs());
                            self.up.send_replace(State::Down(why));
                            lost
                        }
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(delay) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }

    async fn connect(&self, endpoint: &IrcEndpoint) -> Result<(Registered, Login), String> {
        let login = login(&self.wanted.endpoint.name, endpoint, self.wanted.vault.as_ref())?;
        let stream = connect::connect(endpoint, &self.policy).await?;
        Ok((register(stream, &login).await?, login))
    }

    fn channels(&self, endpoint: &IrcEndpoint) -> BTreeMap<String, Place> {
        let reveal = |key: &String| {
            let key = substitute(key, &self.wanted.endpoint.name, self.wanted.vault.as_ref(), Encode::Credential).map_err(|error| error.to_string())?;
            // What a server would take for two words could not be told from a wrong key.
            check::is_word(&key).then_some(key).ok_or_else(|| "a key has no blanks, commas or control characters, and no colon in front".to_owned())
        };
        let mut channels = BTreeMap::new();
        for channel in &endpoint.channels {
            match channel.key.as_ref().map(reveal).transpose() {
                Ok(key) => {
                    channels.insert(fold(&channel.name), Place { name: channel.name.clone(), key, joined: true, own: true });
                }
                Err(error) => tracing::error!(entry = self.wanted.entry, channel = channel.name, "its key cannot be had, so it is not joined: {error}"),
            }
        }
        channels
    }
}

/// Journals updates in order while the session goes on: the server is not to wait for the disk.
async fn with_updates(session: impl Future<Output = Ended>, updates: &mut mpsc::Receiver<Value>, wanted: &Wanted, whereto: &Whereto) -> Ended {
    let (over, is_over) = oneshot::channel::<()>();
    let journalling = async {
        let mut is_over = is_over;
        loop {
            tokio::select! {
                biased;
                Some(update) = updates.recv() => whereto.listen(wanted, update).await,
                _ = &mut is_over => return,
            }
        }
    };
    let working = async {
        let ended = session.await;
        drop(over);
        ended
    };
    tokio::join!(working, journalling).0
}

/// The pauses after a lost and after a failed connection, a second at least. Drawn where the settings have none, so that many bots do not come
/// back at once.
fn delays(endpoint: &IrcEndpoint) -> (Duration, Duration) {
    let mut random = [0; 2];
    getrandom::fill(&mut random).ok();
    let drawn = |given: Option<u32>, byte: u8, from: u64, to: u64| match given {
        Some(seconds) => Duration::from_secs(u64::from(seconds).max(1)),
        None => Duration::from_secs(from + u64::from(byte) % (to - from + 1)),
    };
    (drawn(endpoint.lost_delay, random[0], 1, 5), drawn(endpoint.failed_delay, random[1], 45, 60))
}

#[async_trait]
impl Transport for IrcTransport {
    async fn attempt(&self, attempt: Attempt<'_>) -> Answer {
        let (EndpointKind::Irc(_), Payload::Irc(message)) = (&attempt.endpoint.kind, attempt.payload) else {
            return Answer::failed(FailedKind::Never, format!("endpoint {:?} is not of the kind of this delivery", attempt.endpoint.name));
        };
        let scrubber = attempt.vault.scrubber();
        let began = Instant::now();
        let found = self.connections.look(attempt.entry, &attempt.endpoint.name, |it| (it.jobs.clone(), it.state.clone(), it.stop.subscribe()));
        let Some((jobs, mut state, mut stop)) = found else {
            return Answer::failed(FailedKind::NotTried, "the host has no connection for this entry yet");
        };
        let message = match revealed(message, &attempt) {
            Ok(message) => message,
            Err(answer) => return answer,
        };
        // A connection that is away may be back in a moment.
        let connected = tokio::select! {
            connected = tokio::time::timeout(attempt.timeout / 3, state.wait_for(|state| matches!(state, State::Up))) => matches!(connected, Ok(Ok(_))),
            () = stopped(&mut stop) => false,
        };
        if !connected {
            let why = match &*state.borrow() {
                State::Down(why) => why.clone(),
                State::Up => "the host ends".into(),
            };
            return Answer::failed(FailedKind::NotTried, format!("not connected: {why}")).scrubbed(&scrubber);
        }
        let (answer, answered) = oneshot::channel();
        let until = began + attempt.timeout * 2 / 3;
        if tokio::time::timeout(attempt.timeout / 3, jobs.send(Job { message, until, answer })).await.is_err() {
            return Answer::failed(FailedKind::NotTried, "the connection is busy");
        }
        let answer = match answered.await {
            Ok(answer) => answer.scrubbed(&scrubber),
            Err(_) => Answer::failed(FailedKind::NotTried, "the connection ended before it was its turn"),
        };
        if let Payload::Irc(IrcMessage::Membership { channel, joined, .. }) = attempt.payload {
            let came =
                answer.error.as_ref().map_or_else(|| format!("{} {}", answer.status, String::from_utf8_lossy(&answer.body)), |failed| failed.message.clone());
            tracing::info!(target: AUDIT, entry = attempt.entry, title = attempt.title, channel, joined, "{came}");
        }
        answer
    }
}

/// The message with its channel's key.
fn revealed(message: &IrcMessage, attempt: &Attempt<'_>) -> Result<IrcMessage, Answer> {
    let mut message = message.clone();
    if let IrcMessage::Membership { key: Some(key), .. } = &mut message {
        let revealed = substitute(key, &attempt.endpoint.name, attempt.vault, Encode::Credential);
        *key = revealed.map_err(|error| Answer::failed((&error).into(), error.to_string()))?;
    }
    Ok(message)
}
