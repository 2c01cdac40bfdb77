//! From a mail as a component wrote it to the message on the wire.
//!
//! Everything is ASCII, whatever the server offers: headers by RFC 2047 and 2231, texts in quoted-printable unless they are short lines of
//! ASCII, attachments in base64. Nobody on the way has a reason to convert anything, so DKIM signatures hold. Only
//! an international user name (`jörg@…`) has no ASCII form; it needs SMTPUTF8.

use std::fs::File;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Attachment as Attached, Body, Mailbox, Message, MultiPart, SinglePart};
use lettre::{Address, address::Envelope};

use super::super::{Attachment, Content, FailedKind, Mail, Part};
use super::address::{AddressError, is_international, mailbox};
use super::folded;
use super::outgoing::Outgoing;

/// What the host writes into a mail itself.
const HOST_OWNED: &[&str] = &[
    "from",
    "sender",
    "to",
    "cc",
    "bcc",
    "subject",
    "date",
    "message-id",
    "mime-version",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "auto-submitted",
    "return-path",
    "received",
];

/// The most recipients of one mail, and the most headers of one and bytes of them with its subject.
const MOST_RECIPIENTS: usize = 1_000;
const MOST_HEADERS: (usize, usize) = (100, 64 << 10);
/// The most forms of a body.
const MOST_PARTS: usize = 10;
/// Bytes of a header's name that the library takes, and of an attachment's type.
const MOST_NAME: usize = 76;
const MOST_TYPE: usize = 200;

/// Lines up to this are left as they are: below RFC 5322's 78 with a line end.
const LONGEST_PLAIN: usize = 76;

/// Why a mail can never go out as it stands.
#[derive(Clone, Debug, thiserror::Error)]
pub enum MailError {
    /// A sender or a recipient.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// Nobody to send it to.
    #[error("the mail has no recipients")]
    NoRecipients,
    /// More recipients than one mail may have.
    #[error("the mail has {0} recipients; {MOST_RECIPIENTS} are the most, send several mails")]
    Recipients(usize),
    /// More headers than servers take.
    #[error("the mail has {headers} headers, with the subject {bytes} bytes; {most} headers with {most_bytes} bytes are the most", most = MOST_HEADERS.0, most_bytes = MOST_HEADERS.1)]
    Headers {
        /// How many.
        headers: usize,
        /// Bytes of their names and values, and of the subject.
        bytes: usize,
    },
    /// More forms of a body than make sense.
    #[error("the mail has {0} bodies; {MOST_PARTS} are the most")]
    Parts(usize),
    /// No text at all.
    #[error("the mail has no body; give at least one part")]
    NoBody,
    /// A header that the host writes.
    #[error("header {0:?} is written by the host; leave it out")]
    HostOwned(String),
    /// A header's name or value that mail does not allow.
    #[error("header {0:?} has a name or a value that mail does not allow (line breaks, control characters, a colon)")]
    Header(String),
    /// A header's name that is too long.
    #[error("a header's name has {0} bytes; {MOST_NAME} are the most")]
    HeaderName(usize),
    /// A part's type.
    #[error("a body of type {0:?}: use text/plain or text/html")]
    PartType(String),
    /// The name of a spooled log.
    #[error("{0:?} is no name in the log spool")]
    SpoolName(String),
    /// A spooled log that cannot be read, for now.
    #[error("an attached log cannot be read: {0}")]
    Spool(String),
    /// The library refused what was checked above.
    #[error("the mail cannot be put together: {0}")]
    Library(String),
}

impl MailError {
    /// What becomes of the delivery.
    pub fn kind(&self) -> FailedKind {
        match self {
            Self::Spool(_) => FailedKind::NotTried,
            _ => FailedKind::Never,
        }
    }
}

/// Everything that is wrong with a mail: for when it is sent, to trap, and again at each attempt.
///
/// # Errors
/// The first thing wrong.
pub fn check_mail(mail: &Mail) -> Result<(), MailError> {
    let people = mail.to.len() + mail.cc.len() + mail.bcc.len();
    if people > MOST_RECIPIENTS {
        return Err(MailError::Recipients(people));
    }
    let bytes = mail.subject.len() + mail.headers.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>();
    if mail.headers.len() > MOST_HEADERS.0 || bytes > MOST_HEADERS.1 {
        return Err(MailError::Headers { headers: mail.headers.len(), bytes });
    }
    if mail.body.len() > MOST_PARTS {
        return Err(MailError::Parts(mail.body.len()));
    }
    mailbox(&mail.sender)?;
    if recipients(mail)?.is_empty() {
        return Err(MailError::NoRecipients);
    }
    if mail.body.is_empty() {
        return Err(MailError::NoBody);
    }
    for part in &mail.body {
        text_type(part)?;
    }
    for (name, value) in &mail.headers {
        header(name, value)?;
    }
    if mail.subject.contains(['\r', '\n', '\0']) {
        return Err(MailError::Header("Subject".to_owned()));
    }
    Ok(())
}

