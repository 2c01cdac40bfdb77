//! A formatter that answers with what its settings name: what a small `format_fn` in a master.cfg does.

use std::collections::BTreeMap;

use reporter_sdk::message::{status_detected, summary};
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
}

/// The formatter.
#[derive(Debug)]
pub struct Pick;

impl Formatter for Pick {
    type Settings = Settings;
    const SLOTS: &'static [&'static str] = &["payload", "message", "description", "start-description"];

    fn format(settings: &Settings, slot: &str, subjects: Subjects, context: Context) -> Result<Document, String> {
        let build = subjects.build()?;
        let want: Vec<&str> = settings.want.iter().map(String::as_str).collect();
        let document = build.document(&want);
        let mut members = Map::new();
        for (name, what) in &settings.members {
            members.insert(name.clone(), member(what, build, &document, &context)?);
        }
        let Some(text) = &settings.text else { return Ok(Document(Value::Object(members))) };
        let texts: BTreeMap<String, String> = members.into_iter().map(|(name, value)| (format!("{{{name}}}"), value.as_str().map_or_else(|| value.to_string(), str::to_owned))).collect();
        let text = texts.iter().fold(text.clone(), |text, (name, value)| text.replace(name, value));
        Ok(if slot == "message" { Document::message(text) } else { Document(Value::String(text)) })
    }
}

/// `{ pointer = "/builder/name" }` into the document, `{ say = "summary" }`, or the value itself.
fn member(what: &Value, build: &Build, document: &Value, context: &Context) -> Result<Value, String> {
    if let Some(pointer) = what["pointer"].as_str() {
        return Ok(document.pointer(pointer).cloned().unwrap_or(Value::Null));
    }
    match what["say"].as_str() {
        None => Ok(what.clone()),
        Some("summary") => Ok(summary(build).into()),
        Some("status_detected") => {
            let mode: Vec<&str> = context.get("mode").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
            Ok(status_detected(build.results(), &mode, &|| build.previous().and_then(|previous| previous.results())).into())
        }
        Some(other) => Err(format!("nothing is known about {other}")),
    }
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
