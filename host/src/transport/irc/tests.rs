//! Servers that do what a test says: how the host registers, and when a delivery counts as taken.

use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpListener;

use super::super::{IrcVerb, Transport as _};
use super::*;
use crate::secret::NoSecrets;

/// What a server does after a line.
enum Does {
    Say(Vec<String>),
    Close,
}

fn say(lines: &[&str]) -> Does {
    Does::Say(lines.iter().map(|line| (*line).to_owned()).collect())
}

/// A server: for each line what it does. Its port, and what it was told, connection by connection.
async fn server(mut does: impl FnMut(usize, &str) -> Does + Send + 'static) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let told = Arc::new(Mutex::new(Vec::new()));
    let kept = told.clone();
    tokio::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let (reader, mut writer) = stream.into_split();
            let mut lines = BufReader::new(reader).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                kept.lock().unwrap().push(line.clone());
                match does(connection, &line) {
                    Does::Say(answers) => {
                        for answer in answers {
                            writer.write_all(format!("{answer}\r\n").as_bytes()).await.ok();
                        }
                    }
                    Does::Close => {
                        // What was said before is still to arrive.
                        writer.shutdown().await.ok();
                        while let Ok(Some(_)) = lines.next_line().await {}
                        break;
                    }
                }
            }
        }
    });
    (port, told)
}

/// Registers whoever comes, with these capabilities.
fn registers(line: &str, capabilities: &str) -> Option<Does> {
    let word = |n: usize| line.split(' ').nth(n).unwrap_or_default();
    Some(match (word(0), word(1)) {
        ("CAP", "LS") if capabilities.is_empty() => say(&[":s 421 * CAP :Unknown command"]),
        ("CAP", "LS") => say(&[&format!(":s CAP * LS :{capabilities}")]),
        ("CAP", "REQ") => say(&[&format!(":s CAP * ACK :{}", line.split_once(" :").map_or(word(2), |(_, list)| list))]),
        ("USER", _) if capabilities.is_empty() => say(&[":s 001 bbot :Welcome"]),
        ("CAP", "END") => say(&[":s 001 bbot :Welcome"]),
        ("PING", token) => say(&[&format!(":s PONG s {token}")]),
        ("CAP" | "NICK" | "PASS" | "USER" | "JOIN" | "QUIT", _) => say(&[]),
        _ => return None,
    })
}

fn endpoint(port: u16, more: Value) -> Arc<Endpoint> {
    let mut settings =
        json!({"name": "server", "kind": "irc", "host": "127.0.0.1", "port": port, "nick": "bbot", "lost_delay": 0, "failed_delay": 0, "line_rate": 0.0});
    settings.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let mut endpoint: Endpoint = serde_json::from_value(settings).unwrap();
    endpoint.level = Level::Operator;
    Arc::new(endpoint)
}

fn transport() -> IrcTransport {
    IrcTransport::new(Arc::new(Policy::operator()), Arc::new(Policy::strict()))
}

async fn attempt(transport: &IrcTransport, endpoint: &Endpoint, payload: &Payload) -> Answer {
    transport.attempt(Attempt { id: "1", entry: "bot", title: "", endpoint, payload, vault: &NoSecrets, timeout: Duration::from_secs(9) }).await
}

fn text(text: &str) -> Payload {
    Payload::Irc(IrcMessage::Say { target: "#c".into(), verb: IrcVerb::Message, text: text.into() })
}

/// The server's side of SCRAM-SHA-256 for the password `pencil`.
fn scram(first: &mut String, message: &str) -> String {
    let salt = b"a salt of ours!!";
    if let Some(bare) = message.strip_prefix("n,,") {
        let nonce = bare.rsplit("r=").next().unwrap();
        let challenge = format!("r={nonce}server,s={},i=4096", STANDARD.encode(salt));
        *first = format!("{bare},{challenge}");
        return challenge;
    }
    let without = message.rsplit_once(",p=").unwrap().0;
    let mut salted = [0; digest::SHA256_OUTPUT_LEN];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, std::num::NonZeroU32::new(4_096).unwrap(), salt, b"pencil", &mut salted);
    let keyed = |key: &[u8], text: &[u8]| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text);
    let signature = keyed(keyed(&salted, b"Server Key").as_ref(), format!("{first},{without}").as_bytes());
    format!("v={}", STANDARD.encode(signature))
}

