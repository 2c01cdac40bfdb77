//! A master that is made up, for tests.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::*;
use crate::secret::Plain;
use crate::source::memory::Memory;
use crate::transport::Verify;
use crate::transport::policy::Policy;

#[derive(Default)]
pub(super) struct Made {
    pub builds: Vec<Value>,
    pub requests: Vec<Value>,
    pub sets: Vec<Value>,
    pub workers: Vec<Value>,
    /// The session that is valid; none: everybody may read.
    pub session: Option<u32>,
    pub logins: u32,
    pub asked: Vec<String>,
    pub late_owners: u32,
    /// The path whose answer has no end, and how many bytes of it went out.
    pub endless: Option<&'static str>,
    pub went_out: usize,
    /// Workers that the account may not pause.
    pub kept: Vec<i64>,
    /// After so many control calls the master is gone.
    pub ends_after: Option<usize>,
    /// Answers as they are written, by path.
    pub written: Vec<(&'static str, &'static str)>,
}

pub(super) type Shared = Arc<Mutex<Made>>;

pub(super) async fn serve(made: Shared) -> url::Url {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let routes = Router::new().route("/auth/login", get(login)).route("/api/v2/{*path}", get(api).post(control)).with_state(made);
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    url
}

/// An answer without an end.
pub(super) fn endless(made: Shared) -> Response {
    let more = futures_util::stream::repeat_with(move || {
        made.lock().unwrap().went_out += 64 << 10;
        Ok::<_, std::io::Error>(vec![b' '; 64 << 10])
    });
    Response::new(axum::body::Body::from_stream(more))
}

/// `pause` and `unpause` of a worker.
async fn control(State(made): State<Shared>, uri: Uri, body: axum::body::Bytes) -> Response {
    let mut made = made.lock().unwrap();
    if let Some(left) = &mut made.ends_after {
        if *left == 0 {
            return (StatusCode::GATEWAY_TIMEOUT, "nobody answers").into_response();
        }
        *left -= 1;
    }
    let id: i64 = uri.path().rsplit('/').next().unwrap().parse().unwrap();
    if made.kept.contains(&id) {
        return (StatusCode::FORBIDDEN, json!({"error": {"code": 403, "message": "you need to have role 'boss'"}}).to_string()).into_response();
    }
    let call: Value = serde_json::from_slice(&body).unwrap();
    let worker = made.workers.iter_mut().find(|worker| worker["workerid"] == id).unwrap();
    worker["paused"] = json!(call["method"] == "pause");
    worker["pause_reason"] = call["params"]["reason"].clone();
    json!({"jsonrpc": "2.0", "id": 1, "result": null}).to_string().into_response()
}

