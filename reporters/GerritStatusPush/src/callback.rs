//! `startCB`, `reviewCB` and `summaryCB`: templates with labels, a component, or the default.

use std::borrow::Cow;

use reporter_sdk::cut;
use reporter_sdk::event::Event;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::settings::{FileText, Table, pointer};
use reporter_sdk::slot::{Slot, ask};
use reporter_sdk::snippets::{Snippet, Snippets};
use schemars::{Schema, SchemaGenerator};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::words;

/// Bytes of a message: Gerrit's `change.commentSizeLimit` is 16 KiB unless its administrator sets another.
const MOST_MESSAGE: usize = 16 << 10;
/// Bytes of a message in quotes, in which an apostrophe takes four; the command has to hold it (docs/endpoints.md).
const MOST_QUOTED: usize = 56 << 10;

/// What a callback answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Review {
    text: String,
    /// Votes, in order.
    pub labels: Vec<(String, i16)>,
}

impl Review {
    /// A message and votes.
    pub fn new(text: String, labels: Vec<(String, i16)>) -> Self {
        Self { text, labels }
    }

    /// The message, as long as Gerrit takes it.
    pub fn message(&self) -> Cow<'_, str> {
        let quoted = |text: &str| text.len() + 3 * text.matches('\'').count();
        let message = cut::keeping_links(&self.text, MOST_MESSAGE);
        if quoted(&message) <= MOST_QUOTED { message } else { cut::keeping_links(&self.text, MOST_QUOTED / 4) }
    }
}

/// `{ message = "…", labels = { … } }` or `"default"`.
#[derive(Clone, Debug)]
pub enum CallbackSetting {
    /// The built-in one.
    Default,
    /// Templates.
    Templates(TemplateSetting),
}

/// Templates.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub struct TemplateSetting {
    /// The template of the message; where it makes nothing, nothing is sent
    #[serde(default)]
    message: Option<String>,
    /// A file that is this template
    #[serde(default)]
    message_file: Option<FileText>,
    /// Label → score, a number or a template of one; a template that makes nothing leaves the label out
    #[serde(default)]
    labels: Table,
}

impl<'de> Deserialize<'de> for CallbackSetting {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(word) if word == "default" => Ok(Self::Default),
            Value::String(_) => Err(D::Error::custom("write { message = \"…\", labels = { … } }, { component = \"mine.wasm\" } or \"default\"")),
            table => TemplateSetting::deserialize(table).map(Self::Templates).map_err(D::Error::custom),
        }
    }
}

impl JsonSchema for CallbackSetting {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Callback".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = TemplateSetting::json_schema(generator);
        schema.insert("type".into(), json!(["string", "object"]));
        schema
    }
}

/// When it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// A build starts.
    Start,
    /// A build ends.
    End,
    /// All builds of a set have ended.
    Summary,
}

impl When {
    /// The setting's name.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Start => "startCB",
            Self::End => "reviewCB",
            Self::Summary => "summaryCB",
        }
    }

    fn slot(self) -> &'static str {
        match self {
            Self::Start => "review-start",
            Self::End => "review",
            Self::Summary => "review-summary",
        }
    }
}

/// A callback, compiled.
#[derive(Debug)]
pub struct Callback {
    when: When,
    how: How,
    arg: Value,
}

#[derive(Debug)]
enum How {
    Default,
    Component,
    Templates(Box<Snippets>, Vec<(String, Score)>),
}

#[derive(Debug)]
enum Score {
    Number(i16),
    /// Named as the label.
    Template,
}

const MESSAGE: &str = "message";

impl Callback {
    /// The built-in one.
    pub fn built_in(when: When, arg: Option<Value>) -> Self {
        Self { when, how: How::Default, arg: arg.unwrap_or_default() }
    }

    /// Compiles a setting.
    ///
    /// # Errors
    ///
    /// Everything wrong in it.
    pub fn compile(when: When, setting: Slot<CallbackSetting>, arg: Option<Value>) -> Result<Self, Problems> {
        let at = format!("/{}", when.setting());
        let how = match setting {
            Slot::Component => How::Component,
            Slot::Own(CallbackSetting::Default) if when == When::Start => {
                return Err(Problems::at(at, "there is no default for starts: write { message = \"…\" }, or leave it out"));
            }
            Slot::Own(CallbackSetting::Default) => How::Default,
            Slot::Own(CallbackSetting::Templates(setting)) => templates(&setting, &at)?,
        };
        Ok(Self { when, how, arg: arg.unwrap_or_default() })
    }

