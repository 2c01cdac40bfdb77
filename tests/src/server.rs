//! An HTTP server for what the host sends: it keeps what comes, and answers as the test says.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::Value;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Post {
    /// What was asked for.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// As they came.
    pub headers: HeaderMap,
    /// As text; what is not UTF-8 is replaced.
    pub body: String,
}

impl Post {
    /// Its path, encoded as it came.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// The pairs of its query.
    pub fn query(&self) -> BTreeMap<String, String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
    }

    /// The fields of a form; none if it is of another type.
    pub fn form(&self) -> BTreeMap<String, String> {
        if self.headers.get("content-type").is_none_or(|kind| kind != "application/x-www-form-urlencoded") {
            return BTreeMap::new();
        }
        url::form_urlencoded::parse(self.body.as_bytes()).into_owned().collect()
    }

    /// The body as JSON; a text if it is none.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| Value::String(self.body.clone()))
    }
}

/// What is answered.
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Reply {
    /// A status and a body.
    pub fn of(status: u16, body: impl Into<String>) -> Self {
        Self { status, headers: Vec::new(), body: body.into() }
    }

    /// With a header.
    pub fn header(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// A server that keeps what comes.
pub struct Server {
    /// Its port at 127.0.0.1.
    pub port: u16,
    posts: Arc<Mutex<Vec<Post>>>,
}

impl Server {
    /// It answers the n-th request (from 0) to a path with what this says of path and n: status and body.
    pub async fn start(answers: fn(&str, usize) -> (u16, &'static str)) -> Self {
        Self::of(move |post, before| {
            let (status, body) = answers(post.path(), before);
            Reply::of(status, body)
        })
        .await
    }

    /// It answers with what this says of the request, and of how many came to its path before.
    pub async fn of(answers: impl Fn(&Post, usize) -> Reply + Send + Sync + 'static) -> Self {
        reporter_host::transport::install_crypto();
        let posts = Arc::new(Mutex::new(Vec::<Post>::new()));
        let (kept, answers) = (posts.clone(), Arc::new(answers));
        let keep = async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
            let mut posts = kept.lock().unwrap_or_else(PoisonError::into_inner);
            let post = Post { method, target: uri.to_string(), headers, body: String::from_utf8_lossy(&body).into_owned() };
            let before = posts.iter().filter(|earlier| earlier.path() == post.path()).count();
            let reply = answers(&post, before);
            posts.push(post);
            let mut headers = HeaderMap::new();
            for (name, value) in reply.headers {
                headers.insert(name, value.parse().expect("a header"));
            }
            (StatusCode::from_u16(reply.status).expect("a status"), headers, reply.body)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(keep)).await });
        Self { port, posts }
    }

    /// One that is content with everything.
    pub async fn content() -> Self {
        Self::start(|_, _| (200, "{}")).await
    }

    /// Everything that came, oldest first.
    pub fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What came below a path, oldest first.
    pub fn bodies(&self, path: &str) -> Vec<String> {
        self.posts().into_iter().filter(|post| post.target.starts_with(path)).map(|post| post.body).collect()
    }

    /// The same, in the order of their texts: what has no lane goes out side by side.
    pub fn sorted(&self, path: &str) -> Vec<String> {
        let mut bodies = self.bodies(path);
        bodies.sort();
        bodies
    }
}
