//! SSH: commands on servers, such as `gerrit review`.
//!
//! Addresses are checked at the connection, the server's key against a file ([`hosts`]), and the login follows the endpoint ([`connect`]). A
//! connection is kept ([`pool`]), and each command has a channel of its own in it. What a component gives as an argument stays one ([`quote`]).

mod connect;
mod hosts;
mod pool;
mod quote;

pub use quote::{CommandError, check_command, is_plain, line};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use russh::ChannelMsg;

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
        let sent = AtomicBool::new(false);
        let answer = tokio::time::timeout(timeout, self.run(endpoint, ssh, command, vault, &sent)).await;
        answer.unwrap_or_else(|_| timed_out(timeout, sent.load(Ordering::Relaxed))).scrubbed(&vault.scrubber())
    }

    async fn run(&self, endpoint: &Endpoint, ssh: &SshEndpoint, command: &SshCommand, vault: &dyn Vault, sent: &AtomicBool) -> Answer {
        let login = match connect::login(endpoint, ssh, vault).await {
            Ok(login) => login,
            Err(answer) => return answer,
        };
        let key = Key::new(ssh, &login);
        let mut kept = true;
        loop {
            let session = self.pool.get(&key, async {
                kept = false;
                connect::connect(ssh, &login, &self.policy).await
            });
            let session = match session.await {
                Ok(session) => session,
                Err(answer) => return answer,
            };
            let answer = exec(&session, &line(command), &command.stdin, sent).await;
            if answer.error.is_some() {
                self.pool.drop(&key, &session).await;
                // The server may have ended a kept connection a moment ago. Nothing has been run on it.
                if std::mem::take(&mut kept) && !sent.load(Ordering::Relaxed) {
                    continue;
                }
            }
            return answer;
        }
    }
}

#[async_trait]
impl Transport for SshTransport {
    async fn attempt(&self, attempt: Attempt<'_>) -> Answer {
        let (EndpointKind::Ssh(ssh), Payload::Ssh(command)) = (&attempt.endpoint.kind, attempt.payload) else {
            return Answer::failed(FailedKind::Never, format!("endpoint {:?} is not of the kind of this delivery", attempt.endpoint.name));
        };
        // The settings may have changed since it was queued.
        let words = command.words.join(" ");
        if !ssh.commands.contains(&words) {
            return Answer::failed(FailedKind::Never, format!("{words:?} is not among the commands of endpoint {:?}", attempt.endpoint.name));
        }
        self.within(attempt.timeout, attempt.endpoint, ssh, command, attempt.vault).await
    }
}

/// Runs a line in a channel of its own. `sent` is set before the server learns of it.
async fn exec(session: &Session, line: &str, stdin: &[u8], sent: &AtomicBool) -> Answer {
    let failed = |error: russh::Error| {
        let kind = if sent.load(Ordering::Relaxed) { FailedKind::Unknown } else { FailedKind::NotSent };
        Answer::failed(kind, format!("the connection broke: {}", chain(&error)))
    };
    let mut channel = match session.channel_open_session().await {
        Ok(channel) => channel,
        Err(error) => return failed(error),
    };
    sent.store(true, Ordering::Relaxed);
    let ran = async {
        channel.exec(true, line).await?;
        if !stdin.is_empty() {
            channel.data(stdin).await?;
        }
        channel.eof().await
    };
    if let Err(error) = ran.await {
        return failed(error);
    }
    let (mut out, mut err, mut code) = (Vec::new(), Vec::new(), None);
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => keep(&mut out, &data),
            ChannelMsg::ExtendedData { data, .. } => keep(&mut err, &data),
            ChannelMsg::ExitStatus { exit_status } => code = Some(exit_status),
            ChannelMsg::Failure => return Answer::failed(FailedKind::Never, "the server refuses to run commands for this user"),
            ChannelMsg::ExitSignal { signal_name, .. } => {
                return Answer::failed(FailedKind::Unknown, format!("the command was ended by the signal {signal_name:?}"));
            }
            _ => {}
        }
    }
    match code {
        Some(code) => {
            if code != 0 {
                keep(&mut out, &err);
            }
            Answer { status: u16::try_from(code).unwrap_or(u16::MAX), body: out, ..Answer::default() }
        }
        None => Answer::failed(FailedKind::Unknown, "the connection ended before the command told its exit code"),
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
