//! A running host: what is posted to its inbox, what is recorded from it, and settings that change under it.

use std::time::Duration;

use reporter_host_tests::process::{Process, free_port};
use reporter_host_tests::server::Server;
use reqwest::StatusCode;
use serde_json::json;

use crate::Place;

/// Two that nobody gets mail from; one of them says so.
const MAILS: &str = "[[services]]\nreporter = 'MailNotifier'\nname = 'loud'\nfromaddr = 'ci@example.org'\nlookup = { ada = 'ada@example.org' }\nverbose = true\n\
    [[services]]\nreporter = 'MailNotifier'\nname = 'still'\nfromaddr = 'ci@example.org'\nlookup = { ada = 'ada@example.org' }\n";

fn settings(inbox: u16, url: &str) -> String {
    format!(
        "[[inboxes]]\nname = 'ci'\nlisten = '127.0.0.1:{inbox}'\ntoken = 'let-me-in'\n[[services]]\nreporter = 'HttpStatusPush'\nname = 'push'\nserverUrl = '{url}'\n{MAILS}"
    )
}

pub async fn post(inbox: u16, number: u64) -> StatusCode {
    let build = json!({"id": format!("build-{number}"), "builder": "nightly", "number": number, "results": 0, "properties": {"owner": ["nobody", "CI"]}});
    reqwest::Client::new().post(format!("http://127.0.0.1:{inbox}/events")).bearer_auth("let-me-in").json(&build).send().await.unwrap().status()
}

