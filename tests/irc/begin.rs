//! What waited when a host ended, for the next one that begins on its folder.

use std::sync::Arc;
use std::time::Duration;

use reporter_host::host::{Host, Workbench, store_file};
use reporter_host::store::{End, Mode, NewDelivery, NewEvent, NewUnit, SqliteStore, Store as _, UnitEnd, now_ms};
use reporter_host::tenant::Components;
use reporter_host::tenant::settings::load_to_run;
use reporter_host::transport::{Endpoint, MasterCall, Payload};
use reporter_host_tests::bot::settings;
use reporter_host_tests::play::Noted;
use reporter_host_tests::server::Server;

use crate::host;

/// Calls that wait: some of them are made at once, before anything else of the host begins.
const CALLS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn control_calls_that_waited_find_their_master() {
    let master = Server::start(|_, _| (200, r#"{"jsonrpc": "2.0", "id": 1, "result": null}"#)).await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.toml");
    let source = format!("[[masters]]\nname = 'main'\nurl = 'http://127.0.0.1:{}/'\n", master.port);
    std::fs::write(&file, settings("", &source, &host::service(1, "channels = ['#ci']"))).unwrap();
    let workbench = Workbench::new().unwrap();
    let settings = load_to_run(&file, &Components::new(workbench.loader.clone())).unwrap_or_else(|report| panic!("{}", report.render(false)));

    // As a host leaves them that ends when they are recorded, and not yet sent.
    let store = SqliteStore::open(&store_file(&settings), Mode::Host).await.unwrap();
    let unit = NewUnit { entry: "bot".into(), order: String::new() };
    let (event, _) = reporter_host_tests::build(2);
    let journalled = store.journal("main", None, vec![NewEvent { event: Arc::new(event), details: Vec::new(), units: vec![unit] }]).await.unwrap();
    let endpoint = Endpoint::of_master("main");
    let stop = |n: usize| NewDelivery {
        uid: format!("{n:032}"),
        entry: "bot".into(),
        endpoint: endpoint.name.clone(),
        destination: endpoint.destination(),
        lane: None,
        supersede: None,
        tag: None,
        title: format!("stop of build {n}"),
        expires_ms: now_ms() + 3_600_000,
        payload: Arc::new(Payload::Master(MasterCall {
            master: "main".into(),
            path: vec!["builds".into(), n.to_string()],
            method: "stop".into(),
            parameters: "{}".into(),
        })),
        rules: Vec::new(),
    };
    let (unit, sends) = (journalled[0].units[0].clone(), (0..CALLS).map(stop).collect());
    store.end_unit(UnitEnd { unit, end: End::Sent, sends, state: Vec::new(), log: Vec::new(), reminders: Vec::new(), letter: None }).await.unwrap();
    store.close().await;

    let noted = Arc::new(Noted::default());
    let host = Host::start(workbench, &settings, noted.clone()).await.unwrap();
    let ended = || noted.of("bot").into_iter().filter(|end| !end.starts_with("Skipped")).collect::<Vec<_>>();
    for _ in 0..1_200 {
        if ended().len() >= CALLS {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ended(), vec!["delivered"; CALLS], "{:?}", noted.dead_letters());
    assert_eq!(master.posts().iter().filter(|post| post.method == "POST" && post.path().starts_with("/api/v2/builds/")).count(), CALLS);
    host.stop().await;
}
