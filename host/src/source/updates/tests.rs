//! A service that gives updates, and a journal in memory.

use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use axum::Router;
use axum::body::Bytes;
use axum::http::{StatusCode, Uri};
use tokio::net::TcpListener;

use super::*;
use crate::secret::{Plain, Vault, VaultError};
use crate::transport::policy::{Level, Policy};
use crate::transport::{Ears, Endpoint};

const TOKEN: &str = "RHSECRETAAAAAAAAAAAAAAAAAAAAAAAA";

struct Known;

impl Vault for Known {
    fn reveal(&self, _: &str, placeholder: &str) -> Result<Option<Plain>, VaultError> {
        Ok((placeholder == TOKEN).then(|| Plain::new("123:top-secret".to_owned())))
    }
    fn values(&self) -> Vec<Plain> {
        vec![Plain::new("123:top-secret".to_owned())]
    }
}

/// What was heard: numbers and updates; the first `full` times the store takes nothing.
#[derive(Default)]
struct Heard {
    updates: Mutex<Vec<(Option<String>, Value)>>,
    full: Mutex<usize>,
}

#[async_trait]
impl Ears for Heard {
    async fn heard(self: Arc<Self>, entry: &str, endpoint: &str, _: i64, number: Option<&str>, update: Value) -> bool {
        assert_eq!((entry, endpoint), ("bot", "api"));
        let mut full = self.full.lock().unwrap();
        if *full > 0 && number.is_some() {
            *full -= 1;
            return false;
        }
        let mut updates = self.updates.lock().unwrap();
        if number.is_none() || updates.iter().all(|(known, _)| known.as_deref() != number) {
            updates.push((number.map(str::to_owned), update));
        }
        true
    }
}

impl Heard {
    /// The texts of the updates.
    fn texts(&self) -> Vec<String> {
        let updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        updates.iter().filter(|(number, _)| number.is_some()).map(|(_, update)| update["update"]["text"].as_str().unwrap_or_default().to_owned()).collect()
    }