async fn scram_with(password: &str) -> (Result<String, String>, Vec<String>) {
    let mut first = String::new();
    let (port, told) = server(move |_, line| {
        let Some(sent) = line.strip_prefix("AUTHENTICATE ") else { return registers(line, "sasl=SCRAM-SHA-256,PLAIN").unwrap() };
        if sent == "SCRAM-SHA-256" {
            return say(&["AUTHENTICATE +"]);
        }
        match sent {
            "+" => say(&[":s 900 bbot bbot!u@h bbot :logged in", ":s 903 bbot :done"]),
            sent => {
                let message = String::from_utf8(STANDARD.decode(sent).unwrap()).unwrap();
                say(&[&format!("AUTHENTICATE {}", STANDARD.encode(scram(&mut first, &message)))])
            }
        }
    })
    .await;
    let endpoint = endpoint(port, json!({"password": password, "sasl": "only"}));
    let checked = transport().check_connect(&endpoint, &NoSecrets, Duration::from_secs(20)).await;
    let told = told.lock().unwrap().clone();
    (checked, told)
}

#[tokio::test]
async fn scram_proves_both_to_each_other() {
    let (checked, told) = scram_with("pencil").await;
    assert_eq!(checked.unwrap(), "in the clear, as bbot, SASL SCRAM-SHA-256");
    assert!(!told.iter().any(|line| line.contains("pencil") || line.contains(&STANDARD.encode("pencil"))), "the password stays here: {told:?}");
    assert!(!told.iter().any(|line| line.starts_with("PASS")), "useSASL = true: nobody else gets it");
    let (checked, _) = scram_with("other").await;
    assert!(checked.unwrap_err().contains("does not know the password"));
}

#[tokio::test]
async fn a_line_is_taken_when_the_server_has_echoed_it() {
    let (port, told) = server(|connection, line| {
        if let Some(answer) = registers(line, "message-tags batch labeled-response echo-message") {
            return answer;
        }
        let label = line.strip_prefix("@label=").and_then(|rest| rest.split(' ').next()).unwrap_or_default();
        match (connection, line.rsplit([':', ' ']).next().unwrap_or_default()) {
            // In the middle of a text the server is gone; the second line may have arrived.
            (0, "two") => Does::Close,
            (_, "no") => say(&[&format!("@label={label} :s 404 bbot #c :Cannot send to channel")]),
            (_, text) => say(&[&format!("@label={label} :bbot!u@h PRIVMSG #c :{text}")]),
        }
    })
    .await;
    let (transport, endpoint) = (transport(), endpoint(port, json!({})));
    transport.only_send("bot", &endpoint, Arc::new(NoSecrets)).await;
    let answer = attempt(&transport, &endpoint, &text("one\ntwo\nthree")).await;
    assert_eq!(answer.error.as_ref().unwrap().kind, FailedKind::Unknown);
    let rest = answer.rest.clone().unwrap();
    assert_eq!(*rest, text("two\nthree"), "what was confirmed is not said again");
    assert_eq!(attempt(&transport, &endpoint, &rest).await.status, 200);
    let refused = attempt(&transport, &endpoint, &text("no")).await;
    assert_eq!((refused.status, refused.body.as_slice()), (404, &b"Cannot send to channel"[..]));
    let said: Vec<String> =
        told.lock().unwrap().iter().filter_map(|line| line.split_once("PRIVMSG #c ").map(|(_, text)| text.trim_start_matches(':').to_owned())).collect();
    assert_eq!(said.iter().filter(|text| *text == "one").count(), 1, "{said:?}");
    let told = told.lock().unwrap().clone();
    let after = told.iter().skip_while(|line| !line.contains("PRIVMSG")).take_while(|line| !line.contains("CAP LS"));
    assert!(!after.clone().any(|line| line.starts_with("PING")), "no PING is needed: {told:?}");
    transport.end().await;
}

