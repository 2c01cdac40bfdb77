//! The whole host: builds that failed are played to services, whose server answers as the test says.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use reporter_host::event::Event;
use reporter_host::host::{Host, Workbench};
use reporter_host::source::recording::Writer;
use reporter_host::store::{Delivery, End, Settle, Settled};
use reporter_host::tenant::Components;
use reporter_host::tenant::settings::load_to_run;
use reporter_host_tests::build;

/// A request as it arrived.
#[derive(Clone, Debug)]
pub struct Post {
    /// Path and query.
    pub target: String,
    pub headers: HeaderMap,
    pub body: String,
}

/// A server that keeps what comes.
pub struct Server {
    pub port: u16,
    posts: Arc<Mutex<Vec<Post>>>,
}

impl Server {
    /// It answers the n-th request (from 0) to a path with what this says of path and n: status and body.
    pub async fn start(answers: fn(&str, usize) -> (u16, &'static str)) -> Self {
        let posts = Arc::new(Mutex::new(Vec::<Post>::new()));
        let kept = posts.clone();
        let keep = async move |uri: Uri, headers: HeaderMap, body: Bytes| {
            let mut posts = kept.lock().unwrap();
            let before = posts.iter().filter(|post| post.target.split('?').next() == Some(uri.path())).count();
            let (status, answer) = answers(uri.path(), before);
            posts.push(Post { target: uri.to_string(), headers, body: String::from_utf8_lossy(&body).into_owned() });
            (StatusCode::from_u16(status).unwrap(), answer)
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(keep)).await });
        Self { port, posts }
    }

    /// One that is content with everything.
    pub async fn content() -> Self {
        Self::start(|_, _| (200, "{}")).await
    }

    pub fn posts(&self) -> Vec<Post> {
        self.posts.lock().unwrap().clone()
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

/// What became of units and deliveries, by entry.
#[derive(Default)]
pub struct Noted {
    ends: Mutex<Vec<(String, String)>>,
    titles: Mutex<Vec<String>>,
}

impl Noted {
    pub fn of(&self, entry: &str) -> Vec<String> {
        self.ends.lock().unwrap().iter().filter(|(name, _)| name == entry).map(|(_, what)| what.clone()).collect()
    }

    /// The titles of deliveries.
    pub fn titles(&self) -> Vec<String> {
        self.titles.lock().unwrap().clone()
    }
}

impl reporter_host::dispatch::Observer for Noted {
    fn unit(&self, _: &Event, entry: &str, end: &End, _: &[(String, String)]) {
        self.ends.lock().unwrap().push((entry.to_owned(), format!("{end:?}")));
    }
}

impl reporter_host::delivery::Observer for Noted {
    fn settled(&self, delivery: &Delivery, settled: &Settled) {
        let what = match &settled.settle {
            Settle::Delivered => "delivered".to_owned(),
            other => format!("{other:?}"),
        };
        self.titles.lock().unwrap().push(delivery.new.title.clone());
        self.ends.lock().unwrap().push((delivery.new.entry.clone(), what));
    }
}

/// An entry of the hostile reporter that may reach the server, with more settings.
pub fn hostile(name: &str, what: &str, more: &str) -> String {
    format!("[[services]]\ncomponent = 'hostile.wasm'\nname = '{name}'\nallow = ['SERVER', 'smtp://127.0.0.1:25']\ndo = '{what}'\nserverUrl = 'SERVER/{name}'\n{more}\n")
}

/// Plays builds 1 to `builds` to these services, and waits until everything has ended. `SERVER` stands for the server's address.
pub async fn play(folder: &Path, settings: &str, builds: u64, port: u16) -> Arc<Noted> {
    let mut recording = Writer::append(&folder.join("recording.jsonl")).unwrap();
    for number in 1..=builds {
        let (mut event, source) = build(2);
        event.id = format!("main/builds/{number}/finished");
        let details: Vec<_> = source.rows().map(|(path, rows)| (path.clone(), rows.clone())).collect();
        recording.write(&event, &details).unwrap();
    }
    std::fs::write(folder.join("hostile.wasm"), test_guests::HOSTILE).unwrap();
    let settings = settings.replace("SERVER", &format!("http://127.0.0.1:{port}"));
    let file = folder.join("settings.toml");
    std::fs::write(&file, format!("[limits]\ncompute_ms = 300\n[[recordings]]\nfile = 'recording.jsonl'\n{settings}")).unwrap();
    let workbench = Workbench::new().unwrap();
    let settings = load_to_run(&file, &Components::new(workbench.loader.clone())).unwrap_or_else(|report| panic!("{}", report.render(false)));
    let noted = Arc::new(Noted::default());
    let host = Host::start(workbench, &settings, noted.clone()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(120), host.finished()).await.expect("everything ends").unwrap();
    host.stop().await;
    noted
}

/// The same with one build, and nothing kept.
pub async fn play_once(settings: &str, server: &Server) -> Arc<Noted> {
    play(tempfile::tempdir().unwrap().path(), settings, 1, server.port).await
}

/// With the server's address, which is a private one, open to components.
pub fn open(services: impl AsRef<str>) -> String {
    format!("[network]\nallow = '127.0.0.1'\n{}", services.as_ref())
}
