use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::connections::{CONNECTIONS, GOODBYE, HEAD};
use super::*;
use crate::secret::{Plain, VaultError};
use crate::source::memory::Memory;
use crate::tenant::settings::SecretRef;

struct Running {
    url: String,
    journal: Arc<Memory>,
    inbox: Arc<Inbox>,
    client: reqwest::Client,
    _stop: watch::Sender<bool>,
}

fn settings() -> InboxSettings {
    InboxSettings {
        listen: ([127, 0, 0, 1], 0).into(),
        path: "/events".to_owned(),
        token: SecretRef::Named("inbox".to_owned()),
        most_bytes: 10_000,
        title: "Other CI".to_owned(),
        url: "https://ci.example/".to_owned(),
    }
}

async fn running() -> Running {
    running_with(Inbox::new("ci", settings(), Arc::new(|_| Ok(Plain::new("right"))))).await
}

async fn running_with(inbox: Arc<Inbox>) -> Running {
    crate::transport::install_crypto();
    let (listener, address) = inbox.listen().await.unwrap();
    let journal = Arc::new(Memory::default());
    let (stop, shutdown) = watch::channel(false);
    tokio::spawn(inbox.clone().serve(listener, journal.clone(), shutdown));
    Running { url: format!("http://{address}/events"), journal, inbox, client: reqwest::Client::new(), _stop: stop }
}

