//! The client against scripted servers; real ones are in tests/smtp.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::super::{Tls, Verify};
use super::*;
use crate::secret::{Plain, VaultError};

struct NoSecrets;

impl Vault for NoSecrets {
    fn reveal(&self, _: &str, _: &str) -> Result<Option<Plain>, VaultError> {
        Ok(None)
    }
    fn values(&self) -> Vec<Plain> {
        vec![Plain::new("swordfish")]
    }
}

/// Answers each line with the first reply whose prefix fits, `250 ok` otherwise; an empty reply closes, `never` is none, and
/// one after `late ` comes after a second and a half. Counts sessions.
struct Server {
    port: u16,
    lines: Arc<Mutex<Vec<String>>>,
    sessions: Arc<Mutex<usize>>,
}

async fn server(greeting: &'static str, script: &'static [(&'static str, &'static str)]) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (lines, sessions) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    let (kept, counted) = (Arc::clone(&lines), Arc::clone(&sessions));
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            *counted.lock().unwrap() += 1;
            let kept = Arc::clone(&kept);
            tokio::spawn(async move {
                let (read, mut write) = tcp.split();
                let mut read = BufReader::new(read).lines();
                write.write_all(greeting.as_bytes()).await.unwrap();
                let mut data = false;
                while let Ok(Some(line)) = read.next_line().await {
                    kept.lock().unwrap().push(line.clone());
                    if data && line != "." {
                        continue;
                    }
                    let reply = script.iter().find(|(prefix, _)| line.starts_with(prefix)).map(|(_, reply)| *reply);
                    let reply = match (reply, line.as_str()) {
                        (Some(""), _) => return,
                        (Some("never"), _) => continue,
                        (Some(reply), _) => reply,
                        (None, "DATA") => "354 go\r\n",
                        (None, _) => "250 ok\r\n",
                    };
                    let reply = match reply.strip_prefix("late ") {
                        Some(reply) => {
                            tokio::time::sleep(Duration::from_millis(1_500)).await;
                            reply
                        }
                        None => reply,
                    };
                    data = line == "DATA" && reply.starts_with("354");
                    if write.write_all(reply.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Server { port, lines, sessions }
}

fn relay(port: u16, tls: Tls) -> Endpoint {
    let smtp = SmtpEndpoint { host: "127.0.0.1".into(), port, tls, user: None, password: None, verify: Verify::System, dump: false };
    Endpoint { name: "relay".into(), kind: EndpointKind::Smtp(smtp), level: Default::default() }
}

fn with_login(mut endpoint: Endpoint) -> Endpoint {
    if let EndpointKind::Smtp(smtp) = &mut endpoint.kind {
        (smtp.user, smtp.password) = (Some("ci".into()), Some("swordfish".into()));
    }
    endpoint
}

fn transport() -> SmtpTransport {
    SmtpTransport::new(Arc::new(Policy::operator()), PathBuf::from("/nonexistent"))
}

async fn send(transport: &SmtpTransport, endpoint: &Endpoint, mail: Mail) -> Answer {
    let payload = Payload::Smtp(mail);
    transport.attempt(Attempt { id: "uid", entry: "entry", title: "", endpoint, payload: &payload, vault: &NoSecrets, timeout: Duration::from_secs(20) }).await
}

fn to(addresses: &[&str]) -> Mail {
    let all = addresses.iter().map(|a| (*a).to_owned()).collect();
    Mail { to: all, cc: vec![], bcc: vec![], ..message::tests::mail() }
}

#[tokio::test]
async fn sessions_are_used_again_and_dots_are_stuffed() {
    let server = server("220 hi\r\n", &[]).await;
    let transport = transport();
    for _ in 0..3 {
        let answer = send(&transport, &relay(server.port, Tls::None), to(&["a@example.org"])).await;
        assert_eq!((answer.status, answer.error), (250, None));
    }
    assert_eq!(*server.sessions.lock().unwrap(), 1);
    assert!(server.lines.lock().unwrap().iter().any(|line| line == ".."));
}

#[tokio::test]
async fn a_session_that_was_closed_meanwhile_is_replaced() {
    let server = server("220 hi\r\n", &[("NOOP", "")]).await;
    let transport = transport();
    for _ in 0..2 {
        assert_eq!(send(&transport, &relay(server.port, Tls::None), to(&["a@example.org"])).await.status, 250);
    }
    assert_eq!(*server.sessions.lock().unwrap(), 2);
}

#[tokio::test]
async fn results_by_recipient() {
    let server = server(
        "220 hi\r\n",
        &[("RCPT TO:<no@", "550-5.1.1 nobody\r\n550 5.1.1 here\r\n"), ("RCPT TO:<later@", "450 4.2.0 later\r\n"), ("RCPT TO:<busy@", "452 4.2.0 later\r\n")],
    )
    .await;
    let at = relay(server.port, Tls::None);
    let answer = send(&transport(), &at, to(&["no@example.org", "yes@example.org", "later@example.org"])).await;
    let results: Vec<_> = answer.recipients.iter().map(|r| (r.address.as_str(), r.status)).collect();
    assert_eq!(results, [("no@example.org", 550), ("yes@example.org", 250), ("later@example.org", 450)]);
    assert!(answer.recipients[0].text.contains("nobody") && answer.recipients[0].text.contains("here"));

    let none = send(&transport(), &at, to(&["later@example.org"])).await;
    assert_eq!((none.status, none.recipients.len()), (450, 0));
    let differ = send(&transport(), &at, to(&["later@example.org", "no@example.org"])).await;
    assert_eq!(differ.recipients.len(), 2);
}

#[tokio::test]
async fn refusals_and_breaks_at_each_step() {
    use FailedKind::{NotSent, Unknown};
    type Case = (&'static str, &'static [(&'static str, &'static str)], Result<u16, FailedKind>);
    let table: &[Case] = &[
        ("554 no\r\n", &[], Ok(554)),
        ("421 busy\r\n", &[], Ok(421)),
        ("SSH-2.0\r\n", &[], Err(NotSent)),
        ("", &[("", "")], Err(NotSent)),
        ("220 hi\r\n", &[("EHLO", "")], Err(NotSent)),
        ("220 hi\r\n", &[("EHLO", "250- \r\n250   \r\n")], Err(NotSent)),
        ("220 hi\r\n", &[("EHLO", "250-hi\r\n250- \r\n250 SIZE\r\n")], Err(NotSent)),
        ("220 hi\r\n", &[("MAIL", "451 4.7.1 slowly\r\n")], Ok(451)),
        ("220 hi\r\n", &[("MAIL", "")], Err(NotSent)),
        ("220 hi\r\n", &[("RCPT", "421 4.7.0 bye\r\n")], Ok(421)),
        ("220 hi\r\n", &[("RCPT", "")], Err(NotSent)),
        ("220 hi\r\n", &[("DATA", "451 not now\r\n")], Ok(451)),
        ("220 hi\r\n", &[("DATA", "")], Err(NotSent)),
        ("220 hi\r\n", &[(".", "554 spam\r\n")], Ok(554)),
        ("220 hi\r\n", &[(".", "")], Err(Unknown)),
    ];
    for (greeting, script, expected) in table {
        // Without a greeting there is nothing to wait for.
        let port = if greeting.is_empty() { closing().await } else { server(greeting, script).await.port };
        let answer = send(&transport(), &relay(port, Tls::None), to(&["a@example.org", "b@example.org"])).await;
        let got = answer.error.as_ref().map_or(Ok(answer.status), |e| Err(e.kind));
        assert_eq!(got, *expected, "{greeting:?} {script:?}: {answer:?}");
    }
}

/// No limit but those that `change` sets can come first.
fn patient(change: impl Fn(&mut Patience)) -> SmtpTransport {
    let long = Duration::from_secs(600);
    let mut patience = Patience { ready: long, command: long, data: long, piece: long, end: long };
    change(&mut patience);
    SmtpTransport { patience, ..transport() }
}

#[tokio::test]
async fn each_step_has_its_own_time() {
    use FailedKind::{NotSent, Unknown};
    let soon = Duration::from_millis(50);
    type Case = (&'static [(&'static str, &'static str)], fn(&mut Patience) -> &mut Duration, FailedKind, &'static str);
    let table: &[Case] = &[
        (&[("EHLO", "never")], |it| &mut it.ready, NotSent, ""),
        (&[("MAIL", "never")], |it| &mut it.command, NotSent, "MAIL FROM"),
        (&[("RCPT", "never")], |it| &mut it.command, NotSent, "RCPT TO"),
        (&[("DATA", "never")], |it| &mut it.data, NotSent, "DATA"),
        (&[(".", "never")], |it| &mut it.end, Unknown, "end of DATA"),
    ];
    for (script, limit, kind, step) in table {
        let server = server("220 hi\r\n", script).await;
        let transport = patient(|patience| *limit(patience) = soon);
        let payload = Payload::Smtp(to(&["a@example.org"]));
        let endpoint = relay(server.port, Tls::None);
        let attempt =
            Attempt { id: "uid", entry: "entry", title: "", endpoint: &endpoint, payload: &payload, vault: &NoSecrets, timeout: Duration::from_secs(600) };
        let failed = transport.attempt(attempt).await.error.unwrap();
        assert_eq!(failed.kind, *kind, "{script:?}");
        assert!(failed.message.starts_with(step) && failed.message.contains("0.05 seconds"), "{script:?}: {}", failed.message);
    }
}

#[tokio::test]
async fn a_server_that_looks_long_at_a_message_has_taken_it() {
    let server = server("220 hi\r\n", &[(".", "late 250 taken\r\n")]).await;
    // The limit of a piece is over before the reply to the whole comes.
    let transport = patient(|patience| patience.piece = Duration::from_secs(1));
    let answer = send(&transport, &relay(server.port, Tls::None), to(&["a@example.org"])).await;
    assert_eq!((answer.status, answer.error), (250, None));
}

#[tokio::test]
async fn a_server_that_stops_reading_is_given_up() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let (read, mut write) = tcp.split();
        let mut read = BufReader::new(read).lines();
        write.write_all(b"220 hi\r\n").await.unwrap();
        while let Ok(Some(line)) = read.next_line().await {
            let reply: &[u8] = if line == "DATA" { b"354 go\r\n" } else { b"250 ok\r\n" };
            write.write_all(reply).await.unwrap();
            if line == "DATA" {
                std::future::pending::<()>().await;
            }
        }
    });
    let mut large = to(&["a@example.org"]);
    let more_than_sockets_hold = super::super::Content::Bytes(vec![0; 24 << 20]);
    large.attachments = vec![super::super::Attachment { filename: "log".into(), content_type: "text/plain".into(), content: more_than_sockets_hold }];
    let transport = patient(|patience| patience.piece = Duration::from_millis(200));
    let failed = send(&transport, &relay(port, Tls::None), large).await.error.unwrap();
    assert_eq!(failed.kind, FailedKind::Unknown);
    assert!(failed.message.starts_with("end of DATA: the server did not finish within 0.2"), "{}", failed.message);
}

