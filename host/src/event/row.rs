//! One object of an event or of its details, where it is: every call of every entry looks at it, nobody copies it.

use std::ops::Deref;
use std::sync::Arc;

use serde_json::Value;

use super::{Event, Rows};

/// An object in the REST API's shape; null where there is none.
#[derive(Clone)]
pub struct Row(Place);

#[derive(Clone)]
enum Place {
    Message(Arc<Event>),
    Row(Arc<Rows>, usize),
    Own(Arc<Value>),
}

static NULL: Value = Value::Null;

impl Row {
    /// What the event is about.
    pub fn message(event: &Arc<Event>) -> Self {
        Self(Place::Message(event.clone()))
    }

    /// One of a path's rows.
    pub(super) fn nth(rows: &Arc<Rows>, n: usize) -> Self {
        Self(Place::Row(rows.clone(), n))
    }

    /// A copy, to be changed.
    pub fn to_value(&self) -> Value {
        (**self).clone()
    }

    /// All of a path's rows.
    pub(super) fn all(rows: &Arc<Rows>) -> impl Iterator<Item = Self> {
        (0..rows.len()).map(|n| Self::nth(rows, n))
    }
}

impl From<Value> for Row {
    fn from(value: Value) -> Self {
        Self(Place::Own(Arc::new(value)))
    }
}

impl Deref for Row {
    type Target = Value;

    fn deref(&self) -> &Value {
        match &self.0 {
            Place::Message(event) => &event.message,
            Place::Row(rows, n) => rows.get(*n).unwrap_or(&NULL),
            Place::Own(value) => value,
        }
    }
}
