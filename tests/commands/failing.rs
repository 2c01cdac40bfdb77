//! What cannot be reported, or run, is seen: in the log, among the dead letters, and by nobody else.

use std::net::TcpListener;
use std::path::Path;

use serde_json::{Value, json};

use crate::Place;

const RECORDED: &str = "[host]\nsink = true\n[[recordings]]\nname = 'main'\nfile = 'RECORDING'\n";
const STATUS: &str = "[[services]]\nreporter = 'GitHubStatusPush'\nname = 'status'\ntoken = { secret = 'github' }\n";
const PUSH: &str = "[[services]]\nreporter = 'HttpStatusPush'\nname = 'push'\nserverUrl = 'https://dashboard.example.org/'\n";

/// With a secret that can be read.
fn place(services: &str) -> Place {
    let place = Place::new(&format!("{RECORDED}[secrets]\ngithub = {{ file = 'github' }}\n{services}"));
    std::fs::write(place.path("github"), "a token of its own\n").unwrap();
    place
}

fn rows(place: &Place, words: &[&str]) -> Vec<Value> {
    place.run(&[&["deliveries"], words, &["--json"]].concat()).ended(0).json()
}

#[test]
fn a_call_that_fails_for_good_is_a_dead_letter() {
    // Its plan has no place for a plain message.
    let entry = "[[services]]\ncomponent = 'hostile.wasm'\nname = 'fails'\nallow = ['https://hooks.example.org', 'smtp://127.0.0.1:25']\n\
                 serverUrl = 'https://hooks.example.org/'\ndo = 'fail'\n";
    let place = place(entry);
    std::fs::write(place.path("hostile.wasm"), test_guests::HOSTILE).unwrap();
    place.run(&["run"]).ended(0).says("ERROR").says("not reported: Build").says("it was asked to fail");
    let dead = rows(&place, &["list", "--state", "dead", "--entry", "fails"]);
    assert!(!dead.is_empty() && dead.iter().all(|row| row["why"] == "it was asked to fail"), "{dead:?}");
    assert_eq!(rows(&place, &["search", "not reported"]).len(), dead.len());
    let id = dead[0]["id"].to_string();
    place.run(&["deliveries", "show", &id]).ended(0).says("never came to a delivery");

    // With what was wrong mended, it is called again.
    place.write(&format!("{RECORDED}{}", entry.replace("'fail'", "'send'")));
    place.run(&["deliveries", "retry", &id]).ended(0).says("called again");
    place.run(&["deliveries", "retry", &id]).ended(1).says("already");
    place.run(&["run"]).ended(0);
    let event = dead[0]["event"].as_str().unwrap();
    let states: Vec<String> = rows(&place, &["list", "--event", event]).iter().map(|row| row["state"].as_str().unwrap().to_owned()).collect();
    assert_eq!(states, ["delivered", "superseded"]);
}

#[test]
fn a_preview_of_what_fails_fails() {
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart.recording.jsonl").display().to_string();
    let words = ["preview", "--event", "builds/5/finished", "--recording", &recording];
    let place = place(&format!(
        "{PUSH}[[services]]\ncomponent = 'hostile.wasm'\nname = 'fails'\nallow = ['https://hooks.example.org', 'smtp://127.0.0.1:25']\n\
         serverUrl = 'https://hooks.example.org/'\ndo = 'fail'\n"
    ));
    std::fs::write(place.path("hostile.wasm"), test_guests::HOSTILE).unwrap();
    place.run(&words).ended(1).says("POST").says("it failed: it was asked to fail").says("1 of 2 services failed: fails");
    let json = place.run(&[&words[..], &["--json"]].concat()).ended(1).json();
    let failed: Vec<_> = json.iter().map(|line| (&line["entry"], &line["failed"])).collect();
    assert_eq!(failed, [(&json!("push"), &json!(false)), (&json!("fails"), &json!(true)), (&Value::Null, &Value::Null)]);
    assert_eq!(json[2]["error"], "failed");
    place.run(&[&words[..], &["--entry", "push"]].concat()).ended(0);
}