#[tokio::test]
async fn where_there_are_no_labels_a_ping_asks() {
    let (port, told) = server(|_, line| {
        if let Some(answer) = registers(line, "") {
            return answer;
        }
        match line {
            line if line.ends_with("no") => say(&[":s 404 bbot #c :Cannot send to channel"]),
            // Lines that are no IRC are nothing.
            _ => say(&["", ":", "\u{1}\u{2}", ":s 404", ":s 404 bbot #other :not this one"]),
        }
    })
    .await;
    let (transport, endpoint) = (transport(), endpoint(port, json!({})));
    transport.only_send("bot", &endpoint, Arc::new(NoSecrets)).await;
    assert_eq!(attempt(&transport, &endpoint, &text("one\ntwo")).await.status, 200);
    assert_eq!(attempt(&transport, &endpoint, &text("no")).await.status, 404);
    let told = told.lock().unwrap().clone();
    let place = |part: &str| told.iter().position(|line| line.contains(part)).unwrap();
    assert!(place("one") < place("two") && told[place("two") + 1].starts_with("PING "), "{told:?}");
    transport.end().await;
}

/// What a client tells a server that does this, until a text has been taken.
async fn told_by(more: Value, does: impl FnMut(usize, &str) -> Does + Send + 'static) -> Vec<String> {
    let (port, told) = server(does).await;
    let (transport, endpoint) = (transport(), endpoint(port, more));
    transport.only_send("bot", &endpoint, Arc::new(NoSecrets)).await;
    assert_eq!(attempt(&transport, &endpoint, &text("one")).await.status, 200);
    // What was told before the first was taken has been read by the second.
    assert_eq!(attempt(&transport, &endpoint, &text("two")).await.status, 200);
    transport.end().await;
    let told = told.lock().unwrap().clone();
    told
}

#[tokio::test]
async fn the_password_goes_to_whom_it_is_for() {
    // Nothing is joined before NickServ has said something.
    let services = |line: &str| if line.contains("IDENTIFY") { say(&[":NickServ!s@services.test NOTICE bbot :Password accepted"]) } else { say(&[]) };
    let without_sasl = move |_: usize, line: &str| registers(line, "").unwrap_or_else(|| services(line));
    let silent = move |_: usize, line: &str| match line.starts_with("CAP") {
        true => say(&[":s 451 * :Register first"]),
        false => registers(line, "").unwrap_or_else(|| services(line)),
    };
    let with_sasl = move |_: usize, line: &str| match line {
        "AUTHENTICATE PLAIN" => say(&["AUTHENTICATE +"]),
        line if line.starts_with("AUTHENTICATE ") => say(&[":s 903 bbot :done"]),
        line => registers(line, "sasl=PLAIN").unwrap_or_else(|| services(line)),
    };
    let password = json!({"password": "pw"});
    let passed = |told: &[String]| told.iter().filter(|line| line.contains("pw") || line.contains("server")).cloned().collect::<Vec<_>>();
    for told in [told_by(password.clone(), without_sasl).await, told_by(password.clone(), silent).await] {
        assert_eq!(passed(&told), ["PASS pw", "PRIVMSG NickServ :IDENTIFY pw"]);
        let place = |start: &str| told.iter().position(|line| line.starts_with(start)).unwrap();
        assert!(place("PASS") < place("NICK") && place("NICK") < place("USER"), "{told:?}");
    }
    let told = told_by(password.clone(), with_sasl).await;
    assert_eq!(passed(&told), [""; 0], "SASL alone gets it: {told:?}");
    assert!(told.iter().any(|line| *line == format!("AUTHENTICATE {}", STANDARD.encode("bbot\0bbot\0pw"))), "{told:?}");
    let told = told_by(json!({"password": "pw", "server_password": "server"}), with_sasl).await;
    assert_eq!(passed(&told), ["PASS server"]);
    let told = told_by(json!({"password": "pw", "server_password": "server", "nickserv": "NickServ@services.test"}), without_sasl).await;
    assert_eq!(passed(&told), ["PASS server", "PRIVMSG NickServ@services.test :IDENTIFY pw"]);
    let told = told_by(json!({"password": "pw", "sasl": "never"}), with_sasl).await;
    assert_eq!(passed(&told), ["PASS pw", "PRIVMSG NickServ :IDENTIFY pw"]);
}