async fn closing() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    port
}

#[tokio::test]
async fn starttls_means_starttls() {
    let without = server("220 hi\r\n", &[]).await;
    let answer = send(&transport(), &relay(without.port, Tls::Starttls), to(&["a@example.org"])).await;
    let failed = answer.error.unwrap();
    assert_eq!(failed.kind, FailedKind::NotSent);
    assert!(failed.message.contains("does not offer STARTTLS"), "{}", failed.message);
    assert!(!without.lines.lock().unwrap().iter().any(|line| line.starts_with("MAIL")));
}

#[tokio::test]
async fn replies_in_the_clear_do_not_pass_as_encrypted_ones() {
    let server = server("220 hi\r\n", &[("EHLO", "250-hi\r\n250 STARTTLS\r\n"), ("STARTTLS", "220 go\r\n250 injected\r\n250 ok\r\n250 ok\r\n")]).await;
    let answer = send(&transport(), &relay(server.port, Tls::Starttls), to(&["a@example.org"])).await;
    let failed = answer.error.unwrap();
    assert_eq!(failed.kind, FailedKind::NotSent, "{}", failed.message);
    assert!(failed.message.starts_with("STARTTLS"), "{}", failed.message);
}

#[tokio::test]
async fn opportunistic_goes_on_in_the_clear_when_starttls_fails() {
    let server = server("220 hi\r\n", &[("EHLO", "250-hi\r\n250 STARTTLS\r\n"), ("STARTTLS", "454 not now\r\n")]).await;
    let answer = send(&transport(), &relay(server.port, Tls::Opportunistic), to(&["a@example.org"])).await;
    assert_eq!((answer.status, answer.error), (250, None));
}

