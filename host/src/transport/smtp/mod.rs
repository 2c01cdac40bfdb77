//! SMTP: mail, with a result for each recipient.
//!
//! Addresses are checked at the connection, encryption and authentication follow the endpoint ([`connect`]), the
//! message is the same bytes at every attempt ([`message`]) and is never in memory with its logs ([`outgoing`]), sessions are kept for a burst ([`pool`]), and
//! each step has its own time ([`patience`]).

mod address;
mod connect;
mod folded;
mod message;
mod outgoing;
mod patience;
mod pool;
mod stream;
#[cfg(test)]
mod tests;
mod transaction;
mod turns;
mod unpanicked;
mod warned;

pub use address::{AddressError, mailbox};
pub use message::{MailError, check_mail};

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::policy::Policy;
use super::{Answer, Attempt, Endpoint, EndpointKind, FailedKind, Mail, Payload, RecipientAnswer, SmtpEndpoint, Transport};
use crate::secret::{Scrubber, Vault};
use address::is_international;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use patience::Patience;
use pool::{Key, Pool};
use transaction::{Envelope, NEEDS_SMTPUTF8, takes_international};
use turns::{Batch, MARGIN, Plan, each, in_order, more, plan};
use unpanicked::unpanicked;
use warned::Warned;

/// Sends mail under one address policy.
pub struct SmtpTransport {
    policy: Arc<Policy>,
    spool: PathBuf,
    pool: Pool,
    patience: Patience,
    warned: Warned,
}

impl SmtpTransport {
    /// Reaches what the policy permits, and finds spooled logs in the folder `spool`.
    pub fn new(policy: Arc<Policy>, spool: PathBuf) -> Self {
        Self { policy, spool, pool: Pool::default(), patience: Patience::default(), warned: Warned::default() }
    }

    async fn deliver(&self, attempt: &Attempt<'_>, endpoint: &SmtpEndpoint, mail: &Mail, scrubber: &Scrubber, sent: &AtomicBool) -> Answer {
        let begin = Instant::now();
        let wrong = |e: MailError| Answer::failed(e.kind(), e.to_string());
        let mut message = match message::message(attempt.id, mail, &self.spool).await {
            Ok(message) => Some(message),
            Err(e) => return wrong(e),
        };
        let (sender, recipients) = match (mailbox(&mail.sender), message::recipients(mail)) {
            (Ok(sender), Ok(recipients)) => (sender.email, recipients),
            (Err(e), _) | (_, Err(e)) => return wrong(e.into()),
        };
        if mail.dump {
            let to = recipients.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            let whole = match message::message(attempt.id, mail, &self.spool).await {
                Ok(message) => message.flatten().collect::<Vec<u8>>(),
                Err(e) => return wrong(e),
            };
            tracing::info!(target: crate::LOUD, id = attempt.id, to, "{}", scrubber.text(&String::from_utf8_lossy(&whole)));
        }
        let login = match connect::login(&attempt.endpoint.name, endpoint, attempt.vault) {
            Ok(login) => login,
            Err(answer) => return answer,
        };
        let key = Key::new(endpoint, login.as_ref());
        let ready = self.session(&key, endpoint, login.as_ref());
        let mut session = match tokio::time::timeout(self.patience.ready, ready).await {
            Ok(Ok(session)) => session,
            Ok(Err(answer)) => return answer,
            Err(_) => return Answer::failed(FailedKind::NotSent, timed_out(self.patience.ready)),
        };
        let everybody = recipients.clone();
        let Plan { mut waiting, mut results } = plan(recipients, &sender, takes_international(&session));
        if waiting.is_empty() {
            self.pool.put(key, session);
            return Answer::failed(FailedKind::Never, NEEDS_SMTPUTF8);
        }
        // The others' mail has no address that a server on their way could not take.
        let ascii = (message::shows_international(mail) && !is_international(&sender)).then(|| message::without_international(mail));
        let mut is_first = true;
        while let Some(Batch { recipients, international }) = waiting.pop_front() {
            let message = match (&ascii, message.take()) {
                (Some(ascii), _) if !international => message::message(attempt.id, ascii, &self.spool).await,
                (_, Some(message)) => Ok(message),
                (_, None) => message::message(attempt.id, mail, &self.spool).await,
            };
            let answer = match message {
                Err(e) => wrong(e),
                Ok(message) => {
                    let envelope = Envelope { sender: &sender, recipients: &recipients, message, international };
                    if is_first {
                        transaction::send(&mut session, envelope, self.patience, sent).await
                    } else {
                        // What the others have had must not be told of as open.
                        let left = attempt.timeout.saturating_sub(begin.elapsed()).saturating_sub(MARGIN);
                        let again = transaction::send_again(&mut session, envelope, self.patience);
                        tokio::time::timeout(left, again).await.unwrap_or_else(|_| Answer::failed(FailedKind::NotSent, timed_out(attempt.timeout)))
                    }
                }
            };
            // A refused MAIL FROM or DATA may leave a transaction open, and 421 ends the session.
            let is_well = answer.error.is_none() && (answer.status == 250 || !answer.recipients.is_empty());
            if is_first && (answer.error.is_some() || answer.status == 421) {
                tokio::spawn(connect::bye(session));
                return answer;
            }
            is_first = false;
            let (more, ended) = more(each(answer, &recipients));
            results.extend(ended);
            if !is_well {
                let why = "the session ended before it was their turn";
                let left = waiting.into_iter().flat_map(|batch| batch.recipients).chain(more);
                results.extend(left.map(|address| RecipientAnswer { address: address.to_string(), status: 451, text: why.to_owned() }));
                tokio::spawn(connect::bye(session));
                return in_order(results, &everybody);
            }
            if !more.is_empty() {
                waiting.push_front(Batch { recipients: more, international });
            }
        }
        self.pool.put(key, session);
        in_order(results, &everybody)
    }

