//! Whoever reads what the host prints may stop reading: deliveries go on, and so does SIGTERM.

use std::io::Read as _;
use std::process::{Child, Stdio};
use std::time::Instant;

use reporter_host::source::recording::Writer;
use reporter_host_tests::process::PATIENCE;
use reporter_host_tests::server::Server;

use crate::Place;

/// More than any pipe holds, a few hundred bytes each on stdout and on stderr.
const BUILDS: usize = 600;

fn until(what: &str, child: &mut Child, mut so: impl FnMut(&mut Child) -> bool) {
    let began = Instant::now();
    while !so(child) {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn deliveries_and_the_end_wait_for_no_reader() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::content());
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = Place::new(&format!(
        "[[recordings]]\nname = 'main'\nfile = 'many.jsonl'\n[[inboxes]]\nname = 'inbox'\nlisten = '{free}'\ntoken = 'x'\n\
         [[services]]\nreporter = 'HttpStatusPush'\nserverUrl = 'http://127.0.0.1:{}/'\n",
        server.port
    ));
    let mut writer = Writer::append(&place.path("many.jsonl")).unwrap();
    for number in 1..=BUILDS {
        let (mut event, source) = reporter_host_tests::build(2);
        event.id = format!("main/builds/{number}/finished");
        let details: Vec<_> = source.rows().map(|(path, rows)| (path.clone(), rows.clone())).collect();
        writer.write(&event, &details).unwrap();
    }
    let mut host = place.command(&["run", "--json", "--log", "debug"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    until("everything has arrived", &mut host, |_| server.posts().len() >= BUILDS);
    assert!(std::process::Command::new("kill").arg(host.id().to_string()).status().unwrap().success());
    until("it ends", &mut host, |host| host.try_wait().unwrap().is_some());
    // What did fit into the pipe was whole lines.
    let mut read = String::new();
    host.stdout.take().unwrap().read_to_string(&mut read).unwrap();
    let whole = read.lines().filter(|line| line.contains("\"came\":\"delivered\"")).count();
    assert!((1..BUILDS).contains(&whole), "{whole} of {BUILDS} lines");
}
