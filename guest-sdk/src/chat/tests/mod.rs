//! A bot with a presenter that writes plain text, and masters that answer from a table.

mod act;
mod look;
mod notify;
mod talk;

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
