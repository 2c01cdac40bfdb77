//! What the log says of attempts.

use std::io::Write;
use std::sync::{Arc, Mutex};

use tracing_subscriber::EnvFilter;

use super::wire::{Meets, status};
use super::{Rig, new, seconds};
use crate::store::NewDelivery;
use crate::transport::{Answer, Body, HttpRequest, Payload};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn of(entry: &str, uid: &str) -> NewDelivery {
    let path = vec!["hooks".into(), "written-as-text".into(), "line\nbreak".into()];
    let query = vec![("key".to_owned(), "in-the-query".to_owned())];
    let headers = vec![("x-key".to_owned(), "in-a-header".to_owned())];
    let request = HttpRequest { method: "PUT".into(), path, query, headers, body: Body::Text("the content".into()) };
    NewDelivery { entry: entry.into(), title: format!("title of\n{uid}"), payload: Arc::new(Payload::Http(request)), ..new(uid) }
}

/// The lines that are in the log without a setting.
async fn logged(entry: &str) -> Vec<String> {
    let written = Written::default();
    let writer = written.clone();
    let filter = EnvFilter::new(format!("warn,{}=debug", crate::LOUD));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).without_time().with_writer(move || writer.clone()).finish();
    let _guard = tracing::subscriber::set_default(subscriber);
    let rig = Rig::new().await;
    let answer = Answer { status: 201, body: [b"first\x1b[2J\nsecond".as_slice(), &[b'x'; 3_000]].concat(), ..Answer::default() };
    rig.wire.takes("one", seconds(2));
    rig.wire.tell("one", &[status(503), Meets::Answer(Box::new(answer))]);
    rig.wire.tell("two", &[status(404)]);
    rig.send(vec![of(entry, "one")]);
    rig.engine.idle().await;
    rig.send(vec![of(entry, "two")]);
    rig.engine.idle().await;
    let log = String::from_utf8(written.0.lock().unwrap().clone()).unwrap();
    for secret in ["written-as-text", "in-the-query", "in-a-header", "the content", "\x1b"] {
        assert!(!log.contains(secret), "{log}");
    }
    log.lines().map(str::to_owned).collect()
}

#[tokio::test(start_paused = true)]
async fn of_a_verbose_entry_each_success_is_logged() {
    let log = logged("verbose").await;
    assert_eq!(log.len(), 1, "{log:?}");
    for part in ["INFO", "delivered: title of\\none: 201 in 2000 ms", "entry=\"verbose\"", "destination=\"example.org\""] {
        assert!(log[0].contains(part), "no {part:?} in {log:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn of_a_debug_entry_each_request_and_answer_is_logged() {
    let log = logged("debug").await;
    assert_eq!(log.len(), 3, "{log:?}");
    let request = "PUT /hooks/[secret]/line\\nbreak";
    for (line, came) in log.iter().zip(["503 in 2000 ms", "201 in 2000 ms: first\\u{1b}[2J\\nsecondx", "404 in 0 ms"]) {
        assert!(line.contains("DEBUG") && line.contains(&format!("{request}: {came}")), "{came} in {line}");
    }
    assert!((1_900..2_000).contains(&log[1].matches('x').count()), "the answer is cut: {}", log[1].len());
}

#[tokio::test(start_paused = true)]
async fn of_others_nothing_is_logged() {
    assert_eq!(logged("chat").await, Vec::<String>::new());
}
