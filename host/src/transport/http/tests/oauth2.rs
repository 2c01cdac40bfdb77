//! Tokens: a server that hands them out and, on the same listener, one that wants them.

use super::*;

/// What is answered to the n-th question for a token (from 0).
type Tokens = dyn Fn(usize) -> Response + Send + Sync;

/// A server whose `/token` hands out tokens, and the rest of which takes only those that `valid` says are valid.
struct Forge {
    server: Server,
    asked: Arc<AtomicUsize>,
}

impl Forge {
    async fn start(tokens: impl Fn(usize) -> Response + Send + Sync + 'static, valid: impl Fn(usize, &str) -> bool + Send + Sync + 'static) -> Self {
        let asked = Arc::new(AtomicUsize::new(0));
        let (count, tokens): (_, Box<Tokens>) = (Arc::clone(&asked), Box::new(tokens));
        let server = Server::start(move |_, seen| {
            if seen.target.starts_with("/token") {
                return tokens(count.fetch_add(1, Ordering::SeqCst));
            }
            let sent = seen.headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
            match sent.strip_prefix("Bearer ") {
                Some(token) if valid(count.load(Ordering::SeqCst), token) => {
                    (StatusCode::CREATED, [("x-echo", sent.to_owned())], format!("you sent {sent}")).into_response()
                }
                _ => StatusCode::UNAUTHORIZED.into_response(),
            }
        })
        .await;
        Self { server, asked }
    }

