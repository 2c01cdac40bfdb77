//! The notifiers, chats and Gerrit's verifications through the whole host, to servers that refuse what the real ones would.

mod fakes;
mod gerrit;

use std::path::Path;
use std::sync::Arc;

use reporter_host::event::Kind;
use reporter_host_tests::build;
use reporter_host_tests::play::{Noted, play, play_events};
use reporter_host_tests::server::{Reply, Server};

const SECRETS: [(&str, &str); 6] =
    [("gerrit", "http-password"), ("user", "user-key"), ("app", "app-token"), ("service", "service-secret"), ("chat", "chat-token"), ("bot", "bot-key")];

/// Plays builds to one service; `SERVER` in its settings is the server's address.
async fn tell(server: &Server, settings: &str, builds: u64) -> Arc<Noted> {
    let folder = tempfile::tempdir().unwrap();
    for (name, value) in SECRETS {
        write(folder.path(), name, value);
    }
    let settings = settings.replace("SERVER", &format!("http://127.0.0.1:{}", server.port));
    let noted =
        play(folder.path(), &format!("[network]\nallow = '127.0.0.1'\n[secrets]\nfolder = 'secrets'\n[[services]]\nname = 'it'\n{settings}"), builds).await;
    for secret in SECRETS.map(|(_, value)| value) {
        let told = [noted.of("it"), noted.dead_letters(), noted.titles()].concat().join("\n");
        assert!(!told.contains(secret), "{secret} is told:\n{told}");
    }
    noted
}

fn write(folder: &Path, name: &str, value: &str) {
    std::fs::create_dir_all(folder.join("secrets")).unwrap();
    std::fs::write(folder.join("secrets").join(name), value).unwrap();
}

const PUSHOVER: &str = "reporter = 'PushoverNotifier'\nbase_url = 'SERVER/pushover'\nuser_key = { secret = 'user' }\napi_token = { secret = 'app' }\n";
const PUSHJET: &str = "reporter = 'PushjetNotifier'\nbase_url = 'SERVER/pushjet'\nsecret = { secret = 'service' }\n";
const HIPCHAT: &str = "reporter = 'HipChatStatusPush'\nendpoint = 'SERVER/hipchat'\nauth_token = { secret = 'chat' }\n";
const ZULIP: &str = "reporter = 'ZulipStatusPush'\nendpoint = 'SERVER/zulip/'\ntoken = { secret = 'bot' }\n";

