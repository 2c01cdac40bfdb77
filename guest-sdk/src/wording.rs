//! Descriptions: a renderable or a formatter component, with a default where that fails.

use serde_json::Value;

use crate::build::Build;
use crate::component::Failure;
use crate::event::Event;
use crate::interpolate::Interpolate;
use crate::services::{Level, log};
use crate::slot::{Context, Document, Slot, ask};

/// A description of a build for a service that has a state beside it.
#[derive(Debug)]
pub struct Wording {
    slot: &'static str,
    given: Slot<Interpolate>,
    default: &'static str,
}

impl Wording {
    /// The setting `given`, of the slot `slot`; what is empty or left out is `default`, as in Buildbot.
    pub fn new(slot: &'static str, given: Option<Slot<Interpolate>>, default: &'static str) -> Self {
        let given = match given {
            Some(Slot::Own(text)) if text == Interpolate::literal("") => Slot::Own(Interpolate::literal(default)),
            Some(given) => given,
            None => Slot::Own(Interpolate::literal(default)),
        };
        Self { slot, given, default }
    }

    /// The text for a build. `state` is the service's word for how it stands. A component that fails makes the default, and says so: the state
    /// is worth more than its words.
    ///
    /// # Errors
    ///
    /// What may go better later, and a renderable that does not fit its values.
    pub fn text(&self, event: &Event, build: &Build, state: &str) -> Result<String, Failure> {
        if let Slot::Own(text) = &self.given {
            return text.render(build);
        }
        let context = Context::default().with("event", event.kind()).with("state", state);
        match ask(self.slot, event.subjects(None), context) {
            Ok(Document(Value::String(text))) => Ok(text),
            Ok(Document(Value::Object(message))) if message.get("body").is_some_and(Value::is_string) => {
                Ok(message["body"].as_str().unwrap_or_default().trim_end().to_owned())
            }
            Ok(Document(Value::Null)) => Ok(self.default.into()),
            Ok(_) => Ok(self.failed("the formatter answered with something that is no text")),
            Err(failure) if failure.again => Err(failure),
            Err(failure) => Ok(self.failed(&failure.message)),
        }
    }

    fn failed(&self, why: &str) -> String {
        log(Level::Error, why);
        format!("{} (Its formatter failed.)", self.default)
    }
}
