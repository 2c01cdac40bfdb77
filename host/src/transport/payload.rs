//! What a component sends, as it stands in the outbox. Secrets are placeholders.

use serde::{Deserialize, Serialize};

/// One delivery's content.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Payload {
    /// An HTTP request.
    Http(HttpRequest),
    /// A mail.
    Smtp(Mail),
    /// Something on IRC.
    Irc(IrcMessage),
    /// A control call on a master.
    Master(MasterCall),
    /// A command on an SSH server.
    Ssh(SshCommand),
}

impl Payload {
    /// Roughly how many bytes it takes in memory.
    pub fn weight(&self) -> usize {
        let pairs = |pairs: &[(String, String)]| pairs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
        let texts = |texts: &[String]| texts.iter().map(String::len).sum::<usize>();
        match self {
            Self::Http(request) => {
                let body = match &request.body {
                    Body::Empty => 0,
                    Body::Json(text) | Body::Text(text) => text.len(),
                    Body::Form(form) => pairs(form),
                    Body::Bytes(bytes) => bytes.len(),
                };
                texts(&request.path) + pairs(&request.query) + pairs(&request.headers) + body
            }
            Self::Irc(IrcMessage::Say { target, text, .. }) => target.len() + text.len(),
            Self::Irc(IrcMessage::Membership { channel, .. }) => channel.len(),
            Self::Master(call) => texts(&call.path) + call.method.len() + call.parameters.len(),
            Self::Smtp(mail) => {
                let attached = mail.attachments.iter().map(|attachment| match &attachment.content {
                    Content::Bytes(bytes) => bytes.len(),
                    Content::Spooled(name) => name.len(),
                });
                let body = mail.body.iter().map(|part| part.text.len()).sum::<usize>();
                texts(&mail.to) + texts(&mail.cc) + texts(&mail.bcc) + pairs(&mail.headers) + body + attached.sum::<usize>()
            }
            Self::Ssh(command) => texts(&command.words) + texts(&command.arguments) + command.stdin.len(),
        }
    }
}

/// An HTTP request below an endpoint.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HttpRequest {
    /// `POST` …
    pub method: String,
    /// Path segments, not encoded.
    #[serde(default)]
    pub path: Vec<String>,
    /// Query pairs, not encoded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub query: Vec<(String, String)>,
    /// Headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body.
    #[serde(default)]
    pub body: Body,
}

/// A body.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// JSON text.
    Json(String),
    /// Form pairs, not encoded.
    Form(Vec<(String, String)>),
    /// Text.
    Text(String),
    /// Bytes, base64 in the store.
    Bytes(#[serde(with = "base64_bytes")] Vec<u8>),
}

/// Something on IRC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IrcMessage {
    /// A text to a channel or nick.
    Say {
        /// Channel or nick.
        target: String,
        /// How.
        verb: IrcVerb,
        /// Lines, divided by LF.
        text: String,
    },
    /// Joining or leaving a channel.
    Membership {
        /// The channel.
        channel: String,
        /// Its key, or a placeholder.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key: Option<String>,
        /// Joining.
        joined: bool,
    },
}

/// How a text is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IrcVerb {
    /// PRIVMSG
    Message,
    /// NOTICE
    Notice,
    /// CTCP ACTION
    Action,
}

/// A control call on a master, see `master.act` in the contract.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasterCall {
    /// The master's name.
    pub master: String,
    /// Path segments below `api/v2`, not encoded.
    pub path: Vec<String>,
    /// The method.
    pub method: String,
    /// A JSON object.
    pub parameters: String,
}

/// A command on an SSH server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SshCommand {
    /// One of the endpoint's commands.
    pub words: Vec<String>,
    /// Arguments, not quoted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub arguments: Vec<String>,
    /// Standard input, base64 in the store.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "base64_bytes")]
    pub stdin: Vec<u8>,
}

/// A mail.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mail {
    /// `From`.
    pub sender: String,
    /// `To`.
    pub to: Vec<String>,
    /// `Cc`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cc: Vec<String>,
    /// Envelope only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bcc: Vec<String>,
    /// `Subject`.
    pub subject: String,
    /// Further headers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The body's forms, the plainest first.
    pub body: Vec<Part>,
    /// Attachments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// When the mail was made, in seconds since 1970: its `Date`, the same at every attempt.
    #[serde(default)]
    pub date: i64,
    /// The bare addresses still to be tried, once an attempt has had results that differ by
    /// recipient. None: all of `to`, `cc` and `bcc`. The headers stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Vec<String>>,
    /// Whether the whole mail goes to the log before it is sent (`dumpMailsToLog`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dump: bool,
}

/// One form of a body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Part {
    /// `text/plain` or `text/html`.
    pub content_type: String,
    /// The text.
    pub text: String,
}

/// An attachment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attachment {
    /// The file's name.
    pub filename: String,
    /// Its type.
    pub content_type: String,
    /// What is in it.
    pub content: Content,
}

/// What is in an attachment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Content {
    /// Bytes, base64 in the store.
    Bytes(#[serde(with = "base64_bytes")] Vec<u8>),
    /// A file of the log spool, by its name there.
    Spooled(String),
}

mod base64_bytes {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serializer};

    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(serde::de::Error::custom)
    }
}
