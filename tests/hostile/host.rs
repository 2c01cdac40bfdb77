//! The whole host with entries that spin, that reach for what is not theirs, and one that does its work.

use reporter_host_tests::play::{record, record_another, start, start_without_broken};
use reporter_host_tests::process::PATIENCE;
use reporter_host_tests::server::{Reply, Server};
use serde_json::Value;

use super::whole::{hostile, open, play, play_once};

pub fn words() -> Vec<&'static str> {
    vec!["plan-fallback", "wait-for-some"]
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_fails_says_so_plainly_and_the_others_go_on() {
    let server = Server::content().await;
    let services = "[[services]]\nreporter = 'HttpStatusPush'\nname = 'spins'\nserverUrl = 'SERVER/spins'\n\
         messageFormatter = { template = '{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}' }\n\
         [[services]]\nreporter = 'HttpStatusPush'\nname = 'works'\nserverUrl = 'SERVER/works'\n";
    let noted = play_once(&format!("{services}{}", hostile("foreign", "loop", "")), &server).await;
    let plain: Vec<Value> = server.bodies("/spins").iter().map(|body| serde_json::from_str(body).unwrap()).collect();
    assert_eq!(plain.len(), 1, "{:?}", server.posts());
    assert_eq!(plain[0]["summary"], "Build 12 of linux ended: failure");
    assert!(plain[0]["message"].as_str().unwrap().contains("compute_ms"), "{plain:?}");
    assert_eq!(server.bodies("/works").len(), 1);
    assert!(server.bodies("/foreign").is_empty());
    assert!(noted.of("foreign")[0].contains("compute_ms"), "{:?}", noted.of("foreign"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_plain_message_of_a_components_own_making() {
    let server = Server::content().await;
    let noted = play_once(&open(hostile("plain", "plan-fallback", "")), &server).await;
    let posts = server.posts();
    assert_eq!(posts.len(), 1, "{posts:?}");
    assert_eq!(posts[0].target, "/plain/plain");
    assert!(posts[0].body.contains("nothing is known about plan-fallback"), "{posts:?}");
    assert!(noted.of("plain")[0].starts_with("Failed"), "{:?}", noted.of("plain"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_custom_component_reaches_no_private_address_unless_the_operator_says_so() {
    let server = Server::content().await;
    let service = hostile("foreign", "send", "");
    let ended = play_once(&service, &server).await.of("foreign");
    assert!(ended.last().unwrap().contains("address 127.0.0.1 is not allowed"), "{ended:?}");
    assert!(server.posts().is_empty());

    let noted = play_once(&open(service), &server).await;
    assert_eq!(noted.of("foreign").last().unwrap(), "delivered");
    assert_eq!(server.posts().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_had_is_given_up_when_it_is_of_no_use_any_more() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port();
    let folder = tempfile::tempdir().unwrap();
    let ended = play(folder.path(), &open(hostile("asks", "wait", "expires_after = '1 s'")), 1, nobody).await.of("asks");
    let (last, before) = ended.split_last().unwrap();
    assert!(!before.is_empty() && before.iter().all(|end| end.starts_with("Again") && end.contains("NotNow")), "{ended:?}");
    assert!(last.starts_with("Failed") && last.contains("`expires_after`"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn those_that_wait_for_a_hung_remote_do_not_hold_up_the_others() {
    const BUILDS: u64 = 10;
    // It takes connections, and says nothing.
    let hung = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server::content().await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hostile.wasm"), test_guests::HOSTILE).unwrap();
    // More calls than are under way at a time.
    let waiting: String = (0..20).map(|n| hostile(&format!("waits-{n}"), "wait", "")).collect();
    let settings = waiting.replace("SERVER", &format!("http://{}", hung.local_addr().unwrap()))
        + &format!("[[services]]\nreporter = 'HttpStatusPush'\nname = 'works'\nserverUrl = 'http://127.0.0.1:{}/works'\n", server.port);
    record(folder.path(), BUILDS);
    let playing = start(folder.path(), &open(settings)).await;
    let all = async {
        while playing.noted.of("works").iter().filter(|end| *end == "delivered").count() < BUILDS as usize {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, all).await.is_ok(), "{:?}", playing.noted.of("works"));
    let ended: Vec<_> = (0..20).flat_map(|n| playing.noted.of(&format!("waits-{n}"))).collect();
    assert!(ended.is_empty(), "a call that waits has ended before: {ended:?}");
    playing.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_in_an_entry_that_keeps_state_holds_up_its_own_source_and_no_other() {
    let server = Server::of(|post, _| if post.path().ends_with("/slow") { Reply::of(503, "not now") } else { Reply::of(200, "{}") }).await;
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hostile.wasm"), test_guests::HOSTILE).unwrap();
    record(folder.path(), 4);
    record_another(folder.path(), "west", 3);
    let entry = hostile("asks", "wait-for-some", "text = 'main/builds/2/'").replace("SERVER", &format!("http://127.0.0.1:{}", server.port));
    let west = "[[recordings]]\nname = 'west'\nfile = 'west.jsonl'\n";
    let playing = start(folder.path(), &open(format!("{west}{entry}"))).await;
    let waiting = async {
        while playing.noted.reported("asks").len() < 4 || playing.noted.of("asks").iter().filter(|end| end.starts_with("Again")).count() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{:?}", playing.noted.of("asks"));
    let reported = playing.noted.reported("asks");
    let of = |source: &str| reported.iter().filter(|id| id.starts_with(source)).cloned().collect::<Vec<_>>();
    assert_eq!((of("main/"), of("west/").len(), reported.len()), (vec!["main/builds/1/finished".to_owned()], 3, 4), "{reported:?}");
    assert!(of("west/").is_sorted(), "{reported:?}");
    playing.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waited_for_an_entry_that_could_not_run_comes_first_and_one_at_a_time() {
    let server = Server::content().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = open(hostile("late", "state-count", "").replace("SERVER", &format!("http://127.0.0.1:{}", server.port)));
    record(folder.path(), 3);
    let without = start_without_broken(folder.path(), &settings).await;
    let waits = async {
        while without.noted.of("late").len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waits).await.is_ok(), "nothing waits for it");
    assert!(without.stop().await.reported("late").is_empty());

    std::fs::write(folder.path().join("hostile.wasm"), test_guests::HOSTILE).unwrap();
    record(folder.path(), 6);
    let noted = start(folder.path(), &settings).await.end().await;
    let builds: Vec<_> = (1..=6).map(|number| format!("main/builds/{number}/finished")).collect();
    assert_eq!(noted.reported("late"), builds);
    let counted: Vec<_> = (1..=6).map(|number| format!("call {number}")).collect();
    assert_eq!(server.sorted("/"), counted, "no call overlooked what another had kept");
}
