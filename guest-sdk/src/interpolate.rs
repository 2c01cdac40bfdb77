//! Renderables: texts with `%(prop:NAME)s` in them.
//!
//! | form | value |
//! |---|---|
//! | `%(prop:NAME)s` | the property; missing or null: empty |
//! | `%(src:CODEBASE:ATTR)s` | an attribute of the source stamp (`branch`, `revision`, `repository`, `project` …) |
//! | `%(worker:NAME)s` | a property that the worker set; `name` is its name |
//! | `%(kw:NAME)s` | a keyword of the table form, `{ interpolate = "…", kw = { NAME = … } }` |
//! | `%(secret:NAME)s` | a secret; the component sees a placeholder |
//!
//! Each may go on with `:-DEFAULT` (if missing), `:~DEFAULT` (if missing or false), `:+VALUE` (only if there), `:?|YES|NO`
//! (by presence) or `:#?|YES|NO` (by truth; any character but `(` separates). These parts may hold further `%(…)s`. `%%` is a
//! percent sign. A text without `%(` goes out as written.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::build::{Build, text};
use crate::component::Failure;
use crate::percent::{self, Form, FormatError, Piece, python_str, truthy};
use crate::worker::Worker;

/// A text that is rendered for a build (or a worker).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interpolate(Vec<Part>);

#[derive(Clone, Debug, PartialEq)]
enum Part {
    Text(String),
    Substitution { origin: Origin, rule: Rule, form: Form },
}

#[derive(Clone, Debug, PartialEq)]
enum Origin {
    Property(String),
    Source {
        codebase: String,
        attribute: String,
    },
    Worker(String),
    Keyword(Interpolate),
    /// A secret's placeholder, or a keyword that is no text.
    Known(Value),
    Missing,
}

#[derive(Clone, Debug, PartialEq)]
enum Rule {
    Plain,
    IfMissing(Interpolate),
    IfFalse(Interpolate),
    IfThere(Interpolate),
    Ternary { by_truth: bool, yes: Interpolate, no: Interpolate },
}

/// Where values come from.
pub trait Values {
    /// A property's value; none if there is no such property.
    fn property(&self, name: &str) -> Option<Value>;
    /// An attribute of a codebase's source stamp.
    fn source(&self, codebase: &str, attribute: &str) -> Option<Value>;
    /// Something about the worker.
    fn worker(&self, name: &str) -> Option<Value>;
}

impl Values for Build {
    fn property(&self, name: &str) -> Option<Value> {
        Build::property(self, name)
    }

    fn source(&self, codebase: &str, attribute: &str) -> Option<Value> {
        let stamp = self.sourcestamps().into_iter().find(|stamp| text(&stamp["codebase"]) == codebase)?;
        stamp.get(attribute).cloned()
    }

    fn worker(&self, name: &str) -> Option<Value> {
        match name {
            "name" => Build::property(self, "workername"),
            _ => self.property_and_source(name).filter(|(_, source)| source == "Worker").map(|(value, _)| value),
        }
    }
}

impl Values for Worker {
    fn property(&self, _: &str) -> Option<Value> {
        None
    }

    fn source(&self, _: &str, _: &str) -> Option<Value> {
        None
    }

    fn worker(&self, name: &str) -> Option<Value> {
        let document = self.document();
        document.get(name).or_else(|| document["workerinfo"].get(name)).cloned()
    }
}

/// Where there is neither a build nor a worker.
impl Values for () {
    fn property(&self, _: &str) -> Option<Value> {
        None
    }

    fn source(&self, _: &str, _: &str) -> Option<Value> {
        None
    }

    fn worker(&self, _: &str) -> Option<Value> {
        None
    }
}

impl Interpolate {
    /// A text that goes out as written.
    pub fn literal(text: impl Into<String>) -> Self {
        Self(vec![Part::Text(text.into())])
    }

    /// What a string setting means: interpolated if it contains `%(`, else as written.
    ///
    /// # Errors
    ///
    /// The first mistake in it.
    pub fn of_setting(text: &str) -> Result<Self, FormatError> {
        if text.contains("%(") { Self::parse(text, &Map::new()) } else { Ok(Self::literal(text)) }
    }

