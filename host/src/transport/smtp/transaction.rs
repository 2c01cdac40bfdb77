//! One mail over one session: who took it, and who did not.

use std::sync::atomic::{AtomicBool, Ordering};

use lettre::Address;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailParameter};

use super::super::http::failure::chain;
use super::super::{Answer, FailedKind, RecipientAnswer};
use super::connect::{answer, number, text};
use super::outgoing::Outgoing;
use super::patience::{Failure, Patience, content, within};

/// A mail ready to go.
pub(super) struct Envelope<'a> {
    pub sender: &'a Address,
    pub recipients: &'a [Address],
    pub message: Outgoing,
    /// Whether an address in it, or in its headers, is international.
    pub international: bool,
}

/// What becomes of an international address at a server that does not offer SMTPUTF8.
pub(super) const NEEDS_SMTPUTF8: &str =
    "an address has letters outside ASCII before its @, and this server does not take such (it does not offer SMTPUTF8); use an ASCII address";
/// The same as a reply's code (RFC 6531, 3.5).
pub(super) const NOT_PERMITTED: u16 = 553;

/// Whether the server takes international addresses.
pub(super) fn takes_international(session: &AsyncSmtpConnection) -> bool {
    session.server_info().supports_feature(Extension::SmtpUtfEight)
}

/// Sends another one in the same session, after one that may have been left open.
pub(super) async fn send_again(session: &mut AsyncSmtpConnection, mail: Envelope<'_>, patience: Patience) -> Answer {
    if let Err(e) = within(patience.command, session.command(Rset)).await {
        return broken(e, "RSET");
    }
    send(session, mail, patience, &AtomicBool::new(false)).await
}

/// Sends it. `sent` is set as soon as the message itself is on its way, after which a broken connection leaves the outcome open.
pub(super) async fn send(session: &mut AsyncSmtpConnection, mail: Envelope<'_>, patience: Patience, sent: &AtomicBool) -> Answer {
    let parameters = if mail.international { vec![MailParameter::SmtpUtfEight] } else { vec![] };
    if let Err(e) = within(patience.command, session.command(Mail::new(Some(mail.sender.clone()), parameters))).await {
        return broken(e, "MAIL FROM");
    }
    let mut results = Vec::with_capacity(mail.recipients.len());
    for recipient in mail.recipients {
        let (status, text) = match within(patience.command, session.command(Rcpt::new(recipient.clone(), vec![]))).await {
            Ok(reply) => (number(reply.code()), reply.message().collect::<Vec<_>>().join(" ")),
            Err(Failure::Smtp(e)) => match e.status() {
                Some(code) => (number(code), text(&e)),
                None => return answer(&e, "RCPT TO"),
            },
            Err(late) => return broken(late, "RCPT TO"),
        };
        results.push(RecipientAnswer { address: recipient.to_string(), status, text });
    }
    if !results.iter().any(|r| taken(r.status)) {
        // Nothing is open on the server afterwards, so the session can be used for the next mail.
        let _ = within(patience.command, session.command(Rset)).await;
        return summed(results);
    }
    if let Err(e) = within(patience.data, session.command(Data)).await {
        return ended(e, "DATA", results, FailedKind::NotSent);
    }
    sent.store(true, Ordering::Relaxed);
    match content(session, mail.message, patience).await {
        Ok(reply) => {
            let text = reply.message().collect::<Vec<_>>().join(" ");
            summed(settled(results, number(reply.code()), &text))
        }
        Err(e) => ended(e, "end of DATA", results, FailedKind::Unknown),
    }
}

fn taken(status: u16) -> bool {
    (200..300).contains(&status)
}

/// Those who were taken so far get the message's result; the others keep theirs.
fn settled(mut results: Vec<RecipientAnswer>, status: u16, text: &str) -> Vec<RecipientAnswer> {
    for result in results.iter_mut().filter(|r| taken(r.status)) {
        result.status = status;
        text.clone_into(&mut result.text);
    }
    results
}

fn ended(failure: Failure, step: &str, results: Vec<RecipientAnswer>, kind: FailedKind) -> Answer {
    match failure {
        Failure::Smtp(error) => match error.status() {
            Some(code) => summed(settled(results, number(code), &text(&error))),
            // Who was refused will be refused again; the whole mail is tried again.
            None => Answer::failed(kind, format!("{step}: {}", chain(&error))),
        },
        Failure::Late(limit) => late(kind, step, limit),
    }
}

fn broken(failure: Failure, step: &str) -> Answer {
    match failure {
        Failure::Smtp(error) => answer(&error, step),
        Failure::Late(limit) => late(FailedKind::NotSent, step, limit),
    }
}

fn late(kind: FailedKind, step: &str, limit: std::time::Duration) -> Answer {
    Answer::failed(kind, format!("{step}: {}", super::timed_out(limit)))
}

/// One answer, with results by recipient only where they differ.
pub(super) fn summed(results: Vec<RecipientAnswer>) -> Answer {
    let best = results.iter().min_by_key(|r| r.status);
    let (status, body) = best.map(|r| (r.status, r.text.clone().into_bytes())).unwrap_or_default();
    let differ = results.iter().any(|r| r.status != status);
    Answer { status, body, recipients: if differ { results } else { Vec::new() }, ..Answer::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results(statuses: &[u16]) -> Vec<RecipientAnswer> {
        let one = |(i, status): (usize, &u16)| RecipientAnswer { address: format!("{i}@example.org"), status: *status, text: format!("{status} {i}") };
        statuses.iter().enumerate().map(one).collect()
    }

    #[test]
    fn equal_results_are_one_answer() {
        for status in [250, 450, 550] {
            let answer = summed(results(&[status, status]));
            assert_eq!((answer.status, answer.recipients.len()), (status, 0));
        }
        let differing = summed(results(&[550, 250, 450]));
        assert_eq!(differing.status, 250);
        assert_eq!(differing.recipients.iter().map(|r| r.status).collect::<Vec<_>>(), [550, 250, 450]);
    }

    #[test]
    fn a_refused_message_is_refused_for_those_who_were_taken() {
        let answer = summed(settled(results(&[250, 450, 251]), 554, "spam"));
        assert_eq!(answer.recipients.iter().map(|r| r.status).collect::<Vec<_>>(), [554, 450, 554]);
        assert_eq!(answer.recipients[1].text, "450 1");
    }
}
