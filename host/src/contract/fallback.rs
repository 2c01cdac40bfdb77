//! `fallback` in an endpoint's settings: the plain message for when the component fails.
//!
//! It is what a component could have sent, and no more of it than a plain message needs: attachments, the time of a
//! mail and what is left of its recipients are made by the host alone.

use serde::Deserialize;
use serde_json::Value;

use crate::transport::http::check_request;
use crate::transport::irc::check_message;
use crate::transport::smtp::check_mail;
use crate::transport::{self, Body, Endpoint, EndpointKind, HttpRequest, IrcMessage, IrcVerb, Mail, Payload};

/// The plain message for when the component fails. `{text}` and `{subject}` in its texts are replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct Fallback {
    /// Where to.
    pub endpoint: String,
    /// What.
    pub payload: Payload,
}

/// As it stands in the settings of an endpoint of kind `http`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    method: String,
    #[serde(default)]
    path: Vec<String>,
    #[serde(default)]
    query: Vec<(String, String)>,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default)]
    body: Body,
}

/// As it stands in the settings of an endpoint of kind `smtp`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Message {
    sender: String,
    #[serde(default)]
    to: Vec<String>,
    #[serde(default)]
    cc: Vec<String>,
    #[serde(default)]
    bcc: Vec<String>,
    subject: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    body: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    content_type: String,
    text: String,
}

/// As it stands in the settings of an endpoint of kind `irc`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    target: String,
    verb: IrcVerb,
    text: String,
}

impl Fallback {
    /// Reads and checks one, as what is sent is checked.
    ///
    /// # Errors
    /// In words: it is no payload of the endpoint's kind, or could not go out.
    pub(super) fn check(endpoint: &Endpoint, given: Value) -> Result<Self, String> {
        let payload = match &endpoint.kind {
            EndpointKind::Http(_) => Payload::Http(request(given)?),
            EndpointKind::Smtp(relay) => Payload::Smtp(mail(given, relay.dump)?),
            EndpointKind::Irc(_) => Payload::Irc(said(given)?),
            EndpointKind::Master(_) => return Err("a master gets no messages".into()),
            EndpointKind::Ssh(_) => return Err("an endpoint of kind ssh has none: a command is about something, and no plain message".into()),
        };
        Ok(Self { endpoint: endpoint.name.clone(), payload })
    }
}

fn request(given: Value) -> Result<HttpRequest, String> {
    let Request { method, path, query, headers, body } = Request::deserialize(given).map_err(|error| error.to_string())?;
    if let Body::Json(text) = &body {
        // Texts are replaced in the parsed document, which has fewer levels than JSON may have.
        serde_json::from_str::<Value>(text).map_err(|error| format!("the json body does not parse: {error}"))?;
    }
    let request = HttpRequest { method, path, query, headers, body };
    check_request(&request).map_err(|wrong| wrong.to_string())?;
    Ok(request)
}

fn said(given: Value) -> Result<IrcMessage, String> {
    let Said { target, verb, text } = Said::deserialize(given).map_err(|error| error.to_string())?;
    let message = IrcMessage::Say { target, verb, text };
    check_message(&message).map_err(|wrong| wrong.to_string())?;
    Ok(message)
}

fn mail(given: Value, dump: bool) -> Result<Mail, String> {
    let Message { sender, to, cc, bcc, subject, headers, body } = Message::deserialize(given).map_err(|error| error.to_string())?;
    let body = body.into_iter().map(|Part { content_type, text }| transport::Part { content_type, text }).collect();
    let mail = Mail { sender, to, cc, bcc, subject, headers, body, attachments: Vec::new(), date: 0, only: None, dump };
    check_mail(&mail).map_err(|wrong| wrong.to_string())?;
    Ok(mail)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(settings: Value, fallback: Value) -> Result<Payload, String> {
        let mut endpoint = settings;
        endpoint["name"] = "e".into();
        Fallback::check(&serde_json::from_value(endpoint).unwrap(), fallback).map(|fallback| fallback.payload)
    }

    #[test]
    fn a_request_is_one_that_could_be_sent() {
        let check = |fallback| check(json!({"kind": "http", "base_url": "https://h/"}), fallback);
        assert!(check(json!({"method": "POST", "body": {"json": "{\"text\": \"{text}\"}"}})).is_ok());
        assert!(check(json!({"method": "GET", "path": ["a"], "query": [["t", "{subject}"]]})).is_ok());
        for (hint, wrong) in [
            ("expected struct Request", json!("POST")),
            ("method", json!({})),
            ("use GET", json!({"method": "TRACE"})),
            ("leaves the endpoint", json!({"method": "POST", "path": [".."]})),
            ("written by the host", json!({"method": "POST", "headers": [["Host", "evil.example"]]})),
            ("does not parse", json!({"method": "POST", "body": {"json": "{text}"}})),
            ("does not parse: recursion", json!({"method": "POST", "body": {"json": "[".repeat(200) + &"]".repeat(200)}})),
            ("unknown field `url`", json!({"method": "POST", "url": "https://evil.example/"})),
            ("unknown field `kind`", json!({"method": "POST", "kind": "smtp"})),
        ] {
            let said = check(wrong.clone()).unwrap_err();
            assert!(said.contains(hint), "{wrong}: {said}");
        }
    }

    #[test]
    fn a_mail_is_one_that_could_be_sent_and_has_nothing_that_the_host_makes() {
        let relay = json!({"kind": "smtp", "host": "localhost", "port": 25, "dump": true});
        let with = |member: &str, value: Value| {
            let mut fallback =
                json!({"sender": "a@b.org", "to": ["c@d.org"], "subject": "{subject}", "body": [{"content_type": "text/plain", "text": "{text}"}]});
            fallback[member] = value;
            check(relay.clone(), fallback)
        };
        let Ok(Payload::Smtp(mail)) = with("cc", json!(["e@f.org"])) else { panic!("refused") };
        assert!(mail.dump, "it is logged as other mails of its relay");
        for (member, value, hint) in [
            ("sender", json!("nobody"), "no mail address"),
            ("to", json!([]), "no recipients"),
            ("headers", json!([["Bcc", "all@b.org"]]), "written by the host"),
            ("body", json!([]), "no body"),
            ("body", json!([{"content_type": "text/plain", "text": "", "charset": "x"}]), "unknown field `charset`"),
            ("attachments", json!([{"filename": "a", "content_type": "text/plain", "content": {"spooled": "1"}}]), "unknown field `attachments`"),
            ("only", json!(["c@d.org"]), "unknown field `only`"),
            ("date", json!(1), "unknown field `date`"),
            ("dump", json!(false), "unknown field `dump`"),
        ] {
            let said = with(member, value).unwrap_err();
            assert!(said.contains(hint), "{member}: {said}");
        }
    }
}
