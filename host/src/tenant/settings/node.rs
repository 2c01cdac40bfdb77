//! A TOML document as a tree in which every key and value knows where it is written.

use std::sync::Arc;

use serde_json::{Map, Number, Value};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnostic::{Diagnostic, Found};
use super::source::{Source, Span};

/// A value and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub span: Span,
    pub kind: Kind,
}

/// A key and where it is written.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub name: String,
    pub span: Span,
}

#[derive(Clone, Debug)]
pub(super) enum Kind {
    Flag(bool),
    Integer(i64),
    Float(f64),
    Text(String),
    /// Dates and times, as RFC 3339.
    Moment(String),
    List(Vec<Node>),
    /// In the order of the file.
    Table(Vec<(Key, Node)>),
    /// What was put in the place of something written.
    Made(Value),
}

impl Node {
    /// Parses a file. Every syntax error is found, and then there is no tree.
    pub fn parse(source: &Arc<Source>, found: &mut Found) -> Option<Self> {
        let (table, errors) = DeTable::parse_recoverable(&source.text);
        if errors.is_empty() {
            let before = found.errors.len();
            let kind = table_of(source, table.get_ref(), found);
            return (found.errors.len() == before).then(|| Self { span: Span::top(source), kind });
        }
        for error in errors {
            let range = error.span().unwrap_or(0..0);
            let span = Span { source: Arc::clone(source), start: range.start, end: range.end };
            found.error(Diagnostic::error(&span, format!("this is not TOML: {}", error.message())));
        }
        None
    }

    /// What kind of value it is, in words.
    pub fn what(&self) -> &'static str {
        match &self.kind {
            Kind::Flag(_) => "true or false",
            Kind::Integer(_) => "a whole number",
            Kind::Float(_) => "a number",
            Kind::Text(_) => "text",
            Kind::Moment(_) => "a date",
            Kind::List(_) => "a list",
            Kind::Table(_) | Kind::Made(_) => "a table",
        }
    }

    pub fn as_text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_table(&self) -> Option<&[(Key, Self)]> {
        match &self.kind {
            Kind::Table(entries) => Some(entries),
            _ => None,
        }
    }

    /// The value of a table's key.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_table()?.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    /// The name in `{ secret = "name" }`.
    pub fn secret_name(&self) -> Option<(&str, &Span)> {
        match self.as_table()? {
            [(key, node)] if key.name == "secret" => node.as_text().map(|name| (name, &node.span)),
            _ => None,
        }
    }

    /// The deepest part that a JSON Pointer (RFC 6901) leads to, and whether all of the pointer could be followed.
    pub fn find(&self, pointer: &str) -> (&Self, bool) {
        let mut node = self;
        for part in pointer.split('/').skip(1) {
            let part = part.replace("~1", "/").replace("~0", "~");
            let next = match &node.kind {
                Kind::List(items) => part.parse::<usize>().ok().and_then(|at| items.get(at)),
                _ => node.get(&part),
            };
            match next {
                Some(next) => node = next,
                None => return (node, false),
            }
        }
        (node, true)
    }

    pub fn to_value(&self) -> Value {
        match &self.kind {
            Kind::Flag(flag) => Value::Bool(*flag),
            Kind::Integer(integer) => Value::from(*integer),
            Kind::Float(float) => Number::from_f64(*float).map_or(Value::Null, Value::Number),
            Kind::Text(text) | Kind::Moment(text) => Value::from(text.as_str()),
            Kind::List(items) => items.iter().map(Self::to_value).collect(),
            Kind::Table(entries) => Value::Object(entries.iter().map(|(key, node)| (key.name.clone(), node.to_value())).collect::<Map<_, _>>()),
            Kind::Made(value) => value.clone(),
        }
    }
}

fn node_of(source: &Arc<Source>, value: &Spanned<DeValue<'_>>, found: &mut Found) -> Node {
    let range = value.span();
    let span = Span { source: Arc::clone(source), start: range.start, end: range.end };
    let kind = match value.get_ref() {
        DeValue::String(text) => Kind::Text(text.to_string()),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => Kind::Integer(integer),
            Err(_) => {
                found.error(Diagnostic::error(&span, "this number does not fit into 64 bits"));
                Kind::Integer(0)
            }
        },
        DeValue::Float(float) => match float.as_str().parse::<f64>() {
            Ok(float) if float.is_finite() => Kind::Float(float),
            _ => {
                found.error(Diagnostic::error(&span, "this number is not finite"));
                Kind::Float(0.0)
            }
        },
        DeValue::Boolean(flag) => Kind::Flag(*flag),
        DeValue::Datetime(moment) => Kind::Moment(moment.to_string()),
        DeValue::Array(items) => Kind::List(items.iter().map(|item| node_of(source, item, found)).collect()),
        DeValue::Table(table) => table_of(source, table, found),
    };
    Node { span, kind }
}

fn table_of(source: &Arc<Source>, table: &DeTable<'_>, found: &mut Found) -> Kind {
    let mut entries: Vec<_> = table
        .iter()
        .map(|(key, value)| {
            let range = key.span();
            let span = Span { source: Arc::clone(source), start: range.start, end: range.end };
            (Key { name: key.get_ref().to_string(), span }, node_of(source, value, found))
        })
        .collect();
    entries.sort_by_key(|(key, _)| key.span.start);
    Kind::Table(entries)
}
