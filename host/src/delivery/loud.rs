//! What the log says of attempts for entries that are `verbose` or `debug`.

use crate::LOUD;
use crate::secret::Vault;
use crate::store::{AttemptLine, Delivery, Settle};
use crate::transport::{Endpoint, EndpointKind, Payload, ssh};

/// What an entry has in the log beyond what all have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loud {
    /// A line for each delivery that was delivered.
    pub verbose: bool,
    /// A line for each attempt, with its answer.
    pub debug: bool,
}

/// Logs an attempt. `answered`: there was an answer; `line` has it, or the error, scrubbed.
pub(super) fn log(loud: Loud, delivery: &Delivery, to: Option<(&Endpoint, &dyn Vault)>, answered: bool, line: &AttemptLine, settle: &Settle) {
    let (new, ms) = (&delivery.new, line.took_ms);
    let (entry, delivery) = (new.entry.as_str(), delivery.id);
    let status = match (answered, new.payload.as_ref()) {
        (false, _) => "no answer".to_owned(),
        (true, Payload::Ssh(_)) => format!("exit code {}", line.status),
        (true, _) => line.status.to_string(),
    };
    if loud.debug {
        let text = match to {
            Some((endpoint, vault)) => vault.scrubber().text(&request(endpoint, &new.payload)),
            None => "nothing".to_owned(),
        };
        tracing::debug!(target: LOUD, entry, delivery, destination = new.destination, "{}: {status} in {ms} ms: {}", visible(&text), visible(&line.text));
    }
    if loud.verbose && matches!(settle, Settle::Delivered) {
        tracing::info!(target: LOUD, entry, delivery, destination = new.destination, "delivered: {}: {status} in {ms} ms", visible(&new.title));
    }
}

/// What was asked, without what may be secret beside paths: no query, no headers, no content.
fn request(endpoint: &Endpoint, payload: &Payload) -> String {
    match payload {
        Payload::Http(request) => {
            let base = if let EndpointKind::Http(http) = &endpoint.kind { http.base_url.path().trim_end_matches('/') } else { "" };
            let path = request.path.iter().map(|segment| format!("/{segment}")).collect::<String>();
            let slash = if base.is_empty() && path.is_empty() { "/" } else { "" };
            format!("{} {base}{path}{slash}", request.method)
        }
        Payload::Smtp(mail) => format!("mail to {}", mail.only.as_ref().unwrap_or(&mail.to).join(", ")),
        Payload::Irc(_) => "IRC".to_owned(),
        Payload::Master(call) => format!("{} /{}", call.method, call.path.join("/")),
        Payload::Ssh(command) => ssh::line(command),
    }
}

/// A line of the log is the host's: what others wrote begins none, and what they wrote can be seen.
fn visible(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() }).collect()
}
