//! The setting `watchedWorkers`: which workers are reported when they go missing.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// `watchedWorkers`
#[derive(Clone, Debug, Default, PartialEq)]
pub enum WatchedWorkers {
    /// All.
    #[default]
    All,
    /// These; none if empty.
    Named(Vec<String>),
}

impl WatchedWorkers {
    /// Whether a worker is watched.
    pub fn includes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Named(names) => names.iter().any(|watched| watched == name),
        }
    }

    /// Whether none is watched.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Named(names) if names.is_empty())
    }
}

impl<'de> Deserialize<'de> for WatchedWorkers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(false) => Ok(Self::Named(Vec::new())),
            Value::String(all) if all == "all" => Ok(Self::All),
            Value::Array(names) => serde_json::from_value(Value::Array(names)).map(Self::Named).map_err(D::Error::custom),
            _ => Err(D::Error::custom("write \"all\", a list of names, or false for none")),
        }
    }
}

impl JsonSchema for WatchedWorkers {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "WatchedWorkers".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "array", "boolean"], "items": {"type": "string"}})
    }
}
