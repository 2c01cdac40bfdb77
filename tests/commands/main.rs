//! The commands, run as an operator runs them, on a recording and an inbox.

mod failing;
mod new;
mod operate;
mod preview;
mod quickstart;
mod sink;
mod stalled;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use reporter_host_tests::server::Server;
use serde_json::Value;

/// A folder with settings, in which commands are run.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// With these settings; `RECORDING` stands for the bundled one.
    fn new(settings: &str) -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap() };
        place.write(settings);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, settings: &str) {
        let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart.recording.jsonl").canonicalize().unwrap();
        std::fs::write(self.path("reporter-host.toml"), settings.replace("RECORDING", &recording.display().to_string())).unwrap();
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_host-under-test"));
        command.args(words).current_dir(self.folder.path());
        command
    }

    fn run(&self, words: &[&str]) -> Done {
        Done::of(words, self.command(words).output().unwrap())
    }
}

/// What came of a command.
struct Done {
    code: i32,
    out: String,
    err: String,
}

impl Done {
    fn of(words: &[&str], output: Output) -> Self {
        let done =
            Self { code: output.status.code().unwrap_or(-1), out: String::from_utf8(output.stdout).unwrap(), err: String::from_utf8(output.stderr).unwrap() };
        assert!(!done.err.contains("panicked"), "{words:?}: {}", done.err);
        done
    }

    #[track_caller]
    fn ended(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "{text:?} is not in\n{}\n{}", self.out, self.err);
        self
    }

    /// One JSON object a line.
    #[track_caller]
    fn json(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }
}

const SINK: &str = "[host]\nsink = true\n[[recordings]]\nname = 'main'\nfile = 'RECORDING'\n\
    [[services]]\nreporter = 'HttpStatusPush'\nname = 'push'\nserverUrl = 'https://dashboard.example.org/'\n\
    [[services]]\nreporter = 'MailNotifier'\nname = 'mail'\nfromaddr = 'ci@example.org'\nextraRecipients = 'list@example.org'\nmode = ['failing']\n";

#[test]
fn a_recording_from_run_to_explain() {
    let place = Place::new(SINK);
    place.run(&["deliveries", "list"]).ended(1).says("`reporter-host run` makes it");
    let ran = place.run(&["run", "--json"]).ended(0);
    let told = ran.json();
    assert!(told.iter().any(|line| line["entry"] == "push") && told.iter().any(|line| line["entry"] == "mail"), "{}", ran.out);

    let list = place.run(&["deliveries", "list", "--json"]).ended(0).json();
    assert!(!list.is_empty() && list.iter().all(|row| row["state"] == "delivered"));
    place.run(&["deliveries", "list", "--state", "dead"]).ended(3);
    let mail = list.iter().find(|row| row["entry"] == "mail").unwrap();
    let id = mail["id"].to_string();
    place.run(&["deliveries", "show", &id]).ended(0).says("Subject: Buildbot failure in").says("list@example.org");
    let whole = place.run(&["deliveries", "show", &id, "--json"]).ended(0).json().remove(0);
    assert_eq!(whole["id"], mail["id"]);
    let found = place.run(&["deliveries", "search", "dashboard", "--json"]).ended(0).json();
    assert!(found.iter().all(|row| row["entry"] == "push") && !found.is_empty());
    place.run(&["deliveries", "search", "no such text"]).ended(3);
    place.run(&["deliveries", "show", "9999"]).ended(3);
    place.run(&["deliveries", "explain", "builds/1/finished", "--entry", "mail"]).ended(0).says("mode is failing, the build succeeded");
    place.run(&["deliveries", "explain", "builds/1/finished", "--entry", "nix"]).ended(2).says("there is no service \"nix\"").says("there are push, mail");
    place.run(&["deliveries", "explain", "no such event", "--entry", "mial"]).ended(2).says("did you mean \"mail\"?");
    place.run(&["deliveries", "explain", "no such event", "--entry", "mail"]).ended(3);
    // The recording has been played: nothing is told twice.
    place.run(&["run"]).ended(0).says("played before");
    assert_eq!(place.run(&["deliveries", "list", "--json"]).json().len(), list.len());

    let again = place.run(&["deliveries", "retry", &id]).ended(0);
    assert_eq!(place.run(&["deliveries", "list", "--json", "--state", "waiting"]).ended(0).json().len(), 1, "{}", again.out);
    place.run(&["deliveries", "drop", &id]).ended(0);
    let dropped = place.run(&["deliveries", "show", &id, "--json"]).ended(0).json().remove(0);
    assert_eq!(dropped["state"], "dead", "{dropped}");
    place.run(&["deliveries", "drop", &id]).ended(1);
}

