//! The program itself beside a real master, its store on disk: each build is reported once, whatever is killed or cut.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use reporter_host_tests::process::Process;
use reporter_host_tests::proxy::Proxy;
use reporter_host_tests::server::Server;
use serde_json::Value;

use crate::buildbot::Buildbot;

/// For each build and whether it had ended: the ids of the deliveries that told so, and what each said.
type Came = BTreeMap<(i64, bool), Vec<(String, Value)>>;

fn came(sink: &Server) -> Came {
    let mut came = Came::new();
    for post in sink.posts() {
        let build = post.json();
        let key = (build["buildid"].as_i64().unwrap(), build["complete"].as_bool().unwrap());
        came.entry(key).or_default().push((post.headers["idempotency-key"].to_str().unwrap().to_owned(), build));
    }
    came
}

fn program(folder: &Path, master: u16, sink: u16) -> Process {
    let file = folder.join("settings.toml");
    let settings = format!(
        "[[masters]]\nurl = 'http://127.0.0.1:{master}/'\nuser = 'admin'\npassword = {{ secret = 'master' }}\npoll_every = '2 s'\n\
         [secrets]\nmaster = {{ file = 'password' }}\n\
         [[services]]\nreporter = 'HttpStatusPush'\nserverUrl = 'http://127.0.0.1:{sink}/'\nwantProperties = true\nwantSteps = true\n"
    );
    std::fs::write(&file, settings).unwrap();
    std::fs::write(folder.join("password"), "secret\n").unwrap();
    Process::new(env!("CARGO_BIN_EXE_host-under-test"), &file)
}

/// `preview --build`: how it ended, and what it printed as JSON.
fn preview(folder: &Path, build: &str) -> (i32, Vec<Value>) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_host-under-test"));
    command.args(["preview", "--json", "--build", build]).arg(folder.join("settings.toml"));
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.code().unwrap(), said.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The one message that a preview shows of this event.
fn shown(previews: &[Value], event: &str) -> Value {
    let [preview] = previews else { panic!("{previews:?}") };
    assert_eq!((&preview["event"], &preview["why"]), (&Value::from(event), &Value::Null));
    let [send] = preview["sends"].as_array().unwrap().as_slice() else { panic!("{preview}") };
    serde_json::from_str(send["payload"]["body"]["json"].as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_build_is_reported_once_whatever_is_killed() {
    let mut buildbot = Buildbot::start(false).await;
    // What ended before the first start is not news.
    let old = buildbot.build_of(buildbot.force("one", "success", None).await).await;
    buildbot.idle().await;
    let sink = Server::content().await;
    let port = sink.port;
    let proxy = Proxy::to(buildbot.port()).await;
    let folder = tempfile::tempdir().unwrap();
    let mut host = program(folder.path(), proxy.port(), port);
    host.start();
    host.until("it listens to the master", || proxy.made() == 1).await;
    let has = |build: i64, ended: bool| came(&sink).contains_key(&(build, ended));

    for want in ["success", "warnings", "failure", "skipped", "exception", "retry", "cancelled"] {
        buildbot.force("one", want, None).await;
    }
    buildbot.idle().await;

    // Any build of the master can be looked at, also one that ended before there was a host; by id or by name.
    let (code, previews) = preview(folder.path(), "one/1");
    let build = shown(&previews, &format!("main/builds/{old}/finished"));
    assert_eq!((code, &build["buildid"], &build["results"]), (0, &old.into(), &0.into()));
    assert_eq!(build["properties"]["buildername"][0], "one");
    assert!(build["steps"].as_array().is_some_and(|steps| !steps.is_empty()), "{build}");
    assert_eq!(preview(folder.path(), &old.to_string()), (0, previews));
    assert_eq!(preview(folder.path(), "one/999").0, 3);
    let gate = buildbot.gate("preview");
    let running = buildbot.build_of(buildbot.force("one", "success", Some(&gate)).await).await;
    let build = shown(&preview(folder.path(), &running.to_string()).1, &format!("main/builds/{running}/new"));
    assert_eq!((&build["buildid"], &build["complete"]), (&running.into(), &false.into()));
    std::fs::write(&gate, "").unwrap();
    buildbot.idle().await;

    // The host dies while a build runs, and while others begin and end; twice, the second time under load.
    for round in 0..2 {
        let gate = buildbot.gate(&format!("host-{round}"));
        let running = buildbot.build_of(buildbot.force("one", "failure", Some(&gate)).await).await;
        host.until("the start is told", || has(running, false)).await;
        let whole = buildbot.build_of(buildbot.force("two", "warnings", None).await).await;
        if round == 0 {
            buildbot.idle_but(running).await;
        }
        host.kill();
        std::fs::write(&gate, "").unwrap();
        let away = buildbot.build_of(buildbot.force("two", "failure", None).await).await;
        buildbot.idle().await;
        host.start();
        host.until("what it missed is told", || [running, whole, away].into_iter().all(|build| has(build, true))).await;
    }

    // The WebSocket is cut while a build runs.
    let gate = buildbot.gate("cut");
    let cut = buildbot.build_of(buildbot.force("one", "success", Some(&gate)).await).await;
    host.until("the start is told", || has(cut, false)).await;
    proxy.cut();
    std::fs::write(&gate, "").unwrap();
    buildbot.idle().await;
    proxy.mend();

    // The master dies with a build, ends it as RETRY without a word when it is back, and builds again.
    let gate = buildbot.gate("master");
    let lost = buildbot.build_of(buildbot.force("one", "success", Some(&gate)).await).await;
    host.until("the start is told", || has(lost, false)).await;
    buildbot.kill_master();
    std::fs::write(&gate, "").unwrap();
    buildbot.start_master().await;
    host.until("the retry is told", || has(lost, true)).await;
    buildbot.idle().await;

    let expected: BTreeSet<(i64, bool)> = buildbot
        .rows("builds")
        .await
        .iter()
        .filter(|build| build["buildid"] != old)
        .flat_map(|build| {
            let id = build["buildid"].as_i64().unwrap();
            // A build that was not to be done is never announced.
            [(build["results"] != 3).then_some((id, false)), Some((id, true))]
        })
        .flatten()
        .collect();
    host.until("everything is told", || came(&sink).keys().copied().collect::<BTreeSet<_>>().is_superset(&expected)).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    host.terminate().await;

    let came = came(&sink);
    assert_eq!(came.keys().copied().collect::<BTreeSet<_>>(), expected, "told, but it did not happen");
    for ((build, ended), posts) in came.iter() {
        let ids: BTreeSet<&String> = posts.iter().map(|(id, _)| id).collect();
        assert_eq!(ids.len(), 1, "build {build} (ended: {ended}) is in the journal more than once: {posts:?}");
        assert!(posts.iter().all(|(_, build)| build["properties"]["buildername"].is_array()), "{posts:?}");
    }
    // A kill may let a delivery in flight go out twice; there were two kills.
    let twice = came.values().filter(|posts| posts.len() > 1).count();
    assert!(twice <= 4, "{twice} deliveries went out twice");
    assert_eq!(came[&(lost, true)][0].1["results"], 5);
}
