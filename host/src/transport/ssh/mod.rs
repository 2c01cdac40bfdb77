//! SSH: commands on servers, such as `gerrit review`.
//!
//! Addresses are checked at the connection, the server's key against a file ([`hosts`]), and the login follows the endpoint ([`connect`]). A
//! connection is kept ([`pool`]), and each command has a channel of its own in it. What a component gives as an argument stays one ([`quote`]).

mod connect;
mod hosts;
mod pool;
mod quote;

pub use quote::{CommandError, check_command, check_endpoint, line, names};

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use russh::client::Msg;
use russh::{Channel, ChannelMsg};

use super::http::chain;
use super::policy::Policy;
use super::{Answer, Attempt, Endpoint, EndpointKind, FailedKind, MOST_BODY, Payload, SshCommand, SshEndpoint, Transport};
use crate::secret::Vault;
use connect::Session;
use pool::{Key, Pool};

/// Runs commands under one address policy.
pub struct SshTransport {
    policy: Arc<Policy>,
    pool: Pool,
}

impl SshTransport {
    /// Reaches what the policy permits.
    pub fn new(policy: Arc<Policy>) -> Self {
        Self { policy, pool: Pool::default() }
    }

    /// Runs a command now. Whether it is one of the endpoint's `queries` is the caller's to check.
    pub async fn query(&self, endpoint: &Endpoint, command: &SshCommand, vault: &dyn Vault, timeout: Duration) -> Answer {
        let EndpointKind::Ssh(ssh) = &endpoint.kind else {
            return Answer::failed(FailedKind::Never, format!("endpoint {:?} is not of kind ssh", endpoint.name));
        };
        self.within(timeout, endpoint, ssh, command, vault).await
    }

    /// Connects, checks the server's key and logs in.
    ///
    /// # Errors
    /// In words, scrubbed: what fails.
    pub async fn check_connect(&self, endpoint: &Endpoint, vault: &dyn Vault, timeout: Duration) -> Result<String, String> {
        let EndpointKind::Ssh(ssh) = &endpoint.kind else {
            return Err(format!("endpoint {:?} is not of kind ssh", endpoint.name));
        };
        let checked = async {
            let login = connect::login(endpoint, ssh, vault).await?;
            let session = connect::connect(ssh, &login, &self.policy).await?;
            connect::bye(&session).await;
            Ok(format!("the server's key is known, logged in as {}", login.user))
        };
        let answer: Result<String, Answer> = tokio::time::timeout(timeout, checked).await.unwrap_or_else(|_| Err(timed_out(timeout, false)));
        let scrubber = vault.scrubber();
        answer.map(|text| scrubber.text(&text)).map_err(|answer| answer.scrubbed(&scrubber).error.map(|failed| failed.message).unwrap_or_default())
    }

    async fn within(&self, timeout: Duration, endpoint: &Endpoint, ssh: &SshEndpoint, command: &SshCommand, vault: &dyn Vault) -> Answer {
        let under_way = UnderWay::default();
        let answer = tokio::time::timeout(timeout, self.run(endpoint, ssh, command, vault, &under_way)).await;
        let answer = match answer {
            Ok(answer) => answer,
            Err(_) => {
                // Perhaps nobody is at the other end any more: whoever comes next makes a new connection. Other commands go on in this one.
                let (session, sent) = under_way.take();
                if let Some((key, session)) = session {
                    self.pool.drop(&key, &session).await;
                }
                timed_out(timeout, sent)
            }
        };
        answer.scrubbed(&vault.scrubber())
    }

    async fn run(&self, endpoint: &Endpoint, ssh: &SshEndpoint, command: &SshCommand, vault: &dyn Vault, under_way: &UnderWay) -> Answer {
        let login = match connect::login(endpoint, ssh, vault).await {
            Ok(login) => login,
            Err(answer) => return answer,
        };
        let key = Key::new(ssh, &login);
        loop {
            let mut kept = true;
            let session = self.pool.get(&key, async {
                kept = false;
                connect::connect(ssh, &login, &self.policy).await
            });
            let session = match session.await {
                Ok(session) => session,
                Err(answer) => return answer,
            };
            under_way.opens(&key, &session);
            let channel = match session.channel_open_session().await {
                Ok(channel) => channel,
                Err(error) => {
                    self.pool.drop(&key, &session).await;
                    // The server may have ended a kept connection a moment ago.
                    if kept {
                        continue;
                    }
                    return Answer::failed(FailedKind::NotSent, format!("the server opens no channel for a command: {}", chain(&error)));
                }
            };
            under_way.runs();
            let answer = exec(channel, &line(command), &command.stdin).await;
            if answer.error.is_some() {
                self.pool.drop(&key, &session).await;
            }
            return answer;
        }
    }
}

