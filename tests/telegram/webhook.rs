//! Updates that Telegram posts.

use crate::fake::{ANN, BOB, Fake};
use crate::host;

const PEM: &str = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIU\n-----END CERTIFICATE-----";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_posted() {
    let fake = Fake::start().await;
    let port = reporter_host_tests::process::free_port();
    let more = format!("useWebhook = true\nwebhookUrl = 'https://ci.example:8443/telegram/'\ncertificate = '''{PEM}'''\nauthz = {{ '!' = 9001 }}");
    let mut bot = host::new(fake.port, &format!("webhooks = '127.0.0.1:{port}'"), &more);
    bot.run().await;
    fake.until("the webhook is set", |it| it.webhook().0.is_some()).await;
    let (hook, certificate) = fake.webhook();
    let (url, secret) = hook.unwrap();
    assert_eq!(certificate.as_deref(), Some(PEM));
    let (set, _) = fake.asked("setWebhook").remove(0);
    assert_eq!(set["max_connections"], "1", "what is said first is heard first");
    assert!(url.starts_with("https://ci.example:8443/telegram/") && url.len() > 60 && !secret.is_empty() && !url.contains(&secret));
    fake.calls(port);
    assert!(fake.asks(BOB, BOB.id, "/version").await.text.contains("reporter-host"));
    assert!(fake.asks(BOB, BOB.id, "/force").await.text.contains("may not use"));
    assert_eq!(fake.asked("getUpdates"), [], "one or the other");

    // Who does not know the path and the secret is not heard.
    let client = reqwest::Client::new();
    let path = url.strip_prefix("https://ci.example:8443/").unwrap();
    let update = r#"{"update_id": 1, "message": {"message_id": 1, "from": {"id": 9001, "first_name": "Eve"}, "chat": {"id": 9001, "type": "private"}, "text": "/source"}}"#;
    for (path, given, status) in [(path, "wrong", 401), (path, "", 401), ("telegram/0000", secret.as_str(), 404), ("", secret.as_str(), 404)] {
        let post = client.post(format!("http://127.0.0.1:{port}/{path}")).header("X-Telegram-Bot-Api-Secret-Token", given).body(update);
        assert_eq!(post.send().await.unwrap().status(), status, "{path} {given}");
    }
    // While the host is away Telegram keeps what is said; it then has another address, and nothing is lost or heard twice.
    bot.process().kill();
    fake.says(ANN, ANN.id, "/source");
    bot.run().await;
    assert!(fake.next(ANN.id).await.text.contains("buildbot.net"));
    assert_eq!(fake.asked("setWebhook").len(), 2);
    let again = fake.webhook().0.unwrap();
    assert!(again.0 != url && again.1 != secret);
    assert_eq!(fake.texts(ANN.id).len(), 1);
    let said = bot.process().said();
    for secret in [&secret, &again.1, url.rsplit('/').next().unwrap(), again.0.rsplit('/').next().unwrap()] {
        assert!(!said.contains(secret), "the log has {secret}:\n{said}");
    }
    host::assert_no_token(&mut bot);
    bot.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_cannot_be_called_is_refused_before_anything_runs() {
    let fake = Fake::start().await;
    for (host, url, part) in [
        ("webhooks = '127.0.0.1:0'", "https://ci.example:8080/", "443, 80, 88 and 8443"),
        ("webhooks = '127.0.0.1:0'", "http://ci.example/", "https"),
        ("", "https://ci.example/", "[host] webhooks"),
        ("webhooks = 'everywhere'", "https://ci.example/", "address and a port"),
    ] {
        let bot = host::new(fake.port, host, &format!("useWebhook = true\nwebhookUrl = '{url}'"));
        let check = std::process::Command::new(env!("CARGO_BIN_EXE_host-under-test")).arg("check").arg(bot.folder().join("settings.toml")).output().unwrap();
        let said = String::from_utf8_lossy(&check.stdout).into_owned() + &String::from_utf8_lossy(&check.stderr);
        assert!(!check.status.success() && said.contains(part), "{url}: {said}");
    }
    // The page's other spellings.
    let bot = host::new(fake.port, "webhooks = '127.0.0.1:0'", "usePolling = false\nwebhookUrl = 'https://ci.example/'");
    let check = std::process::Command::new(env!("CARGO_BIN_EXE_host-under-test")).arg("check").arg(bot.folder().join("settings.toml")).output().unwrap();
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stderr));
}
