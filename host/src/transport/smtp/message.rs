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
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn mail() -> Mail {
        Mail {
            sender: "Büro, CI <ci@example.org>".into(),
            to: vec!["Jörg <j@example.org>".into(), "k@example.org".into()],
            cc: vec!["c@example.org".into()],
            bcc: vec!["b@example.org".into(), "k@example.org".into()],
            subject: "Größe".into(),
            headers: vec![("X-Build".into(), "12 ä".into())],
            body: vec![Part { content_type: "text/plain".into(), text: "Größe\n.\nFrom me".into() }],
            attachments: Vec::new(),
            date: 1_700_000_000,
            only: None,
            dump: false,
        }
    }

    async fn text_of(mail: &Mail) -> String {
        let spool = tempfile::tempdir().unwrap();
        std::fs::write(spool.path().join("log-1"), "spooled").unwrap();
        String::from_utf8(message("uid/1", mail, spool.path()).await.unwrap().flatten().collect()).unwrap()
    }

    #[tokio::test]
    async fn headers() {
        let text = text_of(&mail()).await;
        assert!(text.is_ascii());
        for line in [
            "Message-ID: <uid-1@example.org>\r\n",
            "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "MIME-Version: 1.0\r\n",
            "<ci@example.org>\r\n",
            "Cc: c@example.org\r\n",
        ] {
            assert!(text.contains(line), "{line:?} is not in {text}");
        }
        assert!(!text.contains("b@example.org"));
        assert_eq!(text.matches("Subject:").count(), 1);
        assert_eq!(text, text_of(&mail()).await, "two attempts differ");
    }

    #[tokio::test]
    async fn everybody_is_in_the_headers_whatever_their_user_names() {
        let odd = ["a..b@example.org", ".x.@example.org", "jan.@example.org", "J. <j.@example.org>", "\"q r\"@example.org"];
        for odd in odd.into_iter().filter(|odd| mailbox(odd).is_ok()) {
            for at in 0..3 {
                let mut list = vec!["one@example.org".to_owned(), "Two, B. <two@example.org>".to_owned()];
                list.insert(at, odd.to_owned());
                let mail = Mail { sender: odd.to_owned(), to: list.clone(), cc: list.clone(), bcc: vec![], ..mail() };
                let text = text_of(&mail).await.replace("\r\n ", " ");
                for name in ["To: ", "Cc: "] {
                    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
                    for address in recipients(&mail).unwrap() {
                        assert!(line.contains(&address.to_string()), "{address} is not in {line}");
                    }
                }
            }
        }
    }

    /// The lines of the headers, and a parsed copy.
    fn sent(mail: &Mail) -> (Vec<String>, mail_parser::Message<'static>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let text = runtime.block_on(text_of(mail));
        let headers = text.split_once("\r\n\r\n").unwrap().0;
        assert!(text.split("\r\n").all(|line| line.len() <= 998 && line.is_ascii() && !line.contains(['\r', '\n'])), "{headers}");
        let parsed = mail_parser::MessageParser::default().parse(text.as_bytes()).unwrap().into_owned();
        (headers.split("\r\n").map(str::to_owned).collect(), parsed)
    }

    fn people(list: Option<&mail_parser::Address<'_>>) -> Vec<(Option<String>, String)> {
        list.map(|list| list.iter().map(|one| (one.name().map(str::to_owned), one.address().unwrap().to_owned())).collect()).unwrap_or_default()
    }

    #[test]
    fn many_people_are_folded_between_them() {
        let all: Vec<String> = (0..60).map(|n| format!("somebody.{n}@example.org")).collect();
        let (lines, parsed) = sent(&Mail { to: all.clone(), cc: all.clone(), bcc: vec![], ..mail() });
        assert!(lines.iter().all(|line| line.len() <= 78), "{lines:?}");
        let expected: Vec<_> = all.into_iter().map(|address| (None, address)).collect();
        assert_eq!((people(parsed.to()), people(parsed.cc())), (expected.clone(), expected));
    }

    #[test]
    fn names_and_texts_are_read_as_they_were_written() {
        let long = "Ein sehr langer Name ".repeat(20);
        let names =
            ["Ada", "Jane Doe", "Doe, Jane", "O\"Hara \\", "Jörg", "日本語の名前".repeat(20).leak(), long.trim(), "=?utf-8?b?QQ==?=", "x".repeat(2_000).leak()];
        let to: Vec<String> = names.iter().enumerate().map(|(n, name)| format!("{name} <a{n}@example.org>")).collect();
        let subject = format!("two  blanks, {} größer  und =?utf-8?b?QQ==?= {}", "x".repeat(2_000), "Wort ".repeat(100).trim());
        let headers = vec![
            ("X-Long".to_owned(), "y".repeat(3_000)),
            ("List-Id".to_owned(), format!("Größe <{}.example.org>", "l".repeat(50))),
            ("Reply-To".to_owned(), (0..100).map(|n| format!("r{n}@example.org")).collect::<Vec<_>>().join(",")),
        ];
        let (_, parsed) = sent(&Mail { to, cc: vec![], subject: subject.clone(), headers, ..mail() });
        let expected: Vec<_> = names.iter().enumerate().map(|(n, name)| (Some((*name).to_owned()), format!("a{n}@example.org"))).collect();
        assert_eq!(people(parsed.to()), expected);
        assert_eq!(parsed.subject().unwrap(), subject);
        assert_eq!(people(parsed.reply_to()).len(), 100);
        let text = |name: &str| parsed.header_as(name, mail_parser::HeaderForm::Text)[0].as_text().unwrap().to_owned();
        assert_eq!(text("X-Long"), "y".repeat(3_000));
    }

    proptest::proptest! {
        #[test]
        fn no_line_is_too_long_and_no_address_is_lost(
            to in proptest::collection::vec(("[^\r\n\0]{0,120}", "[a-z0-9+._-]{0,50}[a-z]", "[a-z]{1,60}(\\.[a-z]{1,60}){0,2}"), 1..60),
            subject in "[^\r\n\0]{0,1000}",
            headers in proptest::collection::vec(("X-[!-9;-~]{1,74}", "[^\\pC]{0,1000}"), 0..8),
            file in "[^\0]{0,600}",
            kind in "[ -~]{0,300}",
        ) {
            let to: Vec<(String, String)> = to.into_iter().map(|(name, user, domain)| (name, format!("{user}@{domain}"))).collect();
            let written: Vec<String> = to.iter().map(|(name, address)| format!("{name} <{address}>")).collect();
            proptest::prop_assume!(written.iter().all(|text| mailbox(text).is_ok()));
            let expected: Vec<String> = written.iter().map(|text| mailbox(text).unwrap().email.to_string()).collect();
            let attachment = Attachment { filename: file, content_type: kind, content: Content::Bytes(vec![1]) };
            let hostile = Mail { to: written, cc: vec![], bcc: vec![], subject, headers, attachments: vec![attachment], ..mail() };
            let (_, parsed) = sent(&hostile);
            let got: Vec<String> = people(parsed.to()).into_iter().map(|(_, address)| address).collect();
            let odd = expected.iter().any(|address| address.starts_with('"'));
            proptest::prop_assert!(odd || got == expected, "{got:?} {expected:?}");
        }
    }

    #[tokio::test]
    async fn long_lines_are_folded_and_attachments_encoded() {
        let mut long = mail();
        long.subject = "é".repeat(500);
        long.body.push(Part { content_type: "text/html; charset=utf-8".into(), text: "x".repeat(5000) });
        long.attachments = vec![
            Attachment { filename: "größe \"1\"\r\n.txt".into(), content_type: "nonsense".into(), content: Content::Bytes(vec![0xff; 3000]) },
            Attachment { filename: "log.txt".into(), content_type: "text/plain".into(), content: Content::Spooled("log-1".into()) },
            Attachment { filename: "gone.txt".into(), content_type: "text/plain".into(), content: Content::Spooled("log-2".into()) },
        ];
        let text = text_of(&long).await;
        assert!(text.is_ascii());
        assert!(text.split("\r\n").all(|line| line.len() <= 998 && !line.contains(['\r', '\n'])));
        assert!(text.contains("c3Bvb2xlZA==") && text.contains("multipart/alternative") && text.contains("multipart/mixed"));
    }

    #[tokio::test]
    async fn what_can_never_go_out() {
        let message_of = |change: &dyn Fn(&mut Mail)| {
            let mut changed = mail();
            change(&mut changed);
            check_mail(&changed).map_err(|e| e.to_string())
        };
        assert_eq!(message_of(&|_| ()), Ok(()));
        for (hint, change) in [
            ("no mail address", &(|m: &mut Mail| m.sender = "ci".into()) as &dyn Fn(&mut Mail)),
            ("no mail address", &|m| m.to.push("a@b\r\nBcc: c@d".into())),
            ("no recipients", &|m| (m.to, m.cc, m.bcc) = Default::default()),
            ("no recipients", &|m| m.only = Some(vec!["somebody@else.org".into()])),
            ("no body", &|m| m.body.clear()),
            ("use text/plain or text/html", &|m| m.body[0].content_type = "application/x".into()),
            ("Subject", &|m| m.subject = "a\r\nBcc: c@d".into()),
            ("does not allow", &|m| m.headers.push(("X-A".into(), "a\nBcc: b".into()))),
            ("does not allow", &|m| m.headers.push(("X-A: b\r\nBcc".into(), "a".into()))),
            ("written by the host", &|m| m.headers.push(("subject".into(), "a".into()))),
            ("has 77 bytes; 76 are the most", &|m| m.headers.push(("X".repeat(77), "a".into()))),
            ("1001 recipients", &|m| (m.to, m.cc, m.bcc) = (vec!["a@b.org".into(); 1_001], vec![], vec![])),
            ("101 headers", &|m| m.headers = vec![("X-A".into(), "a".into()); 101]),
            ("bytes are the most", &|m| m.subject = "a".repeat(70_000)),
            ("11 bodies", &|m| m.body = vec![m.body[0].clone(); 11]),
        ] {
            let text = message_of(change).unwrap_err();
            assert!(text.contains(hint), "{text} lacks {hint}");
        }
        let mut outside = mail();
        outside.attachments = vec![Attachment { filename: "x".into(), content_type: "text/plain".into(), content: Content::Spooled("../x".into()) }];
        let refused = message("1", &outside, Path::new("/tmp")).await;
        assert!(matches!(refused, Err(MailError::SpoolName(_))));
    }

    #[test]
    fn everybody_once_and_only_those_that_are_left() {
        let mut left = mail();
        let addresses = |mail: &Mail| recipients(mail).unwrap().iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(addresses(&left), ["j@example.org", "k@example.org", "c@example.org", "b@example.org"]);
        left.only = Some(vec!["c@example.org".into(), "k@example.org".into()]);
        assert_eq!(addresses(&left), ["k@example.org", "c@example.org"]);
    }
}
