//! What is said, by whom and where.

use serde_json::json;

use crate::host;
use crate::inspircd::Inspircd;
use crate::person::Person;

const CHANNELS: &str = "channels = ['#ci', { channel = '#ops', password = 'k3y' }]\n";

/// Somebody in the bot's channel, once the bot is there; they were there first, so they are the channel's operator.
async fn operator(server: &Inspircd, nick: &str) -> Person {
    let mut person = Person::new(server.plain, nick).await;
    person.join("#ci").await;
    person
}

#[tokio::test(flavor = "multi_thread")]
async fn questions_are_answered_where_they_are_asked() {
    for server in [Inspircd::old().await, Inspircd::new().await] {
        let mut ann = operator(&server, "Ann").await;
        ann.write("JOIN #ops").await;
        ann.write("MODE #ops +k k3y").await;
        let _bot = host::start(server.plain, CHANNELS).await;
        ann.so("the bot in both channels", |line| line.starts_with(":bbot!") && line.contains("JOIN") && line.contains("#ops")).await;

        ann.say("#ci", "bbot: source").await;
        let (verb, target, text) = ann.hears("bbot").await;
        assert_eq!((verb.as_str(), target.as_str()), ("PRIVMSG", "#ci"));
        assert!(text.contains("https://buildbot.net/"), "{text}");
        ann.say("#ops", "BBot, source").await;
        assert_eq!(ann.hears("bbot").await.1, "#ops");
        ann.say("bbot", "version").await;
        let (_, target, text) = ann.hears("bbot").await;
        assert!(target == "Ann" && text.contains("reporter-host"), "{target} {text}");

        // What is not said to it, and what would begin a war of bots, is not answered: the next word is about the last question.
        for unheard in ["source", "hello bbot", "bbot", "\u{1}VERSION\u{1}", "\u{1}PING 1\u{1}"] {
            ann.say("#ci", unheard).await;
        }
        ann.write("NOTICE bbot :source").await;
        ann.write("NOTICE #ci :bbot: source").await;
        for hostile in ["bbot:", "bbot:  ", "bbot: \u{2}\u{3}4", "bbot: '", "bbot: \u{1}"] {
            ann.say("#ci", hostile).await;
        }
        ann.raw(b"PRIVMSG #ci :bbot: \xff\xfe\xc3\r\n").await;
        let long = format!("bbot: {}", "x".repeat(10_000));
        ann.say("#ci", &long).await;
        // However much Ann says, others are heard.
        for n in 0..40 {
            ann.write(&format!("PRIVMSG #ci :bbot: nonsense {n}")).await;
        }
        let mut bo = Person::new(server.plain, "Bo").await;
        bo.join("#ci").await;
        bo.say("#ci", "bbot: hustle").await;
        ann.so("the bot's action", |line| line.starts_with(":bbot!") && line.contains("\u{1}ACTION does the hustle\u{1}")).await;
        assert!(!ann.all().contains("reporter-host ends"), "the connection holds");
        for line in ann.lines_of("bbot") {
            assert!(line.len() <= 512, "{} bytes: {}", line.len(), String::from_utf8_lossy(&line));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rights_and_notifications() {
    let server = Inspircd::new().await;
    let mut ann = operator(&server, "Ann").await;
    let mut bo = Person::new(server.plain, "Bo").await;
    bo.join("#ci").await;
    let bot = host::start(
        server.plain,
        "channels = ['#ci']\nnoticeOnChannel = true\npm_to_nicks = ['Bo']\nnotify_events = ['problem']\nauthz = { '!' = false, join = 'ann' }\n",
    )
    .await;
    bo.so("the bot", |line| line.starts_with(":bbot!") && line.contains("JOIN")).await;

    bo.say("#ci", "bbot: notify on finished").await;
    let (verb, _, text) = bo.hears("bbot").await;
    assert!(verb == "NOTICE" && text.contains("Only channel operators"), "{text}");
    ann.say("#ci", "bbot: notify on started").await;
    ann.so("that the operator may, and a setting is there", |line| line.contains("problem, started")).await;
    assert!(bo.asks("bbot", "bbot", "force build linux now").await.contains("You may not use `force`"));
    assert!(ann.asks("bbot", "bbot", "join #more").await.contains("joining #more"));
    ann.write("JOIN #more").await;
    ann.so("the bot in the other channel", |line| line.contains("#more") && line.contains("bbot")).await;

    bot.post(json!({"id": "s1", "state": "started", "builder": "linux", "number": 1})).await;
    let (verb, target, text) = ann.hears("bbot").await;
    assert_eq!((verb.as_str(), target.as_str()), ("NOTICE", "#ci"));
    assert!(text.contains("#1") && text.contains("`linux` started."), "{text}");

    // Whoever is made an operator may, and whoever is no longer one may not.
    ann.write("MODE #ci +o Bo").await;
    bo.until("MODE #ci +o").await;
    settled(&mut bo).await;
    bo.say("#ci", "bbot: notify off").await;
    bo.so("that no events are left", |line| line.contains("No events")).await;
    ann.write("MODE #ci -o Bo").await;
    bo.until("MODE #ci -o").await;
    settled(&mut bo).await;
    bo.say("#ci", "bbot: notify on").await;
    bo.so("a refusal", |line| line.contains("Only channel operators")).await;
}

/// The bot has read what the server said before: it has answered to something later.
pub async fn settled(person: &mut Person) {
    // It asks for the names when modes change; by the second answer it has them.
    for _ in 0..2 {
        person.say("bbot", "source").await;
        person.so("an answer", |line| line.starts_with(":bbot!") && line.contains("buildbot.net")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn long_texts_come_whole_and_in_order() {
    for server in [Inspircd::old().await, Inspircd::new().await] {
        let mut ann = operator(&server, "Ann").await;
        let bot = host::start(server.plain, "channels = ['#ci']\nnotify_events = 'finished'\nuseColors = false\n").await;
        ann.so("the bot", |line| line.starts_with(":bbot!") && line.contains("JOIN")).await;
        let words = "größer 🎉 ".repeat(120);
        bot.post(json!({"id": "b1", "builder": "linux", "number": 1, "results": 2, "state_string": words.trim()})).await;
        let mut all = String::new();
        while !all.ends_with(words.trim()) && all.len() < 4_000 {
            let text = ann.text("bbot").await;
            all = if all.is_empty() { text } else { format!("{all} {text}") };
        }
        assert!(all.contains(words.trim()), "{all}");
        let lines = ann.lines_of("bbot");
        assert!(lines.iter().all(|line| line.len() <= 512 && std::str::from_utf8(line).is_ok()), "every line is whole UTF-8");
        let help = ann.asks("bbot", "bbot", "help").await;
        assert!(help.starts_with("commands - "), "{help}");
        let mut last = help;
        while !last.starts_with("watch - ") {
            let next = ann.text("bbot").await;
            assert!(next > last, "{next:?} after {last:?}");
            last = next;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_is_left_and_joined_again_whatever_was_announced_meanwhile() {
    let server = Inspircd::new().await;
    let mut ann = operator(&server, "Ann").await;
    ann.write("JOIN #ops").await;
    ann.write("MODE #ops +k k3y").await;
    let bot = host::start(server.plain, &format!("{CHANNELS}notify_events = ['finished']\nauthz = {{ 'join, leave' = 'ann' }}\n")).await;
    ann.so("the bot in both channels", |line| line.starts_with(":bbot!") && line.contains("JOIN") && line.contains("#ops")).await;
    for channel in ["#ci", "#ops"] {
        ann.say("bbot", &format!("leave {channel}")).await;
        ann.so("that it is gone", |line| line.starts_with(":bbot!") && line.contains("PART") && line.contains(channel)).await;
    }
    bot.ended(2).await;
    settled(&mut ann).await;
    for channel in ["#ci", "#ops"] {
        ann.say("bbot", &format!("join {channel}")).await;
        ann.so("the bot again", |line| line.starts_with(":bbot!") && line.contains("JOIN") && line.contains(channel)).await;
    }
    bot.ended(2).await;
    let announced = |line: &str| line.starts_with(":bbot!") && line.contains("of `");
    let first = ann.so("what ends now", announced).await;
    assert!(first.contains("#2"), "{first}");
    assert!(!ann.all().contains("#1 "), "nothing was said of the first:\n{}", ann.all());
    // Without the right to come in, whoever asked is told.
    ann.write("JOIN #closed").await;
    ann.write("MODE #closed +i").await;
    settled(&mut ann).await;
    ann.say("bbot", "join #closed").await;
    ann.so("why not", |line| line.starts_with(":bbot!") && line.contains("I am not in #closed: ") && line.contains("invite")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn capitals_beyond_ascii_are_letters_of_their_own() {
    let server = Inspircd::new().await;
    let mut ann = Person::new(server.plain, "Ann").await;
    ann.join("#ÄRZTE").await;
    let bot = host::start(server.plain, "channels = ['#ÄRZTE']\nnotify_events = ['finished']\n").await;
    ann.so("the bot", |line| line.starts_with(":bbot!") && line.contains("JOIN")).await;
    bot.ended(2).await;
    assert!(ann.text("bbot").await.contains("failed"));
    ann.say("#ÄRZTE", "bbot: source").await;
    assert!(ann.text("bbot").await.contains("buildbot.net"));
}
