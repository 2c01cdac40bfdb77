//! What an author implements: [`Reporter`] or [`Formatter`].

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::event::{Event, Subjects};
use crate::http::Answer;
use crate::slot::{Context, Document};

/// A reporter: looks at events, decides, formats, sends.
///
/// The value that [`configure`](Self::configure) returns is kept for the calls that follow. The host may keep a snapshot
/// of it, so it must hold plain data only: no handle of the host's.
pub trait Reporter: Sized + 'static {
    /// What the operator writes. Make nested structs `#[serde(deny_unknown_fields)]`; unknown keys beside these are refused anyway.
    type Settings: DeserializeOwned + JsonSchema;
    /// As in `reporter = "…"`.
    const NAME: &'static str;
    /// One line.
    const DESCRIPTION: &'static str;

    /// Checks the settings, compiles what can be compiled once, and says what the reporter will do.
    fn configure(settings: Self::Settings) -> Result<(Self, Plan), Problems>;

    /// Looks at one event.
    fn report(&self, event: &Event) -> Result<Outcome, Failure>;

    /// The answer to a delivery that was sent with a tag.
    fn answered(&self, tag: &str, _answer: &Answer) -> Result<Outcome, Failure> {
        Ok(Outcome::Skipped(format!("nothing is to be done about the answer to {tag}")))
    }
}

/// A formatter: words one or more hooks of reporters (docs/slots.md).
pub trait Formatter: Sized + 'static {
    /// What the operator writes in `settings = { … }`. `()` if nothing.
    type Settings: DeserializeOwned + JsonSchema;
    /// The slots it serves: `["message"]`.
    const SLOTS: &'static [&'static str];

    /// Refuses settings that parse but make no sense.
    fn check(_settings: &Self::Settings) -> Result<(), Problems> {
        Ok(())
    }

    /// Answers with a document in the slot's shape, or an error for the operator.
    fn format(settings: &Self::Settings, slot: &str, subjects: Subjects, context: Context) -> Result<Document, String>;
}

/// What a reporter will do with its settings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// Where it will send.
    pub endpoints: Vec<Endpoint>,
    /// Kinds of event that it wants to see.
    pub events: Vec<String>,
    /// `state`, and words of `build.document` that it will ask for.
    pub uses: Vec<String>,
}

impl Plan {
    /// A plan that wants these kinds of event.
    pub fn events<S: Into<String>>(kinds: impl IntoIterator<Item = S>) -> Self {
        Self { events: kinds.into_iter().map(Into::into).collect(), ..Self::default() }
    }

    /// Adds an endpoint; its settings are the JSON object of docs/endpoints.md.
    pub fn endpoint(mut self, name: &str, kind: &str, settings: Value) -> Self {
        self.endpoints.push(Endpoint { name: name.into(), kind: kind.into(), settings, fallback: None });
        self
    }

    /// What the host sends by itself to the endpoint `name` when the component fails: a payload of its kind, in whose texts `{subject}` and
    /// `{text}` are replaced (docs/endpoints.md).
    pub fn fallback(mut self, name: &str, payload: Value) -> Self {
        for endpoint in self.endpoints.iter_mut().filter(|endpoint| endpoint.name == name) {
            endpoint.fallback = Some(payload.clone());
        }
        self
    }

    /// Adds to `uses`.
    pub fn uses<S: Into<String>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.uses.extend(words.into_iter().map(Into::into));
        self
    }
}

/// A place to send to.
#[derive(Clone, Debug, PartialEq)]
pub struct Endpoint {
    /// Its name in sends.
    pub name: String,
    /// `http`, `smtp`, `irc` or `ssh`.
    pub kind: String,
    /// A JSON object, by kind (docs/endpoints.md).
    pub settings: Value,
    /// See [`Plan::fallback`].
    pub fallback: Option<Value>,
}

/// Something wrong in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON Pointer to the setting: `/mode/1`.
    pub at: String,
    /// What is wrong, and what to write instead.
    pub message: String,
}

/// Everything that is wrong in the settings; never empty in an `Err`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl Problems {
    /// One problem.
    pub fn at(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        let mut problems = Self::default();
        problems.add(pointer, message);
        problems
    }

    /// Adds a problem.
    pub fn add(&mut self, pointer: impl Into<String>, message: impl Into<String>) {
        self.0.push(Problem { at: pointer.into(), message: message.into() });
    }

    /// The value; or its default, its problems added to these. So that one pass finds them all.
    pub fn take<T: Default>(&mut self, result: Result<T, Problems>) -> T {
        result.unwrap_or_else(|problems| {
            self.0.extend(problems.0);
            T::default()
        })
    }

    /// The value if there are no problems.
    pub fn or<T>(self, value: T) -> Result<T, Problems> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl std::fmt::Display for Problems {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (n, problem) in self.0.iter().enumerate() {
            let line = if n == 0 { "" } else { "\n" };
            write!(f, "{line}{}: {}", problem.at, problem.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Whatever was sent is to be delivered.
    Sent,
    /// Nothing is to be sent, because of this.
    Skipped(String),
}

/// Why a call failed. Nothing of it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// For the operator.
    pub message: String,
    /// Whether the same call may go better later.
    pub again: bool,
}

impl Failure {
    /// It will never go better.
    pub fn for_good(message: impl Into<String>) -> Self {
        Self { message: message.into(), again: false }
    }

    /// It may go better later.
    pub fn for_now(message: impl Into<String>) -> Self {
        Self { message: message.into(), again: true }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}
