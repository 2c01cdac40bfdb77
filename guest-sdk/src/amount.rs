//! Durations and sizes in settings: the operator writes `"30 min"` or `"10 MB"`, the host hands in a number.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// A number of seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Seconds(pub u32);

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let seconds = Value::deserialize(deserializer)?.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
        seconds.map(Self).ok_or_else(|| D::Error::custom("write a duration such as \"30 min\", or a number of seconds"))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer)?.as_u64().map(Self).ok_or_else(|| D::Error::custom("write a size such as \"10 MB\", or a number of bytes"))
    }
}

impl JsonSchema for Seconds {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Seconds".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer"], "format": "seconds"})
    }
}

impl JsonSchema for Bytes {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Bytes".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "integer"], "format": "bytes"})
    }
}

impl std::fmt::Display for Bytes {
    /// `812 bytes`, `3.2 MB`.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tenths = |unit: u64| (self.0 + unit / 20) / (unit / 10);
        match self.0 {
            0..1_000 => write!(f, "{} bytes", self.0),
            1_000..999_950 => write!(f, "{}.{} kB", tenths(1_000) / 10, tenths(1_000) % 10),
            _ => write!(f, "{}.{} MB", tenths(1_000_000) / 10, tenths(1_000_000) % 10),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_come_from_the_host() {
        assert_eq!(serde_json::from_value::<Seconds>(json!(1_800)).unwrap(), Seconds(1_800));
        assert!(serde_json::from_value::<Seconds>(json!(u64::MAX)).is_err() && serde_json::from_value::<Bytes>(json!("10 MB")).is_err());
    }

    #[test]
    fn sizes_are_told() {
        for (bytes, text) in [(999, "999 bytes"), (1_000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB"), (12_345_678, "12.3 MB")] {
            assert_eq!(Bytes(bytes).to_string(), text);
        }
    }
}