    /// Parses, with keywords.
    ///
    /// # Errors
    ///
    /// The first mistake.
    pub fn parse(text: &str, keywords: &Map<String, Value>) -> Result<Self, FormatError> {
        let part = |piece| match piece {
            Piece::Text(text) => Ok(Part::Text(text)),
            Piece::Key { key, form, at } => substitution(&key, form, keywords).map_err(|message| FormatError::new(text, at, message)),
        };
        percent::pieces(text)?.into_iter().map(part).collect::<Result<_, _>>().map(Self)
    }

    /// Whether it is the same for every build.
    pub fn is_static(&self) -> bool {
        self.0.iter().all(|part| matches!(part, Part::Text(_) | Part::Substitution { origin: Origin::Known(_), .. }))
    }

    /// The text for a build or worker.
    ///
    /// # Errors
    ///
    /// If a value does not fit its conversion (`%(prop:x)d` of a text).
    pub fn render(&self, values: &dyn Values) -> Result<String, Failure> {
        self.text(values).map_err(Failure::for_good)
    }

    fn text(&self, values: &dyn Values) -> Result<String, String> {
        let mut out = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Substitution { origin, rule, form } => {
                    let found = origin.value(values)?;
                    out.push_str(&form.apply(&rule.choose(found, values)?)?);
                }
            }
        }
        Ok(out)
    }
}

impl Origin {
    fn value(&self, values: &dyn Values) -> Result<Option<Value>, String> {
        Ok(match self {
            Self::Property(name) => values.property(name),
            Self::Source { codebase, attribute } => values.source(codebase, attribute),
            Self::Worker(name) => values.worker(name),
            Self::Keyword(text) => Some(Value::String(text.text(values)?)),
            Self::Known(value) => Some(value.clone()),
            Self::Missing => None,
        })
    }
}

impl Rule {
    fn choose(&self, found: Option<Value>, values: &dyn Values) -> Result<Value, String> {
        let text = |other: &Interpolate| other.text(values).map(Value::String);
        let there = found.is_some();
        let true_ = found.as_ref().is_some_and(truthy);
        let value = match self {
            Self::IfMissing(default) if !there => text(default)?,
            Self::IfFalse(default) if !true_ => text(default)?,
            Self::IfThere(value) if there => text(value)?,
            Self::IfThere(_) => Value::Null,
            Self::Ternary { by_truth, yes, no } => text(if if *by_truth { true_ } else { there } { yes } else { no })?,
            _ => found.unwrap_or(Value::Null),
        };
        Ok(if value.is_null() { Value::String(String::new()) } else { value })
    }
}

fn substitution(key: &str, form: Form, keywords: &Map<String, Value>) -> Result<Part, String> {
    let Some((selector, argument)) = key.split_once(':') else {
        return Err(format!("%({key}) does not say where {key} comes from: write %(prop:{key})s, or src:, kw:, secret:, worker:"));
    };
    let name_and_rule = |argument: &str| match argument.split_once(':') {
        Some((name, rule)) => (name.to_owned(), Some(rule.to_owned())),
        None => (argument.to_owned(), None),
    };
    let (origin, rule) = match selector {
        "src" => {
            let Some((codebase, rest)) = argument.split_once(':') else {
                return Err(format!("%({key}) needs a codebase and an attribute: write %(src::{argument})s for the only codebase"));
            };
            let (attribute, rule) = name_and_rule(rest);
            check_name(codebase)?;
            check_name(&attribute)?;
            (Origin::Source { codebase: codebase.into(), attribute }, rule)
        }
        "prop" | "worker" | "kw" | "secret" => {
            let (name, rule) = name_and_rule(argument);
            check_name(&name)?;
            let optional = rule.is_some();
            let origin = match selector {
                "prop" => Origin::Property(name),
                "worker" => Origin::Worker(name),
                "kw" => keyword(&name, keywords, optional)?,
                _ => secret(&name, optional)?,
            };
            (origin, rule)
        }
        other => return Err(format!("there is no selector {other:?}: there are prop, src, kw, secret and worker")),
    };
    let rule = rule.map_or(Ok(Rule::Plain), |text| parse_rule(&text, keywords))?;
    Ok(Part::Substitution { origin, rule, form })
}