pub fn listens(port: u16) -> bool {
    std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_taken_whole_or_not_at_all_while_it_runs() {
    let server = Server::content().await;
    let port = server.port;
    let inbox = free_port();
    let to = |path: &str| settings(inbox, &format!("http://127.0.0.1:{port}/{path}"));
    let place = Place::new(&to("first"));
    let mut host = Process::new(env!("CARGO_BIN_EXE_host-under-test"), &place.path("reporter-host.toml"));
    host.start();
    host.until("it listens", || listens(inbox)).await;
    let at = |path: &str| server.bodies(path).len();
    assert!(post(inbox, 1).await.is_success());
    host.until("the first is told", || at("/first") == 1).await;

    // On change of the file.
    place.write(&to("second"));
    host.until("the new settings are in force", || host.said().matches("the new settings are in force").count() == 1).await;
    assert!(post(inbox, 2).await.is_success());
    host.until("the second is told", || at("/second") == 1).await;

    // Half of it is wrong, so all of it stays as it was.
    place.write(&format!("{}[[services]]\nreporter = 'MailNotifier'\nfromadr = 'x'\n", to("third")));
    host.until("it says what is wrong", || host.said().contains("fromaddr")).await;
    assert!(post(inbox, 3).await.is_success());
    host.until("the old settings are in force", || at("/second") == 2).await;

    // What only a start can change is refused as well.
    place.write(&format!("[network]\ndeny = '192.0.2.0/24'\n{}", to("fourth")));
    host.until("it says that it must be restarted", || host.said().contains("restart it")).await;
    assert!(post(inbox, 4).await.is_success());
    host.until("the old settings are in force", || at("/second") == 3).await;

    // So is an inbox that cannot listen.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    place.write(&settings(taken.local_addr().unwrap().port(), &format!("http://127.0.0.1:{port}/fifth")));
    host.until("it says that it cannot listen", || host.said().contains("cannot listen")).await;
    assert!(post(inbox, 5).await.is_success());
    host.until("the old settings are in force", || at("/second") == 4).await;

    // A stalled post holds no reload up, and an inbox that moves is there.
    use std::io::Write as _;
    let mut stalled = std::net::TcpStream::connect(("127.0.0.1", inbox)).unwrap();
    stalled.write_all(b"POST /events HTTP/1.1\r\nHost").unwrap();
    let moved = free_port();
    place.write(&settings(moved, &format!("http://127.0.0.1:{port}/sixth")));
    host.until("it listens elsewhere", || listens(moved)).await;
    assert!(post(moved, 6).await.is_success());
    host.until("the new settings are in force", || at("/sixth") == 1).await;
    host.terminate().await;
    assert_eq!((at("/third"), at("/fourth"), at("/fifth")), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hup_reads_the_settings_again_and_deliveries_survive_a_restart() {
    let server = Server::content().await;
    let port = server.port;
    let (inbox, closed) = (free_port(), free_port());
    let place = Place::new(&settings(inbox, &format!("http://127.0.0.1:{closed}/")));
    let mut host = Process::new(env!("CARGO_BIN_EXE_host-under-test"), &place.path("reporter-host.toml"));
    host.start();
    host.until("it listens", || listens(inbox)).await;
    assert!(post(inbox, 1).await.is_success());
    let waiting = || place.run(&["deliveries", "list", "--json", "--state", "waiting"]);
    host.until("its delivery waits", || waiting().code == 0).await;
    host.terminate().await;
    assert_eq!(waiting().ended(0).json().len(), 1);
    place.write(&settings(inbox, &format!("http://127.0.0.1:{port}/")));
    host.start();
    host.until("it is told after all", || server.posts().len() == 1).await;
    host.signal("HUP");
    host.until("it has read them again", || host.said().contains("the new settings are in force")).await;
    host.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_is_played_without_a_master() {
    reporter_host::transport::install_crypto();
    let inbox = free_port();
    let place = Place::new(&settings(inbox, "https://dashboard.example.org/"));
    let recording = tokio::task::spawn_blocking({
        let mut command = place.command(&["record", "events.jsonl", "--most", "2"]);
        move || command.output().unwrap()
    });
    let patience = tokio::time::timeout(Duration::from_secs(60), async {
        while !listens(inbox) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    patience.await.expect("it listens");
    for number in [1, 2] {
        assert!(post(inbox, number).await.is_success());
    }
    let output = recording.await.unwrap();
    assert!(output.status.success(), "{output:?}");
    place.run(&["record", "events.jsonl", "--most", "1"]).ended(2).says("events.jsonl");

    place.write("[host]\nsink = true\n[[recordings]]\nname = 'ci'\nfile = 'events.jsonl'\n[[services]]\nreporter = 'HttpStatusPush'\nserverUrl = 'https://dashboard.example.org/'\n");
    place.run(&["run"]).ended(0).says("success of build 1 on nightly").says("success of build 2 on nightly");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verbose_entry_says_what_others_keep_to_themselves() {
    reporter_host::transport::install_crypto();
    let (inbox, closed) = (free_port(), free_port());
    let place = Place::new(&settings(inbox, &format!("http://127.0.0.1:{closed}/")));
    let mut host = Process::new(env!("CARGO_BIN_EXE_host-under-test"), &place.path("reporter-host.toml")).log("warn");
    host.start();
    host.until("it listens", || listens(inbox)).await;
    assert!(post(inbox, 1).await.is_success());
    host.until("it is said", || host.said().contains("nobody gets no mail")).await;
    let lines: Vec<String> = host.said().lines().filter(|line| line.contains("gets no mail")).map(str::to_owned).collect();
    assert!(lines.iter().all(|line| line.contains("loud")), "{lines:?}");
    host.terminate().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_hears_that_a_destination_is_held() {
    reporter_host::transport::install_crypto();
    let (inbox, closed) = (free_port(), free_port());
    let place = Place::new(&settings(inbox, &format!("http://127.0.0.1:{closed}/")));
    let mut host = Process::new(env!("CARGO_BIN_EXE_host-under-test"), &place.path("reporter-host.toml")).log("warn");
    host.start();
    host.until("it listens", || listens(inbox)).await;
    // The breaker opens after five that nobody answered; a sixth is due and waits.
    for number in 1..=5 {
        assert!(post(inbox, number).await.is_success());
    }
    host.until("it is said", || host.said().contains("held, nothing goes there meanwhile")).await;
    let line = host.said().lines().find(|line| line.contains("held")).unwrap().to_owned();
    assert!(line.contains(&format!("http://127.0.0.1:{closed}")) && line.contains("until=") && line.contains("onnection refused"), "{line}");
    assert!(post(inbox, 6).await.is_success());
    let sixth = || place.run(&["deliveries", "list", "--event", "build-6", "--json"]).json().first().filter(|row| row["state"] == "waiting").cloned();
    host.until("it waits", || sixth().is_some()).await;
    host.terminate().await;
    let id = sixth().unwrap()["id"].to_string();
    place.run(&["deliveries", "show", &id]).ended(0).says("held by").says("to the same destination").says("onnection refused");
    place.run(&["deliveries", "list"]).ended(0).says("again in");
}