/// The bare addresses of everybody, each once, in the order To, Cc, Bcc.
///
/// # Errors
/// One of them is no address.
pub(super) fn recipients(mail: &Mail) -> Result<Vec<Address>, AddressError> {
    let mut all: Vec<Address> = Vec::new();
    for text in mail.to.iter().chain(&mail.cc).chain(&mail.bcc) {
        let address = mailbox(text)?.email;
        if !all.contains(&address) {
            all.push(address);
        }
    }
    // The very texts of an earlier answer.
    Ok(match &mail.only {
        Some(only) => all.into_iter().filter(|address| only.iter().any(|bare| bare == AsRef::<str>::as_ref(address))).collect(),
        None => all,
    })
}

/// The message, with `id` in its `Message-ID` and its boundaries: every attempt makes the same bytes.
pub(super) async fn message(id: &str, mail: &Mail, spool: &Path) -> Result<Outgoing, MailError> {
    check_mail(mail)?;
    let sender = mailbox(&mail.sender)?;
    let mut attachments = Vec::with_capacity(mail.attachments.len());
    let mut logs = Vec::new();
    for attachment in &mail.attachments {
        attachments.push(attached(attachment, spool, &mut logs).await?);
    }
    let date = UNIX_EPOCH + Duration::from_secs(u64::try_from(mail.date).unwrap_or(0));
    let mut builder = Message::builder()
        .message_id(Some(format!("<{}@{}>", token(id), sender.email.domain().trim_matches(['[', ']']))))
        .date(date)
        .raw_header(folded::text(HeaderName::new_from_ascii_str("Subject"), &mail.subject))
        .raw_header(HeaderValue::new(HeaderName::new_from_ascii_str("Auto-Submitted"), "auto-generated".to_owned()));
    // Lettre wants an envelope to build a message; ours is made of commands, so any will do.
    let envelope = Envelope::new(None, vec![sender.email.clone()]).map_err(|e| MailError::Library(e.to_string()))?;
    // The library reads the sender back, and does not know quoted user names there; another stands in until the message is built.
    let stand_in = Address::new("sender", "localhost").map_err(|e| MailError::Library(e.to_string()))?;
    builder = builder.envelope(envelope).from(stand_in.into());
    for (name, list) in [("To", &mail.to), ("Cc", &mail.cc)] {
        if !list.is_empty() {
            builder = builder.raw_header(folded::addresses(HeaderName::new_from_ascii_str(name), &mailboxes(list)?));
        }
    }
    for (name, value) in &mail.headers {
        builder = builder.raw_header(header(name, value)?);
    }
    let boundary = |n: u8| format!("=_rh_{}_{n}", token(id));
    let text = match mail.body.as_slice() {
        [one] => Text::One(text(one)?),
        many => {
            let mut parts = MultiPart::alternative().boundary(boundary(1)).build();
            for part in many {
                parts = parts.singlepart(text(part)?);
            }
            Text::Many(parts)
        }
    };
    let built = match (text, attachments.is_empty()) {
        (Text::One(one), true) => builder.singlepart(one),
        (Text::Many(many), true) => builder.multipart(many),
        (text, false) => {
            let mixed = MultiPart::mixed().boundary(boundary(0)).build();
            let mixed = match text {
                Text::One(one) => mixed.singlepart(one),
                Text::Many(many) => mixed.multipart(many),
            };
            builder.multipart(attachments.into_iter().fold(mixed, MultiPart::singlepart))
        }
    };
    let with_sender = |mut message: Message| {
        message.headers_mut().insert_raw(folded::addresses(HeaderName::new_from_ascii_str("From"), &[sender]));
        Outgoing::new(message.formatted(), logs)
    };
    built.map(with_sender).map_err(|e| MailError::Library(e.to_string()))
}

enum Text {
    One(SinglePart),
    Many(MultiPart),
}

fn mailboxes(list: &[String]) -> Result<Vec<Mailbox>, AddressError> {
    list.iter().map(|text| mailbox(text)).collect()
}

fn needs_smtputf8(text: &String) -> bool {
    mailbox(text).is_ok_and(|mailbox| is_international(&mailbox.email))
}