pub(super) async fn login(State(made): State<Shared>, headers: HeaderMap) -> Response {
    if made.lock().unwrap().endless == Some("login") {
        return endless(made);
    }
    if headers.get("authorization").is_none_or(|given| given != "Basic YWRtaW46c2VjcmV0") {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let mut made = made.lock().unwrap();
    made.logins += 1;
    made.session = Some(made.logins);
    let mut answer = (StatusCode::FOUND, [("location", "/#/")], "").into_response();
    for cookie in ["TWISTED_SESSION=anonymous; Path=/".to_owned(), format!("TWISTED_SESSION=s{}; Path=/", made.logins)] {
        answer.headers_mut().append("set-cookie", cookie.parse().unwrap());
    }
    answer
}

async fn api(State(made): State<Shared>, uri: Uri, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let path = uri.path().trim_start_matches("/api/v2/").to_owned();
    if made.lock().unwrap().endless == Some(path.as_str()) {
        return endless(made);
    }
    let mut made = made.lock().unwrap();
    let query = query.unwrap_or_default();
    made.asked.push(format!("{path}?{query}"));
    let cookie = headers.get("cookie").and_then(|cookie| cookie.to_str().ok()).unwrap_or_default();
    if made.session.is_some_and(|session| cookie != format!("TWISTED_SESSION=s{session}")) {
        return (StatusCode::FORBIDDEN, "{\"error\": \"you need to have role 'admins'\"}").into_response();
    }
    if let Some((_, answer)) = made.written.iter().find(|(at, _)| *at == path) {
        return (*answer).into_response();
    }
    let rows = |plural: &str, rows: Vec<Value>| {
        axum::response::Response::new(axum::body::Body::from(json!({plural: rows, "meta": {"total": rows.len()}}).to_string()))
    };
    match path.split('/').collect::<Vec<_>>()[..] {
        ["builds"] => rows("builds", select(&made.builds, &query)),
        ["buildrequests"] => rows("buildrequests", select(&made.requests, &query)),
        ["buildsets"] => rows("buildsets", select(&made.sets, &query)),
        ["workers"] => rows("workers", made.workers.clone()),
        ["builders"] => rows("builders", vec![json!({"builderid": 1, "name": "b"})]),
        ["buildrequests", id, "builds"] => rows("builds", select(&made.builds, &format!("buildrequestid={id}"))),
        ["builds", id] => match &select(&made.builds, &format!("buildid={id}"))[..] {
            [] => StatusCode::NOT_FOUND.into_response(),
            found => rows("builds", found.to_vec()),
        },
        ["buildrequests", _] | ["buildsets", _] => StatusCode::NOT_FOUND.into_response(),
        ["builds", id, "properties"] => {
            made.late_owners = made.late_owners.saturating_sub(1);
            if made.late_owners == 0 {
                made.builds.iter_mut().filter(|build| build["buildid"].to_string() == id).for_each(|build| build["state_string"] = json!("preparing worker"));
            }
            let written = made.late_owners == 0;
            rows("properties", vec![if written { json!({"owners": [["alice"], "Build"]}) } else { json!({}) }])
        }
        ["logs", "9", "contents"] => {
            let number = |key: &str| query.split('&').find_map(|pair| pair.strip_prefix(key)).unwrap().parse::<usize>().unwrap();
            let lines = (number("offset=")..3000.min(number("offset=") + number("limit="))).map(|n| format!("oline {n} é\n")).collect::<String>();
            rows("logchunks", vec![json!({"logid": 9, "firstline": number("offset="), "content": lines})])
        }
        _ => (StatusCode::NOT_FOUND, "{\"error\": \"Invalid path\"}").into_response(),
    }
}

/// As the master filters, orders and limits.
fn select(rows: &[Value], query: &str) -> Vec<Value> {
    let mut rows = rows.to_vec();
    let mut limit = usize::MAX;
    let mut equal: Vec<(&str, &str)> = Vec::new();
    for (key, value) in query.split('&').filter_map(|pair| pair.split_once('=')) {
        let number: i64 = value.parse().unwrap_or_default();
        match key.split_once("__") {
            None if key == "limit" => limit = value.parse().unwrap(),
            None if key == "order" => {
                let field = value.trim_start_matches('-');
                rows.sort_by_key(|row| row[field].as_i64());
                if value.starts_with('-') {
                    rows.reverse();
                }
            }
            None if key == "field" => {}
            None => equal.push((key, value)),
            Some((field, op)) => rows.retain(|row| {
                row[field].as_i64().is_some_and(|have| match op {
                    "gt" => have > number,
                    "ge" => have >= number,
                    "lt" => have < number,
                    "le" => have <= number,
                    _ => true,
                })
            }),
        }
    }
    rows.retain(|row| equal.iter().all(|(key, _)| equal.iter().any(|(other, value)| other == key && row[*key].to_string() == *value)));
    rows.truncate(limit);
    rows
}

pub(super) fn build(id: i64, started: i64, results: Option<i64>) -> Value {
    json!({"buildid": id, "number": id, "builderid": 1, "buildrequestid": id, "started_at": started, "complete_at": results.map(|_| started + 5),
        "complete": results.is_some(), "results": results, "state_string": "building", "properties": {}})
}

pub(super) fn operator() -> Arc<Policy> {
    Arc::new(Policy::operator())
}

pub(super) fn master(url: &url::Url, with_login: bool) -> Arc<Master> {
    with_command(url, with_login, None)
}

pub(super) fn with_command(url: &url::Url, with_login: bool, shutdown_command: Option<Vec<String>>) -> Arc<Master> {
    let settings = MasterSettings {
        url: url.clone(),
        login: None,
        catch_up_from: None,
        catch_up_max: Duration::from_secs(86_400),
        poll_every: Duration::from_millis(20),
        worker_missing_after: Duration::ZERO,
        most_log_bytes: 20_000,
        shutdown_command,
        stop_command: None,
        verify: Verify::System,
    };
    Master::new("main", settings, Arc::new(move || Ok(with_login.then(|| (Plain::new("admin"), Plain::new("secret"))))), operator()).unwrap()
}

/// Runs the source until the journal is as it should be; then until a round later.
pub(super) async fn until(master: &Arc<Master>, made: &Shared, journal: &Arc<Memory>, ids: &[&str]) {
    let (stop, shutdown) = watch::channel(false);
    let running = tokio::spawn(master.clone().run(journal.clone(), shutdown));
    let mut rounds = 0;
    for _ in 0..1000 {
        tokio::time::sleep(Duration::from_millis(10)).await;
        let polls = |made: &Shared| made.lock().unwrap().asked.iter().filter(|path| *path == "workers?").count();
        if journal.ids() == ids {
            if rounds > 0 && polls(made) > rounds + 1 {
                break;
            }
            rounds = if rounds == 0 { polls(made) } else { rounds };
        }
    }
    stop.send(true).unwrap();
    running.await.unwrap();
    assert_eq!(journal.ids(), ids);
}
