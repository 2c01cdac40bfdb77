//! The host as a whole: one event to many entries, commits to the store, and deliveries to a receiver on the loopback.

use std::fmt::Write as _;
use std::hint::black_box;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use criterion::{BenchmarkId, Criterion, Throughput};
use reporter_host::event::Event;
use reporter_host::host::{Host, Workbench};
use reporter_host::source::recording::Writer;
use reporter_host::store::{Delivery, End, Mode, NewDelivery, NewEvent, NewUnit, Settled, SqliteStore, Store, UnitEnd};
use reporter_host::tenant::Components;
use reporter_host::tenant::settings::load_to_run;
use reporter_host::transport::{Body, HttpRequest, Payload};
use reporter_host_tests::{Kit, build, details};
use serde_json::json;
use tokio::runtime::Runtime;

/// Deliveries of one round.
const ROUND: usize = 4_000;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    let mut criterion = Criterion::default().sample_size(10).configure_from_args();
    fan_out(&mut criterion, &runtime);
    commits(&mut criterion, &runtime);
    deliveries(&mut criterion, &runtime);
    criterion.final_summary();
}

/// One event, its details not fetched yet, shown to 1, 50 and 200 entries.
fn fan_out(criterion: &mut Criterion, runtime: &Runtime) {
    let kit = Kit::new();
    let loaded = kit.built_in("HttpStatusPush");
    let settings = json!({"serverUrl": "https://example.org/", "wantProperties": true, "wantSteps": true});
    // What entries of one reporter differ in is their settings; the work of each is the same.
    let entry = runtime.block_on(kit.configure(&loaded, &settings)).expect("a plan");
    runtime.block_on(entry.freeze());
    let mut group = criterion.benchmark_group("fan-out");
    for entries in [1_usize, 50, 200] {
        group.throughput(Throughput::Elements(entries as u64));
        group.bench_function(BenchmarkId::from_parameter(entries), |b| {
            b.to_async(runtime).iter(|| async {
                let (event, source) = build(2);
                let source = Arc::new(source);
                let details = details(event, source.clone());
                let reports = (0..entries).map(|_| entry.report(&details));
                for ran in futures_util::future::join_all(reports).await {
                    black_box(ran.answer.expect("an outcome"));
                }
                assert!(source.asked().values().all(|times| *times == 1), "one fetch for all entries: {:?}", source.asked());
            });
        });
    }
    group.finish();
}

/// Units of work ended with one delivery each, every one durable; 64 at a time, as dispatch has them.
fn commits(criterion: &mut Criterion, runtime: &Runtime) {
    let mut group = criterion.benchmark_group("store");
    group.throughput(Throughput::Elements(ROUND as u64));
    group.bench_function("units committed", |b| {
        b.iter_custom(|rounds| (0..rounds).map(|_| runtime.block_on(commit_round())).sum());
    });
    group.finish();
}

fn event(n: usize) -> NewEvent {
    let (mut event, _) = build(2);
    event.id = format!("main/builds/{n}/finished");
    NewEvent { event: Arc::new(event), details: Vec::new(), units: vec![NewUnit { entry: "entry".into(), order: format!("main/buildrequests/{n}") }] }
}

fn delivery(unit: i64) -> NewDelivery {
    let body = Body::Json(json!({"buildid": unit, "properties": {"branch": ["main", "Build"]}, "state_string": "failed 'make check'"}).to_string());
    NewDelivery {
        uid: format!("{unit:032x}"),
        entry: "entry".into(),
        endpoint: "server".into(),
        destination: "https://example.org".into(),
        lane: Some(format!("main/buildrequests/{unit}")),
        supersede: None,
        tag: None,
        title: "failure of build 12 on linux".into(),
        expires_ms: i64::MAX,
        payload: Arc::new(Payload::Http(HttpRequest { method: "POST".into(), path: Vec::new(), query: Vec::new(), headers: Vec::new(), body })),
        rules: Vec::new(),
    }
}

