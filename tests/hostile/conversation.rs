//! What comes of answers: rules that read them, calls of `answered`, and state that lasts from call to call.

use reporter_host_tests::play::Noted;
use reporter_host_tests::server::Server;

use super::whole::{hostile, open, play, play_once, until};

/// Words that say how answers are read; what the server answers is beside them in [`answers`], and here how the delivery ends.
const RULES: &[(&str, &[&str])] = &[
    ("rule-done", &["delivered"]),
    ("rule-dead", &["Dead(\"the answer was 200: {\\\"ok\\\":false}\")"]),
    ("rule-retry", &["Retry", "delivered"]),
    ("rule-throttle", &["Retry", "delivered"]),
    ("rule-order", &["delivered"]),
    ("expired", &["Dead(\"expired"]),
    ("throttle-for-ever", &["Dead(\"expired before another try"]),
];
const TALKING: &[&str] = &["tagged", "tagged-trap", "tagged-loop", "tagged-again"];
const STATE: &[&str] = &["state-count", "state-count-but", "state-shown"];
const REMINDED: &[&str] = &["reminders", "reminder-again", "reminders-again"];

pub fn words() -> Vec<&'static str> {
    RULES.iter().map(|(word, _)| *word).chain([TALKING, STATE, REMINDED].concat()).collect()
}

fn answers(path: &str, before: usize) -> (u16, &'static str) {
    match (path.split('/').nth(1).unwrap_or_default(), before) {
        ("rule-done", _) => (409, "it already exists"),
        ("rule-dead", _) => (200, "{\"ok\":false}"),
        ("rule-retry", 0) => (404, "not yet"),
        ("rule-throttle", 0) => (200, "Slow down"),
        ("rule-order", _) => (400, "bad"),
        ("throttle-for-ever", _) => (500, "no"),
        _ => (200, "fine"),
    }
}

/// How the deliveries of an entry ended.
fn settled(noted: &Noted, entry: &str) -> Vec<String> {
    noted.of(entry).into_iter().filter(|end| ["delivered", "Dead", "Retry"].iter().any(|it| end.starts_with(it))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_read_as_the_component_says() {
    let server = Server::start(answers).await;
    let entries = RULES.iter().map(|(word, _)| hostile(word, word, if *word == "throttle-for-ever" { "expires_after = '2 s'" } else { "" }));
    // One destination and a remote that throttles: an entry of its own for each, so that none waits for another's pause.
    for ((word, ends), entry) in RULES.iter().zip(entries) {
        let noted = play_once(&open(entry), &server).await;
        let settled = settled(&noted, word);
        assert!(settled.len() == ends.len() && settled.iter().zip(*ends).all(|(is, begins)| is.starts_with(begins)), "{word}: {:?}", noted.of(word));
    }
    assert!(server.bodies("/expired").is_empty(), "what is of no use is not sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_back_to_the_component() {
    let server = Server::start(|path, _| if path.starts_with("/refused") { (400, "no, thanks") } else { (201, "made 7") }).await;
    let noted = play_once(&open([hostile("taken", "tagged", ""), hostile("refused", "tagged", "")].concat()), &server).await;
    assert_eq!(server.bodies("/taken"), ["first", "answered 201 delivered: made 7"]);
    assert_eq!(server.bodies("/refused"), ["first", "answered 400 dead: no, thanks"]);
    assert_eq!(noted.of("taken").iter().filter(|end| *end == "Sent").count(), 2, "{:?}", noted.of("taken"));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_to_answers_end() {
    let server = Server::content().await;
    let failing = [hostile("tagged-trap", "tagged-trap", ""), hostile("tagged-loop", "tagged-loop", "")].concat();
    let noted = play_once(&open(failing + &hostile("tagged-again", "tagged-again", "limits = { sends = 5 }")), &server).await;
    for entry in ["tagged-trap", "tagged-loop"] {
        assert_eq!(server.bodies(&format!("/{entry}")), ["first"], "what failed sent nothing, and no plain message either");
        assert!(noted.of(entry).iter().any(|end| end.starts_with("Failed")), "{:?}", noted.of(entry));
    }
    assert_eq!(server.bodies("/tagged-again").len(), 5, "what one event leads to has one budget");
    assert!(noted.of("tagged-again").iter().any(|end| end.contains("limit \\\"sends\\\"")), "{:?}", noted.of("tagged-again"));
}

#[tokio::test(flavor = "multi_thread")]
async fn reminders_of_reminders_end() {
    let server = Server::content().await;
    for word in ["reminder-again", "reminders-again"] {
        let noted = play_once(&open(hostile(word, word, "limits = { sends = 5 }")), &server).await;
        // What one event leads to has one budget, of which each reminder that comes at once takes one.
        let ends = noted.of(word);
        let (failed, others): (Vec<_>, Vec<_>) = ends.iter().partition(|end| end.starts_with("Failed"));
        assert!(!failed.is_empty() && failed.iter().all(|end| end.contains("limit \\\"sends\\\"")), "{word}: {ends:?}");
        assert!(ends.len() <= 6, "the event and what it reminds of: {word}: {} calls", ends.len());
        assert!(others.iter().all(|end| end.contains("it sent nothing")), "{word}: {ends:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_than_a_thousand_reminders_wait() {
    let server = Server::content().await;
    let folder = tempfile::tempdir().unwrap();
    let settings = open([hostile("many", "reminders", "count = 100"), hostile("other", "reminders", "count = 1")].concat());
    // Those of before a restart count.
    for (builds, known) in [(7, 0), (12, 7)] {
        let noted = until(folder.path(), &settings, builds, server.port, 2 * (builds - known)).await;
        let refused: Vec<String> = noted.of("many").into_iter().filter(|end| end.starts_with("Failed")).collect();
        assert_eq!(refused.len(), builds.saturating_sub(10), "{:?}", noted.of("many"));
        assert!(refused.iter().all(|end| end.contains("while 1000 of its entry wait")), "{refused:?}");
        assert!(noted.of("other").iter().all(|end| end.contains("it sent nothing")), "each entry has its own: {:?}", noted.of("other"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn state_lasts_and_is_the_entrys_own() {
    let server = Server::content().await;
    let folder = tempfile::tempdir().unwrap();
    let entries = [
        hostile("one", "state-count", ""),
        hostile("two", "state-count", ""),
        hostile("but", "state-count-but", "text = 'builds/3'"),
        hostile("undone", "state-then-fail", ""),
        hostile("reads", "state-shown", ""),
    ];
    play(folder.path(), &open(entries.concat()), 5, server.port).await;
    let calls = |many: usize| (1..=many).map(|call| format!("call {call}")).collect::<Vec<_>>();
    // Deliveries without a lane go out side by side; the calls were one after the other.
    assert_eq!(server.sorted("/one"), calls(5));
    assert_eq!(server.sorted("/two"), calls(5));
    // The third event's call failed, and what it wrote is not counted.
    assert_eq!(server.sorted("/but"), calls(4));
    assert!(server.bodies("/undone").is_empty());
    assert_eq!(server.bodies("/reads"), ["nothing"; 5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn state_outlives_the_host() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::content().await;
    play(folder.path(), &open(hostile("one", "state-count", "")), 2, server.port).await;
    // What was reported is not reported again: three more come to five.
    play(folder.path(), &open(hostile("one", "state-count", "")), 5, server.port).await;
    assert_eq!(server.sorted("/one"), (1..=5).map(|call| format!("call {call}")).collect::<Vec<_>>());
}
