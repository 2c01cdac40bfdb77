//! Holds prepared settings against a component's JSON Schema and says what does not fit, in the
//! operator's terms and place.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Failure;
use serde_json::Value;

use super::arguments::Arguments;
use super::diagnostic::{Diagnostic, Found};
use super::keys::HostKey;
use super::node::{Key, Node};
use super::service::unknown_setting;
use super::shape::{Shape, Types};
use super::source::Span;
use super::spelling::did_you_mean;

/// Reports everything in `node` that the schema does not allow, except in settings that are settled.
pub(super) fn validate(arguments: &Arguments<'_>, node: &Node, found: &mut Found) {
    let (title, schema) = (arguments.title, arguments.schema);
    let validator = match jsonschema::validator_for(schema) {
        Ok(validator) => validator,
        Err(error) => {
            let message = format!("the settings schema of {title} is not a JSON Schema: {error}");
            return found.error(Diagnostic::error(&node.span, message).with_help("this is for the component's author to mend"));
        }
    };
    let check = Check { title, host_keys: arguments.host_keys, node, schema };
    let value = node.to_value();
    for error in validator.iter_errors(&value) {
        let first = error.instance_path().as_str().split('/').nth(1).map(|part| part.replace("~1", "/").replace("~0", "~"));
        if !first.is_some_and(|setting| arguments.settled.contains(&setting)) {
            check.explain(&error, found);
        }
    }
    check.closed(arguments, found);
}

struct Check<'a> {
    title: &'a str,
    host_keys: &'static [HostKey],
    node: &'a Node,
    schema: &'a Value,
}

