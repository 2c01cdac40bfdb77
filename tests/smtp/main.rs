//! Mail through a real Postfix: what arrives, and what is refused.

mod beyond;
mod outbox;
mod postfix;

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use mail_parser::{HeaderForm, MessagePart, MimeHeaders as _};
use reporter_host::secret::{EntryVault, Keyring, PlaceholderKey, SecretSource, Vault};
use reporter_host::transport::policy::Policy;
use reporter_host::transport::smtp::SmtpTransport;
use reporter_host::transport::{
    Answer, Attachment, Attempt, Content, Endpoint, EndpointKind, FailedKind, Mail, Part, Payload, SmtpEndpoint, Tls, Transport as _, Verify,
};

use postfix::{PASSWORD, Postfix, USER};

const PATIENT: Duration = Duration::from_secs(60);

fn relay(port: u16, tls: Tls, verify: Verify) -> SmtpEndpoint {
    SmtpEndpoint { host: "localhost".into(), port, tls, user: None, password: None, verify, dump: false }
}

fn named(smtp: SmtpEndpoint) -> Endpoint {
    Endpoint { name: "relay".into(), kind: EndpointKind::Smtp(smtp), level: Default::default() }
}

fn mail(to: &[&str]) -> Mail {
    Mail {
        sender: "ci@example.org".into(),
        to: to.iter().map(|a| (*a).to_owned()).collect(),
        cc: vec![],
        bcc: vec![],
        subject: "build 12".into(),
        headers: vec![],
        body: vec![Part { content_type: "text/plain".into(), text: "It failed.\n".into() }],
        attachments: vec![],
        date: 1_700_000_000,
        only: None,
        dump: false,
    }
}

fn no_secrets() -> EntryVault {
    let state = tempfile::tempdir().unwrap();
    let key = PlaceholderKey::load_or_create(state.path()).unwrap();
    EntryVault::new(&key, "mail", Arc::new(Keyring::default()), BTreeMap::new())
}

async fn send_with(smtp: SmtpEndpoint, mail: Mail, vault: &dyn Vault, spool: PathBuf) -> Answer {
    let transport = SmtpTransport::new(Arc::new(Policy::operator()), spool);
    let (endpoint, payload) = (named(smtp), Payload::Smtp(mail));
    transport.attempt(Attempt { id: "uid-7", entry: "mail", title: "", endpoint: &endpoint, payload: &payload, vault, timeout: PATIENT }).await
}

async fn send(smtp: SmtpEndpoint, mail: Mail) -> Answer {
    send_with(smtp, mail, &no_secrets(), PathBuf::from("/nonexistent")).await
}

#[track_caller]
fn assert_taken(answer: &Answer) {
    assert_eq!((answer.status, &answer.error, answer.recipients.len()), (250, &None, 0), "{answer:?}");
}

#[track_caller]
fn assert_refused(answer: Answer, hint: &str) {
    let failed = answer.error.unwrap_or_else(|| panic!("no error, but {} {}", answer.status, String::from_utf8_lossy(&answer.body)));
    assert_eq!(failed.kind, FailedKind::NotSent);
    assert!(failed.message.contains(hint), "{}", failed.message);
}

