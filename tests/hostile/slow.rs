//! A source that takes longer than a call may wait. Time is paused: what waits is what passes.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reporter_host::event::{Fetch, FetchError, Rows};
use reporter_host::sandbox::{Occasion, Outcome, RunError};
use reporter_host_tests::{Kit, Mapped, build, details};
use serde_json::json;

/// How long the master needs for one of its answers; a call may wait for 60 s.
const TAKES: Duration = Duration::from_secs(200);

/// A master that needs [`TAKES`] for one path.
struct Slow {
    of: Mapped,
    path: &'static str,
}

#[async_trait]
impl Fetch for Slow {
    async fn fetch(&self, path: &str) -> Result<Rows, FetchError> {
        let rows = self.of.fetch(path).await;
        if path == self.path {
            tokio::time::sleep(TAKES).await;
        }
        rows
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_detail_puts_a_call_off_until_its_one_fetch_has_ended() {
    let mut kit = Kit::new();
    let pick = kit.load(test_guests::PICK).unwrap();
    kit.formatters.insert("message".into(), (pick, json!({"members": {"a": "b"}, "want": ["steps"], "text": "steps"})));
    let mail = json!({"fromaddr": "ci@example.org", "extraRecipients": ["list@example.org"], "mode": "all"});
    let formatted = {
        let mut mail = mail.clone();
        mail["messageFormatter"] = json!({"formatter": true});
        mail
    };
    for (settings, path) in [(&mail, "builds/40/properties"), (&formatted, "builds/40/steps")] {
        let (event, of) = build(2);
        let source = Arc::new(Slow { of, path });
        let details = details(event, source.clone());
        let loaded = kit.built_in("MailNotifier");
        let ready = kit.configure(&loaded, settings).await.unwrap();
        for _ in 0..3 {
            let ran = ready.report(&details).await;
            let Err(RunError::NotNow(why)) = ran.answer else { panic!("{path}: {:?}", ran.answer) };
            assert!(why.contains("has not answered within `wait_ms`"), "{path}: {why}");
        }
        assert_eq!(ready.report(&details).await.answer, Ok(Outcome::Sent), "{path}");
        assert_eq!(source.of.asked()[path], 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_query_is_no_slow_source() {
    let mut kit = Kit::new();
    kit.query_takes = TAKES;
    let (event, of) = build(2);
    let details = details(event, Arc::new(Slow { of, path: "builds/40/steps" }));
    // Somebody else waits for a detail of the same event meanwhile.
    let other = tokio::spawn({
        let details = details.clone();
        async move { details.get("builds/40/steps").await.map(|steps| steps.len()) }
    });
    tokio::task::yield_now().await;
    assert!(details.is_fetching());
    let ran = kit.report(&kit.load(test_guests::HOSTILE).unwrap(), &json!({"do": "wait"}), &details).await;
    assert_eq!(ran.answer, Err(RunError::Limit("wait_ms")));
    assert_eq!(other.await.unwrap().unwrap(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_gives_its_place_up_while_the_source_is_read_from() {
    const PATIENCE: Duration = Duration::from_secs(2);
    let kit = Kit::new();
    let (event, of) = build(2);
    let source = Arc::new(Slow { of, path: "builds/40/properties" });
    let details = details(event, source.clone());
    let loaded = kit.built_in("MailNotifier");
    let ready = kit.configure(&loaded, &json!({"fromaddr": "ci@example.org", "extraRecipients": ["list@example.org"], "mode": "all"})).await.unwrap();
    let begun = tokio::time::Instant::now();
    let ran = ready.reporter.report(Occasion { patience: PATIENCE, ..ready.occasion(&details) }).await;
    let Err(RunError::NotNow(why)) = ran.answer else { panic!("{:?}", ran.answer) };
    assert!(why.contains("has not answered yet"), "{why}");
    assert!(begun.elapsed() < 2 * PATIENCE, "{:?}", begun.elapsed());
    // As soon as the source has answered it can be made again.
    assert!(details.answered().await);
    assert!(begun.elapsed() >= TAKES);
    let ran = ready.reporter.report(Occasion { patience: PATIENCE, ..ready.occasion(&details) }).await;
    assert_eq!((ran.answer, source.of.asked()["builds/40/properties"]), (Ok(Outcome::Sent), 1));
}