    fn endpoint(&self) -> Endpoint {
        named("api", of(&format!("{}/api", self.server.base), &format!("{}/token?realm=ci", self.server.base)))
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Requests that were no questions for tokens.
    fn requests(&self) -> usize {
        self.server.seen().iter().filter(|seen| !seen.target.starts_with("/token")).count()
    }
}

fn of(base: &str, token_url: &str) -> HttpEndpoint {
    let mut at = endpoint(base);
    at.auth = Auth::OAuth2 { token_url: token_url.parse().unwrap(), client_id: "the key".into(), client_secret: ENTRY_SECRET.into() };
    at
}

fn token(n: usize, expires_in: u64) -> Response {
    let body = format!(r#"{{"access_token": "tok3n-{n}", "token_type": "bearer", "expires_in": {expires_in}, "scopes": "repository:write"}}"#);
    ([(header::CONTENT_TYPE, "application/json")], body).into_response()
}

fn refused(status: StatusCode, body: &'static str) -> impl Fn(usize) -> Response {
    move |_| (status, [(header::RETRY_AFTER, "30")], body).into_response()
}

async fn send(transport: &HttpTransport, at: &Endpoint) -> Answer {
    let mut asked = request("POST", &["statuses"]);
    asked.body = Body::Json("{}".into());
    attempt(transport, at, asked).await
}

#[tokio::test]
async fn one_token_for_many_requests() {
    let forge = Forge::start(|n| token(n, 3600), |_, token| token == "tok3n-0").await;
    let (transport, at) = (transport(), forge.endpoint());
    let all = (0..20).map(|_| send(&transport, &at));
    for answer in futures_util::future::join_all(all).await {
        assert_eq!((answer.status, answer.error), (201, None));
    }
    assert_eq!((forge.asked(), forge.requests()), (1, 20));
    let seen = forge.server.seen();
    let asked = seen.iter().find(|seen| seen.target.starts_with("/token")).unwrap();
    assert_eq!((asked.method.as_str(), asked.target.as_str(), &asked.body[..]), ("POST", "/token?realm=ci", &b"grant_type=client_credentials"[..]));
    assert_eq!(asked.headers[header::CONTENT_TYPE], "application/x-www-form-urlencoded");
    assert!(asked.headers[header::USER_AGENT].to_str().unwrap().starts_with("reporter-host/"));
    assert!(!asked.headers.contains_key("idempotency-key"));
    // RFC 6749, 2.3.1.
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode("the+key:correct%2Fhorse+battery%2B1");
    assert_eq!(asked.headers[header::AUTHORIZATION], format!("Basic {basic}"));
}

#[tokio::test]
async fn a_query_and_another_endpoint_use_the_same_token() {
    let forge = Forge::start(|n| token(n, 3600), |_, token| token == "tok3n-0").await;
    let (transport, mut other) = (transport(), forge.endpoint());
    assert_eq!(send(&transport, &other).await.status, 201);
    if let EndpointKind::Http(http) = &mut other.kind {
        http.base_url = format!("{}/other", forge.server.base).parse().unwrap();
    }
    let answer = transport.query("entry", &other, &request("GET", &["x"]), &TestVault(SECRET), Duration::from_secs(20)).await;
    assert_eq!((answer.status, forge.asked()), (201, 1));
}

#[tokio::test]
async fn a_token_that_ends_within_a_minute_is_not_kept() {
    let forge = Forge::start(|n| token(n, 60), |asked, token| token == format!("tok3n-{}", asked - 1)).await;
    let (transport, at) = (transport(), forge.endpoint());
    for n in 1..4 {
        assert_eq!(send(&transport, &at).await.status, 201);
        assert_eq!(forge.asked(), n);
    }
}

#[tokio::test]
async fn a_refused_token_is_asked_for_anew_once() {
    let good = Arc::new(AtomicUsize::new(0));
    let valid = Arc::clone(&good);
    let forge = Forge::start(|n| token(n, 3600), move |_, token| token == format!("tok3n-{}", valid.load(Ordering::SeqCst))).await;
    let (transport, at) = (transport(), forge.endpoint());
    for (newest, asked) in [(0, 1), (0, 1), (1, 2), (1, 2)] {
        good.store(newest, Ordering::SeqCst);
        assert_eq!((send(&transport, &at).await.status, forge.asked()), (201, asked));
    }
    assert_eq!(forge.requests(), 5);

    let never = Forge::start(|n| token(n, 3600), |_, _| false).await;
    let at = never.endpoint();
    // A token that has just come is as good as the next one.
    assert_eq!((send(&transport, &at).await.status, never.asked(), never.requests()), (401, 1, 1));
    assert_eq!((send(&transport, &at).await.status, never.asked(), never.requests()), (401, 2, 3));
}

#[tokio::test]
async fn what_is_refused_waits_until_somebody_mends_it() {
    for (status, body, why) in [
        (
            StatusCode::UNAUTHORIZED,
            r#"{"error": "invalid_client", "error_description": "Unknown consumer correct/horse battery+1"}"#,
            "401 invalid_client Unknown consumer [secret]",
        ),
        (StatusCode::BAD_REQUEST, r#"{"error": "unauthorized_client"}"#, "400 unauthorized_client"),
        (StatusCode::NOT_FOUND, "<h1>nothing\n here</h1>", "404 <h1>nothing here</h1>"),
        (StatusCode::OK, r#"{"access_token": "s3cret\u0000"}"#, "does not fit in a header"),
        (StatusCode::OK, "<html>s3cret</html>", "no JSON with an access_token"),
        (StatusCode::FOUND, "", "it has moved"),
    ] {
        let forge = Forge::start(refused(status, body), |_, _| true).await;
        let (transport, at) = (transport(), forge.endpoint());
        // Whatever waits for a token: the wrong secret is not tried again and again.
        for _ in 0..3 {
            let failed = send(&transport, &at).await.error.unwrap();
            assert_eq!(failed.kind, FailedKind::NotTried, "{}", failed.message);
            assert!(failed.message.contains(why) && failed.message.contains(&forge.server.base), "{}", failed.message);
            assert!(!failed.message.contains("s3cret") && !failed.message.contains(SECRET), "{}", failed.message);
        }
        assert_eq!((forge.asked(), forge.requests()), (1, 0));
    }
}

#[tokio::test]
async fn an_operator_hears_of_a_refusal() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::ERROR).with_ansi(false).with_writer(Arc::new(log.reopen().unwrap())).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let quoting = r#"{"error": "invalid_client", "error_description": "no client with correct/horse battery+1"}"#;
    let forge = Forge::start(refused(StatusCode::UNAUTHORIZED, quoting), |_, _| true).await;
    let (transport, at) = (transport(), forge.endpoint());
    for _ in 0..3 {
        send(&transport, &at).await;
    }
    // What is busy comes to itself.
    let busy = Forge::start(refused(StatusCode::SERVICE_UNAVAILABLE, "busy"), |_, _| true).await;
    send(&transport, &busy.endpoint()).await;
    drop(guard);
    let said = std::fs::read_to_string(log.path()).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("ERROR") && said.contains("401 invalid_client no client with [secret]") && said.contains("tried again until it expires"), "{said}");
    assert!(said.contains(&forge.server.base) && !said.contains(SECRET), "{said}");
}

#[tokio::test]
async fn what_may_go_better_later() {
    for status in [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE, StatusCode::BAD_GATEWAY] {
        let forge = Forge::start(refused(status, "busy"), |_, _| true).await;
        let (transport, at) = (transport(), forge.endpoint());
        let answers = futures_util::future::join_all((0..5).map(|_| send(&transport, &at))).await;
        for answer in answers {
            let failed = answer.error.unwrap();
            assert_eq!(failed.kind, FailedKind::NotTried, "{}", failed.message);
            assert!(failed.message.contains(&format!("{} busy", status.as_u16())), "{}", failed.message);
            assert!(answer.headers.contains(&("retry-after".into(), "30".into())), "{:?}", answer.headers);
        }
        // Nobody asks again before the time that was asked for.
        assert_eq!((forge.asked(), forge.requests()), (1, 0));
    }
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let at = named("api", of("http://127.0.0.1:1", &format!("http://{closed}/token")));
    let failed = send(&transport(), &at).await.error.unwrap();
    assert_eq!(failed.kind, FailedKind::NotTried);
    assert!(failed.message.starts_with(&format!("no token from http://{closed}: ")), "{}", failed.message);
}

#[tokio::test]
async fn silence_of_the_token_endpoint_takes_half_of_the_time() {
    let (base, asked) = raw(b"", true).await;
    let payload = Payload::Http(request("POST", &[]));
    let at = named("api", of("http://127.0.0.1:1", &format!("{base}/token")));
    let attempt =
        Attempt { id: "1", entry: "entry", title: "", endpoint: &at, payload: &payload, vault: &TestVault(SECRET), timeout: Duration::from_millis(600) };
    let failed = transport().attempt(attempt).await.error.unwrap();
    assert_eq!((failed.kind, asked.load(Ordering::SeqCst)), (FailedKind::NotTried, 1));
    assert_eq!(failed.message, format!("no token from {base} within 0.3 seconds"));
}

#[tokio::test]
async fn nobody_sees_the_token() {
    let forge = Forge::start(|n| token(n, 3600), |_, _| true).await;
    let answer = send(&transport(), &forge.endpoint()).await;
    assert_eq!(answer.body, b"you sent Bearer [secret]");
    assert_eq!(answer.headers.iter().find(|(name, _)| name == "x-echo").unwrap().1, "Bearer [secret]");
}

#[tokio::test]
async fn another_secret_is_another_token() {
    let forge = Forge::start(|n| token(n, 3600), |_, _| true).await;
    let (transport, at) = (transport(), forge.endpoint());
    let payload = Payload::Http(request("POST", &[]));
    for (secret, asked) in [("before", 1), ("before", 1), ("after", 2)] {
        let vault = TestVault(secret);
        let attempt = Attempt { id: "1", entry: "entry", title: "", endpoint: &at, payload: &payload, vault: &vault, timeout: Duration::from_secs(20) };
        assert_eq!((transport.attempt(attempt).await.status, forge.asked()), (201, asked), "{secret}");
    }
}

#[tokio::test]
async fn tokens_come_under_the_same_policy_and_certificates() {
    let forge = Forge::start(|n| token(n, 3600), |_, _| true).await;
    let metadata = named("api", of(&forge.server.base, "http://169.254.169.254/token"));
    assert_eq!(send(&transport(), &metadata).await.error.unwrap().kind, FailedKind::Never);
    let strict = HttpTransport::new(Arc::new(Policy::strict()));
    let named_host = forge.server.base.replace("127.0.0.1", "localhost");
    let failed = send(&strict, &named("api", of("https://api.example.org", &format!("{named_host}/token")))).await.error.unwrap();
    assert!(failed.kind == FailedKind::Never && failed.message.contains("[network] allow"), "{}", failed.message);
    assert_eq!(forge.server.seen().len(), 0);

    let (base, _) = tls("localhost").await;
    let message = async |verify: Verify| {
        let mut at = of(&forge.server.base, &format!("{base}/token"));
        at.verify = verify;
        send(&transport(), &named("api", at)).await.error.unwrap().message
    };
    let by_default = message(Verify::System).await;
    assert!(by_default.contains("self-signed"), "{by_default}");
    // It answers 204, whatever it is asked.
    let unverified = message(Verify::Switch(false)).await;
    assert!(unverified.contains("no JSON with an access_token"), "{unverified}");
}

#[tokio::test]
async fn check_connect_asks_for_a_token() {
    let forge = Forge::start(|n| token(n, 3600), |_, _| true).await;
    let check = async |forge: &Forge| transport().check_connect(&forge.endpoint(), &TestVault(SECRET), Duration::from_secs(20)).await;
    let text = check(&forge).await.unwrap().text;
    assert!(text.contains("201") && text.ends_with(&format!("with a token from {}", forge.server.base)), "{text}");
    let wrong = Forge::start(refused(StatusCode::UNAUTHORIZED, r#"{"error": "invalid_client"}"#), |_, _| true).await;
    assert!(check(&wrong).await.unwrap_err().contains("invalid_client; look at the key and the secret"));
    assert_eq!(wrong.requests(), 0);
}