fn delivered(noted: &Noted) -> usize {
    noted.of("it").iter().filter(|end| *end == "delivered").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_reaches_each_of_them() {
    let server = Server::of(fakes::answer).await;
    for (settings, path, facts) in [
        (format!("{PUSHOVER}priorities = {{ failing = 1 }}\notherParams = {{ sound = 'siren' }}\n"), "/pushover", vec!["linux", "failure", "check"]),
        (format!("{PUSHJET}levels = {{ failing = 5 }}\n"), "/pushjet", vec!["linux", "failure", "ci.example.org"]),
        (format!("{HIPCHAT}builder_room_map = {{ linux = 'room one/ü' }}\n"), "/hipchat", vec!["linux", "failure"]),
        (format!("{ZULIP}stream = 'build bot & co'\n"), "/zulip", vec!["linux", "\"results\":2"]),
    ] {
        let noted = tell(&server, &settings, 1).await;
        assert_eq!(delivered(&noted), 1, "{path}: {:?} {:?}", noted.of("it"), noted.dead_letters());
        let bodies = server.bodies(path);
        assert_eq!(bodies.len(), 1, "{path}");
        for fact in facts {
            assert!(bodies[0].contains(fact), "{fact} is not in {}", bodies[0]);
        }
    }
    let posts = server.posts();
    let to = |path: &str| posts.iter().find(|post| post.path().starts_with(path)).unwrap();
    assert_eq!(to("/pushover").form()["priority"], "1");
    assert_eq!(to("/pushjet").form()["level"], "5");
    assert_eq!(to("/hipchat").path(), "/hipchat/v2/room/room%20one%2F%C3%BC/notification");
    assert_eq!(to("/zulip").query()["stream"], "build bot & co");
}

/// Buildbot's complete example of a subclass.
#[tokio::test(flavor = "multi_thread")]
async fn components_say_what_hipchat_is_told() {
    let server = Server::of(fakes::answer).await;
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "chat", "chat-token");
    let hooks: String =
        ["getRecipientList", "getMessage", "getExtraParams"].map(|name| format!("{name} = {{ component = 'example:hipchat-callbacks' }}\n")).concat();
    let settings = HIPCHAT.replace("SERVER", &format!("http://127.0.0.1:{}", server.port));
    let settings = format!("[network]\nallow = '127.0.0.1'\n[secrets]\nfolder = 'secrets'\n[[services]]\nname = 'it'\n{settings}{hooks}");
    let events = [("started", Kind::BuildStarted, 0), ("failed", Kind::BuildFinished, 2), ("passed", Kind::BuildFinished, 0)].map(|(name, kind, results)| {
        let (mut event, source) = build(results);
        (event.id, event.kind) = (format!("main/builds/{name}"), kind);
        (event, source)
    });
    let noted = play_events(folder.path(), &settings, events).await;
    assert!(noted.of("it").iter().any(|end| end.contains("the message is empty")), "{:?}", noted.of("it"));
    let posts = server.posts();
    assert!(posts.iter().all(|post| post.path() == "/hipchat/v2/room/AllBuildNotifications/notification"), "{:?}", noted.dead_letters());
    let mut bodies: Vec<_> = posts.iter().map(|post| post.json()).collect();
    bodies.sort_by_key(|body| body["color"].to_string());
    let said = |color: &str, notify: bool| serde_json::json!({"message": "Build finished.", "color": color, "notify": notify});
    assert_eq!(bodies, [said("green", false), said("red", true)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_texts_are_cut_to_what_is_taken() {
    let server = Server::of(fakes::answer).await;
    let long = "messageFormatter = { template = \"{{ 'ü' * 5000 }}\", subject = \"{{ 'ä' * 900 }}\" }\n";
    let noted = tell(&server, &format!("{PUSHOVER}{long}"), 1).await;
    assert_eq!(delivered(&noted), 1, "{:?}", noted.dead_letters());
    let form = server.posts()[0].form();
    assert_eq!((form["message"].chars().count(), form["title"].chars().count()), (1_024, 250));
    assert!(form["url"].starts_with("https://ci.example.org/"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emergency_is_followed_to_its_end() {
    let server = Server::of(fakes::answer).await;
    let emergency = |title: &str| format!("{PUSHOVER}subject = '{title}'\npriorities = {{ failing = 2 }}\notherParams = {{ retry = 60, expire = 3600 }}\n");
    let noted = tell(&server, &emergency("seen"), 1).await;
    assert_eq!(delivered(&noted), 2, "{:?} {:?}", noted.of("it"), noted.dead_letters());
    assert!(noted.titles().iter().any(|title| title == "acknowledgement of failure of build 12 on linux"), "{:?}", noted.titles());
    assert_eq!(server.posts().iter().filter(|post| post.path() == "/pushover/1/receipts/rSeen.json").count(), 2);

    let noted = tell(&server, &emergency("ignored"), 1).await;
    assert_eq!(delivered(&noted), 1, "{:?}", noted.of("it"));
    let dead = noted.dead_letters();
    assert!(dead.len() == 1 && dead[0].contains("\"expired\":1"), "{dead:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_is_a_dead_letter_at_once() {
    let server = Server::of(fakes::answer).await;
    for (settings, path, why) in [
        (PUSHOVER.replace("'app'", "'user'"), "/pushover", "application token is invalid"),
        (PUSHJET.replace("'service'", "'user'"), "/pushjet", "Service does not exist"),
        (format!("{}builder_user_map = {{ linux = 7 }}\n", HIPCHAT.replace("'chat'", "'user'")), "/hipchat", "Invalid OAuth session"),
        (ZULIP.replace("'bot'", "'user'"), "/zulip", "Invalid API key"),
    ] {
        let noted = tell(&server, &settings, 1).await;
        let dead = noted.dead_letters();
        assert!(dead.len() == 1 && dead[0].contains(why), "{path}: {dead:?}");
        assert_eq!(server.bodies(path).len(), 1, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_waited_for_in_each_dialect() {
    for (settings, limited) in [
        (PUSHOVER, (|| Reply::of(429, r#"{"status":0,"errors":["over quota"]}"#).header("x-limit-app-reset", now() + 2)) as fn() -> Reply),
        (ZULIP, || Reply::of(429, r#"{"result":"error","msg":"API usage exceeded rate limit"}"#).header("retry-after", 1)),
        (ZULIP, || Reply::of(429, "").header("x-ratelimit-remaining", 0).header("x-ratelimit-reset", now() + 2)),
        (PUSHJET, || Reply::of(503, "").header("retry-after", 1)),
    ] {
        let server = Server::of(move |post, before| if before == 0 { limited() } else { fakes::answer(post, before) }).await;
        let noted = tell(&server, settings, 2).await;
        assert_eq!(delivered(&noted), 2, "{settings}: {:?}", noted.of("it"));
        assert!(noted.of("it").iter().any(|end| end.starts_with("Retry")), "{settings}: {:?}", noted.of("it"));
        assert!(noted.dead_letters().is_empty(), "{:?}", noted.dead_letters());
    }
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}