/// The connection that a command is run in, and whether the server may have learned of it.
#[derive(Default)]
struct UnderWay(Mutex<(Option<(Key, Arc<Session>)>, bool)>);

impl UnderWay {
    fn opens(&self, key: &Key, session: &Arc<Session>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (Some((key.clone(), session.clone())), false);
    }

    fn runs(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = true;
    }

    fn take(&self) -> (Option<(Key, Arc<Session>)>, bool) {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Transport for SshTransport {
    async fn attempt(&self, attempt: Attempt<'_>) -> Answer {
        let (EndpointKind::Ssh(ssh), Payload::Ssh(command)) = (&attempt.endpoint.kind, attempt.payload) else {
            return Answer::failed(FailedKind::Never, format!("endpoint {:?} is not of the kind of this delivery", attempt.endpoint.name));
        };
        // The settings may have changed since it was queued.
        if !names(&ssh.commands, &command.words) {
            let words = command.words.join(" ");
            return Answer::failed(FailedKind::Never, format!("{words:?} is not among the commands of endpoint {:?}", attempt.endpoint.name));
        }
        self.within(attempt.timeout, attempt.endpoint, ssh, command, attempt.vault).await
    }
}

/// Runs a line in its channel.
async fn exec(channel: Channel<Msg>, line: &str, stdin: &[u8]) -> Answer {
    let (mut read, write) = channel.split();
    if let Err(error) = write.exec(true, line).await {
        return Answer::failed(FailedKind::Unknown, format!("the connection broke: {}", chain(&error)));
    }
    let writing = async {
        if !stdin.is_empty() {
            write.data(stdin).await?;
        }
        write.eof().await
    };
    let mut ended = Ended::default();
    let reading = async {
        while let Some(message) = read.wait().await {
            ended.hears(message);
        }
    };
    // Both at once: a command may answer before it has read everything, and none has to read it.
    {
        tokio::pin!(reading);
        tokio::select! {
            () = &mut reading => {}
            _ = writing => reading.await,
        }
    }
    ended.answer()
}

/// What a command came to.
#[derive(Default)]
struct Ended {
    out: Vec<u8>,
    err: Vec<u8>,
    code: Option<u32>,
    failed: Option<Answer>,
}

impl Ended {
    fn hears(&mut self, message: ChannelMsg) {
        match message {
            ChannelMsg::Data { data } => keep(&mut self.out, &data),
            ChannelMsg::ExtendedData { data, .. } => keep(&mut self.err, &data),
            ChannelMsg::ExitStatus { exit_status } => self.code = Some(exit_status),
            ChannelMsg::Failure => self.failed = Some(Answer::failed(FailedKind::NotSent, "the server does not run commands for this user")),
            ChannelMsg::ExitSignal { signal_name, .. } => {
                self.failed = Some(Answer::failed(FailedKind::Unknown, format!("the command was ended by the signal {signal_name:?}")));
            }
            _ => {}
        }
    }

    fn answer(mut self) -> Answer {
        match (self.code, self.failed) {
            (Some(code), _) => {
                if code != 0 {
                    keep(&mut self.out, &self.err);
                }
                Answer { status: u16::try_from(code).unwrap_or(u16::MAX), body: self.out, ..Answer::default() }
            }
            (None, Some(failed)) => failed,
            (None, None) => Answer::failed(FailedKind::Unknown, "the connection ended before the command told its exit code"),
        }
    }
}

/// What a secret that is scrubbed later may need beyond the end is not known here, so twice as much is kept.
fn keep(into: &mut Vec<u8>, data: &[u8]) {
    let room = (2 * MOST_BODY).saturating_sub(into.len());
    into.extend_from_slice(&data[..data.len().min(room)]);
}

fn timed_out(timeout: Duration, sent: bool) -> Answer {
    let seconds = timeout.as_secs_f32();
    if sent {
        Answer::failed(FailedKind::Unknown, format!("the command did not end within {seconds} seconds; it may have done its work all the same"))
    } else {
        Answer::failed(FailedKind::NotSent, format!("no session within {seconds} seconds"))
    }
}
