//! A mail as it is worded, before it is sent or kept for a digest.

use reporter_sdk::message::Message;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::subject::one_line;
use reporter_sdk::template::TemplateType;
use reporter_sdk::{cut, delivery, smtp};
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
    /// What a digest has in its list; empty: the subject.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub line: String,
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

    /// How many sends it takes.
    pub fn sends(&self) -> usize {
        self.envelope.people().div_ceil(smtp::MOST_RECIPIENTS)
    }

    /// About how many bytes its sends take together.
    pub fn bytes(&self) -> usize {
        let texts = [&self.plain, &self.html].into_iter().flatten().chain([&self.subject]).map(String::len);
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len() + OVERHEAD);
        self.envelope.bytes() + self.sends() * (texts.sum::<usize>() + headers.sum::<usize>() + 10 * OVERHEAD)
    }

    /// About how many bytes of headers one mail of it has.
    pub fn head(&self) -> u64 {
        let people = self.envelope.to.iter().chain(&self.envelope.cc).map(|address| address.len() + 4);
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len() + 4);
        (self.subject.len() + people.chain(headers).sum::<usize>()) as u64
    }

    /// Cuts the text, so that it is about so many bytes; HTML cannot be cut, and gives way to a text.
    pub fn shorten(&mut self, most: usize) {
        let note = "\n[This is cut: the report is larger than limits.send_kib has room for.]\n";
        let room = most.saturating_sub(Self { plain: Some(note.into()), html: None, ..self.clone() }.bytes()) / self.sends().max(1);
        log(Level::Error, &format!("{} to {}: the mail is larger than limits.send_kib has room for, and is cut", self.about, self.envelope.summary()));
        self.html = None;
        let plain = self.plain.take().unwrap_or_default();
        self.plain = Some(format!("{}{note}", cut::to_bytes(&plain, room)));
    }

    /// Queues it: one mail, or several if it is for more people than one can have. `lane`: what is about one thing arrives in order.
    pub fn send(mut self, from: &str, attachments: Vec<smtp::Attachment>, lane: Option<&str>) {
        let about = format!("{} to {}", self.about, self.envelope.summary());
        let mut parts = std::mem::take(&mut self.envelope).parts(smtp::MOST_RECIPIENTS);
        let (count, left) = (parts.len(), delivery::left().0 as usize);
        if count > left.max(1) {
            let people: usize = parts.drain(left.max(1)..).map(|envelope| envelope.people()).sum();
            log(Level::Error, &format!("{people} people do not get this mail: it is {count} mails of {} each, more than limits.sends", smtp::MOST_RECIPIENTS));
        }
        self.fit_headers();
        let form = |kind: &str, body: Option<String>| {
            body.map(|mut body| {
                while !body.ends_with("\n\n") {
                    body.push('\n');
                }
                (format!("text/{kind}"), body)
            })
        };
        let body: Vec<_> = [form("plain", self.plain), form("html", self.html)].into_iter().flatten().collect();
        let mut attachments = Some(attachments);
        let last = parts.len();
        for (n, envelope) in (1..).zip(parts) {
            let part = if count > 1 { format!(" (mail {n} of {count})") } else { String::new() };
            let attachments = if n == last { attachments.take() } else { attachments.as_ref().map(|all| all.iter().map(smtp::Attachment::again).collect()) };
            let mail = smtp::Message {
                endpoint: RELAY.into(),
                sender: from.to_owned(),
                to: envelope.to,
                cc: envelope.cc,
                bcc: envelope.bcc,
                subject: self.subject.clone(),
                headers: self.headers.clone(),
                body: body.clone(),
                attachments: attachments.unwrap_or_default(),
            };
            let terms = Terms::titled(one_line(&format!("{about}{part}")));
            smtp::send(mail, lane.map_or(terms.clone(), |lane| terms.lane(lane)));
        }
    }

    /// Leaves out headers that no server would take, the longest first, and cuts the subject if that alone is too long.
    fn fit_headers(&mut self) {
        self.subject = one_line(&self.subject);
        let size = |(name, value): &(String, String)| name.len() + value.len();
        let mut left_out = Vec::new();
        while self.headers.iter().map(size).sum::<usize>() > ROOM_FOR_HEADERS {
            let longest = (0..self.headers.len()).rev().max_by_key(|n| self.headers.get(*n).map(size)).unwrap_or_default();
            left_out.push(self.headers.remove(longest).0);
        }
        if !left_out.is_empty() {
            let left_out = left_out.join(", ");
            log(Level::Warn, &format!("a mail has {} KiB of headers at most, left out: {}", ROOM_FOR_HEADERS >> 10, cut::to_chars(&left_out, 300)));
        }
        if self.subject.len() > MOST_SUBJECT {
            log(Level::Warn, &format!("the subject is cut to {MOST_SUBJECT} bytes: {}", cut::to_chars(&self.subject, 300)));
            self.subject = cut::to_bytes(&self.subject, MOST_SUBJECT).into_owned();
        }
    }
}

/// Bytes that a text or an address of a mail takes beside its own.
const OVERHEAD: usize = 100;
/// Bytes of a subject, and of the other headers together: what a mail can have.
const MOST_SUBJECT: usize = 4 << 10;
const ROOM_FOR_HEADERS: usize = smtp::MOST_HEADER_BYTES - MOST_SUBJECT;

/// A text in HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
