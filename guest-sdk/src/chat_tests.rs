//! A bot with a presenter that writes plain text, and masters that answer from a table.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::*;
use crate::component::{Plan, Problems};
use crate::delivery::{Answer, Terms};
use crate::event::Event;
use crate::irc::{self, Verb};
use crate::settings::Table;
use crate::testing::{self, Configured, Delivery, Report};
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Clone, Debug, Default)]
struct Written;

impl Presenter for Written {
    fn send(&self, place: &str, message: &Message, terms: Terms) {
        let line = |line: &Line| {
            line.0.iter().fold(String::new(), |text, span| match span {
                Span::Text(words) | Span::Result(_, words) => text + words,
                Span::Gap => text + " ",
                Span::Name(name) => text + "`" + name + "`",
                Span::Link { text: words, url } => text + "[" + words + "](" + url + ")",
            })
        };
        let text = message.lines.iter().map(line).collect::<Vec<_>>().join("\n");
        irc::send("server", place, Verb::Message, &text, terms);
    }

    fn commands(&self) -> Vec<Command<Self>> {
        vec![Command {
            name: "coffee",
            doc: "make coffee",
            usage: "coffee",
            dangerous: false,
            run: |bot, ask| {
                bot.reply(ask.said, "No.");
                Ok(())
            },
        }]
    }
}

#[derive(Deserialize, JsonSchema)]
struct Settings {
    #[serde(default)]
    authz: Table,
    #[serde(default)]
    tags: Vec<String>,
    #[serde(default)]
    notify: Vec<String>,
    #[serde(default)]
    revisions: bool,
    #[serde(default)]
    blame: bool,
}

struct Nick;
impl User for Nick {
    fn user(value: &Value) -> Option<String> {
        value.as_str().map(str::to_lowercase)
    }
    const FORM: &'static str = "nicks";
}

struct Mine(Bot<Written>);

impl Reporter for Mine {
    type Settings = Settings;
    const NAME: &'static str = "Mine";
    const DESCRIPTION: &'static str = "A bot";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        let mut bot = Bot::<Written> { configured: vec!["#ci".into(), "bob".into()], tags: settings.tags, ..Bot::default() };
        let commands = bot.commands();
        let names: Vec<&str> = commands.iter().map(|command| command.name).collect();
        bot.authz = Authz::parse::<Nick>(&settings.authz, &names)?;
        bot.notify_events = settings.notify.iter().filter_map(|word| EventWord::parse(word)).collect();
        (bot.use_revisions, bot.show_blame_list) = (settings.revisions, settings.blame);
        Ok((Self(bot), Plan::events(Bot::<Written>::EVENTS).uses(["state"])))
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        self.0.report(event)
    }

    fn answered(&self, tag: &str, answer: &Answer) -> Result<Outcome, Failure> {
        self.0.answered(tag, answer)
    }
}

impl ChatReporter for Mine {
    fn heard(&self, update: &Update) -> Result<Outcome, Failure> {
        if update.kind() == "started" {
            return self.0.begin();
        }
        let it = update.document();
        let text = |key: &str| it[key].as_str().unwrap_or_default().to_owned();
        let person = Person {
            identity: Identity { sure: None, claimed: Some(text("nick").to_lowercase()) },
            name: text("nick"),
            full: format!("{}!~u@host", text("nick")),
            operator: it["op"].as_bool() == Some(true),
            advice: "",
        };
        self.0.hear(&Said { person, place: text("place"), private: !text("place").starts_with('#'), text: text("text"), at: 1_000_000, ..Said::default() })
    }
}

/// Answers by path and query: `builds?complete=false&order=buildid`.
fn master(table: &[(&str, Value)]) {
    let table: BTreeMap<String, Value> = table.iter().map(|(path, rows)| ((*path).to_owned(), rows.clone())).collect();
    testing::masters(&["main"], move |master, path, query| {
        assert_eq!(master, "main");
        let query: Vec<String> = query.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let asked = if query.is_empty() { path.join("/") } else { format!("{}?{}", path.join("/"), query.join("&")) };
        match table.get(&asked) {
            Some(Value::String(why)) => Answer { status: 0, headers: vec![], body: why.clone().into_bytes(), ended: "answered".into() },
            Some(rows) => Answer { status: 200, headers: vec![], body: rows.to_string().into_bytes(), ended: "answered".into() },
            None if asked.contains("order=-number") || asked.contains("/steps") => {
                Answer { status: 200, headers: vec![], body: b"[]".to_vec(), ended: "answered".into() }
            }
            None => Answer { status: 404, headers: vec![], body: asked.into_bytes(), ended: "answered".into() },
        }
    });
}

