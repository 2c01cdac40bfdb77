//! The body: Buildbot's document of a build, or what a formatter makes of it.

use reporter_sdk::event::{Event, Subjects};
use reporter_sdk::message::{Message, MessageFormatter, hook_context};
use reporter_sdk::missing::MissingWorkerFormatter;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::slot::ask;
use reporter_sdk::template::TemplateType;
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

/// Who words the body.
#[derive(Debug, Default)]
pub enum Formatting {
    /// Nobody: the document goes out as it is.
    #[default]
    Plain,
    /// The component at `format_fn`: its answer is the body.
    Payload,
    /// The component at `messageFormatter`: the body of its message is the body.
    Message,
    /// The templates of `messageFormatter`.
    Templates(MessageFormatter),
    /// `messageFormatterMissingWorker`, for events of workers.
    Worker(Box<MissingWorkerFormatter>),
}

impl Formatting {
    /// Words the event. If that fails, the receiver gets `document` with the reason in it: silence would hide the build too.
    pub fn word(&self, event: &Event, chosen: &[usize], mode: &[&str], document: Value) -> Result<Wording, Failure> {
        match self.attempt(event, chosen, mode) {
            Ok(None) => Ok(Wording::Json(document)),
            Ok(Some(wording)) => Ok(wording),
            Err(failure) if failure.again => Err(failure),
            Err(failure) => {
                log(Level::Error, &failure.message);
                let mut document = document;
                if let Some(document) = document.as_object_mut() {
                    document.insert("formatter_error".into(), failure.message.into());
                }
                Ok(Wording::Json(document))
            }
        }
    }

    fn attempt(&self, event: &Event, chosen: &[usize], mode: &[&str]) -> Result<Option<Wording>, Failure> {
        let set = event.kind() == "buildset-complete";
        let ask_for = |slot| {
            let subjects = match event.worker() {
                Some(worker) => Subjects::Worker(worker),
                None => event.subjects(Some(chosen)),
            };
            ask(slot, subjects, hook_context(event, chosen, mode, set, &event.master()))
        };
        Ok(Some(match self {
            Self::Plain => return Ok(None),
            Self::Payload => read_payload(ask_for("payload")?.0),
            Self::Message => read_message(ask_for("message")?.0),
            Self::Templates(formatter) if set => formatter.set(event, chosen, mode)?.into(),
            Self::Templates(formatter) => formatter.build(event, chosen.first().copied().unwrap_or_default(), mode)?.into(),
            Self::Worker(formatter) => formatter.worker(event)?.into(),
        }))
    }
}

impl From<Message> for Wording {
    fn from(message: Message) -> Self {
        match message.kind {
            TemplateType::Plain | TemplateType::Both => Self::Text(message.body),
            TemplateType::Html => Self::Html(message.body),
        }
    }
}

fn nothing() -> Wording {
    Wording::Nothing("the formatter answered with nothing to send".into())
}

fn read_payload(answer: Value) -> Wording {
    match answer {
        Value::Null => nothing(),
        Value::String(text) => Wording::Text(text),
        value => Wording::Json(value),
    }
}

/// As a message, but its body may be any JSON.
fn read_message(mut message: Value) -> Wording {
    let html = message["type"] == "html";
    match message.get_mut("body").map(Value::take) {
        None => read_payload(message),
        Some(Value::String(text)) if html => Wording::Html(text),
        Some(body) => read_payload(body),
    }
}
