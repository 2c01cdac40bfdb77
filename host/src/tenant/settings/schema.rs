//! The JSON Schema of the settings file, for editors: the host's keys, and each reporter's arguments.

use serde_json::{Map, Value, json};

use super::describe::Described;
use super::keys::{Form, HostKey, SERVICE, TOP};

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
            let schema = match reporter.slot(&name) {
                Some(_) => json!({ "anyOf": [schema, table(super::keys::FORMATTER)] }),
                None => json!({ "anyOf": [schema, secret()] }),
            };
            known.insert(name, schema);
        }
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
