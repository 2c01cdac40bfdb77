//! The JSON Schema of the settings file, for editors: the host's keys, and each reporter's arguments.

use serde_json::{Map, Value, json};

use super::describe::Described;
use super::keys::{FORMATTER, Form, HostKey, SERVICE, TOP};

/// A component's schema may be nested as deep as it likes.
const MOST_DEEP: usize = 32;

/// The schema of a settings file in which these reporters can be used.
pub fn schema(reporters: &[Described]) -> Value {
    let mut schema = table(TOP);
    let service = json!({
        "type": "object",
        "properties": properties(SERVICE),
        "allOf": reporters.iter().map(arguments).collect::<Vec<_>>(),
        "oneOf": [{ "required": ["reporter"] }, { "required": ["component"] }],
    });
    schema["properties"]["services"]["items"] = service;
    schema["$schema"] = json!("https://json-schema.org/draft/2020-12/schema");
    schema["title"] = json!("Settings of reporter-host");
    schema["$defs"] = json!({ "secret": secret() });
    schema
}

/// What the file may have where `configure` gets what the schema says: a secret for a text, and one value for a list of one.
fn as_written(mut schema: Value, depth: usize) -> Value {
    if depth == MOST_DEEP {
        return schema;
    }
    let inner = |schema: &mut Value| *schema = as_written(schema.take(), depth + 1);
    for word in ["items", "additionalProperties"] {
        schema.get_mut(word).filter(|schema| schema.is_object()).map(inner);
    }
    for word in ["anyOf", "oneOf"] {
        schema.get_mut(word).and_then(Value::as_array_mut).into_iter().flatten().for_each(inner);
    }
    schema.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut).for_each(inner);
    let (kind, format) = (schema.get("type"), schema.get("format").and_then(Value::as_str));
    let is = |name: &str| kind == Some(&json!(name)) || kind.and_then(Value::as_array).is_some_and(|kinds| kinds.contains(&json!(name)));
    let file = matches!(format, Some("file" | "folder"));
    match schema.get("items") {
        Some(items) if is("array") => json!({ "anyOf": [items, schema] }),
        _ if is("string") && !file => json!({ "anyOf": [schema, secret()] }),
        _ => schema,
    }
}

fn secret() -> Value {
    json!({
        "type": "object",
        "description": "The name of a secret in [secrets].",
        "properties": { "secret": { "type": "string" } },
        "required": ["secret"],
        "additionalProperties": false,
    })
}

/// What a service with this reporter takes.
fn arguments(reporter: &Described) -> Value {
    let mut own = reporter.settings_schema.clone();
    let mut known = properties(SERVICE);
    if let Some(written) = own.get_mut("properties").and_then(Value::as_object_mut) {
        for (name, schema) in std::mem::take(written) {
            let slot = reporter.slot(&name).is_some();
            let schema = as_written(schema, 0);
            known.insert(name, if slot { json!({ "anyOf": [schema, table(FORMATTER)] }) } else { schema });
        }
    }
    if let Some(defs) = own.get_mut("$defs").and_then(Value::as_object_mut) {
        defs.values_mut().for_each(|schema| *schema = as_written(schema.take(), 0));
    }
    own["properties"] = Value::Object(known);
    // References point into the reporter's own document, which is an embedded one with its own identity here.
    own["$id"] = json!(format!("reporter-host:{}", reporter.name));
    json!({
        "if": { "properties": { "reporter": { "const": reporter.name } }, "required": ["reporter"] },
        "then": own,
    })
}

fn properties(keys: &[HostKey]) -> Map<String, Value> {
    keys.iter()
        .map(|key| {
            let mut schema = form(key.form);
            schema["description"] = json!(key.doc);
            (key.name.to_owned(), schema)
        })
        .collect()
}

fn table(keys: &[HostKey]) -> Value {
    json!({ "type": "object", "properties": properties(keys), "additionalProperties": false })
}

fn form(form: Form) -> Value {
    match form {
        Form::Text => json!({ "type": "string" }),
        Form::Flag => json!({ "type": "boolean" }),
        Form::Count => json!({ "type": "integer", "minimum": 0 }),
        Form::Duration | Form::Size | Form::Moment => json!({ "type": ["string", "integer"] }),
        Form::Secret => json!({ "anyOf": [{ "type": "string" }, { "$ref": "#/$defs/secret" }] }),
        Form::Texts => json!({ "type": ["string", "array"], "items": { "type": "string" } }),
        Form::Verify => json!({ "type": ["boolean", "string"] }),
        Form::Table(keys) => table(keys),
        Form::Tables(keys) => json!({ "type": "array", "items": table(keys) }),
        Form::Own => json!({}),
    }
}
