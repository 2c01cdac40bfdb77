//! What a mail is on the wire, read back with a parser of mails.

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
