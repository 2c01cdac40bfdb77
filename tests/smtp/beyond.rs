//! What MailNotifier does beyond Buildbot's, as it arrives: threads, both forms, excerpts, cut logs, digests; and that nothing on the way changes a mail.

use std::path::Path;
use std::time::Duration;

use mail_parser::MimeHeaders as _;
use reporter_host::source::recording::Writer;
use reporter_host::transport::{Attachment, Content, Part, Tls, Verify};
use reporter_host_tests::build;
use reporter_host_tests::play::{Playing, start};
use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use crate::postfix::Postfix;
use crate::{assert_taken, mail, no_secrets, relay, send_with};

/// Failed builds of `linux` with this log, as a recording in the folder.
fn record(folder: &Path, builds: u64, log: &str) {
    let mut writer = Writer::append(&folder.join("recording.jsonl")).unwrap();
    for number in 1..=builds {
        let (mut event, source) = build(2);
        event.id = format!("main/builds/{number}/finished");
        let details = source.rows().map(|(path, rows)| {
            let mut rows = rows.clone();
            match path.as_str() {
                "logs/90/contents" => rows[0]["content"] = json!(log),
                "steps/70/logs" => rows[0]["num_lines"] = json!(log.lines().count()),
                _ => {}
            }
            (path.clone(), rows)
        });
        writer.write(&event, &details.collect::<Vec<_>>()).unwrap();
    }
}

/// A host that plays the recording to a MailNotifier.
async fn notifier(folder: &Path, server: &Postfix, settings: &str) -> Playing {
    let settings = format!(
        "[[services]]\nreporter = 'MailNotifier'\nname = 'mail'\nfromaddr = 'Büro <ci@example.org>'\nrelayhost = 'localhost'\nsmtpPort = {}\n\
         sendToInterestedUsers = false\nextraRecipients = 'dev@example.org'\n{settings}\n",
        server.plain
    );
    start(folder, &settings).await
}

const LOG: &str = "hmake check\noline one\nocheck.c:12: error: größe is wrong\no\u{1b}[31mred\u{1b}[0m\nelast line\n";

