//! A real master, asked and acted on from a chat.

use reporter_host_tests::bot::settings;
use reporter_host_tests::process::Process;
use reporter_host_tests::proxy::Proxy;

use crate::buildbot::Buildbot;
use crate::fake::{ANN, BOB, Fake, GROUP, TOKEN};
use crate::host;

#[tokio::test(flavor = "multi_thread")]
async fn a_master_is_asked_forced_stopped_and_shut_down() {
    let mut buildbot = Buildbot::start(false).await;
    // The host is killed, maybe in the middle of an answer.
    let proxy = Proxy::to(buildbot.port()).await;
    let fake = Fake::start().await;
    let folder = tempfile::tempdir().unwrap();
    let stopped = folder.path().join("stopped");
    let file = folder.path().join("settings.toml");
    std::fs::write(folder.path().join("token"), TOKEN).unwrap();
    let service = host::service(fake.port, "authz = { '!' = [9001] }");
    std::fs::write(&file, settings("", &buildbot.source(proxy.port(), &stopped), &service)).unwrap();
    let mut program = Process::new(env!("CARGO_BIN_EXE_host-under-test"), &file);
    program.start();

    fake.says(BOB, BOB.id, "/list");
    let menu = fake.next(BOB.id).await;
    fake.press(BOB, &menu, "Builders");
    let builders = fake.next(BOB.id).await.text;
    assert!(builders.contains("`one`") && builders.contains("`two`") && !builders.contains("stuck"), "{builders}");
    fake.press(BOB, &menu, "Builders (all)");
    assert!(fake.next(BOB.id).await.text.contains("`stuck` [offline]"));
    fake.press(BOB, &menu, "Workers");
    assert!(fake.next(BOB.id).await.text.contains("`never` [disconnected]"));
    fake.press(BOB, &menu, "Changes");
    assert!(fake.next(BOB.id).await.text.contains("no changes"));
    assert!(fake.asks(BOB, BOB.id, "/status").await.text.contains("`one`: idle"));
    assert!(fake.asks(BOB, BOB.id, "/version").await.text.contains("Buildbot 4.3.0"));
    assert!(fake.asks(BOB, BOB.id, "/watch").await.text.contains("no currently running builds"));
    assert!(fake.asks(BOB, BOB.id, "/shutdown now").await.text.contains("may not use `shutdown`"));

    // Forced with buttons and answers, with the host killed in the middle.
    fake.says(ANN, ANN.id, "/force");
    let schedulers = fake.next(ANN.id).await;
    fake.press(BOB, &schedulers, "force-multi");
    fake.press(ANN, &schedulers, "force");
    let chosen = fake.with(ANN.id, "Which builder").await;
    fake.press(ANN, &chosen, "one");
    let config = fake.with(ANN.id, "new build of `one`").await;
    assert!(config.text.contains("want: `success`"), "{}", config.text);
    fake.press(ANN, &config, "Change Want");
    fake.with(ANN.id, "Enter the new value for").await;
    program.kill();
    program.start();
    fake.says(ANN, ANN.id, "warnings");
    let config = fake.with(ANN.id, "want: `warnings`").await;
    fake.press(ANN, &config, "Set Branch");
    fake.with(ANN.id, "Enter the new value for").await;
    fake.says(ANN, ANN.id, "dev/it");
    let config = fake.with(ANN.id, "`dev/it`").await;
    fake.press(ANN, &config, "Reason");
    fake.with(ANN.id, "Enter the new value for").await;
    fake.says(ANN, ANN.id, "for a 'test'");
    let config = fake.with(ANN.id, "for a 'test'").await;
    program.kill();
    program.start();
    fake.press(BOB, &config, "Start");
    fake.press(ANN, &config, "Start");
    fake.press(ANN, &config, "Start");
    fake.with(ANN.id, "is requested").await;
    fake.with(ANN.id, "`one` started").await;
    fake.with(ANN.id, "completed with warnings ⚠️").await;
    let builds = buildbot.rows("builds?order=-buildid").await;
    assert_eq!(builds.len(), 1, "pressed twice and by somebody else, built once: {builds:?}");
    let build = builds[0]["buildid"].as_i64().unwrap();
    assert_eq!(buildbot.property(build, "branch").await, "dev/it");
    let reason = buildbot.property(build, "reason").await;
    assert!(reason.as_str().unwrap().contains("forced by Ann: for a 'test'"), "{reason}");
    // The fields of two codebases, which are nested.
    fake.says(ANN, ANN.id, "/force force-multi");
    let chosen = fake.with(ANN.id, "Which builder").await;
    fake.press(ANN, &chosen, "multi");
    let config = fake.with(ANN.id, "new build of `multi`").await;
    fake.press(ANN, &config, "Set Lib Revision");
    fake.with(ANN.id, "Enter the new value for").await;
    fake.says(ANN, ANN.id, "abc123");
    let config = fake.with(ANN.id, "`abc123`").await;
    fake.press(ANN, &config, "Start");
    fake.with(ANN.id, "`multi` started").await;
    fake.with(ANN.id, "completed successfully").await;
    // In one line, as on IRC.
    fake.says(ANN, ANN.id, "/force build --branch=x one because");
    fake.with(ANN.id, "completed successfully").await;
    assert!(fake.asks(ANN, ANN.id, "/last one").await.text.contains("last build #2 completed successfully"));

    // Watched in a group, and stopped.
    let gate = buildbot.gate("stop");
    let waiting = buildbot.force("two", "success", Some(&gate)).await;
    let running = buildbot.build_of(waiting).await;
    fake.says(BOB, GROUP, "/watch");
    let watch = fake.next(GROUP).await;
    fake.press(BOB, &watch, "two");
    fake.with(GROUP, "Watching until it finishes").await;
    fake.says(ANN, GROUP, "/stop");
    let stop = fake.with(GROUP, "is to be stopped").await;
    fake.press(BOB, &stop, "two");
    fake.with(GROUP, "may not use `stop`").await;
    fake.press(ANN, &stop, "two");
    let question = fake.with(GROUP, "the reason to stop the build on two").await;
    assert!(fake.buttons(stop.id).is_empty(), "the choice is made");
    fake.says(BOB, GROUP, "not this one");
    fake.says(ANN, GROUP, "nor this one");
    fake.replies(ANN, GROUP, &question, "by mistake");
    fake.with(GROUP, "is being stopped").await;
    fake.with(GROUP, "was cancelled 🚫").await;
    assert_eq!(buildbot.rows(&format!("builds/{running}")).await[0]["results"], 6);

    // Shut down by pausing the workers, taken back, and ended.
    fake.says(ANN, ANN.id, "/shutdown");
    let menu = fake.with(ANN.id, "is running").await;
    fake.press(ANN, &menu, "Begin");
    fake.with(ANN.id, "takes no new builds").await;
    fake.says(ANN, ANN.id, "/shutdown");
    let menu = fake.with(ANN.id, "shutting down").await;
    fake.press(ANN, &menu, "Stop");
    fake.with(ANN.id, "takes builds again").await;
    fake.says(ANN, ANN.id, "/shutdown");
    let menu = fake.with(ANN.id, "is running").await;
    fake.press(ANN, &menu, "now");
    fake.with(ANN.id, "the command for it ran").await;
    assert!(stopped.exists());

    buildbot.kill_master();
    fake.says(ANN, ANN.id, "/force");
    fake.with(ANN.id, "cannot be asked now").await;

    // Who asked for what is in the log of deliveries, and each call in the audit log.
    let found = std::process::Command::new(env!("CARGO_BIN_EXE_host-under-test"))
        .args(["deliveries", "search", "asked for by", "--settings"])
        .arg(&file)
        .output()
        .unwrap();
    let found = String::from_utf8_lossy(&found.stdout).into_owned();
    for line in ["force of one through force, asked for by Ann (user 9001) in private", "stop of build 1 on two, asked for by Ann (user 9001) on 'Build group'"]
    {
        assert!(found.contains(line), "{line} is not in\n{found}");
    }
    assert!(program.said().contains("forceschedulers/force") && program.said().contains("builds/"), "the audit log:\n{}", program.said());
    assert_eq!(fake.refused_texts(), []);
    program.terminate().await;
}