/// Whether its headers name an address that has no ASCII form.
pub(super) fn shows_international(mail: &Mail) -> bool {
    mail.to.iter().chain(&mail.cc).chain([&mail.sender]).any(needs_smtputf8)
}

/// The mail without the recipients whose addresses have no ASCII form.
pub(super) fn without_international(mail: &Mail) -> Mail {
    let mut mail = mail.clone();
    for list in [&mut mail.to, &mut mail.cc, &mut mail.bcc] {
        list.retain(|text| !needs_smtputf8(text));
    }
    mail
}

/// An id as it may stand in a Message-ID and a boundary.
fn token(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '-' }).take(60).collect()
}

fn header(name: &str, value: &str) -> Result<HeaderValue, MailError> {
    let wrong = || MailError::Header(name.to_owned());
    let allowed = !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && b != b':');
    if !allowed || value.chars().any(|c| c.is_control() && c != '\t') {
        return Err(wrong());
    }
    if HOST_OWNED.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(MailError::HostOwned(name.to_owned()));
    }
    if name.len() > MOST_NAME {
        return Err(MailError::HeaderName(name.len()));
    }
    let name = HeaderName::new_from_ascii(name.to_owned()).map_err(|_| wrong())?;
    Ok(folded::structured(name, value))
}

fn text_type(part: &Part) -> Result<ContentType, MailError> {
    match part.content_type.split(';').next().map(|t| t.trim().to_ascii_lowercase()).as_deref() {
        Some("text/plain") => Ok(ContentType::TEXT_PLAIN),
        Some("text/html") => Ok(ContentType::TEXT_HTML),
        _ => Err(MailError::PartType(part.content_type.clone())),
    }
}

fn text(part: &Part) -> Result<SinglePart, MailError> {
    let plain = part
        .text
        .lines()
        .all(|line| line.len() <= LONGEST_PLAIN && !line.ends_with([' ', '\t']) && line.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)));
    let encoded = |encoding| Body::new_with_encoding(part.text.clone(), encoding).ok();
    // Lettre has its own idea of lines that are too long.
    let seven_bit = if plain { encoded(ContentTransferEncoding::SevenBit) } else { None };
    let body =
        seven_bit.or_else(|| encoded(ContentTransferEncoding::QuotedPrintable)).ok_or_else(|| MailError::Library("a text does not encode".to_owned()))?;
    Ok(SinglePart::builder().content_type(text_type(part)?).body(body))
}

/// The part of an attachment; of a spooled log it has a marker instead, which comes with the open file to `logs`.
async fn attached(attachment: &Attachment, spool: &Path, logs: &mut Vec<(String, File)>) -> Result<SinglePart, MailError> {
    let bytes = match &attachment.content {
        Content::Bytes(bytes) => Some(bytes.clone()),
        Content::Spooled(name) => match spooled(name, spool).await? {
            Some(file) => {
                // Nobody can have written this into the mail.
                logs.push((format!("{:016x}{:016x}", random(), random()), file));
                None
            }
            None => Some(b"reporter-host no longer has this log.\n".to_vec()),
        },
    };
    let body = match (bytes, logs.last()) {
        (Some(bytes), _) => Body::new_with_encoding(bytes, ContentTransferEncoding::Base64).ok(),
        (None, Some((marker, _))) => Some(Body::dangerous_pre_encoded(marker.clone().into_bytes(), ContentTransferEncoding::Base64)),
        (None, None) => None,
    };
    let body = body.ok_or_else(|| MailError::Library("an attachment does not encode".to_owned()))?;
    // An odd type must not cost the mail.
    let given = Some(&attachment.content_type).filter(|given| given.len() <= MOST_TYPE && given.bytes().all(|b| b == b' ' || b.is_ascii_graphic()));
    let content_type = match given.map(|given| ContentType::parse(given)) {
        Some(Ok(content_type)) => content_type,
        _ => ContentType::parse("application/octet-stream").map_err(|e| MailError::Library(e.to_string()))?,
    };
    let filename: String = attachment.filename.chars().map(|c| if c.is_control() { '_' } else { c }).collect();
    Ok(Attached::new(filename).body(body, content_type))
}

fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A log's file. One that retention has removed must not cost the mail either.
async fn spooled(name: &str, spool: &Path) -> Result<Option<File>, MailError> {
    if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
        return Err(MailError::SpoolName(name.to_owned()));
    }
    let path: PathBuf = spool.join(name);
    match tokio::fs::File::open(&path).await {
        Ok(file) => Ok(Some(file.into_std().await)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(MailError::Spool(format!("{}: {e}", path.display()))),
    }
}

#[cfg(test)]
pub(super) mod tests;