#[test]
fn a_component_that_is_broken_keeps_only_its_own_entry_out() {
    let broken = "[[services]]\ncomponent = 'broken.wasm'\nname = 'broken'\nallow = ['https://example.org']\nexpires_after = '1 s'\n";
    let place = place(&format!("{PUSH}{broken}"));
    std::fs::write(place.path("broken.wasm"), "a file of somebody else's\n").unwrap();
    place.run(&["check"]).ended(2).says("broken.wasm").says("not WebAssembly");
    let ran = place.run(&["run", "--json"]).ended(0).says("ERROR").says("the entry is kept out").says("component = 'broken.wasm'");
    assert!(!ran.err.contains("somebody else's"), "{}", ran.err);
    let told = ran.json();
    assert!(told.iter().any(|line| line["entry"] == "push" && line["came"] == "delivered"));
    // What it missed waited for it, as long as it was of use.
    let dead = rows(&place, &["list", "--state", "dead", "--entry", "broken"]);
    assert!(!dead.is_empty() && dead[0]["why"].as_str().unwrap().contains("as long as the report is of use"), "{dead:?}");

    // Settings that are wrong are nobody's component.
    place.write(&format!("{RECORDED}{PUSH}{}", broken.replace("allow", "alow")));
    place.run(&["run"]).ended(0).says("kept out");
    place.write(&format!("{RECORDED}{}", PUSH.replace("serverUrl", "serverUlr")));
    place.run(&["run"]).ended(2).says("serverUlr");
}

#[test]
fn a_secret_goes_nowhere_where_it_is_not_put_in() {
    let place = place(&format!("{STATUS}context = 'ci %(secret:github)s'\n"));
    place.run(&["check"]).ended(2).says("reporter-host.toml:12:11").says("`context` of GitHubStatusPush takes no secret");
    place.write(&format!("{RECORDED}[secrets]\ngithub = {{ file = 'github' }}\n{}", STATUS.replace("{ secret = 'github' }", "'%(secret:github)s'")));
    place.run(&["check"]).ended(0);
    // What is written as text is warned of.
    place.write(&format!("{RECORDED}{}", STATUS.replace("{ secret = 'github' }", "'abcdefgh'")));
    place.run(&["check"]).ended(0).says("`token` is written as text").says("1 warning\n");
    let json = place.run(&["check", "--json"]).ended(0).json();
    assert!(json.iter().any(|line| line["warning"].as_str().is_some_and(|warning| warning.contains("`token` is written as text"))), "{json:?}");
}

#[test]
fn a_master_is_asked_by_nobody_elses_way() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = format!("http://{}", listener.local_addr().unwrap());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let place = Place::new(&format!("[[masters]]\nurl = 'http://{closed}/'\nuser = 'ada'\npassword = 'a password'\n"));
    let mut check = place.command(&["check", "--connect"]);
    for name in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"] {
        check.env(name, &proxy);
    }
    let output = check.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "the proxy of the environment was asked");
    // What is denied is said without connecting.
    place.write(&format!("[network]\ndeny = '127.0.0.0/8'\n[[masters]]\nurl = 'http://{closed}/'\n"));
    place.run(&["check"]).ended(1).says("[network] deny has 127.0.0.0/8");
    place.write(&format!("{RECORDED}{}", PUSH.replace("https://dashboard.example.org/", "http://169.254.169.254/hook")));
    place.run(&["check"]).ended(1).says("169.254.169.254 is not allowed");
}

#[test]
fn a_first_run_without_services_has_played_nothing_before() {
    let place = Place::new(RECORDED);
    place.run(&["run"]).ended(0).says("no service of");
    place.run(&["run"]).ended(0).says("played before");
}

#[test]
fn a_test_mail_goes_to_whom_the_operator_says() {
    let mail = "[[services]]\nreporter = 'MailNotifier'\nname = 'mail'\nfromaddr = 'ci@example.org'\n";
    let place = Place::new(&format!("{RECORDED}{mail}"));
    place.run(&["test-send", "--entry", "mail"]).ended(1).says("--to you@example.org");
    place.run(&["test-send", "--entry", "mail", "--to", "ada@example.org"]).ended(0).says("250");
}

#[test]
fn what_works_and_is_hardly_meant_is_a_warning() {
    let bot = "\n[[services]]\nreporter = 'IRC'\nname = 'bot'\nhost = 'irc.example.org'\nnick = 'bot'\n";
    let place = Place::new(&format!("{RECORDED}{bot}channels = ['#ci']\nallowForce = true\n"));
    place.run(&["check"]).ended(0).says("warn  bot  settings: allowForce and allowShutdown are deprecated").says("ok    bot  endpoint server");
    let json = place.run(&["check", "--json"]).ended(0).json();
    assert!(json.iter().any(|line| line["part"] == "settings" && line["warning"] == true && line["ok"] == true && line["entry"] == "bot"), "{json:?}");
    place.write(&format!("{RECORDED}{bot}channels = []\n"));
    place.run(&["check"]).ended(0).says("warn  bot  settings: channels is empty");
    place.write(&format!("{RECORDED}{}channels = ['#ci']\n", bot.replace("example.org'", "example.org:6697'")));
    place.run(&["check"]).ended(2).says("write host = \"irc.example.org\" and port = 6697");
    place.write(&format!("{RECORDED}{bot}port = 0\nchannels = ['#ci']\n"));
    place.run(&["check"]).ended(2).says("6697 with useSSL = true");
}
