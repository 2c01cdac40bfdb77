//! What a JSON Schema says about one value: enough of it to prepare a value before it is validated,
//! and to say in words what is wanted.

use serde_json::Value;

use super::node::{Kind, Node};

/// Ends cycles of `$ref`, which a component's schema may have.
const MOST_DEEP: usize = 32;

/// Types of JSON, as a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Types(u8);

impl Types {
    const NONE: Self = Self(0);
    const ANY: Self = Self(0x3f);
    pub const TEXT: Self = Self(1);
    pub const NUMBER: Self = Self(2);
    pub const FLAG: Self = Self(4);
    pub const LIST: Self = Self(8);
    pub const TABLE: Self = Self(16);
    const NULL: Self = Self(32);

    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn named(name: &str) -> Self {
        match name {
            "string" => Self::TEXT,
            "integer" | "number" => Self::NUMBER,
            "boolean" => Self::FLAG,
            "array" => Self::LIST,
            "object" => Self::TABLE,
            "null" => Self::NULL,
            _ => Self::NONE,
        }
    }

    fn of_json(value: &Value) -> Self {
        match value {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::FLAG,
            Value::Number(_) => Self::NUMBER,
            Value::String(_) => Self::TEXT,
            Value::Array(_) => Self::LIST,
            Value::Object(_) => Self::TABLE,
        }
    }

    /// The type that a value has.
    pub fn of(node: &Node) -> Self {
        match &node.kind {
            Kind::Flag(_) => Self::FLAG,
            Kind::Integer(_) | Kind::Float(_) => Self::NUMBER,
            Kind::Text(_) | Kind::Moment(_) => Self::TEXT,
            Kind::List(_) => Self::LIST,
            Kind::Table(_) => Self::TABLE,
            Kind::Made(value) => Self::of_json(value),
        }
    }
}

/// A schema within a document of them.
#[derive(Clone, Copy)]
pub(super) struct Shape<'s> {
    root: &'s Value,
    schema: &'s Value,
}

impl<'s> Shape<'s> {
    pub fn new(root: &'s Value) -> Self {
        Self { root, schema: root }.resolved()
    }

    /// A schema elsewhere in the same document.
    pub fn at(self, schema: &'s Value) -> Self {
        Self { root: self.root, schema }.resolved()
    }

    fn resolved(mut self) -> Self {
        for _ in 0..MOST_DEEP {
            let Some(pointer) = self.schema.get("$ref").and_then(Value::as_str).and_then(|r| r.strip_prefix('#')) else { break };
            match self.root.pointer(pointer) {
                Some(schema) => self.schema = schema,
                None => break,
            }
        }
        self
    }