#[tokio::test]
async fn credentials() {
    let server = server("220 hi\r\n", &[("EHLO", "250-hi\r\n250 AUTH PLAIN\r\n"), ("AUTH", "535 5.7.8 not AGNpAHN3b3JkZmlzaA==, swordfish\r\n")]).await;
    let answer = send(&transport(), &with_login(relay(server.port, Tls::None)), to(&["a@example.org"])).await;
    assert_eq!(answer.status, 535);
    let text = String::from_utf8(answer.body).unwrap();
    assert!(text.starts_with("AUTH: ") && !text.contains("swordfish") && !text.contains("AGNpAHN3b3JkZmlzaA"), "{text}");

    let mut half = relay(server.port, Tls::None);
    if let EndpointKind::Smtp(smtp) = &mut half.kind {
        smtp.password = Some("p".into());
    }
    assert_eq!(send(&transport(), &half, to(&["a@example.org"])).await.error.unwrap().kind, FailedKind::Never);
}

#[tokio::test]
async fn an_international_address_needs_smtputf8_and_a_domain_does_not() {
    let server = server("220 hi\r\n", &[]).await;
    let at = relay(server.port, Tls::None);
    let failed = send(&transport(), &at, to(&["jörg@example.org"])).await.error.unwrap();
    assert_eq!(failed.kind, FailedKind::Never);
    assert!(failed.message.contains("SMTPUTF8"), "{}", failed.message);
    // The others get theirs, in ASCII, and without a header that this server could not pass on.
    let answer = send(&transport(), &at, Mail { cc: vec!["b@example.org".into()], ..to(&["jörg@example.org", "a@example.org"]) }).await;
    let results: Vec<_> = answer.recipients.iter().map(|r| (r.address.as_str(), r.status)).collect();
    assert_eq!(results, [("jörg@example.org", 553), ("a@example.org", 250), ("b@example.org", 250)]);
    assert!(answer.recipients[0].text.contains("SMTPUTF8"));
    assert!(server.lines.lock().unwrap().iter().all(|line| line.is_ascii()));
    assert!(server.lines.lock().unwrap().iter().any(|line| line == "To: a@example.org"));
    assert_eq!(send(&transport(), &at, to(&["j@bücher.example"])).await.status, 250);
    assert!(server.lines.lock().unwrap().iter().any(|line| line == "RCPT TO:<j@xn--bcher-kva.example>"));
}