#[tokio::test]
async fn a_mail_with_everything_arrives_as_it_was_meant() {
    let server = Postfix::start().await;
    std::fs::write(server.path("log-1"), "stdout\n.\nFrom here\r\nü\n").unwrap();
    let long = format!("{}\n{}é\ntrailing \t\n.\n..\nFrom me\r\n\r\nEnd", "x".repeat(3000), "word ".repeat(400));
    let mut full = mail(&["Jörg Müller, CI <a@example.org>", "b@example.org"]);
    full.sender = "Größenprüfung \"CI\" <ci@example.org>".into();
    full.cc = vec!["\"Doe, Jane\" <c@example.org>".into()];
    full.bcc = vec!["d@example.org".into()];
    full.subject = format!("☢ Fehler in „größe“: {}", "sehr lang ".repeat(30).trim());
    full.headers = vec![("X-Build".into(), "linux/12 – ü".into()), ("List-Id".into(), "<ci.example.org>".into())];
    full.body = vec![Part { content_type: "text/plain".into(), text: long.clone() }, Part { content_type: "text/html".into(), text: "<p>Größe</p>".into() }];
    let bytes: Vec<u8> = (0..=255).cycle().take(5000).collect();
    full.attachments = vec![
        Attachment { filename: "prüfung, 1.bin".into(), content_type: "application/x-thing".into(), content: Content::Bytes(bytes.clone()) },
        Attachment { filename: "stdio.txt".into(), content_type: "text/plain".into(), content: Content::Spooled("log-1".into()) },
    ];
    assert_taken(&send_with(relay(server.plain, Tls::None, Verify::System), full.clone(), &no_secrets(), server.path("")).await);

    let mails = server.mails(4).await;
    assert_eq!(mails.iter().map(|m| m.recipient()).collect::<Vec<_>>(), ["a@example.org", "b@example.org", "c@example.org", "d@example.org"]);
    let got = mails[0].parsed();
    let address = |address: Option<&mail_parser::Address<'_>>, n: usize| {
        let one = address.unwrap().iter().nth(n).unwrap().clone();
        (one.name().map(ToOwned::to_owned), one.address().unwrap().to_owned())
    };
    assert_eq!(address(got.from(), 0), (Some("Größenprüfung \"CI\"".into()), "ci@example.org".into()));
    assert_eq!(address(got.to(), 0), (Some("Jörg Müller, CI".into()), "a@example.org".into()));
    assert_eq!(address(got.to(), 1), (None, "b@example.org".into()));
    assert_eq!(address(got.cc(), 0), (Some("Doe, Jane".into()), "c@example.org".into()));
    assert!(got.bcc().is_none());
    assert_eq!(got.subject().unwrap(), full.subject);
    assert_eq!(got.message_id().unwrap(), "uid-7@example.org");
    assert_eq!(got.date().unwrap().to_timestamp(), 1_700_000_000);
    assert_eq!(got.header_as("X-Build", HeaderForm::Text)[0].as_text().unwrap(), "linux/12 – ü");
    assert_eq!(got.header_raw("Auto-Submitted").unwrap().trim(), "auto-generated");
    assert_eq!(got.header_raw("MIME-Version").unwrap().trim(), "1.0");
    let lines = |text: &str| text.replace("\r\n", "\n").trim_end().to_owned();
    assert_eq!(lines(&got.body_text(0).unwrap()), lines(&long));
    assert_eq!(lines(&got.body_html(0).unwrap()), "<p>Größe</p>");
    let attachments: Vec<&MessagePart<'_>> = got.attachments().collect();
    let shown: Vec<_> = attachments.iter().map(|part| (part.attachment_name().unwrap(), part.contents())).collect();
    assert_eq!(shown, [("prüfung, 1.bin", &bytes[..]), ("stdio.txt", "stdout\n.\nFrom here\r\nü\n".as_bytes())]);
    assert!(mails[0].raw.split(|b| *b == b'\n').all(|line| line.len() <= 998 && line.is_ascii()));
}

#[tokio::test]
async fn headers_of_any_length_arrive_whole() {
    let server = Postfix::start().await;
    let all: Vec<String> = (0..60).map(|n| format!("somebody.with.a.name.{n}@example.org")).collect();
    let mut many = mail(&all.iter().map(String::as_str).collect::<Vec<_>>());
    many.subject = "x".repeat(2_000);
    many.headers = vec![("X-Long".into(), "y".repeat(3_000))];
    assert_taken(&send(relay(server.plain, Tls::None, Verify::System), many.clone()).await);
    let mails = server.mails(60).await;
    for arrived in &mails {
        assert!(arrived.raw.split(|byte| *byte == b'\n').all(|line| line.len() <= 998));
    }
    let got = mails[0].parsed();
    let to: Vec<&str> = got.to().unwrap().iter().map(|one| one.address().unwrap()).collect();
    assert_eq!(to, all);
    assert_eq!(got.subject().unwrap(), many.subject);
    assert_eq!(got.header_as("X-Long", HeaderForm::Text)[0].as_text().unwrap(), "y".repeat(3_000));
}

#[tokio::test]
async fn starttls_and_smtps_with_a_certificate_that_verifies() {
    let server = Postfix::start().await;
    let verify = || Verify::File(server.authority());
    for (port, tls) in [(server.starttls, Tls::Starttls), (server.smtps, Tls::Implicit), (server.starttls, Tls::Opportunistic)] {
        assert_taken(&send(relay(port, tls, verify()), mail(&["a@example.org"])).await);
    }
    assert_taken(&send(relay(server.plain, Tls::Opportunistic, verify()), mail(&["z@example.org"])).await);
    assert_taken(&send(relay(server.smtps, Tls::Implicit, Verify::Switch(false)), mail(&["b@example.org"])).await);
    let mails = server.mails(5).await;
    let encrypted: Vec<bool> = mails.iter().map(|m| String::from_utf8_lossy(&m.raw).contains("with ESMTPS id")).collect();
    assert_eq!(encrypted, [true, true, true, true, false]);
}