impl Check<'_> {
    fn explain(&self, error: &ValidationError<'_>, found: &mut Found) {
        let pointer = error.instance_path().as_str();
        let (at, _) = self.node.find(pointer);
        let shape = self.shape(error);
        let name = self.name(pointer);
        match error.kind() {
            Failure::AdditionalProperties { unexpected } | Failure::UnevaluatedProperties { unexpected } => {
                let known = shape.and_then(|shape| shape.keyword("properties")).and_then(Value::as_object);
                let known: Vec<_> = known.into_iter().flat_map(|known| known.keys().map(String::as_str)).collect();
                let host_keys = if pointer.is_empty() { self.host_keys } else { &[] };
                for key in unexpected {
                    found.error(unknown_setting(&self.key(at, key), &name, host_keys, &known));
                }
            }
            Failure::Required { property } => {
                let property = property.as_str().unwrap_or_default();
                let missing = Diagnostic::error(&at.span, format!("{name} needs `{property}`"));
                let described = shape.and_then(|shape| shape.property(property));
                let description = described.and_then(|shape| shape.keyword("description")?.as_str());
                found.error(match description {
                    Some(text) => missing.with_help(format!("{property}: {text}")),
                    None => missing,
                });
            }
            Failure::AnyOf { context } | Failure::OneOfNotValid { context } => self.alternatives(pointer, at, shape, context, found),
            Failure::Enum { .. } | Failure::Constant { .. } => found.error(self.not_among(&name, at, shape)),
            Failure::Type { .. } => found.error(self.wrong_type(&name, at, shape)),
            failure => {
                let message = match failure {
                    Failure::Minimum { limit } => format!("is to be at least {limit}"),
                    Failure::Maximum { limit } => format!("is to be at most {limit}"),
                    Failure::ExclusiveMinimum { limit } => format!("is to be over {limit}"),
                    Failure::ExclusiveMaximum { limit } => format!("is to be below {limit}"),
                    Failure::MinLength { limit: 1 } => "must not be empty".to_owned(),
                    Failure::MinLength { limit } => format!("is to have at least {limit} characters"),
                    Failure::MaxLength { limit } => format!("is to have at most {limit} characters"),
                    Failure::MinItems { limit: 1 } => "needs at least one item".to_owned(),
                    Failure::MinItems { limit } => format!("needs at least {limit} items"),
                    Failure::MaxItems { limit } => format!("takes at most {limit} items"),
                    Failure::UniqueItems => "has an item twice".to_owned(),
                    Failure::Pattern { pattern } => format!("does not have the form {pattern}"),
                    other => format!("does not fit the component's schema ({})", other.keyword()),
                };
                let error = Diagnostic::error(&at.span, format!("{name} {message}"));
                let description = shape.and_then(|shape| shape.keyword("description")?.as_str());
                found.error(match description {
                    Some(text) => error.with_help(text),
                    None => error,
                });
            }
        }
    }

    /// Of several alternatives, explains the one that was meant: the one whose type fits. If no type fits, all are named.
    fn alternatives(&self, pointer: &str, at: &Node, shape: Option<Shape<'_>>, context: &[Vec<ValidationError<'_>>], found: &mut Found) {
        let of_this_type = |errors: &&Vec<ValidationError<'_>>| {
            !errors
                .iter()
                .any(|e| e.instance_path().as_str() == pointer && matches!(e.kind(), Failure::Type { .. } | Failure::Constant { .. } | Failure::Enum { .. }))
        };
        match context.iter().filter(of_this_type).min_by_key(|errors| errors.len()) {
            Some(errors) => errors.iter().for_each(|error| self.explain(error, found)),
            None if at.as_text().is_some() => found.error(self.not_among(&self.name(pointer), at, shape)),
            None => found.error(self.wrong_type(&self.name(pointer), at, shape)),
        }
    }

    fn wrong_type(&self, name: &str, at: &Node, shape: Option<Shape<'_>>) -> Diagnostic {
        let words = shape.map_or_else(|| "something else".to_owned(), Shape::words);
        let error = Diagnostic::error(&at.span, format!("{name} takes {words}, not {}", at.what()));
        let unquoted = at.as_text().and_then(|text| match text {
            "True" | "true" if words.contains("true") => Some("true".to_owned()),
            "False" | "false" if words.contains("false") => Some("false".to_owned()),
            text if words.contains("number") => text.parse::<f64>().ok().map(|_| text.to_owned()),
            _ => None,
        });
        if let Some(value) = unquoted {
            return error.with_help(format!("write {value}, without quotes"));
        }
        let setting = name.trim_matches('`');
        let takes_component = self.schema.get("properties").is_some_and(|all| all.get(setting).is_some_and(|schema| schema.get("x-slot").is_some()));
        match at.as_table() {
            Some([(key, value)]) if value.as_text().is_some() && key.name != "secret" && did_you_mean(&key.name, ["secret"]).is_some() => {
                error.with_help(format!("did you mean {setting} = {{ secret = \"…\" }}?"))
            }
            None if takes_component && !shape.is_some_and(|shape| shape.types().has(Types::of(at))) => {
                error.with_help(format!("a formatter component is plugged in with {setting} = {{ component = \"path.wasm\" }}"))
            }
            _ => error,
        }
    }

    fn not_among(&self, name: &str, at: &Node, shape: Option<Shape<'_>>) -> Diagnostic {
        let Some(shape) = shape else { return self.wrong_type(name, at, shape) };
        let words = shape.words();
        let Some(text) = at.as_text() else { return self.wrong_type(name, at, Some(shape)) };
        let error = Diagnostic::error(&at.span, format!("{name} takes {words}, not {text:?}"));
        let candidates: Vec<_> = words.split('"').skip(1).step_by(2).collect();
        match did_you_mean(text, candidates) {
            Some(meant) => error.with_help(format!("did you mean {meant:?}?")),
            None => error,
        }
    }

    /// A schema that does not say otherwise is closed at its top: a setting that does nothing is a mistake.
    fn closed(&self, arguments: &Arguments<'_>, found: &mut Found) {
        let shape = Shape::new(self.schema);
        let open = ["additionalProperties", "patternProperties", "unevaluatedProperties"];
        if open.into_iter().any(|word| shape.keyword(word).is_some()) {
            return;
        }
        // Its properties may stand in these.
        let elsewhere = ["anyOf", "oneOf", "allOf", "if"];
        if shape.keyword("properties").is_none() && elsewhere.into_iter().any(|word| shape.keyword(word).is_some()) {
            return;
        }
        // One without properties has no settings at all.
        let known = shape.keyword("properties").and_then(Value::as_object);
        let names: Vec<_> = known.into_iter().flat_map(|known| known.keys().map(String::as_str)).collect();
        for (key, _) in self.node.as_table().unwrap_or_default() {
            if !names.contains(&key.name.as_str()) && !arguments.settled.contains(&key.name) {
                found.error(unknown_setting(key, self.title, self.host_keys, &names));
            }
        }
    }

    /// The schema that holds the keyword which failed.
    fn shape(&self, error: &ValidationError<'_>) -> Option<Shape<'_>> {
        let (holder, _) = error.schema_path().as_str().rsplit_once('/')?;
        self.schema.pointer(holder).map(|schema| Shape::new(self.schema).at(schema))
    }

    /// What messages call a place: the component for its top, `mode`, `channels[1].password`.
    fn name(&self, pointer: &str) -> String {
        let mut name = String::new();
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            if part.bytes().all(|b| b.is_ascii_digit()) && !part.is_empty() {
                name.push_str(&format!("[{part}]"));
            } else {
                if !name.is_empty() {
                    name.push('.');
                }
                name.push_str(&part);
            }
        }
        if name.is_empty() { self.title.to_owned() } else { format!("`{name}`") }
    }

    fn key(&self, table: &Node, name: &str) -> Key {
        let written = table.as_table().unwrap_or_default().iter().find(|(key, _)| key.name == name);
        let span: &Span = written.map_or(&table.span, |(key, _)| &key.span);
        Key { name: name.to_owned(), span: span.clone() }
    }
}
