//! One mail over one session: who took it, and who did not.

use std::sync::atomic::{AtomicBool, Ordering};

use lettre::Address;
use lettre::transport::smtp::client::AsyncSmtpConnection;
use lettre::transport::smtp::commands::{Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::{Extension, MailParameter};

use super::super::http::failure::chain;
use super::super::{Answer, FailedKind, RecipientAnswer};
use super::address::is_international;
use super::connect::{answer, number, text};
use super::outgoing::Outgoing;

/// A mail ready to go.
pub(super) struct Envelope<'a> {
    pub sender: &'a Address,
    pub recipients: &'a [Address],
    pub message: Outgoing,
}

/// Sends it. `sent` is set as soon as the message itself is on its way, after which a broken connection leaves the outcome open.
pub(super) async fn send(session: &mut AsyncSmtpConnection, mail: Envelope<'_>, sent: &AtomicBool) -> Answer {
    let mut parameters = vec![];
    if mail.recipients.iter().chain([mail.sender]).any(is_international) {
        if !session.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Answer::failed(
                FailedKind::Never,
                "an address has letters outside ASCII before its @, and this server does not take such (it does not offer SMTPUTF8); use an ASCII address",
            );
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    if let Err(e) = session.command(Mail::new(Some(mail.sender.clone()), parameters)).await {
        return answer(&e, "MAIL FROM");
    }
    let mut results = Vec::with_capacity(mail.recipients.len());
    for recipient in mail.recipients {
        let (status, text) = match session.command(Rcpt::new(recipient.clone(), vec![])).await {
            Ok(reply) => (number(reply.code()), reply.message().collect::<Vec<_>>().join(" ")),
            Err(e) => match e.status() {
                Some(code) => (number(code), text(&e)),
                None => return answer(&e, "RCPT TO"),
            },
        };
        results.push(RecipientAnswer { address: recipient.to_string(), status, text });
    }
    if !results.iter().any(|r| taken(r.status)) {
        // Nothing is open on the server afterwards, so the session can be used for the next mail.
        let _ = session.command(Rset).await;
        return summed(results);
    }
    if let Err(e) = session.command(Data).await {
        return ended(&e, "DATA", results, FailedKind::NotSent);
    }
    sent.store(true, Ordering::Relaxed);
    match session.message_iter(mail.message).await {
        Ok(reply) => {
            let text = reply.message().collect::<Vec<_>>().join(" ");
            summed(settled(results, number(reply.code()), &text))
        }
        Err(e) => ended(&e, "end of DATA", results, FailedKind::Unknown),
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

fn ended(error: &lettre::transport::smtp::Error, step: &str, results: Vec<RecipientAnswer>, kind: FailedKind) -> Answer {
    match error.status() {
        Some(code) => summed(settled(results, number(code), &text(error))),
        // Who was refused will be refused again; the whole mail is tried again.
        None => Answer::failed(kind, format!("{step}: {}", chain(error))),
    }
}

/// One answer, with results by recipient only where they differ.
fn summed(results: Vec<RecipientAnswer>) -> Answer {
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
