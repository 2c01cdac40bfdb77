//! Servers that go away, certificates that are not good, hosts that are restarted.

use std::time::Duration;

use crate::host;
use crate::inspircd::Inspircd;
use crate::person::Person;
use crate::talk::settled;

/// Somebody in the channel who sees the bot come.
async fn witness(server: &Inspircd) -> Person {
    let mut ann = Person::new(server.plain, "ann").await;
    ann.join("#ci").await;
    ann
}

async fn comes(ann: &mut Person) {
    ann.so("the bot", |line| line.starts_with(":bbot!") && line.contains("JOIN")).await;
}

/// The numbers of builds that were announced, in the order in which they were first.
async fn announced(ann: &mut Person, until: u64) -> Vec<u64> {
    let mut numbers = Vec::new();
    while numbers.last() != Some(&until) {
        let text = ann.text("bbot").await;
        let number: u64 =
            text.split('#').nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()).and_then(|n| n.parse().ok()).unwrap_or_default();
        if !numbers.contains(&number) {
            numbers.push(number);
        }
    }
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_while_the_server_is_away() {
    let mut server = Inspircd::new().await;
    let mut ann = witness(&server).await;
    let bot = host::start(server.plain, "channels = ['#ci']\nnotify_events = ['finished']\n").await;
    comes(&mut ann).await;
    for _ in 0..10 {
        bot.ended(0).await;
    }
    assert_eq!(announced(&mut ann, 3).await, [1, 2, 3]);
    // In the middle of the report.
    server.kill();
    for _ in 10..25 {
        bot.ended(2).await;
    }
    server.run().await;
    let mut ann = witness(&server).await;
    let after = announced(&mut ann, 25).await;
    assert!(after.is_sorted() && after.len() >= 15, "in order: {after:?}");
    let first = after[0];
    assert!(first <= 11 && after == (first..=25).collect::<Vec<_>>(), "without a gap: {after:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_by_an_operator_and_a_kick_are_survived() {
    let server = Inspircd::new().await;
    let mut ann = witness(&server).await;
    let bot = host::start(server.plain, "channels = ['#ci']\nnotify_events = ['finished']\n").await;
    comes(&mut ann).await;
    ann.write("OPER root root").await;
    ann.until(" 381 ").await;
    ann.write("KILL bbot :go away").await;
    bot.ended(0).await;
    comes(&mut ann).await;
    assert_eq!(announced(&mut ann, 1).await, [1]);
    ann.write("KICK #ci bbot :out").await;
    ann.until("KICK #ci bbot").await;
    bot.ended(0).await;
    ann.write("SAJOIN bbot #ci").await;
    comes(&mut ann).await;
    assert_eq!(announced(&mut ann, 2).await, [2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_public_networks_allow_is_enough_for_many_channels_and_long_answers() {
    let server = Inspircd::limited().await;
    let mut ann = witness(&server).await;
    let channels: Vec<String> = (0..12).map(|n| format!("'#c{n:02}'")).collect();
    let mut bot = host::slow(server.plain, &format!("channels = ['#ci', {}]\nnotify_events = ['finished']\n", channels.join(", ")));
    bot.run().await;
    comes(&mut ann).await;
    let mut bo = Person::new(server.plain, "bo").await;
    bo.join("#c00,#c03,#c07,#c11").await;
    bot.ended(0).await;
    assert_eq!(announced(&mut ann, 1).await, [1]);
    let mut places = std::collections::BTreeSet::new();
    while places.len() < 4 {
        places.insert(bo.hears("bbot").await.1);
    }
    assert_eq!(places.into_iter().collect::<Vec<_>>(), ["#c00", "#c03", "#c07", "#c11"]);
    let help = ann.asks("bbot", "bbot", "help").await;
    assert!(help.starts_with("commands - "), "{help}");
    ann.so("the last line of the help", |line| line.starts_with(":bbot!") && line.contains(":watch - ")).await;
    for person in [&ann, &bo] {
        assert!(!person.lines_of("bbot").iter().any(|line| String::from_utf8_lossy(line).contains(" QUIT ")), "the bot was thrown out:\n{}", person.all());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_nick_is_lengthened() {
    let server = Inspircd::new().await;
    let mut ann = witness(&server).await;
    let _other = Person::new(server.plain, "bbot").await;
    let _bot = host::start(server.plain, "channels = ['#ci']\n").await;
    ann.so("the bot under another nick", |line| line.starts_with(":bbot_!") && line.contains("JOIN")).await;
    assert!(ann.asks("bbot_", "#ci", "bbot_: source").await.contains("buildbot.net"));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_announced_survives_the_host() {
    let server = Inspircd::new().await;
    let mut ann = witness(&server).await;
    let mut bot = host::start(server.plain, "channels = ['#ci']\nnotify_events = ['failure']\n").await;
    comes(&mut ann).await;
    assert!(ann.asks("bbot", "bbot", "notify on success").await.contains("success"), "for herself");
    assert!(ann.asks("bbot", "#ci", "bbot: notify on worker").await.contains("failure, worker"));
    assert!(ann.asks("bbot", "#ci", "bbot: notify off failure").await.ends_with(": worker."));
    bot.end().await;
    ann.until("QUIT").await;
    bot.run().await;
    comes(&mut ann).await;
    assert!(ann.asks("bbot", "#ci", "bbot: notify list").await.contains("failure, worker"), "the settings' events are on again");
    bot.ended(0).await;
    let (_, target, text) = ann.hears("bbot").await;
    assert!(target == "ann" && text.contains("#1"), "{target} {text}");
    bot.process().kill();
    bot.run().await;
    comes(&mut ann).await;
    bot.ended(2).await;
    assert_eq!(ann.hears("bbot").await.1, "#ci");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_verified() {
    let server = Inspircd::new().await;
    let mut ann = witness(&server).await;
    let authority = server.authority().display().to_string();
    let good = host::start(server.tls, &format!("channels = ['#ci']\nuseSSL = true\nverify = '{authority}'\n")).await;
    comes(&mut ann).await;
    drop(good);
    ann.until("QUIT").await;
    let mut bad = host::new(server.tls, "channels = ['#ci']\nuseSSL = true\n");
    bad.run().await;
    let process = bad.process();
    process.until("it says what is wrong", || process.said().contains("an authority that this machine does not know")).await;
    drop(bad);
    let off = host::start(server.tls, "channels = ['#ci']\nuseSSL = true\nverify = false\n").await;
    comes(&mut ann).await;
    drop(off);
    let mut clear = host::new(server.plain, "channels = ['#ci']\nuseSSL = true\n");
    clear.run().await;
    let process = clear.process();
    process.until("it says that this is no TLS", || process.said().contains("TLS")).await;
    tokio::time::sleep(Duration::ZERO).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_netsplit_divides_people_and_not_what_is_said() {
    let (here, mut there) = Inspircd::two().await;
    let mut ann = witness(&here).await;
    let bot = host::start(here.plain, "channels = ['#ci']\nnotify_events = ['finished']\n").await;
    comes(&mut ann).await;
    // The two find each other after a moment.
    let mut bo = Person::new(there.plain, "bo").await;
    bo.join("#ci").await;
    ann.so("Bo from the other server", |line| line.starts_with(":bo!") && line.contains("JOIN")).await;
    ann.write("MODE #ci +o bo").await;
    bo.until("MODE #ci +o").await;
    settled(&mut bo).await;
    assert!(bo.asks("bbot", "#ci", "bbot: notify on worker").await.contains("finished, worker"), "he is an operator");
    bot.ended(0).await;
    assert_eq!(announced(&mut bo, 1).await, [1]);

    there.kill();
    ann.so("the split", |line| line.starts_with(":bo!") && line.contains("QUIT")).await;
    bot.ended(2).await;
    assert_eq!(announced(&mut ann, 2).await.last(), Some(&2));

    // Whoever comes back is nobody's operator any more.
    there.run().await;
    let mut bo = Person::new(there.plain, "bo").await;
    bo.join("#ci").await;
    ann.so("Bo again", |line| line.starts_with(":bo!") && line.contains("JOIN")).await;
    bo.say("#ci", "bbot: notify off").await;
    bo.so("a refusal", |line| line.contains("Only channel operators")).await;
    bot.ended(0).await;
    assert_eq!(announced(&mut bo, 3).await.last(), Some(&3));
}