    async fn until(&self, count: usize) -> Vec<String> {
        for _ in 0..600 {
            if self.texts().len() >= count {
                return self.texts();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("only {:?}", self.texts());
    }
}

/// Answers what a test says of the request's number, path and body.
async fn service(answers: impl Fn(usize, &str, &str) -> (u16, String) + Send + Sync + 'static) -> (u16, Arc<Mutex<Vec<(String, String)>>>) {
    crate::transport::install_crypto();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (kept, answers) = (asked.clone(), Arc::new(answers));
    let take = async move |uri: Uri, body: Bytes| {
        let body = String::from_utf8_lossy(&body).into_owned();
        let number = {
            let mut kept = kept.lock().unwrap();
            kept.push((uri.to_string(), body.clone()));
            kept.len() - 1
        };
        let (status, answer) = answers(number, &uri.to_string(), &body);
        (StatusCode::from_u16(status).unwrap(), answer)
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
    (port, asked)
}

fn wanted(port: u16, updates: Value) -> Wanted {
    let settings = json!({"name": "api", "kind": "http", "base_url": format!("http://127.0.0.1:{port}/bot{TOKEN}"), "updates": updates});
    let mut endpoint: Endpoint = serde_json::from_value(settings).unwrap();
    endpoint.level = Level::Operator;
    Wanted { entry: "bot".into(), endpoint: Arc::new(endpoint), vault: Arc::new(Known), made_from: String::new() }
}

fn updates() -> Updates {
    let policy = |policy: Policy| Arc::new(policy);
    Updates::new(Arc::new(ByLevel::new(policy(Policy::operator()), policy(Policy::strict()), HttpTransport::new)))
}

fn whereto(heard: &Arc<Heard>) -> Whereto {
    Whereto { ears: heard.clone(), wake: Arc::new(|_| {}) }
}

fn poll() -> Value {
    json!({"poll": {"before": {"method": "POST", "path": ["forgetHook"]}, "request": {"method": "POST", "path": ["get"], "body": {"json": "{\"timeout\":1}"}},
                    "items": "/result", "number": "id", "next": "offset", "wait": 1, "pause": 1}})
}

#[tokio::test]
async fn what_is_fetched_is_journalled_before_it_is_confirmed_and_heard_once() {
    let (port, asked) = service(|number, path, body| match (number, path) {
        (0, _) => (502, "{}".into()),
        (1, _) => (200, "{\"ok\": true}".into()),
        (2, _) => (429, "{\"parameters\": {\"retry_after\": 1}}".into()),
        (3, _) => (200, json!({"result": [{"id": 7, "text": "a"}, {"nothing": 1}, {"id": 8, "text": "b"}]}).to_string()),
        // As after a crash: what was not confirmed comes again.
        (4, _) => (200, json!({"result": [{"id": 8, "text": "b"}, {"id": 9, "text": "c"}]}).to_string()),
        (5, _) => (409, "{\"description\": \"a webhook is set\"}".into()),
        (6, _) => (200, "{}".into()),
        (7, _) => (200, json!({"result": [{"id": 10, "text": serde_json::from_str::<Value>(body).unwrap().to_string()}]}).to_string()),
        _ => (200, "{\"result\": []}".into()),
    })
    .await;
    let heard = Arc::<Heard>::default();
    *heard.full.lock().unwrap() = 2;
    let it = updates();
    it.keep(vec![wanted(port, poll())], &whereto(&heard)).await;
    assert_eq!(heard.updates.lock().unwrap()[0].1["kind"], "started", "before anything else");
    assert_eq!(heard.until(4).await, ["a", "b", "c", "{\"timeout\":1,\"offset\":10}"]);
    it.end().await;
    let asked = asked.lock().unwrap().clone();
    let paths: Vec<&str> = asked.iter().map(|(path, _)| path.rsplit('/').next().unwrap()).collect();
    assert_eq!(paths[..8], ["forgetHook", "forgetHook", "get", "get", "get", "get", "forgetHook", "get"]);
    assert!(asked.iter().all(|(path, _)| path.starts_with("/bot123:top-secret/")));
    assert_eq!(asked[3].1, "{\"timeout\":1}", "nothing is confirmed yet");
    assert_eq!(asked[4].1, "{\"timeout\":1,\"offset\":9}");
    let silent = asked.len();
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert_eq!(asked.len(), silent, "nothing is asked any more");
}

#[tokio::test]
async fn who_knows_path_and_secret_is_heard_and_nobody_else() {
    let (port, asked) = service(|number, _, _| if number == 0 { (400, "{\"description\": \"bad\"}".into()) } else { (200, "{\"ok\": true}".into()) }).await;
    let heard = Arc::<Heard>::default();
    let it = updates();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    it.listen(Some(free)).await.unwrap();
    let hook = json!({"webhook": {"url": "https://ci.example/hooks/", "register": {"method": "POST", "path": ["set"], "query": [["url", "{url}"], ["s", "{secret}"]]},
                                  "secret_header": "X-Secret", "number": "id", "pause": 1}});
    it.keep(vec![wanted(port, hook)], &whereto(&heard)).await;
    for _ in 0..600 {
        if asked.lock().unwrap().len() >= 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let target = asked.lock().unwrap()[1].0.clone();
    let query: std::collections::HashMap<String, String> = url::form_urlencoded::parse(target.split_once('?').unwrap().1.as_bytes()).into_owned().collect();
    let (url, secret) = (query["url"].clone(), query["s"].clone());
    let path = url.strip_prefix("https://ci.example/").unwrap().to_owned();
    assert!(secret.len() == 32 && path.len() > 35 && secret != path, "{url} {secret}");
    let client = reqwest::Client::new();
    let post = async |path: &str, secret: &str, body: &str| {
        client.post(format!("http://{free}/{path}")).header("X-Secret", secret).body(body.to_owned()).send().await.unwrap().status().as_u16()
    };
    let good = "{\"id\": 4, \"text\": \"hello\"}";
    assert_eq!(post("hooks/0123", &secret, good).await, 404);
    assert_eq!(post("", &secret, good).await, 404);
    assert_eq!(post(&path, "", good).await, 401);
    assert_eq!(post(&path, "wrong", good).await, 401);
    assert_eq!(post(&path, &secret, "no json").await, 400);
    assert_eq!(post(&path, &secret, "{\"id\": \"4\"}").await, 400);
    assert_eq!(post(&path, &secret, &" ".repeat(MOST_BYTES + 1)).await, 413);
    assert_eq!(client.get(format!("http://{free}/{path}")).header("X-Secret", &secret).send().await.unwrap().status(), 405);
    assert_eq!(heard.texts(), [""; 0]);
    assert_eq!(post(&path, &secret, good).await, 200);
    assert_eq!(post(&path, &secret, good).await, 200, "again");
    assert_eq!(post(&path, &secret, "{\"id\": 5, \"text\": \"more\"}").await, 200);
    assert_eq!(heard.texts(), ["hello", "more"]);
    it.end().await;
    assert!(client.post(format!("http://{free}/{path}")).send().await.is_err(), "nobody listens any more");
}
