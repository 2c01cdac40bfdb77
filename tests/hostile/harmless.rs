//! What the host does not refuse but makes harmless, read where it arrives: what goes over the wire is what counts.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use reporter_host::sandbox::Outcome;
use reporter_host::store::NewDelivery;
use reporter_host::transport::http::HttpTransport;
use reporter_host::transport::policy::Policy;
use reporter_host::transport::smtp::SmtpTransport;
use reporter_host::transport::{Attempt, Body, Endpoint, EndpointKind, Payload, Tls, Transport, ssh};
use reporter_host_tests::{NoSecrets, build, details};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::{kit, run, run_with};

/// The line of the request, below the base `/base/`.
const TARGETS: &[(&str, &str)] = &[
    ("path-encoded", "/base/%252e%252e/admin"),
    ("path-slash", "/base/..%2Fadmin"),
    ("path-backslash", "/base/..%5Cadmin"),
    ("path-query", "/base/hook%3Fx=1%23y"),
    ("path-crlf", "/base/a%0D%0Ab"),
    ("path-url", "/base/http:%2F%2Fevil.example%2F"),
    ("path-text", "/base/hook/%20%0A%2F..%2F%25%C3%BC"),
    ("query-pair", "/base/hook?a%26b%3Dc=d%26e%3Df%23g"),
];
/// Lines of the message.
const MAILS: &[(&str, &[&str])] = &[
    // The line of a dot has two on the way, so that the mail does not end there and what follows is no command.
    ("mail-dot", &["a", "..", "RSET"]),
    ("mail-filename-crlf", &["Content-Disposition: attachment; filename=\"a__Bcc: all@example.org\"", "Content-Type: application/octet-stream"]),
];
/// Arguments of a command, as they are.
const ARGUMENTS: &[&str] =
    &["$(touch evil)", "`touch evil`", "; touch evil", "' ; touch evil '", "\\'; touch evil", "--submit\nevil", "$HOME *", "# \"", "\t ü \u{202e}", "''"];
const COMMANDS: &[&str] = &["ssh-argument", "ssh-query"];
const TERMS: &[&str] = &["huge-lane", "huge-title", "odd-title"];

pub fn words() -> Vec<&'static str> {
    let wire = TARGETS.iter().map(|(word, _)| *word).chain(MAILS.iter().map(|(word, _)| *word));
    wire.chain([TERMS, COMMANDS].concat()).collect()
}

/// A server for one request: its head, as it came.
async fn http_server() -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let head = until(&mut stream, "\r\n\r\n").await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
        head
    });
    (port, served)
}

/// A relay for one mail: every command and the message, as they came.
async fn relay() -> (u16, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let served = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(b"220 relay\r\n").await.unwrap();
        let mut all = String::new();
        loop {
            let command = until(&mut stream, "\r\n").await;
            all.push_str(&command);
            match command.trim_end() {
                "DATA" => {
                    stream.write_all(b"354 go on\r\n").await.unwrap();
                    all.push_str(&until(&mut stream, "\r\n.\r\n").await);
                    stream.write_all(b"250 taken\r\n").await.unwrap();
                    return all;
                }
                _ => stream.write_all(b"250 fine\r\n").await.unwrap(),
            }
        }
    });
    (port, served)
}

async fn until(stream: &mut TcpStream, end: &str) -> String {
    let mut all = Vec::new();
    while !all.ends_with(end.as_bytes()) {
        all.push(stream.read_u8().await.expect("the connection goes on"));
    }
    String::from_utf8(all).unwrap()
}

