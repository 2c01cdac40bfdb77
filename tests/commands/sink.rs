//! `[host] sink`: no command sends anything, and no component asks anybody.

use std::io::ErrorKind;
use std::net::TcpListener;

use crate::Place;

/// Whether anybody has connected.
fn reached(listener: &TcpListener) -> bool {
    listener.set_nonblocking(true).unwrap();
    match listener.accept() {
        Ok(_) => true,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::WouldBlock);
            false
        }
    }
}

#[test]
fn queries_and_test_messages_reach_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let settings = format!(
        "[host]\nsink = true\n[network]\nallow = '127.0.0.1'\n[[recordings]]\nname = 'main'\nfile = 'RECORDING'\n\
         [[services]]\nreporter = 'HttpStatusPush'\nname = 'push'\nserverUrl = 'http://127.0.0.1:{port}/'\n\
         [[services]]\nreporter = 'MailNotifier'\nname = 'mail'\nfromaddr = 'ci@example.org'\nextraRecipients = 'list@example.org'\nrelayhost = '127.0.0.1'\nsmtpPort = {port}\n\
         [[services]]\ncomponent = 'asks.wasm'\nname = 'asks'\nallow = ['http://127.0.0.1:{port}', 'smtp://127.0.0.1:25']\nserverUrl = 'http://127.0.0.1:{port}/'\ndo = 'wait'\n"
    );
    let place = Place::new(&settings);
    std::fs::write(place.path("asks.wasm"), test_guests::HOSTILE).unwrap();
    let told = place.run(&["run", "--json"]).ended(0).json();
    // It posts the status that its query was answered with.
    let asked: Vec<_> = told.iter().filter(|line| line["entry"] == "asks").collect();
    assert!(!asked.is_empty() && asked.iter().all(|line| line["came"] == "delivered" && line["content"]["body"]["text"] == "0"), "{asked:?}");
    place.run(&["preview", "--event", "builds/5/finished", "--entry", "asks"]).ended(0).says("POST …/hook");
    place.run(&["test-send", "--entry", "push"]).ended(0).says("201");
    place.run(&["test-send", "--entry", "mail"]).ended(0).says("250");
    assert!(!reached(&listener));

    // Without the sink, each of them gets there.
    drop(listener);
    place.write(&settings.replace("sink = true", ""));
    place.run(&["test-send", "--entry", "push"]).ended(1).says(&port.to_string());
    place.run(&["preview", "--event", "builds/5/finished", "--entry", "asks"]).ended(1).says("it failed").says(&port.to_string());
}