#[tokio::test]
async fn whoever_gets_the_nick_back_logs_in_again() {
    let told = told_by(json!({"password": "pw", "nickserv": "NickServ@services.test"}), |_, line| match line {
        line if line.starts_with("CAP") => say(&[":s 421 * CAP :Unknown command"]),
        "NICK bbot" => say(&[":s 433 * bbot :Nickname is already in use"]),
        "NICK bbot_" => say(&[":s 001 bbot_ :Welcome"]),
        line if line.starts_with("USER") => say(&[]),
        // Services give it back.
        "PRIVMSG #c one" => say(&[":bbot_!u@h NICK bbot"]),
        line if line.ends_with(":IDENTIFY bbot pw") => say(&[":NickServ!s@services.test NOTICE bbot_ :accepted"]),
        line => registers(line, "").unwrap_or_else(|| say(&[])),
    })
    .await;
    let asked: Vec<&String> = told.iter().filter(|line| line.contains("IDENTIFY")).collect();
    assert_eq!(asked, ["PRIVMSG NickServ@services.test :IDENTIFY bbot pw", "PRIVMSG NickServ@services.test :IDENTIFY pw"]);
}

#[tokio::test]
async fn channels_are_joined_together_and_names_asked_for_when_ranks_change() {
    let channels: Vec<Value> = (0..12).map(|n| if n == 11 { json!({"name": "#c11", "key": "k"}) } else { json!({"name": format!("#c{n:02}")}) }).collect();
    let told = told_by(json!({"channels": channels}), |_, line| {
        if let Some(joined) = line.strip_prefix("JOIN ") {
            let names = joined.split(' ').next().unwrap().split(',');
            return Does::Say(names.flat_map(|name| [format!(":bbot!u@h JOIN {name}"), format!(":s MODE {name} +nt")]).collect());
        }
        if line == "PRIVMSG #c one" {
            return say(&[":op!u@h MODE #c03 +o ann", ":op!u@h MODE #elsewhere +o ann", ":op!u@h MODE #c04 +b ann!*@*"]);
        }
        registers(line, "").unwrap_or_else(|| say(&[]))
    })
    .await;
    let of = |word: &str| told.iter().filter(|line| line.starts_with(word)).cloned().collect::<Vec<_>>();
    assert_eq!(of("JOIN"), ["JOIN #c11,#c00,#c01,#c02,#c03,#c04,#c05,#c06,#c07,#c08 k", "JOIN #c09,#c10"]);
    assert_eq!(of("NAMES"), ["NAMES #c03"]);
}

#[tokio::test]
async fn what_waits_is_sent_when_a_channel_is_joined_again() {
    let (port, _) = server(|_, line| {
        registers(line, "").unwrap_or_else(|| match line {
            "PRIVMSG #c kicked" => say(&[":op!u@h KICK #c bbot :out", ":s 404 bbot #c :Cannot send to channel"]),
            "PRIVMSG #d back" => say(&[":other!u@h JOIN #c", ":bbot!u@h JOIN #c"]),
            _ => say(&[]),
        })
    })
    .await;
    let (transport, endpoint) = (transport(), endpoint(port, json!({"channels": [{"name": "#c"}]})));
    let woken = Arc::new(Mutex::new(Vec::new()));
    let kept = woken.clone();
    let wake = Arc::new(move |destination: &str| kept.lock().unwrap().push(destination.to_owned()));
    let wanted = Wanted { entry: "bot".into(), endpoint: endpoint.clone(), vault: Arc::new(NoSecrets), made_from: String::new() };
    transport.keep(vec![wanted], &Whereto { ears: Arc::new(Deaf), wake }).await;
    assert_eq!(attempt(&transport, &endpoint, &text("kicked")).await.status, 404);
    assert_eq!(woken.lock().unwrap().len(), 1, "it is connected");
    let other = Payload::Irc(IrcMessage::Say { target: "#d".into(), verb: IrcVerb::Message, text: "back".into() });
    assert_eq!(attempt(&transport, &endpoint, &other).await.status, 200);
    assert_eq!(*woken.lock().unwrap(), [endpoint.destination(), endpoint.destination()]);
    transport.end().await;
}

