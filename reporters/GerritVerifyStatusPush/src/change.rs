//! Which patch sets a build is about.

use reporter_sdk::giturl::unescaped;
use reporter_sdk::prelude::*;
use serde_json::Value;

/// A revision of a change, by the ids that Gerrit's REST API takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// `4711`, `project~branch~I8473b95934b5732ac55d26311a706c9c2bde9940` …
    pub change: String,
    /// `3`, or a commit.
    pub revision: String,
}

/// The property `gerrit_changes` if there is one, else the change that GerritChangeSource found; each once. And why others are none.
pub fn revisions(build: &Build) -> (Vec<Revision>, Vec<String>) {
    let (mut revisions, mut reasons) = (Vec::new(), Vec::new());
    match build.property("gerrit_changes") {
        None | Some(Value::Null) => match build.property("event.change.number") {
            None | Some(Value::Null) => reasons.push("the build has neither the property gerrit_changes nor event.change.number".to_owned()),
            Some(change) => match of(Some(&change), build.property("event.patchSet.number").as_ref()) {
                Some(revision) => revisions.push(revision),
                None => reasons.push("the properties event.change.number and event.patchSet.number name no patch set".to_owned()),
            },
        },
        Some(Value::Array(changes)) => {
            for change in &changes {
                match of(change.get("change_id"), change.get("revision_id")) {
                    Some(revision) if revisions.contains(&revision) => {}
                    Some(revision) => revisions.push(revision),
                    None => reasons.push(format!("gerrit_changes has an item without change_id and revision_id: {change}")),
                }
            }
            if changes.is_empty() {
                reasons.push("gerrit_changes is empty".to_owned());
            }
        }
        Some(_) => reasons.push("gerrit_changes is no list of tables with change_id and revision_id".to_owned()),
    }
    (revisions, reasons)
}

fn of(change: Option<&Value>, revision: Option<&Value>) -> Option<Revision> {
    Some(Revision { change: id(change?)?, revision: id(revision?)? })
}

fn id(value: &Value) -> Option<String> {
    let id = match value {
        // `project~branch~Change-Id` is often written as it stands in URLs, `tools%2Fp~…`, and the host encodes it again.
        Value::String(text) => unescaped(text.trim()).unwrap_or_else(|| text.trim().to_owned()),
        Value::Number(number) if number.is_u64() => number.to_string(),
        _ => return None,
    };
    (!matches!(id.as_str(), "" | "." | "..") && !id.contains(char::is_control)).then_some(id)
}
