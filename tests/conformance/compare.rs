//! The differences between what was recorded and what we send.

use serde_json::Value;

use crate::wire::Sent;

/// A difference.
#[derive(Clone, Debug)]
pub struct Difference {
    /// Where: a JSON Pointer into [`Sent`]; empty if one of the two was not sent at all.
    pub at: String,
    /// What was recorded there.
    pub recorded: Option<Value>,
    /// What we send there.
    pub ours: Option<Value>,
}

/// All differences.
pub fn differences(recorded: &Sent, ours: &Sent) -> Vec<Difference> {
    let mut found = Vec::new();
    if std::mem::discriminant(recorded) == std::mem::discriminant(ours) {
        walk("", Some(recorded.value()), Some(ours.value()), &mut found);
    } else {
        found.push(Difference { at: "/kind".into(), recorded: Some(recorded.value().clone()), ours: Some(ours.value().clone()) });
    }
    found
}

fn walk(at: &str, recorded: Option<&Value>, ours: Option<&Value>, found: &mut Vec<Difference>) {
    match (recorded, ours) {
        (Some(Value::Object(recorded)), Some(Value::Object(ours))) => {
            let keys = recorded.keys().chain(ours.keys().filter(|key| !recorded.contains_key(*key)));
            for key in keys {
                walk(&format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), recorded.get(key), ours.get(key), found);
            }
        }
        (Some(Value::Array(recorded)), Some(Value::Array(ours))) if recorded.len() == ours.len() => {
            for (n, (recorded, ours)) in recorded.iter().zip(ours).enumerate() {
                walk(&format!("{at}/{n}"), Some(recorded), Some(ours), found);
            }
        }
        (recorded, ours) if recorded == ours => {}
        (recorded, ours) => found.push(Difference { at: at.to_owned(), recorded: recorded.cloned(), ours: ours.cloned() }),
    }
}
