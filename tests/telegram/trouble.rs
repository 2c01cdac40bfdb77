//! A Telegram that is away, throttles, or is somebody else's; hosts that are restarted in the middle of things.

use std::time::Duration;

use serde_json::json;

use crate::fake::{ANN, BOB, Fake, GROUP};
use crate::host;

#[tokio::test(flavor = "multi_thread")]
async fn the_host_starts_without_telegram_and_finds_it_later() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut bot = host::new(free, "", &format!("chat_ids = [{GROUP}]\nnotify_events = ['finished']"));
    bot.run().await;
    let process = bot.process();
    process.until("it says that Telegram is away", || process.said().contains("nothing that is said to the bot arrives")).await;
    bot.ended(2).await;
    bot.ended(0).await;
    let fake = Fake::on(free).await;
    assert!(fake.next(GROUP).await.text.contains("#1"));
    assert!(fake.next(GROUP).await.text.contains("#2"), "in order");
    fake.until("it knows its name", |it| it.asked("getMe").iter().any(|(_, status)| *status == 200)).await;
    assert!(fake.asks(BOB, GROUP, "/source@ci_test_bot").await.text.contains("buildbot.net"));
    host::assert_no_token(&mut bot);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_or_done_twice() {
    let fake = Fake::start().await;
    let mut bot = host::start(&fake, &format!("bot_username = 'ci_test_bot'\nchat_ids = [{GROUP}]\nnotify_events = ['finished']")).await;
    assert_eq!(fake.asked("getMe"), []);
    fake.says(BOB, BOB.id, "/source");
    fake.next(BOB.id).await;
    // Away for a while, with everything that can be wrong.
    fake.set_down(true);
    fake.says(BOB, BOB.id, "/version");
    bot.ended(2).await;
    let process = bot.process();
    process.until("it notices", || process.said().contains("502")).await;
    fake.answer_instead("sendMessage", 429, r#"{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 2","parameters":{"retry_after":2}}"#);
    fake.answer_instead("getUpdates", 500, "<html>");
    fake.set_down(false);
    assert!(fake.next(BOB.id).await.text.contains("reporter-host"));
    assert!(fake.next(GROUP).await.text.contains("#1"));
    // Killed between hearing and confirming, again and again: each question has one answer.
    for round in 0..3 {
        for n in 0..4 {
            fake.says(ANN, ANN.id, &format!("/nonsense{round}{n}"));
        }
        tokio::time::sleep(Duration::from_millis(150 * round)).await;
        bot.process().kill();
        bot.run().await;
    }
    fake.says(ANN, ANN.id, "/source");
    fake.with(ANN.id, "buildbot.net").await;
    let texts = fake.texts(ANN.id);
    for (round, n) in (0..3).flat_map(|round| (0..4).map(move |n| (round, n))) {
        let answers = texts.iter().filter(|text| text.contains(&format!("`/nonsense{round}{n}`"))).count();
        // An answer whose delivery was not noted before the kill goes out again; the question is not asked again.
        assert!((1..=2).contains(&answers), "{answers} answers to {round}{n}: {texts:?}");
    }
    fake.until("everything is confirmed", |it| it.waiting() == 0).await;
    host::assert_no_token(&mut bot);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_of_somebody_else_is_taken_away_again() {
    let fake = Fake::start().await;
    let bot = host::start(&fake, "").await;
    fake.says(BOB, BOB.id, "/source");
    fake.next(BOB.id).await;
    let before = fake.asked("deleteWebhook").len();
    let set = reqwest::Client::new().get(format!("http://127.0.0.1:{}/bot{}/setWebhook?url=https://evil.example/", fake.port, crate::fake::TOKEN));
    assert!(set.send().await.unwrap().status().is_success());
    fake.says(BOB, BOB.id, "/version");
    assert!(fake.next(BOB.id).await.text.contains("reporter-host"));
    assert!(fake.asked("deleteWebhook").len() > before && fake.webhook().0.is_none());
    drop(bot);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_remembered_for_each_chat() {
    let fake = Fake::start().await;
    let mut bot = host::start(&fake, &format!("chat_ids = [{GROUP}]\nnotify_events = ['failure']")).await;
    assert!(fake.asks(BOB, BOB.id, "/notify on success").await.text.contains("success"));
    assert!(fake.asks(BOB, GROUP, "/notify on worker").await.text.contains("failure, worker"));
    assert!(fake.asks(BOB, GROUP, "/notify off failure").await.text.ends_with(": worker."));
    bot.end().await;
    bot.run().await;
    assert!(fake.asks(BOB, GROUP, "/notify list").await.text.contains("failure, worker"), "the settings' events are on again");
    bot.ended(0).await;
    assert!(fake.next(BOB.id).await.text.contains("completed successfully ✅"));
    bot.post(json!({"id": "g", "builder": "linux", "number": 9, "results": 2})).await;
    assert!(fake.next(GROUP).await.text.contains("#9"));
    // Without the group in the settings, what was switched on stays on until somebody switches it off.
    bot.process().kill();
    std::fs::write(
        bot.folder().join("settings.toml"),
        std::fs::read_to_string(bot.folder().join("settings.toml")).unwrap().replace(&format!("chat_ids = [{GROUP}]"), "chat_ids = [4]"),
    )
    .unwrap();
    bot.run().await;
    fake.says(BOB, GROUP, "/notify list");
    assert!(fake.with(GROUP, "announced here:").await.text.contains("failure, worker"));
    fake.says(BOB, GROUP, "/notify off");
    fake.with(GROUP, "No events").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_said_and_not_shown() {
    let fake = Fake::start().await;
    let mut bot = host::new(fake.port, "", "");
    std::fs::write(bot.folder().join("token"), "999:wrong-but-secret\n").unwrap();
    bot.run().await;
    let process = bot.process();
    process.until("it says what is wrong", || process.said().contains("401")).await;
    assert!(!process.said().contains("wrong-but-secret"), "{}", process.said());
    // Put right, it goes on by itself.
    std::fs::write(bot.folder().join("token"), format!("{}\n", crate::fake::TOKEN)).unwrap();
    assert!(fake.asks(BOB, BOB.id, "/source").await.text.contains("buildbot.net"));
}