#[tokio::test]
async fn certificates_that_do_not_verify_are_refused() {
    let server = Postfix::start().await;
    for (port, tls) in [(server.starttls, Tls::Starttls), (server.smtps, Tls::Implicit)] {
        assert_refused(send(relay(port, tls, Verify::System), mail(&["a@example.org"])).await, "set verify = ");
        let mut other_name = relay(port, tls, Verify::File(server.authority()));
        other_name.host = "127.0.0.1".into();
        assert_refused(send(other_name, mail(&["a@example.org"])).await, "another host name");
    }
    assert_refused(send(relay(server.plain, Tls::Starttls, Verify::System), mail(&["a@example.org"])).await, "does not offer STARTTLS");
    assert_refused(send(relay(server.plain, Tls::Implicit, Verify::System), mail(&["a@example.org"])).await, "does not speak TLS");
    assert!(server.now().is_empty());

    // Opportunistic encryption goes on without, which the mail shows.
    assert_taken(&send(relay(server.starttls, Tls::Opportunistic, Verify::System), mail(&["b@example.org"])).await);
    assert!(String::from_utf8_lossy(&server.mails(1).await[0].raw).contains("with ESMTP id"));
}

#[tokio::test]
async fn auth_with_a_secret_that_is_rotated() {
    let server = Postfix::start().await;
    let file = server.path("password");
    std::fs::write(&file, "wrong-password\n").unwrap();
    let keyring = Keyring::new(BTreeMap::from([("smtp".to_owned(), SecretSource::File(file.clone()))]));
    let key = PlaceholderKey::load_or_create(&server.path("")).unwrap();
    let vault = EntryVault::new(&key, "mail", Arc::new(keyring), BTreeMap::from([("smtp".to_owned(), None)]));
    let login = |user: Option<&str>| SmtpEndpoint {
        user: user.map(ToOwned::to_owned),
        password: user.map(|_| key.placeholder("mail", "smtp")),
        ..relay(server.submission, Tls::Starttls, Verify::File(server.authority()))
    };
    let attempt = async |smtp| send_with(smtp, mail(&["a@example.org"]), &vault, PathBuf::new()).await;
    let wrong = attempt(login(Some(USER))).await;
    assert_eq!((wrong.status, wrong.error), (535, None));
    assert!(String::from_utf8(wrong.body).unwrap().starts_with("AUTH: "));
    assert_eq!(attempt(login(None)).await.status, 554);
    assert!(server.now().is_empty());

    let transport = SmtpTransport::new(Arc::new(Policy::operator()), PathBuf::new());
    let check = async || transport.check_connect(&named(login(Some(USER))), &vault, PATIENT).await;
    assert!(check().await.unwrap_err().contains("535"));
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    assert_eq!(check().await.unwrap(), format!("smtp://localhost:{}: encrypted, logged in", server.submission));
    assert_taken(&attempt(login(Some(USER))).await);
    assert!(String::from_utf8_lossy(&server.mails(1).await[0].raw).contains("with ESMTPSA id"));
}

#[tokio::test]
async fn each_recipient_has_a_result_of_its_own() {
    let server = Postfix::start().await;
    let at = || relay(server.plain, Tls::None, Verify::System);
    let answer = send(at(), mail(&["nobody@example.org", "a@example.org", "Later <later@example.org>"])).await;
    assert_eq!(answer.error, None);
    let results: Vec<_> = answer.recipients.iter().map(|r| (r.address.as_str(), r.status, r.text.contains("no such user"))).collect();
    assert_eq!(results, [("nobody@example.org", 550, true), ("a@example.org", 250, false), ("later@example.org", 450, false)]);

    // What is left of it, and with all headers as before.
    let mut rest = mail(&["nobody@example.org", "a@example.org", "Later <later@example.org>"]);
    rest.only = Some(vec!["later@example.org".into()]);
    let answer = send(at(), rest).await;
    assert_eq!((answer.status, answer.recipients.len()), (450, 0));
    let mails = server.mails(1).await;
    assert_eq!((mails[0].recipient().as_str(), mails[0].parsed().to().unwrap().iter().count()), ("a@example.org", 3));
}

#[tokio::test]
async fn an_international_address_goes_to_a_server_that_takes_it() {
    let server = Postfix::start().await;
    assert_taken(&send(relay(server.plain, Tls::None, Verify::System), mail(&["Jörg <jörg@example.org>"])).await);
    let mails = server.mails(1).await;
    assert_eq!(mails[0].recipient(), "jörg@example.org");
    assert_eq!(mails[0].parsed().to().unwrap().first().unwrap().address().unwrap(), "jörg@example.org");
}