#[tokio::test(flavor = "multi_thread")]
async fn mails_of_a_builder_are_a_thread_with_both_forms_and_an_excerpt() {
    let server = Postfix::start().await;
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 2, LOG);
    let settings = "threads = 'builder'\nlistId = '%(prop:buildername)s.ci.example.org'\nbcc = 'audit@example.org'\nmessageFormatter = { template_type = 'both', excerpt = 4 }";
    notifier(folder.path(), &server, settings).await.end().await;
    let mails = server.mails(4).await;
    assert_eq!(mails.iter().map(|mail| mail.recipient()).collect::<Vec<_>>(), ["audit@example.org", "audit@example.org", "dev@example.org", "dev@example.org"]);
    let parsed: Vec<_> = mails.iter().map(|mail| mail.parsed()).collect();
    let root = parsed[0].in_reply_to().as_text().unwrap().to_owned();
    assert!(root.starts_with("builder.") && root.ends_with("@example.org"), "{root}");
    for mail in &parsed {
        assert_eq!((mail.in_reply_to().as_text(), mail.references().as_text()), (Some(root.as_str()), Some(root.as_str())));
        assert_eq!(mail.header_raw("List-Id").unwrap().trim(), "<linux.ci.example.org>");
        assert_eq!(mail.header_raw("Auto-Submitted").unwrap().trim(), "auto-generated");
        assert_eq!(mail.header_values("Message-ID").count(), 1);
        let to: Vec<_> = mail.to().unwrap().iter().map(|to| to.address().unwrap()).collect();
        assert_eq!((to, mail.bcc().is_none()), (vec!["dev@example.org"], true), "who is hidden is named nowhere");
        assert!(!mail.raw_message().windows(5).any(|window| window == b"audit") || mail.header_raw("Delivered-To").unwrap().contains("audit"));
        assert!(mail.content_type().unwrap().subtype() == Some("alternative"));
        let (plain, html) = (mail.body_text(0).unwrap().replace("\r\n", "\n"), mail.body_html(0).unwrap());
        assert!(plain.contains("From stdio of check:\n    3: check.c:12: error: größe is wrong\n    …\n    red\n    last line\n"), "{plain}");
        assert!(html.contains("error: größe is wrong\r\n…") || html.contains("error: größe is wrong\n…"), "{html}");
    }
    assert_ne!(parsed[2].message_id(), parsed[3].message_id());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_too_much_is_cut_before_the_relay_refuses_it() {
    let server = Postfix::start().await;
    let folder = tempfile::tempdir().unwrap();
    // 14 MB, where Postfix takes 10.24 of the whole mail.
    let log: String = (0..140_000).map(|n| format!("o{n:09} {}\n", "x".repeat(89))).collect();
    record(folder.path(), 1, &log);
    let noted = notifier(folder.path(), &server, "addLogs = true\nmessageFormatter = { template = 'T' }").await.end().await;
    assert!(noted.dead_letters().is_empty(), "{:?}", noted.dead_letters());
    let mails = server.mails(1).await;
    assert!((9_000_000..10_000_000).contains(&mails[0].raw.len()), "{}", mails[0].raw.len());
    let mail = mails[0].parsed();
    let text = mail.body_text(0).unwrap();
    assert!(text.contains("10.0 MB (maxMailSize)") && text.contains("check.stdio: the last 7.3 MB of 14.0 MB"), "{text}");
    let attached = mail.attachments().next().unwrap();
    assert_eq!(attached.attachment_name(), Some("check.stdio"));
    // From the beginning of a line to the end.
    let lines: Vec<&str> = std::str::from_utf8(attached.contents()).unwrap().lines().collect();
    assert!(lines.iter().all(|line| line.len() == 99) && lines.last().unwrap().starts_with("000139999 ") && lines.len() > 70_000, "{}", lines.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_waits_for_its_time_over_a_restart() {
    let server = Postfix::start().await;
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 3, LOG);
    let settings = "digest = '20 s'\nmessageFormatter = { template = 'build {{ build.number }}', excerpt = 3 }";
    let playing = notifier(folder.path(), &server, settings).await;
    let waits = |ends: &[String]| ends.iter().filter(|end| end.contains("it waits for the digest")).count();
    while waits(&playing.noted.of("mail")) < 3 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    playing.stop().await;
    assert!(server.now().is_empty(), "it waits");
    // Another template meanwhile, and no digest any more: what was kept is told all the same.
    let noted = notifier(folder.path(), &server, "messageFormatter = { template = 'other' }").await.end().await;
    assert!(noted.dead_letters().is_empty(), "{:?}", noted.dead_letters());
    let mails = server.mails(1).await;
    let mail = mails[0].parsed();
    assert_eq!(mail.subject(), Some("Buildbot digest of Example CI: 3 failed"));
    let text = mail.body_text(0).unwrap().replace("\r\n", "\n");
    assert!(text.starts_with("3 reports: 3 failed\n\n  1. failure of build 12 on linux: failed 'make check'\n"), "{text}");
    assert_eq!(text.matches("\nbuild 12\n").count(), 3, "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_without_room_goes_out_early_and_loses_nothing() {
    let server = Postfix::start().await;
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 7, LOG);
    // Two letters, and a third is too much.
    let settings = "digest = '2 s'\nlimits = { state_kib = 2 }\nmessageFormatter = { template = \"event {{ 'x' * 600 }}\" }";
    let noted = notifier(folder.path(), &server, settings).await.end().await;
    assert!(noted.dead_letters().is_empty(), "{:?} {:?}", noted.dead_letters(), noted.of("mail"));
    assert!(noted.of("mail").iter().any(|end| end.contains("waits for the digest")), "{:?}", noted.of("mail"));
    let told = |mails: &[crate::postfix::Arrived]| mails.iter().map(|mail| mail.parsed().body_text(0).unwrap().matches("event x").count()).collect::<Vec<_>>();
    let mails = server.mails(3).await;
    assert_eq!(told(&mails).iter().sum::<usize>(), 7, "{:?}", told(&mails));
    assert!(told(&mails).iter().all(|letters| *letters <= 3), "{:?}", told(&mails));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_international_domain_is_written_to_as_the_wire_has_it() {
    let server = Postfix::start().await;
    let folder = tempfile::tempdir().unwrap();
    record(folder.path(), 1, LOG);
    let noted = notifier(folder.path(), &server, "bcc = 'user@bücher.example'").await.end().await;
    assert!(noted.dead_letters().is_empty(), "{:?}", noted.dead_letters());
    assert_eq!(server.mails(2).await.iter().map(|mail| mail.recipient()).collect::<Vec<_>>(), ["dev@example.org", "user@xn--bcher-kva.example"]);
}

/// A server that offers nothing at all, and keeps what comes after DATA as it comes.
async fn bare_server() -> (u16, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let received = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut stream = BufReader::new(stream);
        stream.write_all(b"220 bare\r\n").await.unwrap();
        loop {
            let mut line = String::new();
            assert_ne!(stream.read_line(&mut line).await.unwrap(), 0, "no DATA came");
            stream.write_all(if line == "DATA\r\n" { b"354 go on\r\n" } else { b"250 ok\r\n" }).await.unwrap();
            if line == "DATA\r\n" {
                break;
            }
        }
        let mut message = Vec::new();
        loop {
            let mut line = Vec::new();
            stream.read_until(b'\n', &mut line).await.unwrap();
            if line == b".\r\n" {
                break;
            }
            message.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        }
        stream.write_all(b"250 taken\r\n").await.unwrap();
        message
    });
    (port, received)
}

