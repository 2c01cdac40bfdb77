//! A real Buildbot master and worker, followed by the host's source while either of them, or what is between
//! them, comes and goes: nothing missed, nothing journalled twice.

mod binary;
mod buildbot;
mod host;

use std::sync::Arc;
use std::time::Duration;

use reporter_host::event::Kind;
use reporter_host_tests::proxy::Proxy;
use serde_json::{Value, json};

use buildbot::Buildbot;
use host::{Host, Memory, complete};

async fn heard(buildbot: &Buildbot, journal: &Memory, id: &str) {
    buildbot.until(&format!("{id} is journalled"), async || journal.find(id).is_some()).await;
}

/// Until the source has subscribed and caught up: what it hears then is not late.
async fn listening(buildbot: &Buildbot, journal: &Memory) {
    loop {
        let request = buildbot.force("two", "success", None).await;
        let build = buildbot.build_of(request).await;
        buildbot.idle().await;
        let id = format!("main/builds/{build}/finished");
        heard(buildbot, journal, &id).await;
        if journal.find(&format!("main/builds/{build}/new")).is_some_and(|(event, _)| !event.late) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn builds_of_every_result_are_journalled_once_with_their_details() {
    let buildbot = Buildbot::start(false).await;
    let journal = Arc::new(Memory::default());
    let host = Host::follow(buildbot.port(), &journal, |_| {});
    buildbot.until("the host has begun", async || reporter_host::source::Journal::cursor(journal.as_ref(), "main").await.unwrap().is_some()).await;
    listening(&buildbot, &journal).await;

    let wants = ["success", "warnings", "failure", "skipped", "exception", "retry", "cancelled"];
    for (number, want) in wants.iter().enumerate() {
        let request = buildbot.force("one", want, None).await;
        let build = buildbot.build_of(request).await;
        buildbot.until("the build ends", async || buildbot.rows(&format!("builds/{build}")).await[0]["complete"] == json!(true)).await;
        let id = format!("main/builds/{build}/finished");
        heard(&buildbot, &journal, &id).await;
        let (event, came) = journal.find(&id).unwrap();
        assert_eq!((event.kind, &event.message["results"], event.late), (Kind::BuildFinished, &json!(number), false));
        assert_eq!(came[0].1[0]["name"], "one");
    }
    let family = buildbot.force("parent", "success", None).await;
    let multi = buildbot.force("multi", "success", None).await;
    let cancelled = buildbot.force("stuck", "success", None).await;
    heard(&buildbot, &journal, &format!("main/buildrequests/{cancelled}/new")).await;
    buildbot.call(&format!("buildrequests/{cancelled}"), "cancel", json!({"reason": "test"})).await;
    heard(&buildbot, &journal, &format!("main/buildrequests/{cancelled}/cancel")).await;
    let (cancel, _) = journal.find(&format!("main/buildrequests/{cancelled}/cancel")).unwrap();
    assert_eq!((&cancel.message["results"], cancel.late), (&json!(6), false));

    // While a build stands at its gate, what is written a moment after its start is there for whoever asks.
    let gate = buildbot.gate("a");
    let request = buildbot.force("one", "success", Some(&gate)).await;
    let build = buildbot.build_of(request).await;
    heard(&buildbot, &journal, &format!("main/builds/{build}/new")).await;
    assert_eq!(host.fetch(&format!("builds/{build}/properties")).await[0]["owners"], json!([["admin"], "Build"]));
    buildbot.call(&format!("builds/{build}"), "stop", json!({"reason": "enough"})).await;
    complete(&buildbot, &journal, &[cancelled], &[]).await;

    let (stopped, _) = journal.find(&format!("main/builds/{build}/finished")).unwrap();
    assert_eq!(stopped.message["results"], 6);
    let child = buildbot.rows("buildsets").await.into_iter().find(|set| !set["parent_buildid"].is_null()).unwrap();
    assert_eq!(child["parent_buildid"], buildbot.build_of(family).await);
    let (set, _) = journal.find(&format!("main/buildsets/{}/complete", child["bsid"])).unwrap();
    assert_eq!(set.message["parent_buildid"], child["parent_buildid"]);

    let multi = host.fetch(&format!("buildrequests/{multi}")).await[0]["buildsetid"].clone();
    assert_eq!(host.fetch(&format!("buildsets/{multi}")).await[0]["sourcestamps"].as_array().unwrap().len(), 2);
    assert_eq!(host.fetch("config").await[0]["title"], "Töst <master>");
    let steps = host.fetch("builds/1/steps").await;
    let step = steps.iter().find(|step| step["name"] == "gate").unwrap();
    let log = host.fetch(&format!("steps/{}/logs", step["stepid"])).await[0]["logid"].clone();
    let content = host.fetch(&format!("logs/{log}/contents")).await[0]["content"].clone();
    let lines: Vec<&str> = content.as_str().unwrap().lines().filter(|line| line.starts_with("oline ")).collect();
    assert_eq!((lines.len(), lines[0], lines[2999]), (3000, "oline 1", "oline 3000"));
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_is_killed_leaves_nothing_behind() {
    let mut buildbot = Buildbot::start(false).await;
    let journal = Arc::new(Memory::default());
    let host = Host::follow(buildbot.port(), &journal, |_| {});
    buildbot.until("the host has begun", async || reporter_host::source::Journal::cursor(journal.as_ref(), "main").await.unwrap().is_some()).await;
    listening(&buildbot, &journal).await;

    let gate = buildbot.gate("killed");
    let request = buildbot.force("one", "success", Some(&gate)).await;
    let build = buildbot.build_of(request).await;
    heard(&buildbot, &journal, &format!("main/builds/{build}/new")).await;
    let waiting = buildbot.force("stuck", "success", None).await;
    buildbot.kill_master();
    std::fs::write(&gate, "").unwrap();
    buildbot.start_master().await;
    // The master ended it as RETRY before anybody could listen, and builds it again.
    heard(&buildbot, &journal, &format!("main/builds/{build}/finished")).await;
    let (ended, _) = journal.find(&format!("main/builds/{build}/finished")).unwrap();
    assert_eq!((&ended.message["results"], ended.late), (&json!(5), true));
    buildbot.call(&format!("buildrequests/{waiting}"), "cancel", json!({})).await;
    complete(&buildbot, &journal, &[waiting], &[]).await;
    assert_eq!(buildbot.rows(&format!("buildrequests/{request}/builds")).await.len(), 2);
    host.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_was_away_catches_up_with_everything_once() {
    let mut buildbot = Buildbot::start(true).await;
    let journal = Arc::new(Memory::default());
    let quick = |settings: &mut reporter_host::tenant::settings::MasterSettings| settings.poll_every = Duration::from_secs(2);
    let host = Host::follow(buildbot.port(), &journal, quick);
    buildbot.until("the host has begun", async || reporter_host::source::Journal::cursor(journal.as_ref(), "main").await.unwrap().is_some()).await;
    listening(&buildbot, &journal).await;

    // Away: one build ends that it saw begin, one begins and ends, one begins, one request is cancelled, and a worker
    // goes missing. Killed the first time, stopped the second.
    let mut host = Some(host);
    let mut cancelled = Vec::new();
    let mut missing: Option<String> = None;
    for round in 0..2 {
        let (first, last) = (buildbot.gate(&format!("first-{round}")), buildbot.gate(&format!("last-{round}")));
        let begun = buildbot.build_of(buildbot.force("one", "failure", Some(&first)).await).await;
        heard(&buildbot, &journal, &format!("main/builds/{begun}/new")).await;
        match round {
            0 => host.take().unwrap().kill().await,
            _ => host.take().unwrap().stop().await,
        }
        std::fs::write(&first, "").unwrap();
        let both = buildbot.build_of(buildbot.force("two", "success", None).await).await;
        let request = buildbot.force("stuck", "success", None).await;
        buildbot.call(&format!("buildrequests/{request}"), "cancel", json!({})).await;
        cancelled.push(request);
        buildbot.idle().await;
        let running = buildbot.build_of(buildbot.force("one", "success", Some(&last)).await).await;
        if round == 0 {
            buildbot.stop_worker("flaky").await;
            // The master says that it is missing while nobody listens.
            buildbot.until("the master gave the worker up", async || buildbot.log().contains("flaky")).await;
            tokio::time::sleep(Duration::from_secs(4)).await;
        }
        host = Some(Host::follow(buildbot.port(), &journal, quick));
        heard(&buildbot, &journal, &format!("main/builds/{both}/finished")).await;
        for id in [format!("main/builds/{both}/new"), format!("main/builds/{both}/finished"), format!("main/builds/{begun}/finished")] {
            heard(&buildbot, &journal, &id).await;
            assert!(journal.find(&id).unwrap().0.late, "{id}");
        }
        heard(&buildbot, &journal, &format!("main/builds/{running}/new")).await;
        std::fs::write(&last, "").unwrap();
        if round == 0 {
            buildbot.until("the worker is journalled as missing", async || journal.events().iter().any(|event| event.kind == Kind::WorkerMissing)).await;
            missing = journal.events().into_iter().find(|event| event.kind == Kind::WorkerMissing).map(|event| event.id);
        }
    }
    // The second round started a host that found the worker still missing, and says so no more.
    buildbot.start_worker("flaky").await;
    let missing = missing.unwrap();
    let back = missing.replace("/missing/", "/connected/");
    heard(&buildbot, &journal, &back).await;
    complete(&buildbot, &journal, &cancelled, &[missing, back]).await;
    host.take().unwrap().stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_is_cut_costs_nothing() {
    let mut buildbot = Buildbot::start(true).await;
    let journal = Arc::new(Memory::default());
    let proxy = Proxy::to(buildbot.port()).await;
    let host = Host::follow(proxy.port(), &journal, |_| {});
    buildbot.until("the host has begun", async || reporter_host::source::Journal::cursor(journal.as_ref(), "main").await.unwrap().is_some()).await;
    listening(&buildbot, &journal).await;

    // Cut at any time, builds under way all the while.
    for round in 0..4 {
        let gate = buildbot.gate(&format!("cut-{round}"));
        buildbot.build_of(buildbot.force("one", "warnings", Some(&gate)).await).await;
        proxy.cut();
        std::fs::write(&gate, "").unwrap();
        buildbot.force("two", "success", None).await;
        if round % 2 == 0 {
            buildbot.idle().await;
        }
        let made = proxy.made();
        proxy.mend();
        buildbot.force("two", "failure", None).await;
        buildbot.until("the host is connected again", async || proxy.made() > made).await;
    }
    // A missing worker is heard, with whom to tell.
    listening(&buildbot, &journal).await;
    buildbot.stop_worker("flaky").await;
    buildbot.until("the worker is journalled as missing", async || journal.events().iter().any(|event| event.kind == Kind::WorkerMissing)).await;
    let missing = journal.events().into_iter().find(|event| event.kind == Kind::WorkerMissing).unwrap();
    assert_eq!((&missing.message["notify"], &missing.message["name"], missing.late), (&json!(["ops@example.org"]), &json!("flaky"), false));
    assert_ne!(missing.message["last_connection"], Value::Null);
    let made = proxy.made();
    proxy.cut();
    proxy.mend();
    buildbot.until("the host is connected again", async || proxy.made() > made).await;
    buildbot.start_worker("flaky").await;
    let back = missing.id.replace("/missing/", "/connected/");
    heard(&buildbot, &journal, &back).await;
    complete(&buildbot, &journal, &[], &[missing.id, back]).await;
    host.stop().await;
}
