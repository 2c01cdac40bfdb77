//! The real host killed under load, again and again: every event that it said it had is delivered,
//! and what is delivered twice was in flight when it was killed.

mod sink;

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::StreamExt as _;
use reporter_host::store::{Mode, SqliteStore, Store as _};
use reporter_host_tests::process::{PATIENCE, Process};
use reqwest::StatusCode;
use serde_json::json;
use sink::Sink;

/// Kills of one run.
const KILLS: u32 = 12;
/// A host with an inbox and one service, on a state folder of its own.
struct Host {
    folder: tempfile::TempDir,
    inbox: u16,
    process: Process,
}

impl Host {
    fn new(sink: u16) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let inbox = reporter_host_tests::process::free_port();
        let settings = format!(
            "[host]\nstate_dir = 'state'\n[[inboxes]]\nname = 'ci'\nlisten = '127.0.0.1:{inbox}'\ntoken = 'let-me-in'\n\
             [[services]]\nreporter = 'HttpStatusPush'\nserverUrl = 'http://127.0.0.1:{sink}/hook'\n\
             [[services]]\nreporter = 'GitHubStatusPush'\nbaseURL = 'http://127.0.0.1:{sink}'\ntoken = 'github-token'\n"
        );
        let file = folder.path().join("settings.toml");
        std::fs::write(&file, settings).unwrap();
        Self { folder, inbox, process: Process::new(env!("CARGO_BIN_EXE_host-under-test"), &file) }
    }

    async fn start(&mut self) {
        self.process.start();
        // The first start compiles the component.
        let port = self.inbox;
        self.process.until("it listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()).await;
    }

    /// Posts one ended build. True: the host has said that it has it.
    async fn post(&self, client: &reqwest::Client, number: u64) -> Option<StatusCode> {
        let build = json!({"id": format!("build-{number}"), "builder": "load", "number": number, "results": number % 3,
            "repository": "https://github.com/octo/repo", "revision": format!("{number:040x}"), "branch": "main"});
        let post = client.post(format!("http://127.0.0.1:{}/events", self.inbox)).bearer_auth("let-me-in").json(&build);
        post.send().await.ok().map(|answer| answer.status())
    }
}

impl Host {
    /// Kills it. Answers with the ids of deliveries that were in flight as far as anybody knows: they have come, and that they
    /// have is not written down.
    async fn kill(&mut self, sink: &Sink) -> BTreeSet<String> {
        self.process.kill();
        let store = SqliteStore::open(&self.folder.path().join("state/store.sqlite"), Mode::Operator).await.unwrap();
        let waiting: BTreeSet<String> = store.waiting(0, u32::MAX).await.unwrap().into_iter().map(|delivery| delivery.new.uid).collect();
        store.close().await;
        // What was on its way when the host died may still be arriving.
        tokio::time::sleep(Duration::from_millis(100)).await;
        waiting.intersection(&sink.keys()).cloned().collect()
    }
}

/// Waits until the sink has had each of these builds.
async fn delivered(sink: &Sink, wanted: &BTreeSet<u64>, host: &Host) {
    let all = tokio::time::timeout(PATIENCE, async {
        while !wanted.is_subset(&sink.numbers()) || !wanted.is_subset(&sink.statuses()) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    if all.await.is_err() {
        let had: BTreeSet<u64> = sink.numbers().intersection(&sink.statuses()).copied().collect();
        let missing: Vec<_> = wanted.difference(&had).copied().collect();
        panic!("{} of {} builds never arrived: {missing:?}\n{}", missing.len(), wanted.len(), host.process.said());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_taken_is_lost_to_kills() {
    reporter_host::transport::install_crypto();
    let sink = Sink::start().await;
    let mut host = Host::new(sink.port());
    let client = reqwest::Client::new();
    let (mut taken, mut number, mut in_flight) = (BTreeSet::new(), 0, BTreeSet::new());
    for round in 0..KILLS {
        host.start().await;
        // Each round is killed when it has taken a few more, in the midst of others, so that every phase is met.
        let goal = taken.len() + 6 + 4 * round as usize;
        let load = async {
            loop {
                let posts = (0..16).map(|n| {
                    let (host, client) = (&host, &client);
                    async move { (number + n, host.post(client, number + n).await) }
                });
                let mut posts: futures_util::stream::FuturesUnordered<_> = posts.collect();
                while let Some((number, status)) = posts.next().await {
                    if status.is_some_and(|status| status.is_success()) {
                        taken.insert(number);
                    }
                    if taken.len() >= goal {
                        return;
                    }
                }
                number += 16;
            }
        };
        tokio::time::timeout(PATIENCE, load).await.expect("a load");
        in_flight.extend(host.kill(&sink).await);
        number += 16;
    }
    host.start().await;
    // First what it said that it had, without any help.
    delivered(&sink, &taken, &host).await;
    assert!(taken.len() > 200, "there was no load: {}", taken.len());
    // What a client did not hear of it posts again, as it should: known or new, it is there once.
    let unheard: Vec<u64> = (0..number).filter(|number| !taken.contains(number)).collect();
    for again in unheard {
        let status = host.post(&client, again).await.unwrap();
        assert!(status.is_success(), "{status}");
        taken.insert(again);
    }
    delivered(&sink, &taken, &host).await;
    host.process.terminate().await;
    let twice = sink.twice();
    let wrong: Vec<_> = twice.difference(&in_flight).collect();
    assert!(wrong.is_empty(), "{} of {} that came twice were not in flight at a kill: {wrong:?}", wrong.len(), twice.len());
    println!("{} builds, {KILLS} kills, {} deliveries in flight at one, {} came twice", taken.len(), in_flight.len(), twice.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sink_that_is_away_is_waited_for() {
    reporter_host::transport::install_crypto();
    let sink = Sink::start().await;
    let mut host = Host::new(sink.port());
    let client = reqwest::Client::new();
    sink.answer(503);
    host.start().await;
    let wanted: BTreeSet<u64> = (0..5).collect();
    for number in &wanted {
        assert_eq!(host.post(&client, *number).await, Some(StatusCode::ACCEPTED));
        assert_eq!(host.post(&client, *number).await, Some(StatusCode::OK), "posted twice, it is known");
    }
    sink.refused(5).await;
    host.process.kill();
    sink.answer(200);
    host.start().await;
    delivered(&sink, &wanted, &host).await;
    host.process.terminate().await;
    assert_eq!(sink.keys_per_build_at_most(), 1);
}
