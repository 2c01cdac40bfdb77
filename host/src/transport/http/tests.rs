//! The client against listeners on loopback.

mod oauth2;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::super::{Auth, Body, Endpoint, HttpEndpoint, Reached, Verify};
use super::testing::{ENTRY_SECRET, TestVault, endpoint, named, request};
use super::*;

const SECRET: &str = "correct/horse battery+1";

/// One request as it arrived.
#[derive(Clone, Debug)]
struct Seen {
    method: String,
    target: String,
    headers: HeaderMap,
    body: Bytes,
}

type Reply = dyn Fn(usize, &Seen) -> Response + Send + Sync;

/// A server that answers with `reply` (given the request's number) and keeps what came.
struct Server {
    base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Server {
    async fn start(reply: impl Fn(usize, &Seen) -> Response + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let state: (Arc<Mutex<Vec<Seen>>>, Arc<Reply>) = (Arc::clone(&seen), Arc::new(reply));
        let app = Router::new().fallback(answer).with_state(state);
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { base, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

async fn answer(State((seen, reply)): State<(Arc<Mutex<Vec<Seen>>>, Arc<Reply>)>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let one = Seen { method: parts.method.to_string(), target: parts.uri.to_string(), headers: parts.headers, body };
    let mut seen = seen.lock().unwrap();
    seen.push(one.clone());
    reply(seen.len() - 1, &one)
}

fn transport() -> HttpTransport {
    HttpTransport::new(Arc::new(Policy::operator()))
}

async fn attempt(transport: &HttpTransport, at: &Endpoint, request: HttpRequest) -> Answer {
    let payload = Payload::Http(request);
    let attempt =
        Attempt { id: "uid-1", entry: "entry", title: "", endpoint: at, payload: &payload, vault: &TestVault(SECRET), timeout: Duration::from_secs(20) };
    transport.attempt(attempt).await
}

/// One POST of `{}` to `path`, with changes to the endpoint.
async fn post(base: &str, path: &[&str], change: impl Fn(&mut HttpEndpoint)) -> Answer {
    let mut at = endpoint(base);
    change(&mut at);
    let mut asked = request("POST", path);
    asked.body = Body::Json("{}".into());
    attempt(&transport(), &named("api", at), asked).await
}

#[tokio::test]
async fn a_delivery_carries_its_id_its_body_and_the_hosts_name() {
    let server = Server::start(|_, _| (StatusCode::CREATED, [("X-Odd", "ü")], "done").into_response()).await;
    let answer = post(&format!("{}/api", server.base), &["a b"], |_| ()).await;
    assert_eq!((answer.status, answer.body.as_slice(), answer.error.clone()), (201, &b"done"[..], None));
    assert!(answer.headers.iter().any(|(name, value)| name == "x-odd" && value == "ü"));
    let seen = &server.seen()[0];
    assert_eq!((seen.method.as_str(), seen.target.as_str(), &seen.body[..]), ("POST", "/api/a%20b", &b"{}"[..]));
    let header = |name: &str| seen.headers[name].to_str().unwrap();
    assert_eq!(header("idempotency-key"), "uid-1");
    assert_eq!(header("webhook-id"), "uid-1");
    assert!(header("webhook-timestamp").parse::<i64>().unwrap() > 1_700_000_000);
    assert_eq!(header("content-type"), "application/json");
    assert!(header("user-agent").starts_with("reporter-host/"));
    assert!(!seen.headers.contains_key("referer"));
}

#[tokio::test]
async fn every_kind_of_authentication_with_its_secret() {
    let server = Server::start(|_, _| StatusCode::OK.into_response()).await;
    let secret = || ENTRY_SECRET.to_owned();
    let table = [
        (Auth::Basic { user: "bot".into(), password: secret() }, "authorization", "Basic Ym90OmNvcnJlY3QvaG9yc2UgYmF0dGVyeSsx".to_owned()),
        (Auth::Bearer(secret()), "authorization", format!("Bearer {SECRET}")),
        (Auth::Header { name: "Private-Token".into(), value: format!("x {ENTRY_SECRET}") }, "private-token", format!("x {SECRET}")),
    ];
    for (i, (auth, name, value)) in table.into_iter().enumerate() {
        post(&server.base, &[], |at| at.auth = auth.clone()).await;
        assert_eq!(server.seen()[i].headers[name].to_str().unwrap(), value);
    }
}

#[tokio::test]
async fn a_form_is_the_only_body_in_which_placeholders_are_replaced() {
    let server = Server::start(|_, _| StatusCode::OK.into_response()).await;
    for body in [
        Body::Form(vec![("token".into(), ENTRY_SECRET.into()), ("ä".into(), "&".into())]),
        Body::Json(format!("\"{ENTRY_SECRET}\"")),
        Body::Text(ENTRY_SECRET.into()),
        Body::Bytes(ENTRY_SECRET.into()),
    ] {
        let mut asked = request("POST", &[]);
        asked.body = body;
        assert_eq!(attempt(&transport(), &named("api", endpoint(&server.base)), asked).await.status, 200);
    }
    let seen = server.seen();
    assert_eq!(&seen[0].body[..], b"token=correct%2Fhorse+battery%2B1&%C3%A4=%26");
    assert_eq!(seen[0].headers["content-type"], "application/x-www-form-urlencoded");
    for (i, content_type) in [(1, "application/json"), (2, "text/plain; charset=utf-8"), (3, "application/octet-stream")] {
        assert!(String::from_utf8_lossy(&seen[i].body).contains(ENTRY_SECRET));
        assert_eq!(seen[i].headers["content-type"], content_type);
    }
}

#[tokio::test]
async fn a_secret_stays_away_from_other_endpoints() {
    let server = Server::start(|_, _| StatusCode::OK.into_response()).await;
    let mut asked = request("GET", &[]);
    asked.query.push(("k".into(), ENTRY_SECRET.into()));
    let answer = attempt(&transport(), &named("other", endpoint(&server.base)), asked).await;
    let failed = answer.error.unwrap();
    assert_eq!(failed.kind, FailedKind::Never);
    assert!(failed.message.contains("not granted to endpoint \"other\""), "{}", failed.message);
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn digest_answers_one_challenge_and_no_more() {
    let challenge = r#"Digest realm="ci", qop="auth", nonce="n1", algorithm=SHA-256, opaque="o""#;
    let server = Server::start(move |_, seen| match seen.headers.get(header::AUTHORIZATION) {
        Some(value) if value.to_str().unwrap().contains("username=\"bot\"") && seen.target.ends_with("right") => StatusCode::OK.into_response(),
        _ => (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)]).into_response(),
    })
    .await;
    let digest = |at: &mut HttpEndpoint| at.auth = Auth::Digest { user: "bot".into(), password: ENTRY_SECRET.into() };
    assert_eq!(post(&server.base, &["right"], digest).await.status, 200);
    assert_eq!(post(&server.base, &["wrong"], digest).await.status, 401);
    let seen = server.seen();
    assert_eq!(seen.len(), 4);
    let sent = seen[1].headers[header::AUTHORIZATION].to_str().unwrap();
    // RFC 7616, with what the two sides know.
    let field = |name: &str| sent.split(&format!("{name}=")).nth(1).unwrap().trim_start_matches('"').split(['"', ',']).next().unwrap().to_owned();
    let hash = |text: String| {
        use sha2::Digest as _;
        sha2::Sha256::digest(text).iter().map(|b| format!("{b:02x}")).collect::<String>()
    };
    let (a1, a2) = (hash(format!("bot:ci:{SECRET}")), hash("POST:/right".to_owned()));
    assert_eq!(field("response"), hash(format!("{a1}:n1:00000001:{}:auth:{a2}", field("cnonce"))));
    assert_eq!(&seen[1].body[..], b"{}");
}

#[tokio::test]
async fn odd_challenges_are_answers() {
    for challenge in ["Digest", "Digest ", "Digest realm", "Digest \u{fc}=\"x\"", "Digest realm=\"a\", qop=\"x\", nonce=\"n\"", "Negotiate"] {
        let server = Server::start(move |_, _| (StatusCode::UNAUTHORIZED, [("www-authenticate", challenge)]).into_response()).await;
        let answer = post(&server.base, &[], |at| at.auth = Auth::Digest { user: "u".into(), password: "p".into() }).await;
        assert_eq!((answer.status, server.seen().len()), (401, 1), "{challenge}");
    }
}

#[tokio::test]
async fn a_moved_resource_is_followed_on_its_own_origin_only() {
    // status, method, location, followed
    let table = [
        (301, "POST", "/api/moved", true),
        (307, "PATCH", "/api/moved", true),
        (308, "POST", "moved", true),
        (302, "GET", "/api/moved", true),
        (302, "POST", "/api/moved", false),
        (303, "POST", "/api/moved", false),
        (301, "POST", "/elsewhere", false),
        (301, "POST", "/api/../elsewhere", false),
        (301, "POST", "/apiary", false),
        (301, "GET", "http://169.254.169.254/api/moved", false),
        (301, "GET", "http://user@HOST/api/moved", false),
        (301, "GET", "https://HOST/api/moved", false),
        (301, "GET", "//example.org/api/moved", false),
    ];
    for (status, method, location, followed) in table {
        let server = Server::start(move |_, seen| {
            if seen.target == "/api/moved" {
                return StatusCode::OK.into_response();
            }
            let host = seen.headers["host"].to_str().unwrap();
            (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, location.replace("HOST", host))]).into_response()
        })
        .await;
        let mut asked = request(method, &["old"]);
        if method != "GET" {
            asked.body = Body::Json("{}".into());
        }
        let answer = attempt(&transport(), &named("api", endpoint(&format!("{}/api", server.base))), asked).await;
        let seen = server.seen();
        assert_eq!(answer.status, if followed { 200 } else { status }, "{status} {method} {location}");
        assert_eq!(seen.len(), if followed { 2 } else { 1 }, "{status} {method} {location}");
        assert!(seen.iter().all(|one| one.method == method && one.body == seen[0].body));
    }
}

#[tokio::test]
async fn moving_in_a_circle_ends() {
    let server = Server::start(|_, _| (StatusCode::PERMANENT_REDIRECT, [(header::LOCATION, "/x")]).into_response()).await;
    assert_eq!(post(&server.base, &[], |_| ()).await.status, 308);
    assert_eq!(server.seen().len(), 1 + MOST_MOVES);
}

#[tokio::test]
async fn what_comes_back_is_capped_and_scrubbed() {
    let server = Server::start(|_, seen| {
        let key = seen.headers["authorization"].to_str().unwrap().to_owned();
        let mut body = vec![b'x'; crate::transport::MOST_BODY - 10];
        body.extend_from_slice(key.as_bytes());
        body.resize(3 << 20, b'y');
        (StatusCode::BAD_REQUEST, [("x-echo", key)], body).into_response()
    })
    .await;
    let answer = post(&server.base, &[], |at| at.auth = Auth::Bearer(ENTRY_SECRET.into())).await;
    assert_eq!(answer.status, 400);
    assert_eq!(answer.body.len(), crate::transport::MOST_BODY);
    assert!(String::from_utf8_lossy(&answer.body).ends_with("Bearer [se"));
    let echo = answer.headers.iter().find(|(name, _)| name == "x-echo").unwrap();
    assert_eq!(echo.1, "Bearer [secret]");
}

/// A server below HTTP: reads a request's head, writes `reply`, closes.
async fn raw(reply: &'static [u8], hold: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut tcp, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let mut head = [0; 4096];
            let _ = tcp.read(&mut head).await;
            let _ = tcp.write_all(reply).await;
            if hold {
                held.push(tcp);
            }
        }
    });
    (base, count)
}