async fn kept(endpoint: &Arc<Endpoint>) -> IrcTransport {
    let transport = transport();
    let wanted = Wanted { entry: "bot".into(), endpoint: endpoint.clone(), vault: Arc::new(NoSecrets), made_from: String::new() };
    transport.keep(vec![wanted], &Whereto { ears: Arc::new(Deaf), wake: Arc::new(|_| {}) }).await;
    transport
}

fn member(channel: &str, key: Option<&str>, joined: bool) -> Payload {
    Payload::Irc(IrcMessage::Membership { channel: channel.into(), key: key.map(str::to_owned), joined })
}

#[tokio::test]
async fn a_channel_that_was_left_is_told_nothing_and_its_key_is_kept() {
    let (port, told) = server(|_, line| match line.split_once(' ') {
        Some(("JOIN", "#locked")) => say(&[":s 473 bbot #locked :Cannot join channel (+i)"]),
        Some(("JOIN", channel)) => say(&[&format!(":bbot!u@h JOIN {}", channel.split(' ').next().unwrap())]),
        Some(("PART", channel)) => say(&[&format!(":bbot!u@h PART {channel}")]),
        _ => registers(line, "").unwrap_or_else(|| say(&[])),
    })
    .await;
    let endpoint = endpoint(port, json!({"channels": [{"name": "#C", "key": "k3y"}]}));
    let transport = kept(&endpoint).await;
    let status = async |payload: &Payload| attempt(&transport, &endpoint, payload).await;
    assert_eq!(status(&member("#c", None, true)).await.status, 200, "joining once more without the key");
    assert_eq!(status(&member("#c", None, false)).await.status, 200);
    let refused = status(&text("nobody hears this")).await.error.unwrap();
    assert!(refused.kind == FailedKind::Never && refused.message.contains("told to leave"), "{refused:?}");
    assert_eq!(status(&member("#c", None, true)).await.status, 200);
    assert_eq!(status(&text("back")).await.status, 200);
    assert_eq!(status(&member("#locked", None, true)).await.status, 473);
    let elsewhere = Payload::Irc(IrcMessage::Say { target: "#locked".into(), verb: IrcVerb::Message, text: "x".into() });
    assert_eq!(status(&elsewhere).await.error.unwrap().kind, FailedKind::Never);
    transport.end().await;
    let told: Vec<String> = told.lock().unwrap().iter().filter(|line| line.starts_with("JOIN") || line.starts_with("PRIVMSG")).cloned().collect();
    assert_eq!(told, ["JOIN #C k3y", "JOIN #c k3y", "JOIN #c k3y", "PRIVMSG #c back", "JOIN #locked"]);
}

#[test]
fn no_pause_is_shorter_than_a_second() {
    let of = |seconds: u64| {
        let endpoint = endpoint(1, json!({"lost_delay": seconds, "failed_delay": seconds}));
        let EndpointKind::Irc(irc) = &endpoint.kind else { panic!("it is of another kind") };
        delays(irc)
    };
    assert_eq!(of(0), (Duration::from_secs(1), Duration::from_secs(1)));
    assert_eq!(of(7), (Duration::from_secs(7), Duration::from_secs(7)));
}
