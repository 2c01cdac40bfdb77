//! Settings: read with JSON Pointers in the problems, their schema, and the types that several reporters use.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::component::Problems;

/// The key in which the host adds placeholders for the `%(secret:NAME)s` of an entry: name → placeholder.
const SECRETS: &str = "secrets";

thread_local! {
    static GIVEN: RefCell<BTreeMap<String, String>> = const { RefCell::new(BTreeMap::new()) };
}

/// The placeholder of a secret, while settings are being read.
pub(crate) fn secret(name: &str) -> Option<String> {
    GIVEN.with_borrow(|given| given.get(name).cloned())
}

/// Whether a text stands for a secret: 32 letters and digits.
pub fn is_placeholder(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

/// Reads settings.
///
/// # Errors
///
/// Every unknown key at the top, or the first place at which they do not fit.
pub fn read<T: DeserializeOwned + JsonSchema>(mut settings: Value) -> Result<T, Problems> {
    let given = settings.as_object_mut().and_then(|object| object.remove(SECRETS));
    let given = given.map_or_else(BTreeMap::new, |given| serde_json::from_value(given).unwrap_or_default());
    GIVEN.set(given);
    // `()` stands for a component without settings.
    if settings == json!({})
        && let Ok(nothing) = T::deserialize(Value::Null)
    {
        return Ok(nothing);
    }
    // The host has refused unknown keys by the schema before; making that here would cost each fresh instance ten times its other work.
    #[cfg(not(target_arch = "wasm32"))]
    unknown_keys(&settings, &schema::<T>())?;
    T::deserialize(&settings).map_err(|error| {
        let message = error.to_string();
        let at = locate(&settings, &message, &|changed| T::deserialize(changed).err().map(|error| error.to_string()));
        Problems::at(at, message)
    })
}

#[cfg(not(target_arch = "wasm32"))]
fn unknown_keys(settings: &Value, schema: &Value) -> Result<(), Problems> {
    let mut problems = Problems::default();
    if let (Some(settings), Some(known)) = (settings.as_object(), schema["properties"].as_object()) {
        for key in settings.keys().filter(|key| !known.contains_key(*key)) {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            problems.add(pointer("", key), format!("there is no setting {key}; there are: {}", names.join(", ")));
        }
    }
    problems.or(())
}

/// Finds the deepest value that the error is about. Serde says what is wrong; where, it forgets. A value is it if the
/// error goes away without it, or (what is required cannot be taken away) if the error is there with it alone.
fn locate(settings: &Value, message: &str, attempt: &dyn Fn(&Value) -> Option<String>) -> String {
    let mut at = String::new();
    loop {
        let children: Vec<(String, String)> = match settings.pointer(&at) {
            Some(Value::Object(object)) => object.keys().map(|key| (pointer(&at, key), key.clone())).collect(),
            Some(Value::Array(items)) => (0..items.len()).map(|n| (format!("{at}/{n}"), String::new())).collect(),
            _ => return at,
        };
        let goes_away = |(child, key): &&(String, String)| match attempt(&without(settings, |other| other == child)) {
            Some(other) => other != message && !other.starts_with(&format!("missing field `{key}`")),
            None => true,
        };
        let is_there_alone = |(child, _): &&(String, String)| {
            let siblings: Vec<&String> = children.iter().map(|(sibling, _)| sibling).filter(|sibling| *sibling != child).collect();
            !message.starts_with("missing field") && attempt(&without(settings, |other| siblings.contains(&other))).as_deref() == Some(message)
        };
        match children.iter().find(goes_away).or_else(|| children.iter().find(is_there_alone)) {
            Some((child, _)) => at = child.clone(),
            None => return at,
        }
    }
}

/// The settings without the values at these pointers.
fn without(settings: &Value, drop: impl Fn(&String) -> bool + Copy) -> Value {
    fn prune(value: &Value, at: &str, drop: &dyn Fn(&String) -> bool) -> Value {
        match value {
            Value::Object(object) => {
                let kept = object.iter().map(|(key, value)| (pointer(at, key), key, value)).filter(|(child, ..)| !drop(child));
                Value::Object(kept.map(|(child, key, value)| (key.clone(), prune(value, &child, drop))).collect())
            }
            Value::Array(items) => {
                let kept = items.iter().enumerate().map(|(n, value)| (format!("{at}/{n}"), value)).filter(|(child, _)| !drop(child));
                Value::Array(kept.map(|(child, value)| prune(value, &child, drop)).collect())
            }
            other => other.clone(),
        }
    }
    prune(settings, "", &drop)
}

/// `parent` with one more member, escaped after RFC 6901.
pub fn pointer(parent: &str, key: &str) -> String {
    format!("{parent}/{}", key.replace('~', "~0").replace('/', "~1"))
}

/// The JSON Schema of settings: self-contained, without nulls, unknown keys refused.
pub fn schema<T: JsonSchema>() -> Value {
    let mut generator = schemars::generate::SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true).into_generator();
    let mut schema = generator.root_schema_for::<T>().to_value();
    without_null(&mut schema);
    if let Some(object) = schema.as_object_mut() {
        if object.get("type") == Some(&json!("null")) || !object.contains_key("properties") {
            object.insert("type".into(), json!("object"));
            object.entry("properties").or_insert_with(|| json!({}));
        }
        object.entry("additionalProperties").or_insert(json!(false));
    }
    schema
}