#[tokio::test]
async fn kinds_of_failure() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let failed = |answer: Answer| answer.error.expect("an error");
    let refused = failed(post(&format!("http://{closed}"), &[], |_| ()).await);
    assert_eq!(refused.kind, FailedKind::NotSent, "{}", refused.message);
    let unknown = failed(post("http://no-such-host.invalid", &[], |_| ()).await);
    assert_eq!(unknown.kind, FailedKind::NotSent);
    assert!(unknown.message.contains("no-such-host.invalid cannot be resolved"), "{}", unknown.message);
    let (base, _) = raw(b"", false).await;
    assert_eq!(failed(post(&base, &[], |_| ()).await).kind, FailedKind::Unknown);
    let (base, _) = raw(b"SSH-2.0-OpenSSH\r\n", false).await;
    assert_eq!(failed(post(&base, &[], |_| ()).await).kind, FailedKind::Unknown);
    // The status is an answer, whatever becomes of the body.
    let (base, _) = raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", false).await;
    let short = post(&base, &[], |_| ()).await;
    assert_eq!((short.status, short.error, short.body.as_slice()), (200, None, &b"short"[..]));
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    let (base, _) = raw(b"", true).await;
    let payload = Payload::Http(request("POST", &[]));
    let at = named("api", endpoint(&base));
    let attempt =
        Attempt { id: "1", entry: "entry", title: "", endpoint: &at, payload: &payload, vault: &TestVault(SECRET), timeout: Duration::from_millis(300) };
    let failed = transport().attempt(attempt).await.error.unwrap();
    assert_eq!(failed.kind, FailedKind::Unknown);
    assert!(failed.message.contains("no answer within 0.3 seconds"), "{}", failed.message);
}

