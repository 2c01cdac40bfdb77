//! Mail through endpoints of kind `smtp`.

use crate::build::Log;
use crate::delivery::Terms;

/// A mail. The host adds `Message-ID`, `Date` and `MIME-Version`, and encodes.
#[derive(Debug, Default)]
pub struct Message {
    /// The endpoint's name in the plan.
    pub endpoint: String,
    /// `From`.
    pub sender: String,
    /// `To`.
    pub to: Vec<String>,
    /// `Cc`.
    pub cc: Vec<String>,
    /// Envelope only.
    pub bcc: Vec<String>,
    /// `Subject`, one line.
    pub subject: String,
    /// Further headers.
    pub headers: Vec<(String, String)>,
    /// The body in one or more forms, `(content type, text)`, the plainest first.
    pub body: Vec<(String, String)>,
    /// Attachments.
    pub attachments: Vec<Attachment>,
}

/// An attachment.
#[derive(Debug)]
pub struct Attachment {
    /// The file's name.
    pub filename: String,
    /// `text/plain` …
    pub content_type: String,
    /// What is in it.
    pub content: Content,
}

impl Attachment {
    /// The same, for another mail.
    pub fn again(&self) -> Self {
        let content = match &self.content {
            Content::Bytes(bytes) => Content::Bytes(bytes.clone()),
            Content::Log(log) => Content::Log(log.end(u64::MAX)),
        };
        Self { filename: self.filename.clone(), content_type: self.content_type.clone(), content }
    }
}

/// What is in an attachment.
#[derive(Debug)]
pub enum Content {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A whole log; it does not pass through the component.
    Log(Log),
}

/// The most recipients of one mail, the most headers, and the most bytes of them with the subject.
pub const MOST_RECIPIENTS: usize = 1_000;
/// See [`MOST_RECIPIENTS`].
pub const MOST_HEADERS: usize = 100;
/// See [`MOST_RECIPIENTS`].
pub const MOST_HEADER_BYTES: usize = 64 << 10;

/// An address as it goes over the wire, without its name: international domains are A-labels there.
///
/// # Errors
///
/// What is wrong with it.
pub fn wire_form(address: &str) -> Result<String, String> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::reporter::reporter_host::reporter::smtp::wire_form(address);
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::wire_form(address)
}

/// Queues the mail. It must have a recipient.
pub fn send(message: Message, terms: Terms) {
    #[cfg(target_arch = "wasm32")]
    {
        use crate::bindings::reporter::reporter_host::reporter::smtp as wit;
        let attach = |attachment: Attachment| {
            let content = match attachment.content {
                Content::Bytes(bytes) => wit::Content::Bytes(bytes),
                Content::Log(log) => wit::Content::Log(log.into_host()?),
            };
            Some(wit::Attachment { filename: attachment.filename, content_type: attachment.content_type, content })
        };
        let message = wit::Message {
            endpoint: message.endpoint,
            sender: message.sender,
            to: message.to,
            cc: message.cc,
            bcc: message.bcc,
            subject: message.subject,
            headers: message.headers,
            body: message.body.into_iter().map(|(content_type, text)| wit::Part { content_type, text }).collect(),
            attachments: message.attachments.into_iter().filter_map(attach).collect(),
        };
        wit::send(message, terms.into_host());
    }
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::record(crate::testing::Delivery::Mail(message, terms));
}
