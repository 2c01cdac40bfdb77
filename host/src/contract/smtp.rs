//! `smtp`: mail through the plan's relays.

use wasmtime::component::Resource;

use super::budget::PART;
use super::call::{Call, Ended, Phase};
use super::delivery::Terms;
use super::reporter::reporter_host::reporter::smtp::{Content, Host, Message};
use crate::store::now_ms;
use crate::transport::smtp::{check_mail, mailbox};
use crate::transport::{self, EndpointKind, Mail, Payload};

impl Host for Call {
    fn wire_form(&mut self, address: String) -> wasmtime::Result<Result<String, String>> {
        self.only(&[Phase::Report], "smtp.wire-form")?;
        let form = mailbox(&address).map(|mailbox| mailbox.email.to_string()).map_err(|wrong| wrong.to_string());
        self.budget.read(form.as_ref().map_or_else(String::len, String::len))?;
        Ok(form)
    }

    async fn send(&mut self, message: Message, terms: Resource<Terms>) -> wasmtime::Result<()> {
        self.only(&[Phase::Report], "smtp.send")?;
        let (entry, endpoint) = self.endpoint(&message.endpoint)?;
        let EndpointKind::Smtp(relay) = &endpoint.kind else {
            return misuse(format!("it sent mail to endpoint {:?}, which is of another kind", endpoint.name));
        };
        let mut bytes = message.subject.len() + message.sender.len();
        let people = [&message.to, &message.cc, &message.bcc];
        bytes += people.into_iter().flatten().map(|address| address.len() + PART).sum::<usize>();
        bytes += message.body.iter().map(|part| part.content_type.len() + part.text.len() + 2 * PART).sum::<usize>();
        bytes += message.headers.iter().map(|(name, value)| name.len() + value.len() + 2 * PART).sum::<usize>();
        bytes += message.attachments.iter().map(|it| it.filename.len() + it.content_type.len() + 2 * PART).sum::<usize>();
        let body = message.body.into_iter();
        let mut mail = Mail {
            sender: message.sender,
            to: message.to,
            cc: message.cc,
            bcc: message.bcc,
            subject: message.subject,
            headers: message.headers,
            body: body.map(|part| transport::Part { content_type: part.content_type, text: part.text }).collect(),
            attachments: Vec::with_capacity(message.attachments.len()),
            date: now_ms() / 1_000,
            only: None,
            dump: relay.dump,
        };
        // Before any log is fetched for it.
        if let Err(wrong) = check_mail(&mail) {
            return misuse(format!("its mail cannot go out: {wrong}"));
        }
        for attachment in message.attachments {
            let content = match attachment.content {
                Content::Bytes(content) => {
                    bytes += content.len();
                    transport::Content::Bytes(content)
                }
                Content::Log(log) => {
                    let log = self.table.delete(log)?.0;
                    let text = self.fetch(|| log.text()).await?;
                    let name = log.spool_name();
                    entry.spool.put(&name, &mut text.lines()).map_err(|error| Ended::NotNow(error.to_string()))?;
                    transport::Content::Spooled(name)
                }
            };
            let (filename, content_type) = (attachment.filename, attachment.content_type);
            mail.attachments.push(transport::Attachment { filename, content_type, content });
        }
        self.queue(&entry, &endpoint, Payload::Smtp(mail), bytes, terms)
    }
}

fn misuse<T>(text: String) -> wasmtime::Result<T> {
    Err(Ended::Misuse(text).into())
}
