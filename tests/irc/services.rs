//! Accounts: SASL, NickServ, and rights that go by them.

use crate::host;
use crate::inspircd::Inspircd;
use crate::person::Person;

/// Registers a nick with NickServ, and stays logged in.
async fn registered(server: &Inspircd, nick: &str, password: &str) -> Person {
    let mut person = Person::new(server.plain, nick).await;
    for tries in 0.. {
        assert!(tries < 60, "there are no services:\n{}", server.log());
        person.say("NickServ", &format!("REGISTER {password} {nick}@example.org")).await;
        // Services come a moment after the server.
        let line = person.so("NickServ, or that there is none", |line| line.contains(" 401 ") || line.contains("NickServ!") || line.contains(" 900 ")).await;
        if !line.contains(" 401 ") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    if !person.all().contains(" 900 ") {
        person.until(" 900 ").await;
    }
    person
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bot_logs_in_and_rights_go_by_accounts() {
    let server = Inspircd::with_services().await;
    let mut bot_before = registered(&server, "bbot", "pw-of-bot").await;
    bot_before.write("QUIT :done").await;
    let mut alice = registered(&server, "alice", "pw-of-alice").await;
    alice.join("#ci").await;
    let more = "channels = ['#ci']\npassword = 'pw-of-bot'\nauthz = { 'join, leave' = 'Alice' }\n";

    // SASL, and nothing else; the password is not in the log.
    let mut bot = host::start(server.plain, &format!("{more}useSASL = true\n")).await;
    alice.so("the bot", |line| line.starts_with(":bbot!") && line.contains("JOIN")).await;
    alice.write("WHOIS bbot").await;
    alice.so("that the bot is logged in", |line| line.contains(" 330 ") && line.contains("bbot")).await;
    let process = bot.process();
    process.until("the log says how it logged in", || process.said().contains("SASL")).await;
    assert!(!process.said().contains("pw-of-bot"), "{}", process.said());

    // Alice may, because she is logged in; a thief of her nick may not.
    assert!(alice.asks("bbot", "bbot", "join #more").await.contains("joining #more"));
    let joined = |line: &str| line.contains("reporter_host::audit") && line.contains("joining #more, asked for by alice!");
    process.until("the audit log says who had it join", || process.said().lines().any(|line| joined(line) && line.contains("account alice"))).await;
    alice.write("NICK alice_away").await;
    alice.until("NICK").await;
    alice.say("bbot", "leave #more").await;
    alice.so("that her account is the same", |line| line.starts_with(":bbot!") && line.contains("leaving #more")).await;
    let mut thief = Person::new(server.plain, "alice").await;
    let denied = thief.asks("bbot", "bbot", "join #more").await;
    assert!(denied.contains("You may not use `join`") && denied.contains("not logged in"), "{denied}");
    bot.end().await;
    alice.until("QUIT").await;

    // NickServ, where SASL is not to be used.
    let mut bot = host::start(server.plain, &format!("{more}useSASL = false\nnickserv = 'NickServ@services.test'\n")).await;
    alice.so("the bot", |line| line.starts_with(":bbot!") && line.contains("JOIN")).await;
    alice.write("WHOIS bbot").await;
    alice.so("that the bot is logged in", |line| line.contains(" 330 ") && line.contains("bbot")).await;
    bot.end().await;
    alice.until("QUIT").await;

    // A wrong password with SASL alone is no connection, and the operator is told.
    let mut bot = host::start(server.plain, "channels = ['#ci']\npassword = 'wrong'\nuseSASL = true\n").await;
    let process = bot.process();
    process.until("it says that SASL failed", || process.said().contains("SASL failed")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_calls_himself_nickserv_gets_no_password() {
    // While services are away, or where there are none.
    let server = Inspircd::new().await;
    let mut thief = Person::new(server.plain, "NickServ").await;
    thief.join("#ci").await;
    let more = "channels = ['#ci']\npassword = 'pw-of-bot'\nuseSASL = false\n";
    let mut bot = host::start(server.plain, &format!("{more}nickserv = 'NickServ@services.test'\n")).await;
    thief.so("the bot", |line| line.starts_with(":bbot!") && line.contains("JOIN")).await;
    assert!(thief.asks("bbot", "bbot", "source").await.contains("buildbot.net"));
    assert!(!thief.all().contains("pw-of-bot"), "{}", thief.all());
    bot.end().await;
    thief.until("QUIT").await;
    // Otherwise it is whoever has the nick.
    let _bot = host::start(server.plain, more).await;
    thief.until("IDENTIFY pw-of-bot").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_is_a_login() {
    let server = Inspircd::with_services().await;
    let (certificate, key) = server.client();
    // Whoever runs the bot tells NickServ of its certificate.
    registered(&server, "bbot", "pw-of-bot").await.write("QUIT :done").await;
    let mut owner = Person::certified(server.tls, "owner", (&certificate, &key), &server.authority()).await;
    owner.say("NickServ", "IDENTIFY bbot pw-of-bot").await;
    owner.until(" 900 ").await;
    owner.say("NickServ", "CERT ADD").await;
    owner.so("that it is known now", |line| line.contains("NickServ!") && line.contains("added")).await;
    let mut alice = Person::new(server.plain, "alice").await;
    alice.join("#ci").await;
    let more = format!(
        "channels = ['#ci']\nuseSSL = true\nverify = '{}'\nclientCertificate = '{}'\nclientKey = '{}'\n",
        server.authority().display(),
        certificate.display(),
        key.display()
    );
    let mut bot = host::start(server.tls, &format!("{more}useSASL = true\n")).await;
    alice.so("the bot", |line| line.starts_with(":bbot!") && line.contains("JOIN")).await;
    alice.write("WHOIS bbot").await;
    alice.so("that the bot is logged in", |line| line.contains(" 330 ") && line.contains("bbot")).await;
    // The log may be a moment behind.
    let process = bot.process();
    process.until("the log says how it logged in", || process.said().contains("SASL EXTERNAL")).await;
}