#[test]
fn preview_sends_nothing_and_shows_all() {
    let place = Place::new(SINK);
    let recording = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/quickstart.recording.jsonl").display().to_string();
    let words = ["preview", "--event", "builds/14/finished", "--recording", &recording];
    place.run(&words).ended(0).says("Subject: Buildbot failure").says("\"results\": 2");
    let json = place.run(&[&words[..], &["--json", "--entry", "mail"]].concat()).ended(0).json();
    assert_eq!((json.len(), &json[0]["entry"]), (1, &Value::from("mail")));
    place.run(&["preview", "--event", "builds/1/finished", "--recording", &recording, "--entry", "mail"]).ended(0).says("the build succeeded");
    place.run(&["preview", "--event", "nothing", "--recording", &recording]).ended(3);
    place.run(&["preview", "--event", "builds/1/", "--entry", "nobody"]).ended(2).says("nobody");
    assert!(!place.path("reporter-host.state/store.sqlite").exists());
}

#[test]
fn check_says_what_is_wrong_and_where() {
    let place = Place::new(SINK);
    place.run(&["check"]).ended(0).says("push").says("https://dashboard.example.org");
    place.write(&SINK.replace("fromaddr", "fromadr"));
    place.run(&["check"]).ended(2).says("reporter-host.toml:13:1").says("fromaddr");
    place.write(&SINK.replace("'ci@example.org'", "'nobody'"));
    place.run(&["check"]).ended(2).says("\"nobody\" is no address");
    place.write(&SINK.replace("HttpStatusPush", "HttpStatusPsuh"));
    place.run(&["check"]).ended(2).says("HttpStatusPush");
    // The page's example of HipChat is taken, and does nothing.
    place.write("[[recordings]]\nname = 'main'\nfile = 'RECORDING'\n[[services]]\nreporter = 'HipChatStatusPush'\nname = 'chat'\nauth_token = 'private-token'\nendpoint = 'https://chat.yourcompany.com'\n");
    place.run(&["check"]).ended(0).says("settings: nobody is ever told: write builder_room_map");
    assert!(!place.path("reporter-host.state").exists(), "check writes nothing");
    place.run(&["check", "no-such-file.toml"]).ended(2).says("no-such-file.toml");
}

#[test]
fn check_connect_and_test_send_reach_the_server() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let server = runtime.block_on(Server::content());
    let port = server.port;
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let place = Place::new(&SINK.replace("https://dashboard.example.org/", &format!("http://127.0.0.1:{port}/hook")).replace("sink = true", ""));
    place.run(&["check", "--connect"]).ended(1).says("smtp://localhost:25");
    place.run(&["test-send", "--entry", "push"]).ended(0).says("200");
    // `check --connect` asks with another method.
    let posted: Vec<_> = server.posts().into_iter().filter(|post| post.method == "POST").collect();
    assert_eq!((posted.len(), posted[0].target.as_str()), (1, "/hook"));
    assert!(posted[0].json()["summary"].as_str().unwrap().contains("push"), "{posted:?}");
    place.write(&SINK.replace("https://dashboard.example.org/", &format!("http://127.0.0.1:{closed}/hook")).replace("sink = true", ""));
    place.run(&["test-send", "--entry", "push"]).ended(1).says(&closed.to_string());
    place.run(&["test-send", "--entry", "other"]).ended(2).says("other");
    place.write("[[recordings]]\nname = 'main'\nfile = 'RECORDING'\n[[services]]\nreporter = 'GitHubStatusPush'\nname = 'status'\ntoken = 't'\n");
    place.run(&["test-send", "--entry", "status"]).ended(1).says("belongs to a commit").says("check --connect").says("preview --entry \"status\"");
}

#[test]
fn schema_and_completions() {
    let place = Place::new(SINK);
    let schema: Value = serde_json::from_str(&place.run(&["schema"]).ended(0).out).unwrap();
    assert!(schema["properties"]["services"].is_object());
    for shell in ["bash", "zsh", "fish"] {
        place.run(&["completions", shell]).ended(0).says("reporter-host").says("test-send");
    }
}
