//! `smtp`: mail through the plan's relays.

use wasmtime::component::Resource;

use super::budget::PART;
use super::call::{Call, Ended, Phase};
use super::delivery::Terms;
use super::reporter::reporter_host::reporter::smtp::{Content, Host, Message};
use crate::store::now_ms;
use crate::transport::{self, EndpointKind, Mail, Payload};

/// Headers that the host makes.
const OURS: [&str; 12] = [
    "from", "to", "cc", "bcc", "subject", "date", "message-id", "sender", "return-path", "mime-version", "content-type",
    "content-transfer-encoding",
];

impl Host for Call {
    async fn send(&mut self, message: Message, terms: Resource<Terms>) -> wasmtime::Result<()> {
        self.only(&[Phase::Report], "smtp.send")?;
        let (entry, endpoint) = self.endpoint(&message.endpoint)?;
        let EndpointKind::Smtp(relay) = &endpoint.kind else {
            return misuse(format!("it sent mail to endpoint {:?}, which is of another kind", endpoint.name));
        };
        check(&message)?;
        let people = [&message.to, &message.cc, &message.bcc];
        let mut bytes = message.subject.len() + message.sender.len();
        bytes += people.into_iter().flatten().map(|address| address.len() + PART).sum::<usize>();
        bytes += message.body.iter().map(|part| part.content_type.len() + part.text.len() + 2 * PART).sum::<usize>();
        bytes += message.headers.iter().map(|(name, value)| name.len() + value.len() + 2 * PART).sum::<usize>();
        bytes += message.attachments.iter().map(|it| it.filename.len() + it.content_type.len() + 2 * PART).sum::<usize>();
        let mut attachments = Vec::new();
        for attachment in message.attachments {
            let content = match attachment.content {
                Content::Bytes(content) => {
                    bytes += content.len();
                    transport::Content::Bytes(content)
                }
                Content::Log(log) => {
                    let log = self.table.delete(log)?.0;
                    let text = self.fetch(log.text()).await?.lines().collect::<String>();
                    let name = log.spool_name();
                    entry.spool.put(&name, text.as_bytes()).map_err(|error| Ended::NotNow(error.to_string()))?;
                    transport::Content::Spooled(name)
                }
            };
            attachments.push(transport::Attachment {
                filename: attachment.filename,
                content_type: attachment.content_type,
                content,
            });
        }
        let body = message.body.into_iter();
        let mail = Mail {
            sender: message.sender,
            to: message.to,
            cc: message.cc,
            bcc: message.bcc,
            subject: message.subject,
            headers: message.headers,
            body: body.map(|part| transport::Part { content_type: part.content_type, text: part.text }).collect(),
            attachments,
            date: now_ms() / 1_000,
            only: None,
            dump: relay.dump,
        };
        self.queue(&entry, &endpoint, Payload::Smtp(mail), bytes, terms)
    }
}

fn misuse<T>(text: String) -> wasmtime::Result<T> {
    Err(Ended::Misuse(text).into())
}

fn check(message: &Message) -> wasmtime::Result<()> {
    if message.to.is_empty() && message.cc.is_empty() && message.bcc.is_empty() {
        return misuse("it sent a mail without recipients".into());
    }
    let lines = message.headers.iter().flat_map(|(name, value)| [name, value]);
    let people = message.to.iter().chain(&message.cc).chain(&message.bcc);
    let names = message.attachments.iter().flat_map(|file| [&file.filename, &file.content_type]);
    let all = lines.chain(people).chain(names).chain([&message.sender, &message.subject]);
    if let Some(bad) = all.into_iter().find(|text| text.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0))) {
        return misuse(format!("it put a line break into a header of a mail: {bad:?}"));
    }
    for (name, _) in &message.headers {
        if OURS.contains(&name.to_ascii_lowercase().as_str()) {
            return misuse(format!("it gave the header {name:?}, which is the host's"));
        }
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':') {
            return misuse(format!("it gave a header the name {name:?}"));
        }
    }
    if message.body.is_empty() {
        return misuse("it sent a mail without a body".into());
    }
    match message.body.iter().find(|part| !matches!(part.content_type.as_str(), "text/plain" | "text/html")) {
        Some(part) => misuse(format!("it gave a mail a body of type {:?}; use text/plain or text/html", part.content_type)),
        None => Ok(()),
    }
}
