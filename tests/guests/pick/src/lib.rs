//! A formatter that answers with what its settings name: what a small `format_fn` in a master.cfg does.

use std::collections::BTreeMap;

use reporter_sdk::event::MasterInfo;
use reporter_sdk::message::{projects, sourcestamps, status_detected, summary};
use reporter_sdk::prelude::*;
use serde_json::{Map, Value};

/// What the operator writes in `settings = { … }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The members of the answer, in this order if the host keeps it.
    members: Map<String, Value>,
    /// Words of `build.document`.
    #[serde(default)]
    want: Vec<String>,
    /// A text in which `{name}` stands for a member: it is the answer then.
    #[serde(default)]
    text: Option<String>,
    /// Such a text for each build of a buildset: one after another, they are `{each}`.
    #[serde(default)]
    each: Option<String>,
    /// Such a text as subject of a message.
    #[serde(default)]
    subject: Option<String>,
}

/// The formatter.
#[derive(Debug)]
pub struct Pick;

impl Formatter for Pick {
    type Settings = Settings;
    const SLOTS: &'static [&'static str] = &["payload", "message", "description", "start-description", "chat-params"];

    fn format(settings: &Settings, slot: &str, subjects: Subjects, context: Context) -> Result<Document, String> {
        let members = members(settings, subjects.build()?, &subjects, &context)?;
        let Some(text) = &settings.text else { return Ok(Document(Value::Object(members))) };
        let mut texts = texts(&members);
        if let (Some(each), Subjects::Builds(builds)) = (&settings.each, &subjects) {
            let mut all = String::new();
            for build in builds {
                all.push_str(&filled(each, &self::texts(&self::members(settings, build, &subjects, &context)?)));
            }
            texts.insert("{each}".into(), all);
        }
        let text = filled(text, &texts);
        Ok(match (slot, &settings.subject) {
            ("message", Some(subject)) => Document::message(text).subject(filled(subject, &texts)),
            ("message", None) => Document::message(text),
            _ => Document(Value::String(text)),
        })
    }
}

fn members(settings: &Settings, build: &Build, subjects: &Subjects, context: &Context) -> Result<Map<String, Value>, String> {
    let want: Vec<&str> = settings.want.iter().map(String::as_str).collect();
    let document = build.document(&want);
    settings.members.iter().map(|(name, what)| Ok((name.clone(), member(what, build, subjects, &document, context)?))).collect()
}

fn texts(members: &Map<String, Value>) -> BTreeMap<String, String> {
    members.iter().map(|(name, value)| (format!("{{{name}}}"), value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect()
}

fn filled(text: &str, texts: &BTreeMap<String, String>) -> String {
    texts.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
}

/// `{ pointer = "/builder/name" }` into the document, with a table `map` of what its values stand for and `else` for the others; `{ say = "summary" }`;
/// or the value itself.
fn member(what: &Value, build: &Build, subjects: &Subjects, document: &Value, context: &Context) -> Result<Value, String> {
    if let Some(pointer) = what["pointer"].as_str() {
        let value = document.pointer(pointer).cloned().unwrap_or(Value::Null);
        return Ok(match what["map"].as_object() {
            // TOML has no null; what is empty is nothing.
            Some(map) => Some(map.get(&value.to_string()).unwrap_or(&what["else"])).filter(|value| **value != "").cloned().unwrap_or_default(),
            None => value,
        });
    }
    match what["say"].as_str() {
        None => Ok(what.clone()),
        Some("summary") => Ok(summary(build).into()),
        Some("sourcestamps") => Ok(sourcestamps(&build.sourcestamps()).into()),
        Some("projects") => {
            let text = |key: &str| context.text(key).to_owned();
            let master = MasterInfo { title: text("buildbot_title"), title_url: String::new(), url: text("buildbot_url"), version: String::new() };
            Ok(projects(&build.sourcestamps(), &master).into())
        }
        Some("result") => Ok(reporter_sdk::results::name(results(build, context)).into()),
        Some("count") => Ok(match subjects {
            Subjects::Builds(builds) => builds.len(),
            _ => 0,
        }
        .into()),
        Some("status_detected") => {
            let mode: Vec<&str> = context.get("mode").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
            Ok(status_detected(results(build, context), &mode, &|| build.previous().and_then(|previous| previous.results())).into())
        }
        Some(other) => Err(format!("nothing is known about {other}")),
    }
}

/// Of the set, if the message is about one.
fn results(build: &Build, context: &Context) -> Option<u8> {
    context.get("results").map_or_else(|| build.results(), |results| results.as_u64().and_then(|results| u8::try_from(results).ok()))
}

reporter_sdk::export_formatter!(Pick);

#[cfg(test)]
mod tests {
    use reporter_sdk::testing;
    use serde_json::json;

    use super::Pick;

    #[test]
    fn members_and_text() {
        let event = json!({"builds": [{"results": 0, "builder": {"name": "linux"}, "prev_build": {"results": 2}}]});
        let settings = json!({"want": ["previous-build"], "members": {
            "mode": "change", "results": {"pointer": "/results"}, "prev": {"pointer": "/prev_build/results"},
            "gone": {"pointer": "/a/b"}, "builder": {"pointer": "/builder/name"}, "now": {"say": "status_detected"}}});
        let picked = testing::format::<Pick>(settings.clone(), "payload", event.clone(), json!({"mode": ["change"]})).unwrap();
        assert_eq!(picked, json!({"mode": "change", "results": 0, "prev": 2, "gone": null, "builder": "linux", "now": "restored build"}));
        let mut settings = settings;
        settings["text"] = json!("{builder} {results} {other}");
        assert_eq!(testing::format::<Pick>(settings, "description", event, json!({})).unwrap(), "linux 0 {other}");
    }
}