#[tokio::test]
async fn addresses_are_checked_for_names_and_literals() {
    let server = Server::start(|_, _| StatusCode::OK.into_response()).await;
    let port = server.base.rsplit(':').next().unwrap();
    let strict = HttpTransport::new(Arc::new(Policy::strict()));
    for host in ["localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "0x7f.1", "2130706433"] {
        let at = named("api", endpoint(&format!("http://{host}:{port}")));
        let failed = attempt(&strict, &at, request("POST", &[])).await.error.unwrap();
        assert_eq!(failed.kind, FailedKind::Never, "{host}: {}", failed.message);
        assert!(failed.message.contains("[network] allow"), "{host}: {}", failed.message);
    }
    let answer = attempt(&transport(), &named("api", endpoint("http://169.254.169.254/latest")), request("GET", &[])).await;
    assert_eq!(answer.error.unwrap().kind, FailedKind::Never);
    assert!(server.seen().is_empty());
}

/// A TLS server with a certificate of its own for localhost; answers every request with 204.
async fn tls(name: &str) -> (String, String) {
    crate::transport::install_crypto();
    let key = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let pem = key.cert.pem();
    let config = rustls::ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], rustls::pki_types::PrivateKeyDer::Pkcs8(key.signing_key.serialize_der().into()))
        .unwrap();
    let config = Arc::new(config);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("https://localhost:{}", listener.local_addr().unwrap().port());
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for tcp in listener.incoming() {
            let (Ok(mut tcp), Ok(mut session)) = (tcp, rustls::ServerConnection::new(Arc::clone(&config))) else { continue };
            let mut stream = rustls::Stream::new(&mut session, &mut tcp);
            let mut head = [0; 4096];
            if stream.read(&mut head).is_ok() {
                let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n");
            }
        }
    });
    (base, pem)
}