async fn commit_round() -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Arc::new(SqliteStore::open(&folder.path().join("store.sqlite"), Mode::Host).await.expect("a store"));
    let events = (0..ROUND).map(event).collect();
    let units: Vec<_> = store.journal("main", None, events).await.expect("journalled").into_iter().flat_map(|event| event.units).collect();
    let began = Instant::now();
    let permits = Arc::new(tokio::sync::Semaphore::new(64));
    let mut tasks = tokio::task::JoinSet::new();
    for unit in units {
        let permit = permits.clone().acquire_owned().await.expect("a permit");
        let store = store.clone();
        tasks.spawn(async move {
            let sends = vec![delivery(unit.id)];
            store
                .end_unit(UnitEnd { unit, end: End::Sent, sends, state: Vec::new(), log: Vec::new(), reminders: Vec::new(), letter: None })
                .await
                .expect("committed");
            drop(permit);
        });
    }
    while tasks.join_next().await.is_some() {}
    let took = began.elapsed();
    store.close().await;
    took
}

/// A recording of builds through HttpStatusPush to a receiver: from the first delivery's end to the last's, everything durable.
fn deliveries(criterion: &mut Criterion, runtime: &Runtime) {
    let folder = tempfile::tempdir().expect("a folder");
    let recording = folder.path().join("recording.jsonl");
    record(&recording);
    let (port, received) = runtime.block_on(receiver());
    let workbench = Workbench::new().expect("the engine starts");
    let mut group = criterion.benchmark_group("host");
    group.throughput(Throughput::Elements(ROUND as u64));
    group.bench_function("durable deliveries", |b| {
        b.iter_custom(|rounds| {
            let mut took = Duration::ZERO;
            for _ in 0..rounds {
                received.store(0, Ordering::Relaxed);
                took += runtime.block_on(deliver_round(&workbench, &recording, port));
                assert_eq!(received.load(Ordering::Relaxed), ROUND);
            }
            took
        });
    });
    group.finish();
}

fn record(file: &Path) {
    let (event, source) = build(2);
    let details: Vec<_> = source.rows().map(|(path, rows)| (path.clone(), rows.clone())).collect();
    let mut writer = Writer::append(file).expect("a file");
    for n in 0..ROUND {
        let mut event = event.clone();
        event.id = format!("main/builds/{n}/finished");
        event.message["buildrequestid"] = json!(n);
        writer.write(&event, &details).expect("written");
    }
}

async fn receiver() -> (u16, Arc<AtomicUsize>) {
    let received = Arc::new(AtomicUsize::new(0));
    let count = received.clone();
    let app = Router::new().fallback(move |_: axum::body::Bytes| {
        count.fetch_add(1, Ordering::Relaxed);
        async {}
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let port = listener.local_addr().expect("an address").port();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (port, received)
}

/// When deliveries ended.
#[derive(Default)]
struct Ends(Mutex<Option<(Instant, Instant)>>);

impl reporter_host::dispatch::Observer for Ends {
    fn unit(&self, _: &Event, _: &str, _: &End, _: &[(String, String)]) {}
}

impl reporter_host::delivery::Observer for Ends {
    fn settled(&self, _: &Delivery, _: &Settled) {
        let now = Instant::now();
        let mut ends = self.0.lock().expect("a lock");
        let (first, _) = ends.unwrap_or((now, now));
        *ends = Some((first, now));
    }
}

async fn deliver_round(workbench: &Workbench, recording: &Path, port: u16) -> Duration {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("settings.toml");
    let mut text = format!("[[recordings]]\nname = 'main'\nfile = '{}'\n", recording.display());
    write!(text, "[[services]]\nreporter = 'HttpStatusPush'\nserverUrl = 'http://127.0.0.1:{port}/'\nwantProperties = true\n").expect("a text");
    std::fs::write(&file, text).expect("written");
    let settings = load_to_run(&file, &Components::new(workbench.loader.clone())).unwrap_or_else(|report| panic!("{}", report.render(false)));
    let ends = Arc::new(Ends::default());
    let host = Host::start(workbench.clone(), &settings, ends.clone()).await.expect("it starts");
    host.finished().await.expect("it ends");
    host.stop().await;
    let (first, last) = ends.0.lock().expect("a lock").expect("deliveries");
    last - first
}
