//! A real master, asked and acted on from a channel.

use reporter_host_tests::bot::settings;
use reporter_host_tests::process::Process;

use crate::buildbot::Buildbot;
use crate::host;
use crate::inspircd::Inspircd;
use crate::person::Person;

#[tokio::test(flavor = "multi_thread")]
async fn a_master_is_asked_forced_stopped_and_shut_down() {
    let mut buildbot = Buildbot::start(false).await;
    let server = Inspircd::new().await;
    let mut ann = Person::new(server.plain, "ann").await;
    ann.join("#ci").await;
    let folder = tempfile::tempdir().unwrap();
    let stopped = folder.path().join("stopped");
    let file = folder.path().join("settings.toml");
    let service = host::service(server.plain, "channels = ['#ci']\nuseColors = false\nauthz = { '!' = 'ann' }");
    std::fs::write(&file, settings("", &buildbot.source(buildbot.port(), &stopped), &service)).unwrap();
    let mut program = Process::new(env!("CARGO_BIN_EXE_host-under-test"), &file);
    program.start();
    ann.so("the bot", |line| line.starts_with(":bbot!") && line.contains("JOIN")).await;
    let says = async |ann: &mut Person, what: &str| ann.so(what, |line| line.starts_with(":bbot!") && line.contains(what)).await;

    let builders = ann.asks("bbot", "#ci", "bbot: list builders").await;
    assert!(builders.contains("`one`") && builders.contains("`two`") && !builders.contains("stuck"), "{builders}");
    assert!(ann.asks("bbot", "#ci", "bbot: list all builders").await.contains("`stuck` [offline]"));
    let workers = ann.asks("bbot", "#ci", "bbot: list workers").await;
    assert!(workers.contains("`local`") && workers.contains("`never` [disconnected]"), "{workers}");
    assert!(ann.asks("bbot", "#ci", "bbot: list changes").await.contains("no changes"));
    assert!(ann.asks("bbot", "#ci", "bbot: version").await.contains("Buildbot 4.3.0"));
    assert!(ann.asks("bbot", "#ci", "bbot: status one").await.contains("`one`: idle"));
    assert!(ann.asks("bbot", "#ci", "bbot: last one").await.contains("no build has ended yet"));
    assert!(ann.asks("bbot", "#ci", "bbot: status nope").await.contains("no builder `nope`"));

    // Somebody else may look, and not act.
    let mut bo = Person::new(server.plain, "bo").await;
    assert!(bo.asks("bbot", "bbot", "force build one now").await.contains("You may not use `force`"));
    assert!(bo.asks("bbot", "bbot", "shutdown now").await.contains("You may not use `shutdown`"));
    assert!(bo.asks("bbot", "bbot", "status one").await.contains("idle"));

    // What no ForceScheduler covers, or takes, is said.
    assert!(ann.asks("bbot", "#ci", "bbot: force build child now").await.contains("No ForceScheduler of the master lists `child`"));
    assert!(ann.asks("bbot", "#ci", "bbot: force build --props=colour=red one now").await.contains("does not take the property colour"));

    // Forced, with what was given; it is told how it goes.
    ann.say("#ci", "bbot: force build --branch=dev --props=want=warnings one for a test").await;
    says(&mut ann, "is requested").await;
    says(&mut ann, "`one` started").await;
    says(&mut ann, "completed with warnings").await;
    let build = buildbot.rows("builds?order=-buildid&limit=1").await[0]["buildid"].as_i64().unwrap();
    assert_eq!(buildbot.property(build, "branch").await, "dev");
    let reason = buildbot.property(build, "reason").await;
    assert!(reason.as_str().unwrap().contains("forced by ann on #ci: for a test"), "{reason}");
    let set = buildbot.rows(&format!("builds/{build}")).await[0]["buildrequestid"].clone();
    assert!(!set.is_null());
    assert!(ann.asks("bbot", "#ci", "bbot: last one").await.contains("last build #1 completed with warnings"));
    ann.say("#ci", "bbot: force build --codebase=lib --revision=abc123 multi twice").await;
    says(&mut ann, "`multi` started").await;
    says(&mut ann, "completed successfully").await;

    // What ends without a build is told too.
    ann.say("#ci", "bbot: force build stuck once").await;
    says(&mut ann, "is requested").await;
    ann.say("#ci", "bbot: force build stuck once").await;
    says(&mut ann, "was merged into a later request").await;
    let waiting = &buildbot.rows("buildrequests?complete=false&order=-buildrequestid&limit=1").await[0]["buildrequestid"];
    buildbot.call(&format!("buildrequests/{waiting}"), "cancel", serde_json::json!({ "reason": "not wanted" })).await;
    says(&mut ann, "was cancelled before it began").await;

    // Watched and stopped.
    let gate = buildbot.gate("stop");
    let waiting = buildbot.force("two", "success", Some(&gate)).await;
    let running = buildbot.build_of(waiting).await;
    ann.say("#ci", "bbot: watch two").await;
    says(&mut ann, "Watching until it finishes").await;
    let status = ann.asks("bbot", "#ci", "bbot: status two").await;
    assert!(status.contains("running: build #1") && status.contains("/builds/1)"), "{status}");
    ann.say("#ci", "bbot: stop build two by mistake").await;
    says(&mut ann, "is being stopped").await;
    says(&mut ann, "was cancelled").await;
    let ended = &buildbot.rows(&format!("builds/{running}")).await[0];
    assert_eq!(ended["results"], 6);

    // Shut down by pausing the workers, and taken back.
    assert!(ann.asks("bbot", "#ci", "bbot: shutdown check").await.contains("is running"));
    assert!(ann.asks("bbot", "#ci", "bbot: shutdown stop").await.contains("no shutdown that could be taken back"));
    assert!(ann.asks("bbot", "#ci", "bbot: shutdown start").await.contains("takes no new builds"));
    assert!(ann.asks("bbot", "#ci", "bbot: shutdown check").await.contains("shutting down"));
    assert!(buildbot.rows("workers").await.iter().any(|worker| worker["name"] == "local" && worker["paused"] == true));
    assert!(ann.asks("bbot", "#ci", "bbot: shutdown stop").await.contains("takes builds again"));
    assert!(buildbot.rows("workers").await.iter().all(|worker| worker["paused"] == false));
    assert!(ann.asks("bbot", "#ci", "bbot: shutdown now").await.contains("the command for it ran"));
    assert!(stopped.exists());

    // A master that is away is said to be.
    buildbot.kill_master();
    let away = ann.asks("bbot", "#ci", "bbot: list builders").await;
    assert!(away.contains("cannot be asked now"), "{away}");
    let refused = ann.asks("bbot", "#ci", "bbot: shutdown start").await;
    assert!(refused.contains("could not be started"), "{refused}");
    // What was not done is not done later by the way: nobody would know whether it was.
    let run = |words: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_host-under-test")).arg("deliveries").args(words).arg("--settings").arg(&file).output();
        let output = output.unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
    };
    let dead = run(&["list", "--state", "dead"]).1;
    let id = dead.lines().find(|line| line.contains("clean shutdown")).and_then(|line| line.split(' ').next()).unwrap();
    let (code, said) = run(&["retry", id]);
    assert!(code != Some(0) && said.contains("have it asked for again"), "{said}");
    let audit = program.said();
    let stop = audit.lines().find(|line| line.contains("reporter_host::audit") && line.contains("stop of build"));
    assert!(stop.is_some_and(|line| line.contains("asked for by ann!")), "the audit log:\n{audit}");
    program.terminate().await;
}