#[tokio::test]
async fn certificates() {
    let (base, pem) = tls("localhost").await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("authority.pem");
    std::fs::write(&file, &pem).unwrap();
    let failed = post(&base, &[], |_| ()).await.error.unwrap();
    assert_eq!(failed.kind, FailedKind::NotSent);
    assert!(failed.message.contains("self-signed") && failed.message.contains("verify ="), "{}", failed.message);
    assert_eq!(post(&base, &[], |at| at.verify = Verify::File(file.clone())).await.status, 204);
    assert_eq!(post(&base, &[], |at| at.verify = Verify::Switch(false)).await.status, 204);

    let (other, pem) = tls("other.example.org").await;
    std::fs::write(&file, &pem).unwrap();
    let failed = post(&other, &[], |at| at.verify = Verify::File(file.clone())).await.error.unwrap();
    assert!(failed.message.contains("another host name"), "{}", failed.message);

    std::fs::write(&file, "no certificate").unwrap();
    for path in [file, folder.path().join("none.pem")] {
        let failed = post(&base, &[], |at| at.verify = Verify::File(path.clone())).await.error.unwrap();
        assert_eq!(failed.kind, FailedKind::NotTried);
        assert!(failed.message.contains("name a PEM file"), "{}", failed.message);
    }

    let server = Server::start(|_, _| StatusCode::OK.into_response()).await;
    let failed = post(&server.base.replace("http:", "https:"), &[], |_| ()).await.error.unwrap();
    assert!(failed.message.contains("does not speak TLS"), "{}", failed.message);
}

