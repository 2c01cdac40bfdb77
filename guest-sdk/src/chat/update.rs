//! What happened in a conversation.

use serde_json::Value;

/// An update, see `chat.heard` in the contract. In a test it is that JSON object.
#[derive(Clone, Debug)]
pub struct Update(Value);

impl Update {
    /// Reads it.
    ///
    /// # Errors
    ///
    /// It is no JSON object.
    pub fn parse(text: &str) -> Result<Self, String> {
        match serde_json::from_str(text) {
            Ok(update @ Value::Object(_)) => Ok(Self(update)),
            Ok(_) => Err("the update is no JSON object".into()),
            Err(error) => Err(format!("the update is no JSON: {error}")),
        }
    }

    /// `started`, `connected`, `message` …; empty if it has none.
    pub fn kind(&self) -> &str {
        self.0["kind"].as_str().unwrap_or_default()
    }

    /// The endpoint's name.
    pub fn endpoint(&self) -> &str {
        self.0["endpoint"].as_str().unwrap_or_default()
    }

    /// When it happened, in seconds since 1970.
    pub fn at(&self) -> u64 {
        self.0["at"].as_u64().unwrap_or_default()
    }

    /// The whole of it.
    pub fn document(&self) -> &Value {
        &self.0
    }
}