    async fn session(&self, key: &Key, endpoint: &SmtpEndpoint, login: Option<&connect::Login>) -> Result<AsyncSmtpConnection, Answer> {
        match self.pool.take(key).await {
            Some(session) => Ok(session),
            None => connect::connect(endpoint, login, &self.policy, &self.warned).await,
        }
    }

    /// Connects, encrypts, logs in, says NOOP and goodbye.
    ///
    /// # Errors
    /// In words, scrubbed: what fails.
    pub async fn check_connect(&self, endpoint: &Endpoint, vault: &dyn Vault, timeout: Duration) -> Result<String, String> {
        let EndpointKind::Smtp(smtp) = &endpoint.kind else {
            return Err(format!("endpoint {:?} is not of kind smtp", endpoint.name));
        };
        let scrubber = vault.scrubber();
        let checked = unpanicked(tokio::time::timeout(timeout, self.checked(endpoint, smtp, vault))).await?;
        match checked.unwrap_or_else(|_| Err(Answer::failed(FailedKind::NotSent, timed_out(timeout)))) {
            Ok(text) => Ok(text),
            Err(answer) => {
                let answer = answer.scrubbed(&scrubber);
                Err(match answer.error {
                    Some(failed) => failed.message,
                    None => format!("{}: {} {}", endpoint.destination(), answer.status, String::from_utf8_lossy(&answer.body)),
                })
            }
        }
    }

    async fn checked(&self, endpoint: &Endpoint, smtp: &SmtpEndpoint, vault: &dyn Vault) -> Result<String, Answer> {
        let login = connect::login(&endpoint.name, smtp, vault)?;
        let mut session = connect::connect(smtp, login.as_ref(), &self.policy, &self.warned).await?;
        let encrypted = if connect::is_encrypted(&session, smtp.tls) { "encrypted" } else { "in the clear" };
        let who = if login.is_some() { "logged in" } else { "without login" };
        if !session.test_connected().await {
            return Err(Answer::failed(FailedKind::NotSent, "the server refuses NOOP".to_owned()));
        }
        connect::bye(session).await;
        Ok(format!("{}: {encrypted}, {who}", endpoint.destination()))
    }
}

#[async_trait]
impl Transport for SmtpTransport {
    async fn attempt(&self, attempt: Attempt<'_>) -> Answer {
        let (EndpointKind::Smtp(endpoint), Payload::Smtp(mail)) = (&attempt.endpoint.kind, attempt.payload) else {
            return Answer::failed(FailedKind::Never, format!("endpoint {:?} is not of the kind of this delivery", attempt.endpoint.name));
        };
        let scrubber = attempt.vault.scrubber();
        let sent = AtomicBool::new(false);
        let delivery = self.deliver(&attempt, endpoint, mail, &scrubber, &sent);
        let answer = unpanicked(tokio::time::timeout(attempt.timeout, delivery)).await;
        let answer = answer.and_then(|answer| answer.map_err(|_| timed_out(attempt.timeout))).unwrap_or_else(|why| {
            let kind = if sent.load(Ordering::Relaxed) { FailedKind::Unknown } else { FailedKind::NotSent };
            Answer::failed(kind, why)
        });
        answer.scrubbed(&scrubber)
    }
}

fn timed_out(timeout: Duration) -> String {
    format!("the server did not finish within {} seconds", timeout.as_secs_f32())
}