fn usual(more: &[(&str, Value)]) {
    let mut table = vec![
        ("config", json!([{"buildbotURL": "https://ci.example", "versions": [["Python", "3.11"], ["Buildbot", "4.3.0"]]}])),
        (
            "builders",
            json!([
            {"builderid": 1, "name": "linux", "tags": ["unit"], "masterids": [1]},
            {"builderid": 2, "name": "slow one", "tags": [], "masterids": [1]},
            {"builderid": 3, "name": "away", "tags": ["unit"], "masterids": [1]},
            {"builderid": 4, "name": "gone", "tags": [], "masterids": []}]),
        ),
        (
            "workers",
            json!([
            {"name": "w1", "configured_on": [{"builderid": 1}, {"builderid": 2}], "connected_to": [{"masterid": 1}]},
            {"name": "w2", "configured_on": [{"builderid": 3}], "connected_to": []},
            {"name": "old", "configured_on": [], "connected_to": []}]),
        ),
        ("builds?complete=false&order=buildid", json!([])),
        ("builds?complete=true&order=-buildid&limit=200", json!([])),
    ];
    table.retain(|(path, _)| !more.iter().any(|(other, _)| other == path));
    table.extend(more.iter().cloned());
    master(&table);
}

fn bot(settings: Value) -> Configured<Mine> {
    testing::configure::<Mine>(settings).unwrap()
}

fn everything() -> Configured<Mine> {
    bot(json!({"authz": {"!": true}}))
}

fn say(bot: &Configured<Mine>, nick: &str, place: &str, text: &str) -> String {
    said(&bot.heard(json!({"kind": "message", "nick": nick, "place": place, "text": text})))
}

/// What was said, `PLACE: TEXT` a message; actions as `act METHOD PATH PARAMETERS`.
fn said(report: &Report) -> String {
    let one = |delivery: &Delivery| match delivery {
        Delivery::Irc { target, text, .. } => format!("{target}: {text}"),
        Delivery::Act { path, method, parameters, .. } => format!("act {method} {} {parameters}", path.join("/")),
        other => panic!("{other:?}"),
    };
    assert!(report.outcome.is_ok(), "{:?}", report.outcome);
    report.sent.iter().map(one).collect::<Vec<_>>().join(" | ")
}