/// A DKIM signature (RFC 6376) is made of headers and body as they are sent. Whoever signs first, it stays valid if no server on the way has
/// a reason to change a byte: so a mail that needs no extension of SMTP's arrives as it was sent.
#[tokio::test]
async fn a_mail_arrives_byte_by_byte_as_it_was_sent_to_the_plainest_server() {
    let server = Postfix::start().await;
    std::fs::write(server.path("log-1"), format!("stdout\n.\nFrom here\r\nü{}\rbare\n", "y".repeat(3_000))).unwrap();
    let mut full = mail(&["Jörg Müller, CI <a@example.org>"]);
    full.sender = "Größenprüfung \"CI\" <ci@example.org>".into();
    full.subject = format!("☢ „größe“: {}", "sehr lang ".repeat(100).trim());
    full.headers = vec![("X-Long".into(), "word ".repeat(500).trim().to_owned()), ("References".into(), "<a@b> <c@d>".into())];
    let text = format!("{}\n{}é\ntrailing \t\n.\n..\nFrom me\r\n\rbare\r\n \r\n\r\nEnd   ", "x".repeat(3_000), "word ".repeat(400));
    full.body = vec![Part { content_type: "text/plain".into(), text }, Part { content_type: "text/html".into(), text: "<p>Größe</p>\n\n\n".into() }];
    full.attachments = vec![
        Attachment { filename: format!("{}.txt", "prüfung ".repeat(40)), content_type: "text/plain".into(), content: Content::Spooled("log-1".into()) },
        Attachment { filename: "b.bin".into(), content_type: "application/x-thing".into(), content: Content::Bytes((0..=255).cycle().take(5_000).collect()) },
    ];
    let (bare, received) = bare_server().await;
    assert_taken(&send_with(relay(bare, Tls::None, Verify::System), full.clone(), &no_secrets(), server.path("")).await);
    let sent = received.await.unwrap();
    assert!(sent.is_ascii());
    for line in sent.split_inclusive(|byte| *byte == b'\n') {
        let content = line.strip_suffix(b"\r\n").expect("no bare LF");
        assert!(content.len() <= 998 && !content.contains(&b'\r'), "{}", String::from_utf8_lossy(line));
    }
    assert_taken(&send_with(relay(server.plain, Tls::None, Verify::System), full, &no_secrets(), server.path("")).await);
    let arrived = &server.mails(1).await[0].raw;
    // A mailbox has the line ends of its system, and what the servers wrote is before the rest.
    let sent = String::from_utf8(sent).unwrap().replace("\r\n", "\n");
    let arrived = String::from_utf8(arrived.clone()).unwrap();
    let trace = arrived.strip_suffix(&sent).unwrap_or_else(|| panic!("sent:\n{sent}\narrived:\n{arrived}"));
    assert!(
        trace
            .lines()
            .all(|line| line.starts_with([' ', '\t'])
                || ["Return-Path:", "X-Original-To:", "Delivered-To:", "Received:"].iter().any(|name| line.starts_with(name))),
        "{trace}"
    );
}
