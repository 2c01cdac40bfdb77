//! What is written and pressed, by whom and where.

use serde_json::json;

use crate::fake::{ANN, BOB, Fake, GROUP};
use crate::host;

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_where_they_are_asked() {
    let fake = Fake::start().await;
    let mut bot = host::start(&fake, "authz = { '!' = 9001 }").await;
    fake.says(BOB, BOB.id, "/start");
    assert!(fake.next(BOB.id).await.text.contains("Hello, Bob_*!"), "names are no markup");
    assert!(fake.with(BOB.id, "/watch - announce").await.text.contains("/getid"));
    assert!(fake.asks(BOB, BOB.id, "/version").await.text.contains("reporter-host"));
    assert_eq!(fake.asks(ANN, ANN.id, "/getid").await.text, "Ann, your ID is `9001`.");
    let in_group = fake.asks(BOB, GROUP, "/getid@CI_test_bot").await;
    assert_eq!(in_group.text, "Bob_*, your ID is `9003`.\nThis group's ID is `-5001`.");
    assert!(in_group.answers.is_some(), "it is said who is answered");
    // What is not for it is not answered: the next word is about the last question.
    for unheard in ["/version@other_bot", "hello", "hello!", " \n ", "\u{200b}"] {
        fake.says(BOB, GROUP, unheard);
    }
    fake.update(json!({"edited_message": {"text": "/version"}}));
    fake.update(json!({"message": {"message_id": 1, "chat": {"id": GROUP, "type": "supergroup"}, "date": 1, "text": "/version"}}));
    fake.update(json!({"message": {"message_id": 1, "from": {"id": 1, "is_bot": true, "first_name": "x"}, "chat": {"id": GROUP, "type": "supergroup"}, "text": "/version"}}));
    assert!(fake.asks(BOB, GROUP, "/source").await.text.contains("https://buildbot.net/"));
    let denied = fake.asks(BOB, GROUP, "/force").await;
    assert!(denied.text.contains("You may not use `force` here, Bob_*."), "{}", denied.text);
    let father = fake.asks(BOB, BOB.id, "/commands botfather").await;
    assert!(father.text.lines().all(|line| line.split_once(" - ").is_some_and(|(name, about)| !name.starts_with('/') && !about.is_empty())), "{}", father.text);
    assert_eq!(fake.asked("setMyCommands").len(), 1);
    assert_eq!(fake.refused(), []);
    host::assert_no_token(&mut bot);
    bot.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_switched_with_buttons_and_announced_in_their_chats() {
    let fake = Fake::start().await;
    let mut bot = host::start(&fake, &format!("chat_ids = [{GROUP}, '@builds']\nnotify_events = ['problem']")).await;
    fake.says(BOB, GROUP, "/notify");
    let menu = fake.with(GROUP, "Press one").await;
    assert_eq!(fake.buttons(menu.id).len(), 13);
    fake.press(BOB, &menu, "Failure");
    fake.until("the button has another sign", |it| it.buttons(menu.id).contains(&"Failure 🔔".to_owned())).await;
    // Twice the same is no change, which Telegram refuses; nobody minds.
    fake.presses(BOB, GROUP, menu.id, "/notify on-quiet failure");
    fake.says(ANN, ANN.id, "/notify on started");
    assert!(fake.next(ANN.id).await.text.contains("started"));
    // Buttons outlive the host.
    bot.process().kill();
    bot.run().await;
    fake.press(ANN, &menu, "Success");
    fake.until("the button has another sign", |it| it.buttons(menu.id).contains(&"Success 🔔".to_owned())).await;
    fake.press(ANN, &menu, "Hide");
    assert_eq!(fake.with(GROUP, "announced here").await.text, "These events are announced here: failure, problem, success.");
    fake.until("the menu is gone", |it| it.is_deleted(menu.id)).await;
    bot.post(json!({"id": "s1", "state": "started", "builder": "li_nux*", "number": 1})).await;
    let started = fake.with(ANN.id, "#1").await.text;
    assert!(started.contains("`li_nux*` started."), "{started}");
    bot.ended(2).await;
    fake.with(GROUP, "`linux` failed ❗").await;
    assert!(fake.texts(-1_000_777).is_empty(), "no problem without a build before");
    bot.end().await;
    // What was done before the kill and not noted is done again, and Telegram says that it is so already.
    assert_eq!(fake.refused_texts(), [], "everything that was said could be said");
}

#[tokio::test(flavor = "multi_thread")]
async fn long_messages_come_whole_and_in_order() {
    let fake = Fake::start().await;
    let bot = host::start(&fake, &format!("chat_ids = [{GROUP}]\nnotify_events = ['finished']")).await;
    let words = "größer_ 🎉 *und* [so]. ".repeat(500);
    bot.post(json!({"id": "b1", "builder": "linux", "number": 1, "results": 2, "state_string": words.trim()})).await;
    let mut all = String::new();
    while all.matches("größer_").count() < 500 {
        let part = fake.next(GROUP).await.text;
        assert!(part.encode_utf16().count() <= 4_096);
        all.push_str(&part);
        all.push(' ');
    }
    assert!(all.contains("`linux` failed ❗: größer_ 🎉 *und* [so]."), "{}", &all[..200]);
    assert_eq!(fake.refused(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_a_minute_go_to_a_group_and_others_do_not_wait_for_it() {
    let fake = Fake::start().await;
    let bot = host::start(&fake, &format!("chat_ids = [{GROUP}]\nnotify_events = ['finished']")).await;
    for _ in 0..24 {
        bot.ended(0).await;
    }
    fake.until("the group has what it may get", |it| it.texts(GROUP).len() >= 5).await;
    assert!(fake.asks(BOB, BOB.id, "/source").await.text.contains("buildbot.net"));
    fake.until("all have come", |it| it.texts(GROUP).len() == 24).await;
    let texts = fake.texts(GROUP);
    for (n, text) in texts.iter().enumerate() {
        assert!(text.contains(&format!("#{}", n + 1)), "in order: {texts:?}");
    }
    assert_eq!(fake.refused(), [], "nothing was too much for Telegram");
}

#[tokio::test(flavor = "multi_thread")]
async fn forged_buttons_and_floods() {
    let fake = Fake::start().await;
    let mut bot = host::start(&fake, "authz = { '!' = 9001 }").await;
    let hello = fake.asks(BOB, BOB.id, "/source").await;
    for forged in ["123456789", "#0", "#99 build", "\u{0}", "💣", "force"] {
        fake.presses(BOB, BOB.id, hello.id, forged);
    }
    fake.presses(BOB, BOB.id, hello.id, "/force force build one");
    assert!(fake.with(BOB.id, "may not use").await.text.contains("`force`"), "a button gives no rights");
    let said: Vec<_> = fake.asked("answerCallbackQuery").into_iter().filter(|(asked, _)| asked["text"].is_string()).collect();
    assert_eq!(said.len(), 6);
    // A button that Telegram has forgotten about, as long after it was pressed.
    fake.update(json!({"callback_query": {"id": "old", "from": {"id": 9003, "first_name": "Bob"}, "data": "/version",
        "message": {"message_id": hello.id, "chat": {"id": 9003, "type": "private"}}}}));
    assert!(fake.with(BOB.id, "reporter-host").await.text.contains("reporter-host"));
    let long = format!("/{}", "z".repeat(4_000));
    fake.says(ANN, ANN.id, &long);
    assert!(fake.next(ANN.id).await.text.len() < 500);
    for n in 0..60 {
        fake.says(BOB, BOB.id, &format!("/nonsense{n}"));
    }
    assert!(fake.asks(ANN, ANN.id, "/source").await.text.contains("buildbot.net"), "others are heard");
    fake.until("everything has arrived", |it| it.waiting() == 0).await;
    assert!(fake.texts(BOB.id).iter().filter(|text| text.contains("nonsense")).count() <= 25);
    let stale = fake.refused();
    assert!(stale.iter().all(|(method, ..)| method == "answerCallbackQuery" || method == "editMessageReplyMarkup"), "{stale:?}");
    bot.end().await;
}
