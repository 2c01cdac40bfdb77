//! How long a server may take, by step (RFC 5321, 4.5.3.2). Whoever gives up too early on the reply to a message sends it twice.

use std::future::pending;
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::response::Response;
use tokio::sync::watch;

use super::outgoing::Outgoing;

/// The limits of each step.
#[derive(Clone, Copy, Debug)]
pub(super) struct Patience {
    /// Until a session is ready for mail: connection, greeting, encryption, login.
    pub ready: Duration,
    /// MAIL and RCPT, each.
    pub command: Duration,
    /// The reply to DATA.
    pub data: Duration,
    /// One piece of the message.
    pub piece: Duration,
    /// The reply to the final dot.
    pub end: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { ready: seconds(30), command: seconds(60), data: seconds(120), piece: seconds(180), end: seconds(600) }
    }
}

/// Why a step has no good reply.
pub(super) enum Failure {
    /// A refusal or a broken connection.
    Smtp(Error),
    /// Nothing within this time.
    Late(Duration),
}

/// One step within its time.
pub(super) async fn within<T>(limit: Duration, step: impl Future<Output = Result<T, Error>>) -> Result<T, Failure> {
    match tokio::time::timeout(limit, step).await {
        Ok(done) => done.map_err(Failure::Smtp),
        Err(_) => Err(Failure::Late(limit)),
    }
}

/// Sends the message after DATA, and waits for the reply to its end.
pub(super) async fn content(session: &mut AsyncSmtpConnection, message: Outgoing, patience: Patience) -> Result<Response, Failure> {
    let (all_asked_for, mut progress) = watch::channel(false);
    let late = async move {
        while !*progress.borrow_and_update() {
            match tokio::time::timeout(patience.piece, progress.changed()).await {
                Ok(Ok(())) => {}
                // The connection broke, as the other side is about to say.
                Ok(Err(_)) => pending().await,
                Err(_) => return patience.piece,
            }
        }
        tokio::time::sleep(patience.end).await;
        patience.end
    };
    tokio::select! {
        biased;
        reply = session.message_iter(Watched { message, all_asked_for }) => reply.map_err(Failure::Smtp),
        limit = late => Err(Failure::Late(limit)),
    }
}

/// A message that tells when its next piece is asked for: the one before it is written then.
struct Watched {
    message: Outgoing,
    all_asked_for: watch::Sender<bool>,
}

impl Iterator for Watched {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        let piece = self.message.next();
        self.all_asked_for.send_replace(piece.is_none());
        piece
    }
}