    /// The value of a keyword.
    pub fn keyword(self, name: &str) -> Option<&'s Value> {
        self.schema.get(name)
    }

    fn alternatives(self) -> impl Iterator<Item = Self> {
        let lists = ["anyOf", "oneOf"].into_iter().filter_map(move |word| self.schema.get(word)?.as_array());
        lists.flatten().map(move |schema| self.at(schema))
    }

    /// The types that a value may have.
    pub fn types(self) -> Types {
        self.types_within(0)
    }

    fn types_within(self, depth: usize) -> Types {
        if depth == MOST_DEEP {
            return Types::ANY;
        }
        match self.schema.get("type") {
            Some(Value::String(name)) => return Types::named(name),
            Some(Value::Array(names)) => {
                return names.iter().filter_map(Value::as_str).fold(Types::NONE, |all, name| Types(all.0 | Types::named(name).0));
            }
            _ => {}
        }
        if let Some(value) = self.schema.get("const") {
            return Types::of_json(value);
        }
        if let Some(values) = self.schema.get("enum").and_then(Value::as_array) {
            return values.iter().fold(Types::NONE, |all, value| Types(all.0 | Types::of_json(value).0));
        }
        let mut alternatives = self.alternatives().peekable();
        if alternatives.peek().is_some() {
            return alternatives.fold(Types::NONE, |all, shape| Types(all.0 | shape.types_within(depth + 1).0));
        }
        Types::ANY
    }

    /// The alternative that a value is meant for: the one whose type it has and, of tables, the one that knows
    /// most of its keys.
    pub fn chosen(self, node: &Node) -> Self {
        self.chosen_within(node, 0)
    }

    fn chosen_within(self, node: &Node, depth: usize) -> Self {
        let known = |shape: &Self| {
            let properties = shape.keyword("properties").and_then(Value::as_object);
            let keys = node.as_table().unwrap_or_default();
            keys.iter().filter(|(key, _)| properties.is_some_and(|p| p.contains_key(&key.name))).count()
        };
        let fitting = self.alternatives().filter(|shape| shape.types().has(Types::of(node)));
        // max_by_key takes the last of equals, a schema means the first.
        match fitting.collect::<Vec<_>>().into_iter().rev().max_by_key(known) {
            Some(shape) if depth < MOST_DEEP => shape.chosen_within(node, depth + 1),
            _ => self,
        }
    }

    /// The schema of a table's key.
    pub fn property(self, name: &str) -> Option<Self> {
        let property = self.keyword("properties").and_then(|all| all.get(name));
        property.or_else(|| self.keyword("additionalProperties").filter(|rest| rest.is_object())).map(|schema| self.at(schema))
    }

    /// The alternative that is a list.
    fn list(self) -> Option<Self> {
        std::iter::once(self).chain(self.alternatives()).find(|shape| shape.keyword("items").is_some())
    }

    /// The schema of a list's items.
    pub fn items(self) -> Option<Self> {
        let list = self.list()?;
        list.keyword("items").map(|schema| list.at(schema))
    }

    /// Whether this value can be meant as a list of one.
    pub fn is_list_of(self, node: &Node) -> bool {
        let types = self.types();
        if !types.has(Types::LIST) || types.has(Types::of(node)) {
            return false;
        }
        let least = self.list().and_then(|list| list.keyword("minItems")?.as_u64()).unwrap_or(0);
        least <= 1 && self.items().is_none_or(|items| items.types().has(Types::of(node)))
    }

    /// What is wanted, in words.
    pub fn words(self) -> String {
        let mut all = Vec::new();
        self.collect_words(&mut all, 0);
        all.dedup();
        match all.as_slice() {
            [] => "something else".to_owned(),
            [one] => one.clone(),
            [most @ .., last] => format!("{} or {last}", most.join(", ")),
        }
    }

    fn collect_words(self, all: &mut Vec<String>, depth: usize) {
        if depth == MOST_DEEP {
            return;
        }
        if let Some(word) = self.keyword("const") {
            return all.push(word.to_string());
        }
        if let Some(words) = self.keyword("enum").and_then(Value::as_array) {
            return all.extend(words.iter().filter(|word| !word.is_null()).map(Value::to_string));
        }
        let mut alternatives = self.alternatives().peekable();
        if self.keyword("type").is_none() && alternatives.peek().is_some() {
            return alternatives.for_each(|shape| shape.collect_words(all, depth + 1));
        }
        let types = match self.keyword("type") {
            Some(Value::String(name)) => vec![name.as_str()],
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        for name in types {
            all.push(match name {
                "string" => match self.keyword("format").and_then(Value::as_str) {
                    Some("folder") => "the path of a folder".to_owned(),
                    Some("file") => "the path of a file".to_owned(),
                    _ => "text".to_owned(),
                },
                "integer" => "a whole number".to_owned(),
                "number" => "a number".to_owned(),
                "boolean" => "true or false".to_owned(),
                "array" => match self.items() {
                    Some(items) if depth == 0 => format!("a list of {}", plural(&items.words())),
                    _ => "a list".to_owned(),
                },
                "object" => "a table".to_owned(),
                _ => continue,
            });
        }
    }
}

fn plural(words: &str) -> String {
    match words {
        "text" => "texts".to_owned(),
        "a table" => "tables".to_owned(),
        "a whole number" => "whole numbers".to_owned(),
        other => other.to_owned(),
    }
}
