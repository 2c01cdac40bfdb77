//! Descriptions: a renderable or a formatter component, with a default where that fails.

use serde_json::Value;

use crate::build::Build;
use crate::component::Failure;
use crate::event::{Event, Subjects};
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

    /// The text for a build. `state` is the service's word for how it stands. A component that fails makes the default, and says so; a renderable
    /// that does not fit its values makes the default, too: the state is worth more than its words.
    ///
    /// # Errors
    ///
    /// What may go better later.
    pub fn text(&self, event: &Event, build: &Build, state: &str) -> Result<String, Failure> {
        self.about(build, || (event.subjects(None), Context::default().with("event", event.kind()).with("state", state)))
    }

    /// The same with subjects and a context of the reporter's own, for a component.
    ///
    /// # Errors
    ///
    /// As [`Wording::text`].
    pub fn about(&self, build: &Build, subjects: impl FnOnce() -> (Subjects, Context)) -> Result<String, Failure> {
        if let Slot::Own(text) = &self.given {
            return Ok(text.render(build).unwrap_or_else(|failure| {
                log(Level::Warn, &format!("the {} cannot be rendered, and is the default: {failure}", self.slot));
                self.default.to_owned()
            }));
        }
        let (subjects, context) = subjects();
        match ask(self.slot, subjects, context) {
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
        format!("{} (Its formatter failed.)", self.default).trim_start().to_owned()
    }
}

/// The description of a build that waits for a worker, in which nobody has a say.
const PENDING: &str = "Build pending.";

/// `startDescription` and `endDescription` of a reporter of commit statuses.
#[derive(Debug)]
pub struct Descriptions {
    start: Wording,
    end: Wording,
}

impl Descriptions {
    /// The settings; `Build started.` and `Build done.` without them.
    pub fn new(start: Option<Slot<Interpolate>>, end: Option<Slot<Interpolate>>) -> Self {
        Self { start: Wording::new("start-description", start, "Build started."), end: Wording::new("description", end, "Build done.") }
    }

    /// The settings; nothing without them.
    pub fn or_none(start: Option<Slot<Interpolate>>, end: Option<Slot<Interpolate>>) -> Self {
        Self { start: Wording::new("start-description", start, ""), end: Wording::new("description", end, "") }
    }

    /// The description of an event's build.
    ///
    /// # Errors
    ///
    /// As [`Wording::text`].
    pub fn of(&self, event: &Event, build: &Build, state: &str) -> Result<String, Failure> {
        match event.kind() {
            "build-started" => self.start.text(event, build, state),
            "build-finished" => self.end.text(event, build, state),
            _ => Ok(PENDING.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use schemars::JsonSchema;
    use serde::Deserialize;
    use serde_json::json;

    use super::*;
    use crate::component::{Outcome, Plan, Problems, Reporter};
    use crate::testing;

    #[derive(Deserialize, JsonSchema)]
    struct Texts {
        start: Option<Interpolate>,
        end: Option<Interpolate>,
        #[serde(default)]
        or_none: bool,
    }

    /// Skips with its description.
    struct Describer(Descriptions);

    impl Reporter for Describer {
        type Settings = Texts;
        const NAME: &'static str = "Describer";
        const DESCRIPTION: &'static str = "";

        fn configure(Texts { start, end, or_none }: Texts) -> Result<(Self, Plan), Problems> {
            let (start, end) = (start.map(Slot::Own), end.map(Slot::Own));
            Ok((Self(if or_none { Descriptions::or_none(start, end) } else { Descriptions::new(start, end) }), Plan::default()))
        }

        fn report(&self, event: &Event) -> Result<Outcome, Failure> {
            self.0.of(event, &event.builds()[0], "success").map(Outcome::Skipped)
        }
    }

    #[test]
    fn what_cannot_be_rendered_is_the_default() {
        let say = |settings: Value, kind: &str, properties: Value| {
            let describer = testing::configure::<Describer>(settings).unwrap();
            let report = describer.report(json!({"kind": kind, "builds": [{"properties": properties}]}));
            (report.skipped().to_owned(), report.log)
        };
        let settings = json!({"start": "%(prop:count)d tests", "end": "%(prop:count)d done"});
        assert_eq!(say(settings.clone(), "build-started", json!({"count": [3, "s"]})), ("3 tests".into(), Vec::new()));
        let (text, log) = say(settings.clone(), "build-started", json!({}));
        assert_eq!((text.as_str(), log.len(), log[0].0), ("Build started.", 1, Level::Warn));
        assert!(log[0].1.starts_with("the start-description cannot be rendered, and is the default: "), "{log:?}");
        assert_eq!(say(settings, "build-finished", json!({"count": ["many", "s"]})).0, "Build done.");
        let (text, log) = say(json!({"or_none": true, "end": "%(prop:count)d"}), "build-finished", json!({}));
        assert_eq!((text.as_str(), log.len()), ("", 1));
    }
}
