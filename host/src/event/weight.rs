//! How much memory a JSON value takes.

use serde_json::Value;

/// What a member of an object takes beside its name and its value.
const MEMBER: usize = 48;
/// What a text that is one of many takes beside its letters: its place in the list, and what the allocator needs.
pub(super) const TEXT: usize = 32;

/// Bytes, roughly: what the value takes in memory is neither much less nor more than a small multiple.
pub fn weight(value: &Value) -> usize {
    let inner: usize = match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(members) => members.iter().map(|(name, value)| MEMBER + name.len() + weight(value)).sum(),
    };
    size_of::<Value>() + inner
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_part_counts() {
        let plain = weight(&Value::Null);
        assert_eq!(weight(&json!("four")), plain + 4);
        assert_eq!(weight(&json!([[], 1, true])), 4 * plain);
        assert_eq!(weight(&json!({"ab": "c"})), plain + MEMBER + 2 + plain + 1);
    }
}
