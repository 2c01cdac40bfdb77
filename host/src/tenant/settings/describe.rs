//! What components say about themselves, as far as settings need it.

use std::collections::BTreeMap;

use serde_json::Value;

use super::ComponentRef;
use crate::sandbox::Limits;

/// Knows components. The sandbox implements it by calling `describe` in the component.
pub trait Describe: Send + Sync {
    /// What a component says about itself within these limits, or why it cannot be used.
    ///
    /// # Errors
    /// Words for the operator: no such file, not a component, made for another world …
    fn describe(&self, component: &ComponentRef, limits: &Limits) -> Result<Described, String>;

    /// The names of the built-in reporters.
    fn built_in(&self) -> Vec<String>;
}

/// See `component.describe` in the contract.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Described {
    /// Its name.
    pub name: String,
    /// The JSON Schema of its settings.
    pub settings_schema: Value,
    /// A formatter's slots.
    pub slots: Vec<String>,
    /// A reporter's settings that take a formatter, each with its slot. A setting can say the same with
    /// `x-slot` in the schema.
    pub takes: BTreeMap<String, String>,
}

impl Described {
    /// Reads the answer of a component's `describe`.
    ///
    /// # Errors
    /// It is not the document that the contract describes.
    pub fn parse(document: &str) -> Result<Self, String> {
        let value: Value = serde_json::from_str(document).map_err(|e| format!("its description is not JSON: {e}"))?;
        let Some(name) = value.get("name").and_then(Value::as_str) else {
            return Err("its description has no name".to_owned());
        };
        let settings_schema = value.get("settings").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let (slots, takes) = match value.get("slots") {
            Some(Value::Array(slots)) => (slots.iter().filter_map(text).collect(), BTreeMap::new()),
            Some(Value::Object(takes)) => (Vec::new(), takes.iter().filter_map(|(setting, slot)| Some((setting.clone(), text(slot)?))).collect()),
            _ => (Vec::new(), BTreeMap::new()),
        };
        Ok(Self { name: name.to_owned(), settings_schema, slots, takes })
    }

    /// The slot of a setting.
    pub(super) fn slot(&self, setting: &str) -> Option<&str> {
        let in_schema = self.settings_schema.get("properties").and_then(|all| all.get(setting)?.get("x-slot")?.as_str());
        in_schema.or_else(|| self.takes.get(setting).map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_slots() {
        let reporter = Described::parse(r#"{"name": "R", "settings": {"properties": {"b": {"x-slot": "two"}}}, "slots": {"a": "one"}, "new": 1}"#).unwrap();
        assert_eq!((reporter.slot("a"), reporter.slot("b"), reporter.slot("c")), (Some("one"), Some("two"), None));
        let formatter = Described::parse(r#"{"name": "f", "slots": ["one", "two"]}"#).unwrap();
        assert_eq!(formatter.slots, ["one", "two"]);
        for bad in ["", "[]", "{}", r#"{"name": 1}"#] {
            assert!(Described::parse(bad).is_err(), "{bad}");
        }
    }
}