async fn attempt(transport: &dyn Transport, endpoint: &Endpoint, sent: &NewDelivery) {
    let attempt =
        Attempt { id: &sent.uid, entry: &sent.entry, title: "", endpoint, payload: &sent.payload, vault: &NoSecrets, timeout: Duration::from_secs(30) };
    let answer = transport.attempt(attempt).await;
    assert!(answer.error.is_none() && (200..=250).contains(&answer.status), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_stay_below_their_endpoint() {
    let kit = kit();
    let loaded = kit.load(test_guests::HOSTILE).unwrap();
    for (what, target) in TARGETS {
        let (port, served) = http_server().await;
        let settings = json!({"do": what, "serverUrl": format!("http://127.0.0.1:{port}/base/"), "text": " \n/../%ü"});
        let ready = kit.configure(&loaded, &settings).await.unwrap();
        let (event, source) = build(2);
        let ran = ready.report(&details(event, Arc::new(source))).await;
        assert_eq!(ran.answer, Ok(Outcome::Sent), "{what}");
        attempt(&HttpTransport::new(Arc::new(Policy::operator())), &ready.plan.endpoints["server"], &ran.sends[0]).await;
        let head = served.await.unwrap();
        let lines: Vec<&str> = head.split("\r\n").collect();
        assert_eq!(lines[0], format!("POST {target} HTTP/1.1"), "{what}");
        let values = |name: &str| lines.iter().filter(|line| line.to_ascii_lowercase().starts_with(name)).collect::<Vec<_>>();
        assert_eq!(values("host:"), [&format!("host: 127.0.0.1:{port}").as_str()], "{what}");
        assert_eq!(values("idempotency-key:"), [&format!("idempotency-key: {}", ran.sends[0].uid).as_str()], "{what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_is_one_mail() {
    let kit = kit();
    let loaded = kit.load(test_guests::HOSTILE).unwrap();
    for (what, lines) in MAILS {
        let (port, served) = relay().await;
        let ready = kit.configure(&loaded, &json!({"do": what})).await.unwrap();
        let (event, source) = build(2);
        let ran = ready.report(&details(event, Arc::new(source))).await;
        assert_eq!(ran.answer, Ok(Outcome::Sent), "{what}");
        let mut endpoint = Endpoint::clone(&ready.plan.endpoints["relay"]);
        let EndpointKind::Smtp(smtp) = &mut endpoint.kind else { panic!("no relay") };
        (smtp.port, smtp.tls) = (port, Tls::None);
        attempt(&SmtpTransport::new(Arc::new(Policy::operator()), PathBuf::from("/nonexistent")), &endpoint, &ran.sends[0]).await;
        let all = served.await.unwrap();
        let recipients: Vec<&str> = all.split("\r\n").filter(|line| line.starts_with("RCPT") || line.starts_with("Bcc")).collect();
        assert_eq!(recipients, ["RCPT TO:<b@example.org>"], "{what}:\n{all}");
        for line in *lines {
            assert!(all.split("\r\n").any(|it| it == *line), "{what}: {line} is not a line of\n{all}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn terms_are_one_line_and_not_too_long() {
    let kit = kit();
    for what in TERMS {
        let ran = run(&kit, what).await;
        assert_eq!(ran.answer, Ok(Outcome::Sent), "{what}");
        let sent = &ran.sends[0];
        let lane = sent.lane.as_deref().unwrap_or_default();
        assert!(sent.title.len() <= 1_000 && lane.len() <= 1_000, "{what}: {} and {} bytes", sent.title.len(), lane.len());
        assert!(!sent.title.contains(char::is_control), "{what}: {:?}", sent.title);
    }
}

/// What the far side makes of the line, by a shell of our own.
#[tokio::test(flavor = "multi_thread")]
async fn an_argument_is_one_argument() {
    let kit = kit();
    let folder = tempfile::tempdir().unwrap();
    for argument in ARGUMENTS {
        let ran = run_with(&kit, json!({"do": "ssh-argument", "text": argument})).await;
        assert_eq!(ran.answer, Ok(Outcome::Sent), "{argument:?}");
        let Payload::Ssh(command) = ran.sends[0].payload.as_ref() else { panic!("no command") };
        let mut shell = std::process::Command::new("sh");
        shell.arg("-c").arg(format!("printf '%s\\0' {}", ssh::line(command))).current_dir(folder.path());
        let read = String::from_utf8(shell.output().unwrap().stdout).unwrap();
        assert_eq!(read.split_terminator('\0').collect::<Vec<_>>(), ["gerrit", "review", argument]);
        assert_eq!(reporter_host_tests::gerrit::split(&ssh::line(command)), ["gerrit", "review", argument]);
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "something was run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_is_answered() {
    let ran = run(&kit(), "ssh-query").await;
    assert_eq!(ran.answer, Ok(Outcome::Sent));
    let Payload::Http(request) = ran.sends[0].payload.as_ref() else { panic!("no request") };
    assert_eq!(request.body, Body::Text("gerrit version 3.9.1\n".into()));
}