fn check_name(name: &str) -> Result<(), String> {
    if name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '.' | '-')) {
        Ok(())
    } else {
        Err(format!("{name:?} is no name: names have letters, digits, _, . and -"))
    }
}

fn keyword(name: &str, keywords: &Map<String, Value>, optional: bool) -> Result<Origin, String> {
    match keywords.get(name) {
        Some(Value::String(text)) => Interpolate::of_setting(text).map(Origin::Keyword).map_err(|error| format!("in the keyword {name}, {error}")),
        Some(value) => Ok(Origin::Known(value.clone())),
        None if optional => Ok(Origin::Missing),
        None => Err(format!("no keyword {name} is given: write {{ interpolate = \"…\", kw = {{ {name} = … }} }}")),
    }
}

fn secret(name: &str, optional: bool) -> Result<Origin, String> {
    match crate::settings::secret(name) {
        Some(placeholder) => Ok(Origin::Known(Value::String(placeholder))),
        None if optional => Ok(Origin::Missing),
        None => Err(format!("there is no secret {name}: add it to [secrets]")),
    }
}

fn parse_rule(text: &str, keywords: &Map<String, Value>) -> Result<Rule, String> {
    let nested = |text: &str| Interpolate::parse(text, keywords).map_err(|error| format!("in {text:?}, {error}"));
    let mut rest = text.chars();
    match rest.next() {
        Some('-') => nested(rest.as_str()).map(Rule::IfMissing),
        Some('~') => nested(rest.as_str()).map(Rule::IfFalse),
        Some('+') => nested(rest.as_str()).map(Rule::IfThere),
        Some('?') => ternary(rest.as_str(), false, keywords),
        Some('#') if rest.as_str().starts_with('?') => ternary(&rest.as_str()[1..], true, keywords),
        other => {
            let found = other.map(String::from).unwrap_or_default();
            Err(format!("{found:?} does not say what the default means: write :-, :~, :+, :? or :#?"))
        }
    }
}

fn ternary(text: &str, by_truth: bool, keywords: &Map<String, Value>) -> Result<Rule, String> {
    let mut rest = text.chars();
    let delimiter = rest.next().filter(|c| *c != '(').ok_or("the character after ? separates the two texts, and may not be (: write :?|yes|no")?;
    let text = rest.as_str();
    let mut open = 0_i32;
    for (at, c) in text.char_indices() {
        match c {
            '(' => open += 1,
            ')' => open -= 1,
            _ => {}
        }
        if open == 0 && c == delimiter {
            let nested = |text: &str| Interpolate::parse(text, keywords).map_err(|error| format!("in {text:?}, {error}"));
            return Ok(Rule::Ternary { by_truth, yes: nested(&text[..at])?, no: nested(&text[at + c.len_utf8()..])? });
        }
    }
    Err(format!("the second {delimiter:?} is missing: write :?{delimiter}yes{delimiter}no"))
}

impl<'de> Deserialize<'de> for Interpolate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => Self::of_setting(&text).map_err(D::Error::custom),
            Value::Object(mut table) => {
                let keywords = match table.remove("kw") {
                    None => Map::new(),
                    Some(Value::Object(keywords)) => keywords,
                    Some(_) => return Err(D::Error::custom("kw is a table of keywords: { x = \"…\" }")),
                };
                match (table.remove("interpolate"), table.keys().next()) {
                    (Some(Value::String(text)), None) => Self::parse(&text, &keywords).map_err(D::Error::custom),
                    _ => Err(D::Error::custom("write a text, or { interpolate = \"…%(kw:x)s\", kw = { x = … } }")),
                }
            }
            number @ (Value::Number(_) | Value::Bool(_)) => Ok(Self::literal(python_str(&number))),
            _ => Err(D::Error::custom("write a text, or { interpolate = \"…%(kw:x)s\", kw = { x = … } }")),
        }
    }
}

impl JsonSchema for Interpolate {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Interpolate".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "object"],
            "properties": {
                "interpolate": {"type": "string", "description": "A text with %(kw:NAME)s in it"},
                "kw": {"type": "object", "description": "The keywords"}
            },
            "additionalProperties": false
        })
    }
}

#[cfg(test)]
#[path = "interpolate_tests.rs"]
mod tests;