#[tokio::test]
async fn addresses_are_checked() {
    let server = server("220 hi\r\n", &[]).await;
    let strict = SmtpTransport::new(Arc::new(Policy::strict()), PathBuf::new());
    let answer = send(&strict, &relay(server.port, Tls::None), to(&["a@example.org"])).await;
    assert_eq!(answer.error.unwrap().kind, FailedKind::Never);
    assert_eq!(*server.sessions.lock().unwrap(), 0);
}

#[tokio::test]
async fn check_connect_ends_with_goodbye() {
    let server = server("220 hi\r\n", &[]).await;
    let check = async |port| transport().check_connect(&relay(port, Tls::None), &NoSecrets, Duration::from_secs(20)).await;
    assert!(check(server.port).await.unwrap().contains("in the clear, without login"));
    assert!(server.lines.lock().unwrap().iter().any(|line| line == "QUIT"));
    assert!(check(closing().await).await.is_err());
}

/// Where 7bit ends and quoted-printable begins is decided twice, here and in the library.
#[tokio::test]
async fn lines_of_every_length_can_be_sent() {
    for length in 60..90 {
        let line = "x".repeat(length);
        for text in [line.clone(), format!("{line}\n"), format!("a\n{line}\nb"), format!("a\r\n{line}\r\n")] {
            let mut mail = to(&["bob@example.org"]);
            mail.body[0].text = text.clone();
            let message = super::message::message("id", &mail, std::path::Path::new("/nowhere"))
                .await
                .unwrap_or_else(|e| panic!("{length}: {e}"))
                .flatten()
                .collect::<Vec<u8>>();
            let parsed = mail_parser::MessageParser::default().parse(&message).unwrap();
            let body = parsed.body_text(0).unwrap().replace("\r\n", "\n");
            assert_eq!(body.trim_end(), text.replace("\r\n", "\n").trim_end(), "{length}");
        }
    }
}

fn commands(server: &Server) -> Vec<String> {
    let lines = server.lines.lock().unwrap();
    lines.iter().filter(|line| ["MAIL", "RCPT", "DATA", "RSET", "To: "].iter().any(|begin| line.starts_with(begin))).cloned().collect()
}