#[tokio::test]
async fn queries_are_cached_per_entry_for_as_long_as_the_answer_allows() {
    let server = Server::start(|n, seen| {
        let allowed = if seen.target == "/fresh" { "max-age=60" } else { "no-cache" };
        ([(header::CACHE_CONTROL, allowed)], n.to_string()).into_response()
    })
    .await;
    let (transport, at) = (transport(), named("api", endpoint(&server.base)));
    let ask = async |entry: &str, path: &str| {
        let answer = transport.query(entry, &at, &request("GET", &[path]), &TestVault(SECRET), Duration::from_secs(20)).await;
        String::from_utf8(answer.body).unwrap()
    };
    assert_eq!((ask("a", "fresh").await, ask("a", "fresh").await, ask("b", "fresh").await), ("0".into(), "0".into(), "1".into()));
    assert_eq!((ask("a", "stale").await, ask("a", "stale").await), ("2".into(), "3".into()));
    assert!(server.seen().iter().all(|seen| !seen.headers.contains_key("idempotency-key")));
    let refused = transport.query("a", &at, &request("POST", &[]), &TestVault(SECRET), Duration::from_secs(20)).await;
    assert_eq!(refused.error.unwrap().kind, FailedKind::Never);
}

#[tokio::test]
async fn check_connect_reports_any_status_and_explains_failures() {
    let server = Server::start(|_, _| StatusCode::UNAUTHORIZED.into_response()).await;
    let check = async |base: &str| transport().check_connect(&named("api", endpoint(base)), &TestVault(SECRET), Duration::from_secs(20)).await;
    let found = check(&server.base).await.unwrap();
    assert!(found.doubt && found.text.contains("answers HEAD with 401 (not authenticated"), "{found:?}");
    assert_eq!(server.seen()[0].method, "HEAD");
    assert!(check("http://127.0.0.1:1").await.is_err());
    assert!(check("http://169.254.169.254").await.unwrap_err().contains("not allowed"));
}

#[tokio::test]
async fn check_connect_asks_the_probe_with_the_endpoints_credentials() {
    let server = Server::start(|_, seen| {
        let known = seen.headers.get(header::AUTHORIZATION).is_some_and(|value| value == "Bearer correct");
        match (known, seen.target.rsplit('/').next().unwrap_or_default()) {
            (false, _) => StatusCode::UNAUTHORIZED,
            (_, status) => StatusCode::from_u16(status.parse().unwrap()).unwrap(),
        }
        .into_response()
    })
    .await;
    let check = async |secret: &'static str, status: &str| {
        let mut at = endpoint(&format!("{}/api", server.base));
        at.auth = Auth::Bearer(ENTRY_SECRET.into());
        at.probe = Some(if status == "in the path" { vec!["who".into(), ENTRY_SECRET.into(), "404".into()] } else { vec!["who".into(), status.into()] });
        transport().check_connect(&named("api", at), &TestVault(secret), Duration::from_secs(20)).await
    };
    assert_eq!(check("correct", "200").await, Ok(Reached::well("logged in: answers GET who/200 with 200")));
    for status in ["403", "302", "500", "418"] {
        assert!(check("correct", status).await.is_ok_and(|found| found.doubt && found.text.contains(status)), "{status}");
    }
    let not_there = check("correct", "404").await.unwrap_err();
    assert!(not_there.ends_with("404: it does not have this API there; look at the URL"), "{not_there}");
    let not_there = check("correct", "in the path").await.unwrap_err();
    assert!(not_there.ends_with("look at the URL, and at the token that is a part of it"), "{not_there}");
    assert!(check("wrong", "200").await.unwrap_err().contains("401: the credentials are refused"));
    let seen = server.seen();
    assert!(seen.iter().all(|seen| seen.method == "GET" && seen.target.starts_with("/api/who/")), "{seen:?}");
}

#[tokio::test]
async fn compressed_bodies_are_read() {
    // printf hello | gzip -n
    const HELLO: [u8; 25] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 7, 0, 0x86, 0xa6, 0x10, 0x36, 5, 0, 0, 0];
    let server = Server::start(|_, _| ([(header::CONTENT_ENCODING, "gzip")], HELLO.to_vec()).into_response()).await;
    assert_eq!(post(&server.base, &[], |_| ()).await.body, b"hello");
}
