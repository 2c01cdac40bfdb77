//! The body: Buildbot's document of a build, or what a formatter component makes of it.

use reporter_sdk::event::{Event, Subjects};
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::slot::ask;
use serde_json::Value;

/// How much of a build the document has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    words: Vec<&'static str>,
    /// Logs that have their contents, as `log` or `step.log`; none: all that the words name.
    only: Option<Vec<String>>,
}

impl Contents {
    /// `words` of `build.document`, with or without the contents of the logs.
    pub fn new(words: &[&'static str], contents: bool, only: Option<Vec<String>>) -> Self {
        let mut words: Vec<_> = words.iter().copied().filter(|word| *word != "log-contents").collect();
        if contents {
            words.retain(|word| *word != "logs");
            words.extend(["logs", "log-contents"]);
        }
        Self { words, only }
    }

    /// The words.
    pub fn words(&self) -> &[&'static str] {
        &self.words
    }

    /// The document of a build.
    pub fn document(&self, build: &Build) -> Value {
        let mut document = build.document(&self.words);
        if let Some(only) = &self.only {
            for step in document["steps"].as_array_mut().into_iter().flatten() {
                let name = step["name"].as_str().unwrap_or_default().to_owned();
                for log in step["logs"].as_array_mut().into_iter().flatten() {
                    let wanted = log["name"].as_str().is_some_and(|log| only.iter().any(|only| only == log || *only == format!("{name}.{log}")));
                    if let (false, Some(log)) = (wanted, log.as_object_mut()) {
                        log.shift_remove("content");
                    }
                }
            }
        }
        document
    }
}

/// What is posted.
#[derive(Debug, PartialEq)]
pub enum Wording {
    /// JSON.
    Json(Value),
    /// Plain text.
    Text(String),
    /// HTML.
    Html(String),
    /// Nothing, because of this.
    Nothing(String),
}

/// Which hook a formatter component is plugged into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formatting {
    /// `format_fn`: its answer is the body.
    Payload,
    /// `messageFormatter`: the body of its message is the body.
    Message,
}

impl Formatting {
    /// Asks the component. If it fails, the receiver gets `document` with the reason in it: silence would hide the build too.
    pub fn word(self, event: &Event, chosen: &[usize], mode: &[&str], document: &Value) -> Result<Wording, Failure> {
        let subjects = match event.worker() {
            Some(worker) => Subjects::Worker(worker),
            None => event.subjects(Some(chosen)),
        };
        let context = Context::default().with("event", event.kind()).with("mode", mode.to_vec());
        let slot = match self {
            Self::Payload => "payload",
            Self::Message => "message",
        };
        match ask(slot, subjects, context) {
            Ok(Document(answer)) => Ok(self.read(answer)),
            Err(failure) if failure.again => Err(failure),
            Err(failure) => {
                log(Level::Error, &failure.message);
                let mut document = document.clone();
                if let Some(document) = document.as_object_mut() {
                    document.insert("formatter_error".into(), failure.message.into());
                }
                Ok(Wording::Json(document))
            }
        }
    }

    fn read(self, answer: Value) -> Wording {
        let nothing = || Wording::Nothing("the formatter answered with nothing to send".into());
        match (self, answer) {
            (_, Value::Null) => nothing(),
            (_, Value::String(text)) => Wording::Text(text),
            (Self::Payload, value) => Wording::Json(value),
            (Self::Message, Value::Object(mut message)) => {
                let html = message.get("type").and_then(Value::as_str) == Some("html");
                match message.remove("body") {
                    None | Some(Value::Null) => nothing(),
                    Some(Value::String(text)) if html => Wording::Html(text),
                    Some(Value::String(text)) => Wording::Text(text),
                    Some(value) => Wording::Json(value),
                }
            }
            (Self::Message, value) => Wording::Json(value),
        }
    }
}