#[tokio::test]
async fn an_international_address_costs_nobody_else_the_mail() {
    let server = Postfix::start().await;
    assert_taken(&send(relay(server.plain, Tls::None, Verify::System), mail(&["a@example.org", "Jörg <jörg@example.org>"])).await);
    let mails = server.mails(2).await;
    assert_eq!(mails.iter().map(|mail| mail.recipient()).collect::<Vec<_>>(), ["a@example.org", "jörg@example.org"]);
    // What needs no SMTPUTF8 can go on to any server.
    assert!(mails[0].raw.is_ascii() && String::from_utf8_lossy(&mails[0].raw).contains("with ESMTP id"));
    assert!(String::from_utf8_lossy(&mails[1].raw).contains("with UTF8SMTP id"));
    let to = |n: usize| mails[n].parsed().to().unwrap().iter().map(|one| one.address().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!((to(0), to(1)), (vec!["a@example.org".to_owned()], vec!["a@example.org".to_owned(), "jörg@example.org".to_owned()]));
}

#[tokio::test]
async fn encryption_that_fails_is_told_once() {
    let server = Postfix::start().await;
    let written = Written::default();
    let writer = written.clone();
    let guard = tracing::subscriber::set_default(tracing_subscriber::fmt().with_writer(move || writer.clone()).finish());
    let transport = SmtpTransport::new(Arc::new(Policy::operator()), PathBuf::new());
    let vault = no_secrets();
    let attempt = async |verify: Verify| {
        let (endpoint, payload) = (named(relay(server.starttls, Tls::Opportunistic, verify)), Payload::Smtp(mail(&["a@example.org"])));
        transport.attempt(Attempt { id: "uid", entry: "mail", title: "", endpoint: &endpoint, payload: &payload, vault: &vault, timeout: PATIENT }).await
    };
    let told = || String::from_utf8(written.0.lock().unwrap().clone()).unwrap().matches("STARTTLS failed").count();
    // Each at a time has a session of its own.
    for answer in futures_util::future::join_all((0..3).map(|_| attempt(Verify::System))).await {
        assert_taken(&answer);
    }
    assert_eq!(told(), 1);
    // When it works again, the next failure is news.
    assert_taken(&attempt(Verify::File(server.authority())).await);
    for answer in futures_util::future::join_all((0..3).map(|_| attempt(Verify::System))).await {
        assert_taken(&answer);
    }
    assert_eq!(told(), 2);
    drop(guard);
}

/// A server that talks rubbish is said to do so, and nothing of a library's on the terminal.
#[tokio::test]
async fn what_is_not_smtp_is_said_in_words() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"220 hi\r\n250-hi\r\n250- \r\n250 SIZE\r\n").await.unwrap();
        // Until it is closed.
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut Vec::new()).await.ok();
    });
    let folder = tempfile::tempdir().unwrap();
    let settings = folder.path().join("settings.toml");
    let text = format!(
        "[[masters]]\nurl = 'http://127.0.0.1:9/'\n[[services]]\nreporter = 'MailNotifier'\nname = 'mail'\nfromaddr = 'ci@example.org'\nrelayhost = '127.0.0.1'\n\
         smtpPort = {port}\nextraRecipients = 'a@example.org'\n"
    );
    std::fs::write(&settings, text).unwrap();
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_host-under-test"));
    let output = command.args(["test-send", "--entry", "mail"]).arg(&settings).output().await.unwrap();
    served.await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("the server's replies are not SMTP"), "{said}");
    assert!(!said.contains("panicked") && !said.contains("lettre"), "{said}");
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_dumped_mail_is_in_the_log_without_secrets() {
    let server = Postfix::start().await;
    let written = Written::default();
    let writer = written.clone();
    // As the log is without a setting.
    let filter = tracing_subscriber::EnvFilter::new(format!("warn,{}=debug", reporter_host::LOUD));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(move || writer.clone()).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let keyring = Keyring::new(BTreeMap::from([("token".to_owned(), SecretSource::File(server.path("token")))]));
    std::fs::write(server.path("token"), "hunter2hunter2").unwrap();
    let key = PlaceholderKey::load_or_create(&server.path("")).unwrap();
    let vault = EntryVault::new(&key, "mail", Arc::new(keyring), BTreeMap::from([("token".to_owned(), None)]));
    for dump in [false, true] {
        let mut dumped = mail(&["a@example.org"]);
        dumped.body[0].text = "the token is hunter2hunter2".into();
        dumped.dump = dump;
        assert_taken(&send_with(relay(server.plain, Tls::None, Verify::System), dumped, &vault, PathBuf::new()).await);
        let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
        assert_eq!(log.contains("the token is [secret]"), dump, "{log}");
        assert!(!log.contains("hunter2"), "{log}");
    }
    drop(guard);
}
