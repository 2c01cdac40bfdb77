//! The whole host with entries that spin, that reach for what is not theirs, and one that does its work.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use reporter_host::event::Event;
use reporter_host::host::{Host, Workbench};
use reporter_host::source::recording::Writer;
use reporter_host::store::{Delivery, End, Settle, Settled};
use reporter_host::tenant::Components;
use reporter_host::tenant::settings::load_to_run;
use reporter_host_tests::build;
use serde_json::Value;

type Posts = Arc<Mutex<Vec<(String, Value)>>>;

/// A server that keeps what is posted, by path.
async fn server() -> (u16, Posts) {
    let posts = Posts::default();
    let keep = |State(posts): State<Posts>, uri: axum::http::Uri, body: String| async move {
        posts.lock().unwrap().push((uri.path().to_owned(), serde_json::from_str(&body).unwrap_or(Value::String(body))));
    };
    let app = Router::new().fallback(keep).with_state(posts.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (port, posts)
}

/// What became of units and deliveries, by entry.
#[derive(Default)]
struct Noted(Mutex<Vec<(String, String)>>);

impl Noted {
    fn of(&self, entry: &str) -> Vec<String> {
        self.0.lock().unwrap().iter().filter(|(name, _)| name == entry).map(|(_, what)| what.clone()).collect()
    }
}

impl reporter_host::dispatch::Observer for Noted {
    fn unit(&self, _: &Event, entry: &str, end: &End, _: &[(String, String)]) {
        self.0.lock().unwrap().push((entry.to_owned(), format!("{end:?}")));
    }
}

impl reporter_host::delivery::Observer for Noted {
    fn settled(&self, delivery: &Delivery, settled: &Settled) {
        let what = match &settled.settle {
            Settle::Delivered => "delivered".to_owned(),
            other => format!("{other:?}"),
        };
        self.0.lock().unwrap().push((delivery.new.entry.clone(), what));
    }
}

/// Plays one failed build to these services, and waits until everything has ended.
async fn play(services: &str, port: u16) -> Arc<Noted> {
    let folder = tempfile::tempdir().unwrap();
    let (event, source) = build(2);
    let details: Vec<_> = source.rows().map(|(path, rows)| (path.clone(), rows.clone())).collect();
    Writer::append(&folder.path().join("recording.jsonl")).unwrap().write(&event, &details).unwrap();
    std::fs::write(folder.path().join("hostile.wasm"), test_guests::HOSTILE).unwrap();
    let text = format!("[limits]\ncompute_ms = 300\n[[recordings]]\nfile = 'recording.jsonl'\n{}", services.replace("SERVER", &format!("http://127.0.0.1:{port}")));
    let file = folder.path().join("settings.toml");
    std::fs::write(&file, text).unwrap();
    let workbench = Workbench::new().unwrap();
    let settings = load_to_run(&file, &Components::new(workbench.loader.clone())).unwrap_or_else(|report| panic!("{}", report.render(false)));
    let noted = Arc::new(Noted::default());
    let host = Host::start(workbench, &settings, noted.clone()).await.unwrap();
    tokio::time::timeout(Duration::from_secs(120), host.finished()).await.expect("everything ends").unwrap();
    host.stop().await;
    noted
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_fails_says_so_plainly_and_the_others_go_on() {
    let (port, posts) = server().await;
    let noted = play(
        "[[services]]\nreporter = 'HttpStatusPush'\nname = 'spins'\nserverUrl = 'SERVER/spins'\n\
         messageFormatter = { template = '{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}' }\n\
         [[services]]\ncomponent = 'hostile.wasm'\nname = 'foreign'\nallow = ['SERVER', 'smtp://127.0.0.1:25']\ndo = 'loop'\nserverUrl = 'SERVER/foreign'\n\
         [[services]]\nreporter = 'HttpStatusPush'\nname = 'works'\nserverUrl = 'SERVER/works'\n",
        port,
    )
    .await;
    let posts = posts.lock().unwrap();
    let at = |path: &str| posts.iter().filter(|(at, _)| at == path).map(|(_, body)| body.clone()).collect::<Vec<_>>();
    let plain = at("/spins");
    assert_eq!(plain.len(), 1, "{posts:?}");
    assert_eq!(plain[0]["summary"], "Build 12 of linux ended: failure");
    assert!(plain[0]["message"].as_str().unwrap().contains("compute_ms"), "{plain:?}");
    assert_eq!(at("/works").len(), 1);
    assert!(at("/foreign").is_empty());
    assert!(noted.of("foreign")[0].contains("compute_ms"), "{:?}", noted.of("foreign"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_component_reaches_no_private_address_unless_the_operator_says_so() {
    let (port, posts) = server().await;
    let service = "[[services]]\ncomponent = 'hostile.wasm'\nname = 'foreign'\nallow = ['SERVER', 'smtp://127.0.0.1:25']\ndo = 'send'\nserverUrl = 'SERVER/hook'\n";
    let noted = play(service, port).await;
    let ended = noted.of("foreign");
    assert!(ended.last().unwrap().contains("address 127.0.0.1 is not allowed"), "{ended:?}");
    assert!(posts.lock().unwrap().is_empty());

    let noted = play(&format!("[network]\nallow = '127.0.0.1'\n{service}"), port).await;
    assert_eq!(noted.of("foreign").last().unwrap(), "delivered");
    assert_eq!(posts.lock().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_is_given_up_when_it_is_of_no_use_any_more() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let service = "[network]\nallow = '127.0.0.1'\n[[services]]\ncomponent = 'hostile.wasm'\nname = 'asks'\nallow = ['SERVER', 'smtp://127.0.0.1:25']\n\
                   do = 'wait'\nserverUrl = 'SERVER/hook'\nexpires_after = '1 s'\n";
    let ended = play(service, nobody).await.of("asks");
    let (last, before) = ended.split_last().unwrap();
    assert!(!before.is_empty() && before.iter().all(|end| end.starts_with("Again") && end.contains("NotNow")), "{ended:?}");
    assert!(last.starts_with("Failed") && last.contains("`expires_after`"), "{ended:?}");
}
