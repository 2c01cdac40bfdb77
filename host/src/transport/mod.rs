//! Transports: the wire clients. A transport makes one attempt at one payload and says what came
//! back; what that means is for [`crate::delivery`] to decide.

mod conversation;
mod endpoint;
pub mod http;
pub mod irc;
mod master;
mod payload;
pub mod policy;
mod sink;
pub mod smtp;
pub mod ssh;
mod trust;
mod updates;

pub(crate) use conversation::Kept;
pub use conversation::{Ears, Wake, Wanted, Whereto};
pub use endpoint::{Auth, Endpoint, EndpointKind, HttpEndpoint, IrcChannel, IrcEndpoint, LaneLimit, Sasl, SmtpEndpoint, SshEndpoint, Tls, Verify, shown_url};
pub use master::{AUDIT, MasterTransport, Sources};
pub use payload::{Attachment, Body, Content, HttpRequest, IrcMessage, IrcVerb, Mail, MasterCall, Part, Payload, SshCommand};
pub use sink::Sink;
pub use updates::{Poll, Updates, Webhook, check_updates};

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::policy::{Level, Policy};
use crate::secret::{Scrubber, SubstituteError, Vault, VaultError};

/// One transport for each [`Level`]: they share no connections and no cached answers.
pub struct ByLevel<T> {
    operator: T,
    strict: T,
}

impl<T> ByLevel<T> {
    /// Makes both, from their policies.
    pub fn new(operator: Arc<Policy>, strict: Arc<Policy>, make: impl Fn(Arc<Policy>) -> T) -> Self {
        Self { operator: make(operator), strict: make(strict) }
    }

    /// The one for an endpoint.
    pub fn at(&self, endpoint: &Endpoint) -> &T {
        match endpoint.level {
            Level::Operator => &self.operator,
            Level::Strict => &self.strict,
        }
    }
}

#[async_trait]
impl<T: Transport> Transport for ByLevel<T> {
    async fn attempt(&self, attempt: Attempt<'_>) -> Answer {
        self.at(attempt.endpoint).attempt(attempt).await
    }
}

/// Makes attempts at payloads of one kind.
#[async_trait]
pub trait Transport: Send + Sync {
    /// One attempt. Never panics, never outlasts `attempt.timeout` by more than a moment.
    async fn attempt(&self, attempt: Attempt<'_>) -> Answer;
}

/// What one attempt needs.
pub struct Attempt<'a> {
    /// Stable over all attempts of this delivery: goes out as `Idempotency-Key`, `webhook-id` and in `Message-ID`.
    pub id: &'a str,
    /// The service entry.
    pub entry: &'a str,
    /// One line for the log: what it is, and who asked for it.
    pub title: &'a str,
    /// Where to.
    pub endpoint: &'a Endpoint,
    /// What.
    pub payload: &'a Payload,
    /// Where placeholders are resolved.
    pub vault: &'a dyn Vault,
    /// When the attempt is given up.
    pub timeout: Duration,
}

/// What `check --connect` found where somebody answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached {
    /// In words, secrets scrubbed.
    pub text: String,
    /// Whether somebody should look at it: it may be all right, and it may not.
    pub doubt: bool,
}

impl Reached {
    /// All is as it should be.
    pub fn well(text: impl Into<String>) -> Self {
        Self { text: text.into(), doubt: false }
    }
}

/// What came back from an attempt.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// HTTP status, SMTP reply code, IRC numeric (200 for what IRC took) or exit code; 0 if there was none.
    pub status: u16,
    /// Headers, names in lower case, secrets scrubbed. Beside an error: those of the answer that it comes from.
    pub headers: Vec<(String, String)>,
    /// The first 256 KiB of the body (SMTP: the reply's text; SSH: the output, and the errors of a command that failed), secrets scrubbed.
    pub body: Vec<u8>,
    /// Why there was no answer, in words, secrets scrubbed.
    pub error: Option<Failed>,
    /// What is left of the payload, if a part of it has been taken (IRC): another attempt sends only that.
    pub rest: Option<Arc<Payload>>,
    /// Results that differ by recipient (SMTP). Empty: the answer holds for all of the payload.
    pub recipients: Vec<RecipientAnswer>,
}

/// One recipient's result.
#[derive(Clone, Debug)]
pub struct RecipientAnswer {
    /// The bare address.
    pub address: String,
    /// The reply code; 250 if the server took it and then took the message.
    pub status: u16,
    /// The reply's text.
    pub text: String,
}

/// An attempt that got no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// In words, with what to do if the operator can do something.
    pub message: String,
    /// What kind of failure.
    pub kind: FailedKind,
}

/// Kinds of failure without an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedKind {
    /// Nothing was sent: refused connection, no such host, TLS. Worth another try.
    NotSent,
    /// Nothing was tried, because something is missing now: a secret, a spooled log, a certificate's file, an OAuth 2 token.
    /// Worth another try, and it says nothing about the remote.
    NotTried,
    /// It may have arrived: the connection broke, or the time was up. Worth another try, with the same id.
    Unknown,
    /// It can never work: an address that policy forbids, a secret not granted, a payload that cannot be encoded.
    Never,
}

/// How much of an answer's body is kept, in bytes.
pub const MOST_BODY: usize = 256 << 10;

/// Gives rustls its cryptography (ring), once for the process. `main` and each test that uses TLS
/// call it before anything connects; more calls do nothing.
pub fn install_crypto() {
    // An error says that there is one already, which is what is wanted.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

impl Answer {
    /// An attempt that got no answer.
    pub fn failed(kind: FailedKind, message: impl Into<String>) -> Self {
        Self { error: Some(Failed { message: message.into(), kind }), ..Self::default() }
    }

    /// The same answer without any secret in it.
    fn scrubbed(self, scrubber: &Scrubber) -> Self {
        let mut answer = self.without(scrubber);
        answer.body.truncate(MOST_BODY);
        answer
    }

    /// The same, with a longer body that other secrets are still to be taken out of.
    fn without(mut self, scrubber: &Scrubber) -> Self {
        self.body = scrubber.bytes(&self.body);
        for (_, value) in &mut self.headers {
            *value = scrubber.text(value);
        }
        if let Some(failed) = &mut self.error {
            failed.message = scrubber.text(&failed.message);
        }
        for recipient in &mut self.recipients {
            recipient.text = scrubber.text(&recipient.text);
        }
        self
    }
}

impl From<&SubstituteError> for FailedKind {
    fn from(error: &SubstituteError) -> Self {
        match error {
            // Whoever rotates the file may be about to write it.
            SubstituteError::Vault(VaultError::Unreadable { .. }) => Self::NotTried,
            SubstituteError::Vault(VaultError::NotGranted { .. }) | SubstituteError::LineBreak => Self::Never,
        }
    }
}
