//! What `preview` leaves alone, and where it starts from.

use std::collections::BTreeMap;
use std::path::Path;

use reporter_host_tests::process::{Process, free_port};

use crate::{Place, SINK, operate};

/// Every file of the state folder with what is in it, but for the memory about the log that readers and a host share.
fn state(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let mut all = content(&place.path("reporter-host.state"));
    all.remove("store.sqlite-shm");
    all
}

fn content(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let name = entry.file_name().into_string().unwrap();
        if entry.file_type().unwrap().is_dir() {
            all.extend(content(&entry.path()).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            all.insert(name, std::fs::read(entry.path()).unwrap());
        }
    }
    all
}

/// An entry that counts its calls.
const COUNTER: &str = "[[services]]\ncomponent = 'counter.wasm'\nname = 'counter'\nallow = ['https://counter.example.org', 'smtp://127.0.0.1:25']\n\
    serverUrl = 'https://counter.example.org/'\ndo = 'state-count'\n";

/// Settings with such an entry beside others.
fn counting(others: &str) -> Place {
    let place = Place::new(&format!("{others}{COUNTER}"));
    std::fs::write(place.path("counter.wasm"), test_guests::HOSTILE).unwrap();
    place
}

#[test]
fn the_state_folder_is_read_and_not_written() {
    let place = counting(&SINK.replace("mode = ['failing']", "addLogs = true"));
    // Without a store: the first call that ever was, and no folder.
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart.recording.jsonl").display().to_string();
    let recorded = ["preview", "--event", "builds/5/finished", "--recording", &recording];
    place.run(&recorded).ended(0).says("call 1").says("spooled as");
    place.run(&["preview", "--event", "builds/5/finished"]).ended(1).says("`reporter-host run` makes it");
    assert!(!place.path("reporter-host.state").exists());

    place.run(&["run"]).ended(0);
    let calls = place.run(&["deliveries", "list", "--entry", "counter", "--json", "--limit", "500"]).ended(0).json().len();
    std::fs::remove_dir_all(place.path("reporter-host.state/spool")).unwrap();
    let before = state(&place);
    for _ in 0..2 {
        let next = format!("call {}", calls + 1);
        place.run(&["preview", "--event", "builds/5/finished"]).ended(0).says(&next).says("spooled as");
        place.run(&recorded).ended(0).says(&next);
    }
    assert!(before == state(&place), "{:?} became {:?}", before.keys(), state(&place).keys());
}

/// Beside a running host the newest is in the write-ahead log.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_running_host_wrote_last_is_seen() {
    reporter_host::transport::install_crypto();
    let inbox = free_port();
    let place = counting(&format!("[host]\nsink = true\n[[inboxes]]\nname = 'ci'\nlisten = '127.0.0.1:{inbox}'\ntoken = 'let-me-in'\n"));
    let mut host = Process::new(env!("CARGO_BIN_EXE_host-under-test"), &place.path("reporter-host.toml"));
    host.start();
    host.until("it listens", || operate::listens(inbox)).await;
    for number in 1..=3 {
        assert!(operate::post(inbox, number).await.is_success());
    }
    let delivered = || place.run(&["deliveries", "list", "--state", "delivered", "--json"]).out.lines().count();
    host.until("all are told", || delivered() == 3).await;
    let before = state(&place);
    place.run(&["preview", "--event", "build-3"]).ended(0).says("call 4");
    assert!(before == state(&place), "{:?} became {:?}", before.keys(), state(&place).keys());
    host.terminate().await;
}