fn build(number: u64, results: Value) -> Value {
    json!({"builder": {"name": "linux", "tags": ["unit"]}, "buildid": 100 + number, "id": 100 + number, "number": number, "results": results, "complete": !results.is_null(),
           "buildrequestid": 50, "state_string": "failed test", "url": format!("https://ci/{number}"), "changes": [
               {"author": "carol", "revision": "a87b2c4aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}, {"author": "carol", "revision": "r12"}]})
}

fn event(kind: &str, build: Value) -> Value {
    json!({"kind": kind, "source": "main", "builds": [build]})
}

#[test]
fn lists() {
    let bot = everything();
    usual(&[(
        "changes?order=-changeid&limit=2",
        json!([
        {"comments": "second\nmore", "author": "b", "when_timestamp": 951_782_400, "repository": "r", "branch": "main", "revision": "2", "revlink": "https://x/2"},
        {"comments": "first", "author": "a", "when_timestamp": 0, "branch": null, "revision": "1"}]),
    )]);
    assert_eq!(say(&bot, "x", "#ci", "list builders"), "#ci: I found these builders: `linux` `slow one`");
    assert_eq!(say(&bot, "x", "x", "LIST all builders"), "x: I found these builders: `linux` `slow one` `away` [offline]");
    assert_eq!(say(&bot, "x", "#ci", "list workers"), "#ci: I found these workers: `w1` `w2` [disconnected]");
    assert_eq!(say(&bot, "x", "#ci", "list all workers"), "#ci: I found these workers: `w1` `w2` [disconnected] `old` [offline]");
    assert_eq!(
        say(&bot, "x", "#ci", "list 2 changes"),
        "#ci: I found these recent changes:\n[first]()\nAuthor: a\nDate: 1970-01-01 00:00\nRevision: 1\n[second](https://x/2)\nAuthor: b\nDate: 2000-02-29 00:00\nRepository: r\nBranch: main\nRevision: 2"
    );
    for wrong in ["list", "list birds", "list some builders", "list 1 2 3"] {
        assert!(say(&bot, "x", "#ci", wrong).starts_with("#ci: Try 'list [all|N] builders"), "{wrong}");
    }
    let tagged = self::bot(json!({"tags": ["unit"]}));
    assert_eq!(say(&tagged, "x", "#ci", "list all builders"), "#ci: I found these builders: `linux` `away` [offline]");
    usual(&[("builders", json!("connection refused"))]);
    assert_eq!(say(&bot, "x", "#ci", "list builders"), "#ci: The master main cannot be asked now: connection refused");
}

#[test]
fn status_last_and_watch() {
    let bot = everything();
    let running = json!([{"buildid": 9, "number": 3, "builderid": 2}]);
    usual(&[
        ("builds?complete=false&order=buildid", running.clone()),
        ("builds?complete=false&order=buildid&builderid=2", running),
        ("builds?complete=false&order=buildid&builderid=1", json!([])),
        ("builds/9/steps?complete=false&order=number&limit=1", json!([{"state_string": "compiling", "complete": false}])),
        (
            "builds?complete=true&order=-buildid&limit=200",
            json!([{"builderid": 1, "number": 7, "results": 2, "complete": true, "complete_at": 999_880, "state_string": "failed test"}]),
        ),
        (
            "builds?builderid=1&complete=true&order=-number&limit=1",
            json!([{"number": 7, "results": 2, "complete": true, "complete_at": 999_880, "state_string": "failed test"}]),
        ),
    ]);
    assert_eq!(
        say(&bot, "x", "#ci", "status"),
        "#ci: `linux`: idle, last build 2 minutes ago, failure\n`slow one`: running: build [#3](https://ci.example/#/builders/2/builds/3) (compiling)"
    );
    assert!(say(&bot, "x", "#ci", "status all").ends_with("\n`away`: offline"));
    assert_eq!(say(&bot, "x", "#ci", "status linux"), "#ci: `linux`: idle, last build 2 minutes ago, failed");
    assert!(say(&bot, "x", "#ci", "status slow one").contains("a name with blanks goes in quotes"));
    assert!(say(&bot, "x", "#ci", "status nope").contains("no builder `nope`"));
    assert_eq!(say(&bot, "x", "#ci", "last"), "#ci: `linux`: last build #7 failed (2 minutes ago): failed test\n`slow one`: no build has ended yet");
    assert!(say(&bot, "x", "#ci", "last 'a").contains("not closed"));
    assert!(say(&bot, "x", "#ci", "watch linux").contains("no currently running builds"));
    assert_eq!(
        say(&bot, "x", "#ci", "watch 'slow one'"),
        "#ci: Watching until it finishes: Build [#3](https://ci.example/#/builders/2/builds/3) of `slow one`"
    );
    let mut ended = build(3, json!(6));
    ended["buildid"] = json!(9);
    ended["id"] = json!(9);
    assert_eq!(said(&bot.report(event("build-finished", ended.clone()))), "#ci: Build [#3](https://ci/3) of `linux` was cancelled: failed test");
    assert_eq!(bot.report(event("build-finished", ended)).skipped(), "nobody asked for this event");
    assert!(testing::state().is_empty(), "{:?}", testing::state());
}

#[test]
fn notify_is_remembered_for_its_place() {
    usual(&[]);
    let bot = everything();
    assert_eq!(say(&bot, "x", "x", "notify list"), "x: No events are announced here.");
    assert_eq!(say(&bot, "x", "x", "notify on"), "x: These events are announced here: finished, started.");
    assert!(say(&bot, "x", "#ci", "notify on failure").contains("Only channel operators"));
    let op = |text: &str| said(&bot.heard(json!({"kind": "message", "nick": "op", "place": "#ci", "text": text, "op": true})));
    assert_eq!(op("notify on problem failureToSuccess"), "#ci: These events are announced here: failureToSuccess, problem.");
    assert_eq!(op("notify off failure problem"), "#ci: These events are announced here: failureToSuccess.");
    assert_eq!(op("notify on-quiet worker"), "");
    assert!(op("notify on everything").contains("no event everything"));
    assert!(op("notify").starts_with("#ci: Try 'notify on|off|list") && op("notify maybe").starts_with("#ci: Try"));
    assert_eq!(said(&bot.report(event("build-started", build(1, Value::Null)))), "x: Build [#1](https://ci/1) of `linux` started.");
    let recovered = json!({"results": 2});
    let mut fixed = build(2, json!(0));
    fixed["prev_build"] = recovered;
    assert_eq!(
        said(&bot.report(event("build-finished", fixed))),
        "#ci: Build [#2](https://ci/2) of `linux` completed successfully. | x: Build [#2](https://ci/2) of `linux` completed successfully."
    );
    let worker = |kind: &str| json!({"kind": kind, "source": "main", "worker": {"name": "w1", "last_connection": "Monday"}});
    assert_eq!(said(&bot.report(worker("worker-missing"))), "#ci: Worker `w1` is missing. It was seen last on Monday.");
    assert_eq!(said(&bot.report(worker("worker-connected"))), "#ci: Worker `w1` is back online.");
    assert_eq!(op("notify off"), "#ci: No events are announced here.");
    assert_eq!(say(&bot, "x", "x", "notify off"), "x: No events are announced here.");
    assert!(testing::state().is_empty());
}

#[test]
fn one_event_is_told_in_fewer_places_than_may_be_sent_to() {
    usual(&[]);
    let bot = everything();
    let op = |place: &str| said(&bot.heard(json!({"kind": "message", "nick": "op", "place": place, "text": "notify on started", "op": true})));
    for n in 0..60 {
        assert!(op(&format!("p{n:02}")).contains("announced here: started"), "{n}");
    }
    assert!(op("p60").contains("60 conversations already"));
    assert!(op("#ci").contains("announced here: started"), "what the settings name always has room");
    let told = bot.report(event("build-started", build(1, Value::Null)));
    assert_eq!((told.sent.len(), told.log.len()), (61, 0));
    // What is kept from before there was a limit.
    let kept = testing::state()["channel/p00"].clone();
    for n in 0..90 {
        crate::services::state::set(&format!("channel/a{n:02}"), Some(&kept));
    }
    let told = bot.report(event("build-started", build(1, Value::Null)));
    assert_eq!(told.sent.len(), 80);
    assert!(said(&told).starts_with("#ci: "));
    assert!(told.log.iter().any(|(_, line)| line.ends_with("71 places are left out")), "{:?}", told.log);
}

#[test]
fn the_settings_events_are_switched_on_again_each_time_it_begins() {
    usual(&[]);
    let bot = bot(json!({"notify": ["failure"], "authz": {"notify": ["boss"]}}));
    let begin = |bot: &Configured<Mine>| bot.heard(json!({"kind": "started"})).skipped().to_owned();
    begin(&bot);
    assert_eq!(say(&bot, "x", "bob", "notify on worker"), "bob: You may not use `notify` here, x.");
    assert_eq!(say(&bot, "boss", "#ci", "notify on worker"), "#ci: These events are announced here: failure, worker.", "named for the command");
    assert_eq!(say(&bot, "boss", "#ci", "notify off failure"), "#ci: These events are announced here: worker.");
    begin(&bot);
    assert_eq!(say(&bot, "boss", "#ci", "notify list"), "#ci: These events are announced here: failure, worker.");
    assert_eq!(said(&bot.report(event("build-finished", build(1, json!(2))))).matches("failed").count(), 4, "two places, words and state");
}

#[test]
fn tags_blame_and_revisions() {
    usual(&[]);
    let bot = bot(json!({"notify": ["started", "finished"], "tags": ["unit"], "revisions": true, "blame": true}));
    bot.heard(json!({"kind": "started"}));
    let mut other = build(1, json!(2));
    other["builder"] = json!({"name": "docs", "tags": ["docs"]});
    for kind in ["build-started", "build-finished"] {
        assert_eq!(bot.report(event(kind, other.clone())).skipped(), "the builder has none of the tags");
    }
    assert!(said(&bot.report(event("build-started", build(1, Value::Null)))).starts_with("#ci: Build containing revisions [a87b2c4, r12] of `linux` started."));
    assert!(
        said(&bot.report(event("build-finished", build(1, json!(2)))))
            .starts_with("#ci: Build containing revisions [a87b2c4, r12] of `linux` failed: failed test  blamelist: carol |")
    );
    assert!(!said(&bot.report(event("build-finished", build(1, json!(0))))).contains("blamelist"));
}

#[test]
fn mute_silences_everything_but_unmute() {
    usual(&[]);
    let bot = bot(json!({"notify": ["finished"], "authz": {"mute": ["muter"], "unmute": true}}));
    bot.heard(json!({"kind": "started"}));
    assert_eq!(say(&bot, "x", "#ci", "mute"), "#ci: You may not use `mute` here, x.");
    assert!(say(&bot, "x", "#ci", "unmute").contains("Nobody has muted me"));
    assert!(say(&bot, "Muter", "#ci", "mute").contains("silent"));
    assert_eq!(bot.heard(json!({"kind": "message", "nick": "x", "place": "#ci", "text": "version"})).skipped(), "#ci is muted");
    assert_eq!(bot.heard(json!({"kind": "message", "nick": "x", "place": "#ci", "text": "nonsense"})).skipped(), "#ci is muted");
    assert!(said(&bot.report(event("build-finished", build(1, json!(0))))).starts_with("bob: "), "only the other place");
    assert_eq!(say(&bot, "x", "#ci", "unmute"), "#ci: I am back.");
}

fn schedulers() -> (&'static str, Value) {
    (
        "builders/1/forceschedulers",
        json!([{"name": "force", "enabled": true, "all_fields": [
        {"type": "text", "name": "reason", "fullName": "reason"}, {"type": "text", "name": "branch", "fullName": "branch", "default": ""}]}]),
    )
}

#[test]
fn force_goes_through_a_force_scheduler_and_tells_the_result() {
    usual(&[schedulers(), ("builders/2/forceschedulers", json!([]))]);
    let bot = bot(json!({"authz": {"force": ["alice"]}}));
    assert_eq!(say(&bot, "mallory", "#ci", "force build linux why"), "#ci: You may not use `force` here, mallory.");
    assert!(say(&bot, "alice", "#ci", "force build 'slow one' why").contains("No ForceScheduler of the master lists `slow one`"));
    assert!(say(&bot, "alice", "#ci", "force build --props=x=1 linux why").contains("does not take the property x"));
    assert!(say(&bot, "alice", "#ci", "force linux").starts_with("#ci: Try 'force build"));
    let report = bot.heard(json!({"kind": "message", "nick": "Alice", "place": "#ci", "text": "force build --branch=dev linux why not"}));
    assert_eq!(said(&report), r##"act force forceschedulers/force {"branch":"dev","reason":"forced by Alice on #ci: why not","builderid":1}"##);
    let terms = report.only().terms();
    assert_eq!(terms.title.as_deref(), Some("force of linux through force, asked for by Alice!~u@host on #ci"));
    let tag = terms.tag.clone().unwrap();
    let answer = |status: u16, body: &str, ended: &str| Answer { status, headers: vec![], body: body.into(), ended: ended.into() };
    assert!(
        said(&bot.answered(&tag, &answer(200, r#"[7, {"1": 50}]"#, "delivered"))).starts_with("#ci: Alice: the build of `linux` is requested ([request 50](")
    );
    assert_eq!(said(&bot.report(event("build-started", build(1, Value::Null)))), "#ci: Build [#1](https://ci/1) of `linux` started.");
    assert_eq!(said(&bot.report(event("build-finished", build(1, json!(5))))), "#ci: Build [#1](https://ci/1) of `linux` is to be tried again: failed test");
    assert_eq!(said(&bot.report(event("build-started", build(2, Value::Null)))), "#ci: Build [#2](https://ci/2) of `linux` started.", "the request goes on");
    assert_eq!(said(&bot.report(event("build-finished", build(2, json!(0))))), "#ci: Build [#2](https://ci/2) of `linux` completed successfully.");
    assert!(testing::state().is_empty(), "{:?}", testing::state());

    // The answer comes when the build runs already, or has ended.
    let row = |complete: bool| json!([{"buildid": 101, "number": 1, "complete": complete, "results": if complete { json!(2) } else { Value::Null }, "state_string": "failed test"}]);
    assert_eq!(bot.report(event("build-started", build(1, Value::Null))).skipped(), "nobody asked for this event");
    usual(&[("buildrequests/50/builds", row(false))]);
    let late = said(&bot.answered(&tag, &answer(200, r#"[7, {"1": 50}]"#, "delivered")));
    assert!(late.contains("I shall tell how it goes.\nBuild [#1](https://ci.example/#/builders/1/builds/1) of `linux` started."), "{late}");
    assert_eq!(said(&bot.report(event("build-finished", build(1, json!(2))))), "#ci: Build [#1](https://ci/1) of `linux` failed: failed test");
    assert!(testing::state().is_empty(), "{:?}", testing::state());
    assert_eq!(bot.report(event("build-finished", build(1, json!(2)))).skipped(), "nobody asked for this event");
    usual(&[("buildrequests/50/builds", row(true))]);
    let late = said(&bot.answered(&tag, &answer(200, r#"[7, {"1": 50}]"#, "delivered")));
    assert!(late.ends_with(").\nBuild [#1](https://ci.example/#/builders/1/builds/1) of `linux` failed: failed test"), "{late}");
    assert!(!late.contains("I shall tell") && testing::state().is_empty(), "{late} {:?}", testing::state());
    usual(&[]);

    let refused = said(&bot.answered(&tag, &answer(400, r#"{"reason": "'Reason' needs to be specified"}"#, "dead")));
    assert_eq!(refused, "#ci: The build could not be forced, Alice: reason: 'Reason' needs to be specified");
    usual(&[("builders/1/buildrequests?order=-buildrequestid&limit=5", json!([{"buildrequestid": 77, "submitted_at": 1_000_001}]))]);
    let lost = said(&bot.answered(&tag, &answer(0, "broken pipe", "unknown")));
    assert!(lost.contains("I do not know whether it was done") && lost.contains("is 77, made after you asked"), "{lost}");
}

#[test]
fn stop_and_shutdown() {
    let running = json!([{"buildid": 9, "number": 3, "builderid": 1}]);
    usual(&[
        ("builds?complete=false&order=buildid&builderid=1", running),
        ("builds?complete=false&order=buildid&builderid=3", json!([])),
        ("shutdown", json!([{"state": "running"}])),
    ]);
    let bot = everything();
    assert_eq!(say(&bot, "al", "al", "stop build linux mistake made"), r#"act stop builds/9 {"reason":"stopped by al: mistake made"}"#);
    assert!(say(&bot, "al", "al", "stop build away x").contains("No build is running"));
    for wrong in ["stop", "stop build", "stop build linux", "stop it linux x"] {
        assert!(say(&bot, "al", "al", wrong).starts_with("al: Try 'stop build BUILDER REASON'"), "{wrong}");
    }
    assert_eq!(say(&bot, "al", "al", "shutdown check"), "al: The master main is running.");
    let report = bot.heard(json!({"kind": "message", "nick": "al", "place": "#ci", "text": "shutdown start"}));
    assert_eq!(said(&report), r##"act start shutdown {"reason":"asked for by al on #ci"}"##);
    let tag = report.only().terms().tag.clone().unwrap();
    let answer = Answer { status: 200, headers: vec![], body: br#""is shutting down""#.to_vec(), ended: "delivered".into() };
    assert_eq!(said(&bot.answered(&tag, &answer)), "#ci: Master main: is shutting down, al.");
    assert!(say(&bot, "al", "al", "shutdown").starts_with("al: Try 'shutdown check"));
    assert_eq!(bot.answered("other", &answer).skipped(), "it is not the answer to an action");
}

#[test]
fn talk_help_and_nonsense() {
    usual(&[]);
    let bot = everything();
    assert_eq!(say(&bot, "x", "#ci", "version"), format!("#ci: This is reporter-host {}; main is Buildbot 4.3.0.", env!("CARGO_PKG_VERSION")));
    assert!(say(&bot, "x", "#ci", "source").contains("https://buildbot.net/"));
    assert!(say(&bot, "x", "#ci", "hello").contains("Hello, x"));
    let all = say(&bot, "x", "#ci", "commands");
    assert!(all.contains("coffee, commands, force, hello, help, last, list, mute, notify, shutdown, source, status, stop, unmute, version, watch"), "{all}");
    assert_eq!(say(&bot, "x", "#ci", "coffee"), "#ci: No.", "a command of one's own");
    let help = say(&bot, "x", "#ci", "help");
    assert!(help.contains("coffee - make coffee") && help.contains("watch - announce the completion") && !help.contains("unmute"), "{help}");
    assert!(say(&bot, "x", "#ci", "help watch").contains("Usage: watch BUILDER"));
    assert!(say(&bot, "x", "#ci", "help shutdown stop").contains("Usage: shutdown stop"));
    assert!(say(&bot, "x", "#ci", "help commands").contains("unmute"));
    assert!(say(&bot, "x", "#ci", "help hello").contains("takes no arguments"));
    assert!(say(&bot, "x", "#ci", "help nope").contains("no command `nope`"));
    assert!(say(&bot, "x", "#ci", "commands botfather").contains("\nforce - force a build\n"));
    assert!(say(&bot, "x", "#ci", "foobar").contains("no command `foobar`"));
    assert!(say(&bot, "x", "#ci", "foobar!").contains("What do you say"));
    let long = format!("{}\u{7}\u{3}", "z".repeat(10_000));
    let answer = say(&bot, "x", "#ci", &long);
    assert!(answer.len() < 400 && !answer.contains('\u{7}'), "{answer}");
    assert_eq!(bot.heard(json!({"kind": "message", "nick": "x", "place": "#ci", "text": " \t "})).skipped(), "nothing was said");
    for hostile in ["'", "\u{1}VERSION\u{1}", "list 99999999999999999999 changes", "status \u{0}", "notify on \u{202e}"] {
        say(&bot, "x", "#ci", hostile);
    }
}

#[test]
fn nobody_is_remembered_whom_the_settings_do_not_name() {
    usual(&[]);
    let bot = bot(json!({"authz": {"": ["alice"], "notify": ["alice", "bob"]}}));
    assert!(say(&bot, "mallory", "mallory", "notify on").contains("may not use"));
    assert!(say(&bot, "bob", "bob", "notify on").contains("finished"));
    let mut state = Map::new();
    state.extend(testing::state().into_iter().map(|(key, value)| (key, Value::String(value))));
    assert_eq!(state.keys().collect::<Vec<_>>(), ["channel/bob"]);
}

#[test]
fn a_busy_master_is_asked_within_its_budget() {
    let builders: Vec<Value> = (1..=40).map(|id| json!({"builderid": id, "name": format!("b{id:02}"), "tags": [], "masterids": [1]})).collect();
    let running: Vec<Value> = (1..=40).map(|id| json!({"buildid": id, "number": 1, "builderid": id})).collect();
    let asked = std::rc::Rc::new(std::cell::Cell::new(0));
    let counts = asked.clone();
    testing::masters(&["main"], move |_, path, query| {
        counts.set(counts.get() + 1);
        let rows = match path.join("/").as_str() {
            "config" => json!([{"buildbotURL": "https://ci.example"}]),
            "builders" => json!(builders),
            "builds" if query.contains(&("complete".into(), "false".into())) => json!(running),
            _ => json!([]),
        };
        Answer { status: 200, headers: vec![], body: rows.to_string().into_bytes(), ended: "answered".into() }
    });
    let bot = everything();
    assert!(say(&bot, "x", "#ci", "status all").contains("`b40`: running: build [#1](https://ci.example/#/builders/40/builds/1)"));
    assert!(asked.get() < 50, "{}", asked.get());
    let last = say(&bot, "x", "#ci", "last all");
    assert!(last.contains("`b20`: no build has ended yet") && last.contains("`b21`: no build has ended lately"), "{last}");
}