/// TOML has no null: what may be left out needs no null in its schema.
fn without_null(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(Value::Array(types)) = object.get_mut("type") {
                types.retain(|one| one != "null");
                if let [one] = &types[..] {
                    let one = one.clone();
                    object.insert("type".into(), one);
                }
            }
            let only = object.get_mut("anyOf").and_then(Value::as_array_mut).and_then(|any| {
                any.retain(|one| one.get("type") != Some(&json!("null")));
                if any.len() == 1 { any.pop() } else { None }
            });
            if let Some(Value::Object(only)) = only {
                object.shift_remove("anyOf");
                for (key, value) in only {
                    object.entry(key).or_insert(value);
                }
            }
            if object.get("default") == Some(&Value::Null) {
                object.shift_remove("default");
            }
            object.values_mut().for_each(without_null);
        }
        Value::Array(items) => items.iter_mut().for_each(without_null),
        _ => {}
    }
}

/// One value where a list is meant, or the list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OneOrMany<T> {
    /// The values.
    pub items: Vec<T>,
    /// Whether it was written as a list (mode's shortcuts may not be).
    pub list: bool,
}

impl<T> std::ops::Deref for OneOrMany<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for OneOrMany<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Array(items) => {
                let items: Result<_, _> = items.into_iter().map(T::deserialize).collect();
                Ok(Self { items: items.map_err(D::Error::custom)?, list: true })
            }
            one => Ok(Self { items: vec![T::deserialize(one).map_err(D::Error::custom)?], list: false }),
        }
    }
}

impl<T: JsonSchema> JsonSchema for OneOrMany<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("OneOrMany{}", T::schema_name()).into()
    }

    // `type: [string, array]` instead of `anyOf`, so that a wrong value gets one clear message.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let items = T::json_schema(generator).to_value();
        let mut schema = items.as_object().cloned().unwrap_or_default();
        let mut types = match schema.remove("type") {
            Some(Value::Array(types)) => types,
            Some(one) => vec![one],
            None => Vec::new(),
        };
        if !types.is_empty() {
            types.push(json!("array"));
            schema.insert("type".into(), Value::Array(types));
        }
        schema.insert("items".into(), items);
        Schema::from(schema)
    }
}

/// A folder of text files: the operator writes its path, the host hands in `{file name: text}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Folder(pub BTreeMap<String, String>);

impl<'de> Deserialize<'de> for Folder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Object(files) => serde_json::from_value(Value::Object(files)).map(Self).map_err(D::Error::custom),
            _ => Err(D::Error::custom("the host did not read this folder; write the path of a folder of text files")),
        }
    }
}

impl JsonSchema for Folder {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Folder".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "folder"})
    }
}

/// A text file: the operator writes its path, the host hands in its text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct FileText(pub String);

impl JsonSchema for FileText {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "FileText".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "format": "file"})
    }
}

/// A table of anything, in the order written.
pub type Table = Map<String, Value>;

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Settings {
        required: String,
        #[serde(default)]
        list: Option<OneOrMany<String>>,
        #[serde(default)]
        nested: Option<Nested>,
        #[serde(flatten)]
        flat: Flat,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code)]
    struct Nested {
        inner: String,
        #[serde(default)]
        folder: Folder,
    }

    #[derive(Debug, Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Flat {
        #[serde(default)]
        count: Option<u32>,
    }

    #[test]
    fn problems_point_to_their_place() {
        for (settings, at) in [
            (json!({}), ""),
            (json!({"list": ["a"]}), ""),
            (json!({"required": 3}), "/required"),
            (json!({"required": 3, "list": "a", "count": 1}), "/required"),
            (json!({"required": "", "list": ["a", 3]}), "/list/1"),
            (json!({"required": "", "list": 3}), "/list"),
            (json!({"required": "", "count": "x"}), "/count"),
            (json!({"required": "", "nested": {"inner": 1}}), "/nested/inner"),
            (json!({"required": "", "nested": {"iner": ""}}), "/nested/iner"),
            (json!({"required": "", "nested": {"inner": "", "folder": "path"}}), "/nested/folder"),
            (json!({"required": "", "a/b~c": 1}), "/a~1b~0c"),
        ] {
            let problems = read::<Settings>(settings.clone()).unwrap_err();
            assert_eq!(problems.0[0].at, at, "{settings}: {problems}");
        }
    }

    #[test]
    fn schemas_have_no_null_and_refuse_unknown_keys() {
        let schema = schema::<Settings>();
        assert!(!schema.to_string().contains("null"), "{schema:#}");
        assert_eq!(schema["additionalProperties"], json!(false));
        assert_eq!(schema["properties"]["list"]["type"], json!(["string", "array"]));
        assert_eq!(schema["properties"]["nested"]["properties"]["folder"]["format"], json!("folder"));
        assert_eq!(
            super::schema::<()>(),
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "null", "type": "object", "properties": {}, "additionalProperties": false})
        );
    }
}