#[tokio::test]
async fn an_international_address_has_a_mail_of_its_own() {
    let server = server("220 hi\r\n", &[("EHLO", "250-hi\r\n250 SMTPUTF8\r\n"), ("MAIL FROM:<ci@example.org> SMTPUTF8", "550 not here\r\n")]).await;
    let at = relay(server.port, Tls::None);
    let answer = send(&transport(), &at, to(&["jörg@example.org", "a@example.org"])).await;
    let results: Vec<_> = answer.recipients.iter().map(|r| (r.address.as_str(), r.status)).collect();
    assert_eq!(results, [("jörg@example.org", 550), ("a@example.org", 250)]);
    let said = commands(&server);
    assert_eq!(said[..4], ["MAIL FROM:<ci@example.org>", "RCPT TO:<a@example.org>", "DATA", "To: a@example.org"]);
    assert_eq!(said[4..], ["RSET", "MAIL FROM:<ci@example.org> SMTPUTF8"]);
}

#[tokio::test]
async fn a_second_transaction_that_breaks_leaves_the_first_as_it_was() {
    let server = server("220 hi\r\n", &[("EHLO", "250-hi\r\n250 SMTPUTF8\r\n"), ("MAIL FROM:<ci@example.org> SMTPUTF8", "")]).await;
    let answer = send(&transport(), &relay(server.port, Tls::None), to(&["jörg@example.org", "a@example.org"])).await;
    let results: Vec<_> = answer.recipients.iter().map(|r| (r.address.as_str(), r.status)).collect();
    assert_eq!((results, answer.error), (vec![("jörg@example.org", 451), ("a@example.org", 250)], None));
}

#[tokio::test]
async fn who_is_too_many_comes_in_the_next_transaction() {
    // The third of a transaction is too many.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let mails = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&mails);
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        let (read, mut write) = tcp.split();
        let mut read = BufReader::new(read).lines();
        write.write_all(b"220 hi\r\n").await.unwrap();
        let (mut data, mut taken) = (false, Vec::new());
        while let Ok(Some(line)) = read.next_line().await {
            if data && line != "." {
                continue;
            }
            let mut reply = "250 ok\r\n";
            if let Some(address) = line.strip_prefix("RCPT TO:") {
                if taken.len() == 2 { reply = "452 4.5.3 too many\r\n" } else { taken.push(address.to_owned()) }
            } else if line == "DATA" {
                (data, reply) = (true, "354 go\r\n");
            } else if line == "." {
                data = false;
                kept.lock().unwrap().push(std::mem::take(&mut taken));
            }
            write.write_all(reply.as_bytes()).await.unwrap();
        }
    });
    let all: Vec<String> = (0..5).map(|n| format!("a{n}@example.org")).collect();
    let answer = send(&transport(), &relay(port, Tls::None), to(&all.iter().map(String::as_str).collect::<Vec<_>>())).await;
    assert_eq!((answer.status, answer.recipients.len(), answer.error), (250, 0, None));
    assert_eq!(mails.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 1]);
}

/// Greets, and then says one line without an end.
async fn endless(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin) {
    let line = [b'x'; 16 << 10];
    let _ = stream.write_all(b"220 ").await;
    while stream.write_all(&line).await.is_ok() {}
}

#[tokio::test]
async fn a_reply_without_an_end_is_given_up() {
    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    crate::transport::install_crypto();
    let key = rustls::pki_types::PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder().with_no_client_auth().with_single_cert(vec![certified.cert.der().clone()], key).unwrap();
    for tls in [Tls::None, Tls::Implicit] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config.clone()));
        tokio::spawn(async move {
            let (tcp, _) = listener.accept().await.unwrap();
            match tls {
                Tls::Implicit => endless(acceptor.accept(tcp).await.unwrap()).await,
                _ => endless(tcp).await,
            }
        });
        let mut at = relay(port, tls);
        if let EndpointKind::Smtp(smtp) = &mut at.kind {
            smtp.verify = Verify::Switch(false);
        }
        let failed = send(&patient(|_| ()), &at, to(&["a@example.org"])).await.error.unwrap();
        assert_eq!(failed.kind, FailedKind::NotSent);
        assert!(failed.message.contains("reply has no end"), "{tls:?}: {}", failed.message);
    }
}
