//! A mail as it is worded, before it is sent or kept for a digest.

use reporter_sdk::message::Message;
use reporter_sdk::prelude::*;
use reporter_sdk::smtp;
use reporter_sdk::subject::one_line;
use reporter_sdk::template::TemplateType;
use serde::{Deserialize, Serialize};

use crate::recipients::Envelope;
use crate::relay::RELAY;

/// A mail.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Letter {
    /// `failure of build 12 on linux`, for the delivery log.
    pub about: String,
    /// The master's title, or empty.
    pub master: String,
    /// The result.
    pub result: Option<u8>,
    /// One line.
    pub subject: String,
    /// Beside those that every mail has.
    pub headers: Vec<(String, String)>,
    /// The body as plain text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plain: Option<String>,
    /// The body as HTML.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// Who gets it.
    pub envelope: Envelope,
}

impl Letter {
    /// Takes the bodies of a message.
    pub fn words(mut self, message: Message) -> Self {
        (self.plain, self.html) = match message.kind {
            TemplateType::Html => (None, Some(message.body)),
            TemplateType::Plain | TemplateType::Both => (Some(message.body), message.html),
        };
        self
    }

    /// Adds a paragraph to each form.
    pub fn add(&mut self, heading: &str, lines: &[String]) {
        if let Some(plain) = &mut self.plain {
            if !plain.ends_with('\n') {
                plain.push('\n');
            }
            plain.push_str(&format!("\n{heading}\n"));
            lines.iter().for_each(|line| plain.push_str(&format!("  {line}\n")));
        }
        if let Some(html) = &mut self.html {
            let items: String = lines.iter().map(|line| format!("<li>{}</li>\n", escaped(line))).collect();
            let paragraph = format!("<p>{}</p>\n<ul>\n{items}</ul>\n", escaped(heading));
            let end = html.rfind("</body>").or_else(|| html.rfind("</html>")).unwrap_or(html.len());
            html.insert_str(end, &paragraph);
        }
    }

    /// Adds headers that are not there yet.
    pub fn add_headers(&mut self, headers: impl IntoIterator<Item = (String, String)>) {
        for (name, value) in headers {
            if !self.headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(&name)) {
                self.headers.push((name, value));
            }
        }
    }

    /// Queues it.
    pub fn send(self, from: &str, attachments: Vec<smtp::Attachment>) {
        let terms = Terms::titled(one_line(&format!("{} to {}", self.about, self.envelope.summary())));
        let form = |kind: &str, body: Option<String>| {
            body.map(|mut body| {
                while !body.ends_with("\n\n") {
                    body.push('\n');
                }
                (format!("text/{kind}"), body)
            })
        };
        let mail = smtp::Message {
            endpoint: RELAY.into(),
            sender: from.to_owned(),
            to: self.envelope.to,
            cc: self.envelope.cc,
            bcc: self.envelope.bcc,
            subject: one_line(&self.subject),
            headers: self.headers,
            body: [form("plain", self.plain), form("html", self.html)].into_iter().flatten().collect(),
            attachments,
        };
        smtp::send(mail, terms);
    }
}

/// A text in HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