    /// What it says about these builds of the event, by position; or why it says nothing.
    ///
    /// If a template or a component fails for good, the bare facts without a vote: silence would hide the build too, and a vote is not to be made up.
    ///
    /// # Errors
    ///
    /// Only what may go better later.
    pub fn call(&self, event: &Event, positions: &[usize], want: &[&str]) -> Result<Result<Review, String>, Failure> {
        let answer = match &self.how {
            How::Default => return Ok(words::default(self.when, event, positions)),
            How::Component => self.ask(event, positions),
            How::Templates(snippets, labels) => self.render(snippets, labels, event, positions, want),
        };
        let name = self.when.setting();
        Ok(match answer {
            Ok(review) if review.text.is_empty() => Err(format!("{name} has no message")),
            Ok(review) => Ok(review),
            Err(failure) if failure.again => return Err(failure),
            Err(failure) => {
                log(Level::Error, &format!("{name}: {}", failure.message));
                Ok(Review::new(format!("{}\n\n({name} failed, so there is no vote.)", words::plain(event, positions)), Vec::new()))
            }
        })
    }

    fn ask(&self, event: &Event, positions: &[usize]) -> Result<Review, Failure> {
        let context = Context(words::variables(self.when, event, positions, &self.arg, None));
        read(&ask(self.when.slot(), event.subjects(Some(positions)), context)?.0)
    }

    fn render(&self, snippets: &Snippets, labels: &[(String, Score)], event: &Event, positions: &[usize], want: &[&str]) -> Result<Review, Failure> {
        let want = snippets.uses("build").then_some(want);
        let variables = words::variables(self.when, event, positions, &self.arg, want);
        let text = clean(&snippets.render(MESSAGE, &variables)?);
        if text.is_empty() {
            return Ok(Review::default());
        }
        let mut votes = Vec::new();
        for (label, score) in labels {
            match score {
                Score::Number(score) => votes.push((label.clone(), *score)),
                Score::Template => {
                    let made = snippets.render(&named(label), &variables)?;
                    match made.trim() {
                        "" | "none" | "None" => {}
                        made => {
                            let score = made.parse().map_err(|_| Failure::for_good(format!("label {label} is {made:?}, which is no number")))?;
                            votes.push((label.clone(), score));
                        }
                    }
                }
            }
        }
        Ok(Review::new(text, votes))
    }
}

fn templates(setting: &TemplateSetting, at: &str) -> Result<How, Problems> {
    let mut problems = Problems::default();
    let (message, of) = match (&setting.message, &setting.message_file) {
        (Some(text), None) => (text.as_str(), "message"),
        (None, Some(text)) => (text.0.as_str(), "message_file"),
        (Some(_), Some(_)) => return Err(Problems::at(format!("{at}/message_file"), "write only one of message and message_file")),
        (None, None) => return Err(Problems::at(at, "without a message nothing is sent: write message = \"…\"")),
    };
    let mut labels = Vec::new();
    let mut sources = vec![(MESSAGE.to_owned(), message, format!("{at}/{of}"))];
    for (label, score) in &setting.labels {
        let at = pointer(&format!("{at}/labels"), label);
        if !is_label(label) {
            problems.add(&at, format!("{label:?} is no label: letters, digits and -"));
        }
        match score {
            Value::Number(number) => match number.as_i64().and_then(|number| i16::try_from(number).ok()) {
                Some(number) => labels.push((label.clone(), Score::Number(number))),
                None => problems.add(at, format!("{number} is no score")),
            },
            Value::String(text) => {
                sources.push((named(label), text, at));
                labels.push((label.clone(), Score::Template));
            }
            _ => problems.add(at, "write a number, or a template of one"),
        }
    }
    let snippets: Vec<Snippet<'_>> = sources.iter().map(|(name, text, at)| Snippet { name, text, at }).collect();
    match Snippets::compile(&snippets) {
        Ok(snippets) => problems.or(How::Templates(Box::new(snippets), labels)),
        Err(found) => {
            problems.0.extend(found.0);
            Err(problems)
        }
    }
}

/// The name of a label's template.
fn named(label: &str) -> String {
    format!("label {label}")
}

fn is_label(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphanumeric()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}

/// A text that can be an argument of a command.
fn clean(text: &str) -> String {
    text.trim().replace('\0', "")
}

/// A component's answer.
fn read(answer: &Value) -> Result<Review, Failure> {
    let wrong = |what: &str| Failure::for_good(format!("the formatter's answer {what}: a review is {{\"message\": …, \"labels\": {{\"Verified\": 1}}}}"));
    let none = Map::new();
    let answer = match answer {
        Value::Null => return Ok(Review::default()),
        Value::Object(answer) => answer,
        _ => return Err(wrong("is no object")),
    };
    let text = match answer.get(MESSAGE) {
        None | Some(Value::Null) => return Ok(Review::default()),
        Some(Value::String(text)) => clean(text),
        Some(_) => return Err(wrong("has a message that is no text")),
    };
    let labels = match answer.get("labels") {
        None | Some(Value::Null) => &none,
        Some(Value::Object(labels)) => labels,
        Some(_) => return Err(wrong("has labels that are no object")),
    };
    let vote = |(label, score): (&String, &Value)| match score.as_i64().and_then(|score| i16::try_from(score).ok()) {
        Some(score) if is_label(label) => Ok((label.clone(), score)),
        _ => Err(wrong(&format!("has the label {label:?} with {score}"))),
    };
    Ok(Review::new(text, labels.iter().map(vote).collect::<Result<_, _>>()?))
}
