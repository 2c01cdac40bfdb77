//! Hooks: the settings that take a formatter component, and what goes in and out of one (docs/slots.md).

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::component::Failure;
use crate::event::Subjects;

/// A setting that is either written out (`T`) or a formatter component:
/// `{ component = "mine.wasm", settings = { … } }`. Mark the field with `#[schemars(extend("x-slot" = "message"))]`.
#[derive(Clone, Debug, PartialEq)]
pub enum Slot<T> {
    /// The operator wrote it out.
    Own(T),
    /// A formatter component does it.
    Component,
}

impl<T> Slot<T> {
    /// Whether a component does it.
    pub fn is_component(&self) -> bool {
        matches!(self, Self::Component)
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Slot<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        // The host replaces `component` by `formatter`; a test without a host has the operator's spelling.
        if value.get("formatter") == Some(&Value::Bool(true)) || value.get("component").is_some_and(Value::is_string) {
            return Ok(Self::Component);
        }
        T::deserialize(value).map(Self::Own).map_err(D::Error::custom)
    }
}

impl<T: JsonSchema> JsonSchema for Slot<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("{}OrComponent", T::schema_name()).into()
    }

    // One object instead of `anyOf`, so that an unknown key is reported as such.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        let object = schema.ensure_object();
        match object.get_mut("type") {
            Some(Value::Array(types)) if !types.iter().any(|t| t == "object") => types.push("object".into()),
            Some(Value::String(one)) if one != "object" => {
                let one = one.clone();
                object.insert("type".into(), serde_json::json!([one, "object"]));
            }
            _ => {}
        }
        let properties = object.entry("properties").or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(properties) = properties {
            properties.insert(
                "component".into(),
                serde_json::json!({"type": "string", "description": "A formatter component that does this instead: its .wasm file"}),
            );
            properties.insert("settings".into(), serde_json::json!({"type": "object", "description": "The settings of that component"}));
            properties.insert("formatter".into(), serde_json::json!({"type": "boolean", "description": "Set by the host in the place of component"}));
        }
        schema
    }
}

/// For slots that only a component can fill.
#[derive(Clone, Debug, PartialEq)]
pub enum OnlyComponent {}

impl<'de> Deserialize<'de> for OnlyComponent {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("this takes a formatter component: write { component = \"mine.wasm\" }"))
    }
}

impl JsonSchema for OnlyComponent {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "OnlyComponent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "object", "additionalProperties": false})
    }
}

/// Asks the formatter component of this entry's `slot`.
///
/// # Errors
///
/// Its own error, or that it trapped or ran out of a budget; asking again does not help.
pub fn ask(slot: &str, subjects: Subjects, context: Context) -> Result<Document, Failure> {
    let answer = crate::services::format(slot, subjects, crate::json_text(&Value::Object(context.0)));
    let text = answer.map_err(|error| Failure::for_good(format!("the formatter for {slot} failed: {error}")))?;
    serde_json::from_str(&text)
        .map(Document)
        .map_err(|error| Failure::for_good(format!("the formatter for {slot} answered with something that is no JSON: {error}")))
}

/// What a hook knows beside its subjects: `mode`, `event` …
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Context(pub Map<String, Value>);

impl Context {
    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// The text of a key; empty if it is missing or no text.
    pub fn text(&self, key: &str) -> &str {
        self.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// Adds a value.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }
}

/// The JSON document that a formatter answers with.
#[derive(Clone, Debug, PartialEq)]
pub struct Document(pub Value);

impl Document {
    /// A plain `message`.
    pub fn message(body: impl Into<String>) -> Self {
        Self(serde_json::json!({"body": body.into(), "type": "plain"}))
    }

    /// Sets a member of the document: `.with("subject", "…")`.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        if let Value::Object(object) = &mut self.0 {
            object.insert(key.into(), value.into());
        }
        self
    }

    /// A `message` with this subject.
    pub fn subject(self, subject: impl Into<String>) -> Self {
        self.with("subject", subject.into())
    }

    /// A `message` whose body is HTML.
    pub fn html(self) -> Self {
        self.with("type", "html")
    }

    /// A `payload`: any JSON.
    pub fn json(value: impl Into<Value>) -> Self {
        Self(value.into())
    }
}

impl From<Value> for Document {
    fn from(value: Value) -> Self {
        Self(value)
    }
}
