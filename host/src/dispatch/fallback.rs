//! The plain message that goes out when a component failed for good: formatting that breaks is not
//! to mean silence.

use std::sync::Arc;

use serde_json::Value;

use crate::contract::uid;
use crate::event::{Details, Kind, RESULTS, paths};
use crate::store::{Job, NewDelivery, Unit, now_ms};
use crate::tenant::Entry;
use crate::transport::{Body, Endpoint, IrcMessage, IrcVerb, Payload};

/// The entry's plain message about an event, if its plan says where one may go. `unit` is what its id is made from.
pub(super) fn message(entry: &Entry, details: &Details, unit: &str, why: &str) -> Option<NewDelivery> {
    let subject = subject(details);
    let text = format!("{subject}\n\nThe reporter {:?} could not word this itself: {why}\n", entry.service.name);
    let (endpoint, mut payload) = plain(entry, &subject, &text)?;
    if details.event.kind == Kind::Heard {
        // Whoever spoke is to know, and nobody else.
        let Payload::Irc(IrcMessage::Say { target, verb, .. }) = &mut payload else { return None };
        let place = details.event.message["target"].as_str()?;
        place.clone_into(target);
        *verb = IrcVerb::Message;
    }
    let expires = i64::try_from(entry.service.expires_after.as_millis()).unwrap_or(i64::MAX);
    Some(NewDelivery {
        uid: uid(unit, &entry.service.name, 0),
        entry: entry.service.name.clone(),
        endpoint: endpoint.name.clone(),
        destination: endpoint.destination(),
        lane: None,
        supersede: None,
        tag: None,
        title: format!("plain message: {subject}"),
        expires_ms: now_ms().saturating_add(expires),
        payload: Arc::new(payload),
        rules: Vec::new(),
    })
}

/// The title of the dead letter of a call that came to nothing.
pub(super) fn letter(unit: &Unit, details: &Details) -> String {
    match &unit.job {
        Job::Report => format!("not reported: {}", subject(details)),
        Job::Answered { tag, .. } => format!("the answer to {tag:?} was lost on its component: {}", subject(details)),
    }
}

/// The entry's plain message with these words, and where it goes; none if its plan has no place for one.
pub fn plain(entry: &Entry, subject: &str, text: &str) -> Option<(Arc<Endpoint>, Payload)> {
    let fallback = entry.plan.fallback.as_ref()?;
    let endpoint = entry.plan.endpoints.get(&fallback.endpoint)?;
    Some((endpoint.clone(), fill(fallback.payload.clone(), subject, text)))
}

fn subject(details: &Details) -> String {
    let event = &details.event;
    let message = &event.message;
    let builder =
        details.kept(&paths::builder(&message["builderid"])).and_then(|rows| rows.first().and_then(|builder| builder["name"].as_str().map(str::to_owned)));
    let builder = builder.unwrap_or_else(|| format!("builder {}", message["builderid"]));
    let number = &message["number"];
    let result = message["results"].as_u64().and_then(|code| RESULTS.get(usize::try_from(code).ok()?));
    match event.kind {
        Kind::BuildStarted => format!("Build {number} of {builder} started"),
        Kind::BuildFinished => format!("Build {number} of {builder} ended: {}", result.unwrap_or(&"unknown")),
        Kind::BuildrequestNew => format!("A build of {builder} was requested"),
        Kind::BuildrequestCancelled => format!("A request for a build of {builder} was cancelled"),
        Kind::BuildsetComplete => format!("Buildset {} ended: {}", message["bsid"], result.unwrap_or(&"unknown")),
        Kind::WorkerMissing => format!("Worker {} is missing", message["name"].as_str().unwrap_or_default()),
        Kind::Heard => "What was said could not be answered".into(),
        Kind::WorkerConnected => format!("Worker {} is back", message["name"].as_str().unwrap_or_default()),
    }
}

fn fill(mut payload: Payload, subject: &str, text: &str) -> Payload {
    let put = |into: &mut String| *into = into.replace("{subject}", subject).replace("{text}", text);
    match &mut payload {
        Payload::Http(request) => match &mut request.body {
            Body::Json(json) => {
                if let Ok(mut value) = serde_json::from_str::<Value>(json) {
                    fill_json(&mut value, &put);
                    *json = value.to_string();
                }
            }
            Body::Form(pairs) => pairs.iter_mut().for_each(|(_, value)| put(value)),
            Body::Text(body) => put(body),
            Body::Empty | Body::Bytes(_) => {}
        },
        Payload::Irc(IrcMessage::Say { text, .. }) => put(text),
        Payload::Irc(IrcMessage::Membership { .. }) | Payload::Master(_) => {}
        Payload::Smtp(mail) => {
            put(&mut mail.subject);
            mail.subject = mail.subject.replace(char::is_control, " ");
            mail.body.iter_mut().for_each(|part| put(&mut part.text));
            mail.date = now_ms() / 1_000;
        }
        // Has no plain message.
        Payload::Ssh(_) => {}
    }
    payload
}

fn fill_json(value: &mut Value, put: &impl Fn(&mut String)) {
    match value {
        Value::String(text) => put(text),
        Value::Array(items) => items.iter_mut().for_each(|item| fill_json(item, put)),
        Value::Object(members) => members.values_mut().for_each(|member| fill_json(member, put)),
        _ => {}
    }
}
