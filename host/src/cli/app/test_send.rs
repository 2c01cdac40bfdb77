//! `test-send`: the entry's plain message, really sent (unless there is a sink), and not through the outbox.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::cli::told::{Came, Told};
use crate::cli::wiring::Tell;
use crate::delivery::{Options, Verdict, verdict};
use crate::dispatch::plain;
use crate::host::{Wires, Workbench, diagnostics};
use crate::store::now_ms;
use crate::tenant::Entry;
use crate::tenant::settings::Settings;
use crate::transport::{Attempt, Endpoint, EndpointKind, Mail, Part, Payload, Transport};

/// How often somebody who waits is told for what.
const TOLD_EVERY: Duration = Duration::from_secs(30);

/// How long the attempt may take: as long as a delivery's. A mail's transport has limits for each step.
fn limit(payload: &Payload) -> Duration {
    let options = Options::default();
    if matches!(payload, Payload::Smtp(_)) { options.mail_timeout } else { options.timeout }
}

pub(super) async fn test_send(workbench: &Workbench, settings: &Settings, names: &[String], to: Option<&str>, tell: Tell<Told>) -> Result<(), String> {
    let wires = Wires::new(settings).map_err(super::words)?;
    let (shared, transports) = (workbench.shared(&wires), wires.transports());
    for service in settings.services.iter().filter(|service| names.contains(&service.name)) {
        let entry = Entry::new(service.clone(), &shared)
            .await
            .map_err(|error| diagnostics(settings, &service.name, &error).iter().map(|it| it.render(false)).collect::<Vec<_>>().join("\n\n"))?;
        let told =
            |destination: String, came| Told { at_ms: now_ms(), entry: service.name.clone(), destination, title: "test message".into(), came, content: None };
        let subject = format!("Test message of reporter-host for {}", service.name);
        let text = format!("{subject}\n\nIf you read this, what {:?} sends arrives.\n", service.name);
        let Some((endpoint, payload)) = plain(&entry, &subject, &text).or_else(|| mail(&entry, to?, &subject, &text)) else {
            tell(told(String::new(), Came::Failed { why: nothing_to_send(&entry) }));
            continue;
        };
        let transport: &dyn Transport = match &payload {
            Payload::Http(_) => transports.http.as_ref(),
            Payload::Smtp(_) => transports.smtp.as_ref(),
            Payload::Irc(_) => transports.irc.as_ref(),
            Payload::Master(_) => transports.master.as_ref(),
            Payload::Ssh(_) => transports.ssh.as_ref(),
        };
        let (id, began) = (format!("test-{}", now_ms()), Instant::now());
        let vault = service.vault.as_ref();
        if let (Payload::Irc(_), false) = (&payload, settings.sink) {
            wires.irc.only_send(&service.name, &endpoint, service.vault.clone()).await;
        }
        let attempt = Attempt { id: &id, entry: &service.name, title: "", endpoint: &endpoint, payload: &payload, vault, timeout: limit(&payload) };
        let answer = patiently(transport.attempt(attempt), &service.name, &endpoint).await;
        wires.irc.end().await;
        let took_ms = i64::try_from(began.elapsed().as_millis()).unwrap_or(i64::MAX);
        let refused = answer.recipients.iter().find(|it| it.status >= 300).map(|it| format!("{}: {} {}", it.address, it.status, it.text));
        let came = match (verdict(&payload, &answer, &[], now_ms() / 1_000), refused) {
            (_, Some(why)) => Came::Dead { why },
            (Verdict::Done, None) => Came::Delivered { status: answer.status, took_ms },
            (Verdict::Dead(why) | Verdict::Retry { why, .. } | Verdict::Throttle { why, .. }, None) => Came::Dead { why },
        };
        tell(told(endpoint.destination(), came));
    }
    Ok(())
}

/// Waits, and says so.
async fn patiently<T>(attempt: impl Future<Output = T>, entry: &str, endpoint: &Endpoint) -> T {
    let mut attempt = std::pin::pin!(attempt);
    loop {
        match tokio::time::timeout(TOLD_EVERY, attempt.as_mut()).await {
            Ok(answer) => return answer,
            Err(_) => tracing::warn!(entry, "{} has not answered yet; a server that takes mail may look at it for ten minutes", endpoint.destination()),
        }
    }
}

/// A mail through the entry's relay, from whom its own are.
fn mail(entry: &Entry, to: &str, subject: &str, text: &str) -> Option<(Arc<Endpoint>, Payload)> {
    let relay = entry.plan.endpoints.values().find(|endpoint| matches!(endpoint.kind, EndpointKind::Smtp(_)))?;
    let sender = entry.service.settings["fromaddr"].as_str().unwrap_or(to).to_owned();
    let mail = Mail {
        sender,
        to: vec![to.to_owned()],
        subject: subject.to_owned(),
        body: vec![Part { content_type: "text/plain".into(), text: text.to_owned() }],
        date: now_ms() / 1_000,
        cc: Vec::new(),
        bcc: Vec::new(),
        headers: Vec::new(),
        attachments: Vec::new(),
        only: None,
        dump: false,
    };
    Some((relay.clone(), Payload::Smtp(mail)))
}

/// Why an entry without a plain message cannot be tested by sending, and what to do instead.
fn nothing_to_send(entry: &Entry) -> String {
    if entry.plan.endpoints.values().any(|endpoint| matches!(endpoint.kind, EndpointKind::Smtp(_))) {
        return "its mails go to those who are responsible for a build, so there is nobody yet: say whom with --to you@example.org".into();
    }
    let entry = &entry.service.name;
    format!(
        "what it sends belongs to a commit or a change of a real build (its component's plan has no `fallback`), so there is no test message. \
         Instead: `check --connect` logs in to its endpoints, and `preview --entry {entry:?} --build BUILDER/NUMBER` (or --event ID) shows what it would send"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::{Body, HttpRequest};

    #[test]
    fn it_takes_as_long_as_a_delivery() {
        let request = HttpRequest { method: "POST".into(), path: vec![], query: vec![], headers: vec![], body: Body::Empty };
        let mail = Mail {
            sender: "ci@example.org".into(),
            to: vec![],
            cc: vec![],
            bcc: vec![],
            subject: String::new(),
            headers: vec![],
            body: vec![],
            attachments: vec![],
            date: 0,
            only: None,
            dump: false,
        };
        let seconds = [Payload::Http(request), Payload::Smtp(mail)].map(|payload| limit(&payload).as_secs());
        assert_eq!(seconds, [30, 1_800], "the steps of a mail have limits of their own");
    }
}