impl Running {
    async fn post(&self, token: &str, key: Option<&str>, body: &str) -> (u16, Value) {
        let mut request = self.client.post(&self.url).header("authorization", token).body(body.to_owned());
        if let Some(key) = key {
            request = request.header("Idempotency-Key", key);
        }
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    async fn take(&self, body: Value) -> (u16, Value) {
        self.post("Bearer right", None, &body.to_string()).await
    }
}

fn details(arrived: &Arrived, path: &str) -> Value {
    json!(arrived.1.iter().find(|(have, _)| have == path).unwrap_or_else(|| panic!("no {path} in {:?}", arrived.1)).1)
}

#[tokio::test]
async fn builder_number_results_and_id_suffice_and_an_id_counts_once() {
    let inbox = running().await;
    let least = json!({"id": "run-7", "builder": "linux", "number": 7, "results": 2});
    assert_eq!(inbox.take(least.clone()).await, (202, json!({"id": "ci/run-7/finished", "known": false})));
    assert_eq!(inbox.take(least).await, (200, json!({"id": "ci/run-7/finished", "known": true})));
    let started = json!({"builder": "linux", "number": 7, "state": "started"});
    assert_eq!(inbox.post("bearer right", Some("run-7"), &started.to_string()).await, (202, json!({"id": "ci/run-7/new", "known": false})));

    let events = inbox.journal.events();
    assert_eq!(events.len(), 2);
    let (end, start) = (&events[0].0.message, &events[1].0.message);
    assert_eq!((&end["results"], &end["complete"], &end["number"]), (&json!(2), &json!(true), &json!(7)));
    assert_eq!((&start["results"], &start["complete"], &start["complete_at"]), (&json!(null), &json!(false), &json!(null)));
    assert_eq!(end["buildid"], start["buildid"]);
    let builder = details(&events[0], &paths::builder(end["builderid"].as_i64().unwrap()));
    assert_eq!(builder[0]["name"], "linux");
    let request = details(&events[0], &paths::buildrequest(end["buildrequestid"].as_i64().unwrap()));
    let set = details(&events[0], &paths::buildset(request[0]["buildsetid"].as_i64().unwrap()));
    assert_eq!(set[0]["sourcestamps"], json!([]));
    assert_eq!(inbox.inbox.fetch("config").await.unwrap()[0]["title"], "Other CI");
    assert!(matches!(inbox.inbox.fetch("builds/1/steps").await, Err(FetchError::Missing(_))));
}

#[tokio::test]
async fn what_http_status_push_sends_is_taken_apart_by_path() {
    let inbox = running().await;
    let post = json!({
        "buildid": 36, "number": 1, "builderid": 5, "buildrequestid": 38, "workerid": 2, "masterid": 1, "started_at": 1_795_387_974, "complete_at": 1_795_387_976,
        "complete": true, "state_string": "build successful", "results": 0, "properties": {"branch": ["main", "Build"], "n": [[1, 2], "Change"]},
        "buildrequest": {"buildrequestid": 38, "buildsetid": 39, "builderid": 5, "results": -1},
        "buildset": {"bsid": 39, "reason": "why", "parent_buildid": 35, "sourcestamps": [{"ssid": 24, "branch": "main", "revision": "e7", "codebase": "", "patch": null}]},
        "parentbuild": {"buildid": 35, "number": 1, "builderid": 17}, "parentbuilder": {"builderid": 17, "name": "parent"},
        "builder": {"builderid": 5, "name": "child-a", "tags": ["child"], "description": null, "masterids": [1]},
        "url": "http://b/#/builders/5/builds/1",
        "prev_build": {"buildid": 30, "number": 0, "results": 2},
        "steps": [{"stepid": 2, "number": 1, "name": "compile", "results": 0, "urls": [], "hidden": false,
            "logs": [{"logid": 9, "name": "stdio", "slug": "stdio", "type": "s", "num_lines": 1, "content": {"logid": 9, "firstline": 0, "content": "ohi\n"}}]}],
    });
    assert_eq!(inbox.take(post).await.1["id"], "ci/builds/36/finished");
    let events = inbox.journal.events();
    let arrived = &events[0];
    assert_eq!(arrived.0.occurred_at, 1_795_387_976);
    assert_eq!(details(arrived, "builders/5")[0]["tags"], json!(["child"]));
    assert_eq!(details(arrived, "builders/17")[0]["name"], "parent");
    assert_eq!(details(arrived, "builds/35")[0]["builderid"], 17);
    assert_eq!(details(arrived, "builds/36/properties")[0]["n"], json!([[1, 2], "Change"]));
    assert_eq!(details(arrived, "buildrequests/38")[0]["buildsetid"], 39);
    assert_eq!(details(arrived, "buildsets/39")[0]["sourcestamps"][0]["revision"], "e7");
    assert_eq!(details(arrived, "builders/5/builds?number__lt=1&order=-number&limit=10")[0]["results"], 2);
    assert_eq!(details(arrived, "builds/36/steps")[0]["name"], "compile");
    assert_eq!(details(arrived, "steps/2/logs")[0]["logid"], 9);
    assert_eq!(details(arrived, "logs/9/contents")[0]["content"], "ohi\n");
}

#[tokio::test]
async fn refusals_name_what_is_wrong() {
    let inbox = running().await;
    let least = json!({"id": "x", "builder": "b", "number": 1, "results": 0}).to_string();
    for token in ["", "Bearer", "Bearer ", "Bearer wrong", "Bearer righ", "Bearer right1", "Basic right"] {
        assert_eq!(inbox.post(token, None, &least).await.0, 401, "{token}");
    }
    assert_eq!(inbox.post("Bearer right", None, &"x".repeat(10_001)).await.0, 413);
    let streamed = reqwest::Body::wrap_stream(futures_util::stream::iter((0..2000).map(|_| Ok::<_, std::io::Error>("0123456789"))));
    let answer = inbox.client.post(&inbox.url).bearer_auth("right").body(streamed).send().await.unwrap();
    assert_eq!(answer.status(), 413);
    assert_eq!(inbox.post("Bearer right", None, "{\"id\":").await.0, 400);
    assert_eq!(inbox.post("Bearer right", None, &"[".repeat(9000)).await.0, 400);

    let cases = [
        (json!({"id": "x", "builder": "b", "number": "1", "results": 0}), "/number", "integer"),
        (json!({"id": "x", "builder": "b", "number": 1, "results": 9}), "/results", "maximum"),
        (json!({"id": "x", "builder": 3, "number": 1, "results": 0}), "/builder", "its name, or Buildbot"),
        (json!({"id": "x", "number": 1, "results": 0}), "", "builder"),
        (json!({"builder": "b", "number": 1, "results": 0}), "/id", "Idempotency-Key"),
        (json!({"id": "\u{7}", "builder": "b", "number": 1, "results": 0}), "/id", "control"),
        (json!({"id": "x", "builder": "b", "number": 1, "complete": true}), "/results", "missing"),
        (json!({"id": "x", "builder": "b", "number": 1, "state": "green"}), "/state", ""),
        (json!({"id": "x", "builder": "b", "number": 1, "results": 0, "steps": [{"name": "s", "logs": [{"name": 1}]}]}), "/steps/0/logs/0/name", "string"),
        (json!({"id": "x", "builder": "b", "number": 1}), "", "one of `state` and `results`"),
        (json!([]), "", "object"),
    ];
    for (body, member, why) in cases {
        let (status, answer) = inbox.take(body.clone()).await;
        assert_eq!((status, &answer["member"]), (400, &json!(member)), "{body}: {answer}");
        assert!(answer["error"].as_str().unwrap().contains(why), "{body}: {answer}");
    }
    assert!(inbox.journal.events().is_empty());

    let schema: Value = inbox.client.get(format!("{}/schema.json", inbox.url)).send().await.unwrap().json().await.unwrap();
    assert_eq!(schema["required"], json!(["builder", "number"]));
    let other = inbox.client.get(&inbox.url).send().await.unwrap();
    assert_eq!(other.status(), 405);
}

#[tokio::test]
async fn integers_are_integers_however_they_are_written() {
    let inbox = running().await;
    let written = r#"{"builder": {"name": "b", "builderid": 5.0}, "number": 1e3, "buildid": 77.0, "results": 2.0, "started_at": 1.0e9, "complete_at": 1000000060.0,
        "buildrequestid": 38.0, "buildrequest": {"buildsetid": 39.0}, "prev_build": {"number": 999.0, "results": 0.0}, "parentbuild": {"buildid": 35.0},
        "steps": [{"name": "s", "stepid": 2.0, "results": -0.0, "logs": [{"name": "stdio", "logid": 9.0, "content": ""}]}],
        "properties": {"ratio": 0.5, "large": 1e300, "whole": 3e0}}"#;
    assert_eq!(inbox.post("Bearer right", None, written).await, (202, json!({"id": "ci/builds/77/finished", "known": false})));
    let (event, mut details) = inbox.journal.events().remove(0);
    let plain = written.replace("1e3,", "1000,").replace("1.0e9", "1000000000").replace("-0.0", "0").replace(".0", "").replace("77", "78");
    assert_eq!(inbox.post("Bearer right", None, &plain).await.0, 202);
    let (other, expected) = inbox.journal.events().remove(1);
    assert_eq!((&event.message["results"], &event.message["number"], event.occurred_at), (&json!(2), &json!(1000), 1_000_000_060));
    assert_eq!(event.message.to_string(), other.message.to_string().replace("78", "77"));
    assert_eq!(details.remove(1).1[0]["whole"], json!([3.0, "Inbox"]));
    for path in ["steps/2/logs", "logs/9/contents", "builds/35", "builders/5", "builders/5/builds?number__lt=1000&order=-number&limit=10"] {
        let of = |details: &[(String, Rows)]| details.iter().find(|(at, _)| at == path).unwrap_or_else(|| panic!("no {path}")).1.clone();
        assert_eq!(of(&details), of(&expected), "{path}");
    }
    for (number, member) in [("1.5", "/number"), ("1e300", "/number"), ("-1.0", "/number")] {
        let (status, answer) = inbox.post("Bearer right", None, &format!(r#"{{"id": "x", "builder": "b", "number": {number}, "results": 0}}"#)).await;
        assert_eq!((status, &answer["member"]), (400, &json!(member)), "{number}: {answer}");
    }
}

#[tokio::test]
async fn what_python_takes_for_json_is_taken() {
    let inbox = running().await;
    let (status, answer) = inbox
        .post(
            "Bearer right",
            None,
            r#"{"id": "x", "builder": "b", "number": 1, "results": 0, "properties": {"limit": Infinity, "file": "a\udcffb", "n": [NaN, "Step"]}}"#,
        )
        .await;
    assert_eq!(status, 202, "{answer}");
    let events = inbox.journal.events();
    let properties = details(&events[0], &paths::properties(events[0].0.message["buildid"].as_i64().unwrap()));
    assert_eq!(
        (&properties[0]["limit"], &properties[0]["file"], &properties[0]["n"]),
        (&json!([null, "Inbox"]), &json!(["a\u{fffd}b", "Inbox"]), &json!([null, "Step"]))
    );
    let (status, answer) = inbox.post("Bearer right", None, r#"{"id": "x", "number": NaN"#).await;
    assert_eq!((status, &answer["error"]), (400, &json!("the body is not JSON: expected value at line 1 column 23")));
}

#[tokio::test]
async fn a_token_that_cannot_be_read_is_told_of_once() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::INFO).with_ansi(false).with_writer(Arc::new(log.reopen().unwrap())).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let cause = Arc::new(Mutex::new("no such file"));
    let reveal = {
        let cause = cause.clone();
        move |_: &SecretRef| match *cause.lock().unwrap() {
            "" => Ok(Plain::new("right")),
            cause => Err(VaultError::Unreadable { secret: "inbox".into(), cause: cause.into() }),
        }
    };
    let inbox = running_with(Inbox::new("ci", settings(), Arc::new(reveal))).await;
    for (now, status) in [("no such file", 503), ("it is empty", 503), ("", 401), ("it is empty", 503)] {
        *cause.lock().unwrap() = now;
        for _ in 0..3 {
            assert_eq!(inbox.post("Bearer wrong", None, "{}").await.0, status, "{now}");
        }
    }
    let said = std::fs::read_to_string(log.path()).unwrap();
    let lines: Vec<&str> = said.lines().filter(|line| line.contains("token")).collect();
    assert_eq!(lines.len(), 4, "{said}");
    for (line, says) in lines.iter().zip(["no such file", "it is empty", "can be read again", "it is empty"]) {
        assert!(line.contains(says) && line.contains("source=\"ci\""), "no {says:?} in {line}");
        assert_eq!(line.contains("ERROR"), !says.contains("again"), "{line}");
    }
}

#[tokio::test]
async fn a_post_that_never_ends_does_not_keep_the_host_from_ending() {
    let Running { url, inbox, .. } = running().await;
    let (listener, address) = inbox.listen().await.unwrap();
    let (stop, shutdown) = watch::channel(false);
    let serving = tokio::spawn(inbox.clone().serve(listener, Arc::new(Memory::default()), shutdown));
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer right\r\nContent-Length: 100\r\n\r\n{").await.unwrap();
    // The server has taken the connection when it answers another.
    let schema = url.replace(&url[..url.len() - "/events".len()], &format!("http://{address}")) + "/schema.json";
    assert_eq!(reqwest::get(schema).await.unwrap().status(), 200);
    stop.send(true).unwrap();
    tokio::time::timeout(GOODBYE * 10, serving).await.expect("it ends").unwrap();
}

/// Reads what is still answered on a connection, until its end.
async fn rest(mut stream: TcpStream) -> String {
    let mut rest = Vec::new();
    // A connection that is reset has ended as well.
    let _ = stream.read_to_end(&mut rest).await;
    String::from_utf8_lossy(&rest).into_owned()
}

// Time is paused: it passes when everybody waits.
#[tokio::test(start_paused = true)]
async fn a_head_that_does_not_come_ends_its_connection() {
    let inbox = running().await;
    let address = inbox.url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let begun = Instant::now();
    let silent = TcpStream::connect(&address).await.unwrap();
    let mut slow = TcpStream::connect(&address).await.unwrap();
    slow.write_all(b"POST /events HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    assert!(!rest(slow).await.contains("200"));
    assert!(!rest(silent).await.contains("200"));
    assert!(begun.elapsed() >= HEAD);

    // Nor does one whose token is wrong keep its place.
    let mut stranger = TcpStream::connect(&address).await.unwrap();
    stranger.write_all(b"POST /events HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n").await.unwrap();
    let answer = rest(stranger).await;
    assert!(answer.starts_with("HTTP/1.1 401"), "{answer}");
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_makes_room_for_who_does() {
    let inbox = running().await;
    let address = inbox.url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    // One that is being asked something, and many that begin and go no further.
    let mut busy = TcpStream::connect(&address).await.unwrap();
    busy.write_all(b"POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer right\r\nContent-Length: 2\r\n\r\n{").await.unwrap();
    let mut idle = Vec::new();
    for _ in 0..CONNECTIONS + 44 {
        let mut half = TcpStream::connect(&address).await.unwrap();
        half.write_all(b"POST /events HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
        idle.push(half);
    }
    let begun = Instant::now();
    let mut late = TcpStream::connect(&address).await.unwrap();
    late.write_all(b"GET /events/schema.json HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.unwrap();
    let answer = rest(late).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(begun.elapsed() < HEAD, "{:?}", begun.elapsed());
    busy.write_all(b"}").await.unwrap();
    let mut answer = [0; 12];
    busy.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 400", "what was asked is answered");
}

#[tokio::test]
async fn a_head_is_read_up_to_a_bound() {
    let inbox = running().await;
    let head = |bytes: usize| inbox.client.get(format!("{}/schema.json", inbox.url)).header("x-long", "x".repeat(bytes)).send();
    assert_eq!(head(30 << 10).await.unwrap().status(), 200);
    assert!(head(64 << 10).await.is_ok_and(|answer| answer.status() == 431) || head(64 << 10).await.is_err());
}

#[tokio::test]
async fn what_is_no_address_becomes_no_link() {
    let inbox = running().await;
    let step = |url: &str| json!({"name": "s", "urls": [{"name": "n", "url": url}]});
    for (n, (url, stays)) in [
        ("https://ci.example/1", true),
        ("/builds/1", true),
        ("mailto:a@example.org", true),
        ("javascript:alert(1)", false),
        (" JavaScript:alert(1)", false),
        ("java\tscript:alert(1)", false),
        ("data:text/html,x", false),
        ("vbscript:x", false),
    ]
    .into_iter()
    .enumerate()
    {
        let build = json!({"id": n.to_string(), "builder": "b", "number": 1, "results": 0, "url": url, "steps": [step(url)], "changes": [{"revlink": url}]});
        assert_eq!(inbox.take(build).await.0, 202, "{url}");
        let arrived = inbox.journal.events().pop().unwrap();
        let build = arrived.0.message["buildid"].as_i64().unwrap();
        assert_eq!(arrived.0.message.get("url").is_some(), stays, "{url}");
        let link = if stays { url } else { "" };
        assert_eq!(details(&arrived, &paths::steps(build))[0]["urls"][0]["url"], link);
        assert_eq!(details(&arrived, &paths::changes(build))[0]["revlink"], link);
    }
}

// Time is paused: it passes when everybody waits.
#[tokio::test(start_paused = true)]
async fn so_much_is_held_of_posts_at_a_time() {
    let inbox = Inbox::new("ci", InboxSettings { most_bytes: 32 << 20, ..settings() }, Arc::new(|_| Ok(Plain::new("right"))));
    let inbox = running_with(inbox).await;
    let address = inbox.url.strip_prefix("http://").unwrap().split('/').next().unwrap().to_owned();
    let begin = async |length: usize| {
        let mut post = TcpStream::connect(&address).await.unwrap();
        let head = format!("POST /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer right\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        post.write_all(head.as_bytes()).await.unwrap();
        post
    };
    let (one, two) = (begin(32 << 20).await, begin(32 << 20).await);
    // The server has taken both when it answers another.
    assert!(inbox.client.get(format!("{}/schema.json", inbox.url)).send().await.unwrap().status().is_success());
    let begun = Instant::now();
    let mut small = begin(2).await;
    small.write_all(b"{}").await.unwrap();
    let answer = rest(small).await;
    assert!(answer.starts_with("HTTP/1.1 400") && begun.elapsed() >= BODY / 2, "it waited for the others: {answer}");
    for slow in [one, two] {
        assert!(rest(slow).await.starts_with("HTTP/1.1 408"));
    }
}

#[tokio::test]
async fn a_document_of_too_many_values_is_refused_before_it_is_parsed() {
    assert_eq!(values(br#"{"a": [1, "x,[\"{\\", {"b": null}], "c": []}"#), 1 + 1 + 3 + 1 + 1 + 1);
    let inbox = Inbox::new("ci", InboxSettings { most_bytes: 4 << 20, ..settings() }, Arc::new(|_| Ok(Plain::new("right"))));
    let inbox = running_with(inbox).await;
    let document = |lists: usize| json!({"id": "x", "builder": "b", "number": 1, "results": 0, "properties": {"p": vec![json!([]); lists]}}).to_string();
    let (status, answer) = inbox.post("Bearer right", None, &document(VALUES)).await;
    assert_eq!(status, 413, "{answer}");
    assert!(answer["error"].as_str().unwrap().contains("more than 50000 values"), "{answer}");
    assert!(inbox.journal.events().is_empty());
    assert_eq!(inbox.post("Bearer right", None, &document(VALUES / 2 - 100)).await.0, 202);
}
