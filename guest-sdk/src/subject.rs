//! The setting `subject`: what a mail and a notification have above them.

use crate::build::Build;
use crate::component::{Failure, Problems};
use crate::event::Event;
use crate::percent::FormatError;
use crate::results;

/// Line breaks as blanks.
pub fn one_line(text: &str) -> String {
    if text.contains(char::is_control) { text.split(char::is_control).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ") } else { text.to_owned() }
}

/// The compiled `subject`: text and keys.
#[derive(Debug)]
pub struct SubjectFormat(String);

/// What a subject's keys are worth.
pub struct SubjectValues<'a> {
    /// `%(builder)s`
    pub builder: &'a str,
    /// `%(result)s`
    pub result: &'a str,
    /// `%(title)s` and `%(projectName)s`
    pub title: &'a str,
}

/// What a message is about: a build, or a buildset as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The builder, or `whole buildset`.
    pub builder: String,
    /// The result, of the set if it is one.
    pub result: Option<u8>,
    /// `failure of build 12 on linux`, for the delivery log.
    pub title: String,
}

impl About {
    /// Of the event's build `first`.
    pub fn of(event: &Event, first: &Build, is_buildset: bool) -> Self {
        if !is_buildset {
            let (builder, result) = (first.builder(), first.results());
            return Self { title: crate::title::of_build("build-finished", first), builder, result };
        }
        let result = event.buildset().and_then(|set| set["results"].as_u64()).and_then(|result| u8::try_from(result).ok());
        let builder = "whole buildset".to_owned();
        Self { title: format!("{} of {builder}", results::name(result)), builder, result }
    }
}

const DEFAULT: &str = "Buildbot %(result)s in %(title)s on %(builder)s";

impl SubjectFormat {
    /// Compiles.
    ///
    /// # Errors
    ///
    /// Line breaks, and keys that there are not.
    pub fn compile(subject: Option<String>) -> Result<Self, Problems> {
        let subject = subject.unwrap_or_else(|| DEFAULT.into());
        if subject.contains(['\n', '\r']) {
            return Err(Problems::at("/subject", "a subject is one line: take the line breaks out"));
        }
        let format = Self(subject);
        let any = SubjectValues { builder: "", result: "", title: "" };
        format.try_render(&any).map_err(|error| Problems::at("/subject", error.to_string()))?;
        Ok(format)
    }

    /// The subject of a message.
    ///
    /// # Errors
    ///
    /// None that `compile` would not have found.
    pub fn about(&self, about: &About, title: &str) -> Result<String, Failure> {
        // An inbox may have no title.
        if title.is_empty() && self.0 == DEFAULT {
            return Ok(format!("Buildbot {} on {}", results::name(about.result), about.builder));
        }
        self.render(&SubjectValues { builder: &about.builder, result: results::name(about.result), title })
    }

    /// The subject.
    ///
    /// # Errors
    ///
    /// None that `compile` would not have found.
    pub fn render(&self, values: &SubjectValues<'_>) -> Result<String, Failure> {
        self.try_render(values).map_err(|error| Failure::for_good(format!("subject: {error}")))
    }

    fn try_render(&self, values: &SubjectValues<'_>) -> Result<String, FormatError> {
        if !self.0.contains("%(") {
            return Ok(self.0.clone());
        }
        crate::percent::format(&self.0, &|key| match key {
            "builder" => Ok(values.builder.into()),
            "result" => Ok(values.result.into()),
            "title" | "projectName" => Ok(values.title.into()),
            _ => Err(format!("there is no %({key})s: there are builder, result, title and projectName")),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_master_without_a_title_is_left_out() {
        let about = About { builder: "nightly".into(), result: Some(2), title: String::new() };
        let subject = |subject: Option<&str>, title| SubjectFormat::compile(subject.map(Into::into)).unwrap().about(&about, title).unwrap();
        assert_eq!(subject(None, ""), "Buildbot failure on nightly");
        assert_eq!(subject(None, "CI"), "Buildbot failure in CI on nightly");
        assert_eq!(subject(Some("[%(title)s]"), ""), "[]");
    }

    #[test]
    fn subjects() {
        let values = SubjectValues { builder: "linux", result: "failure", title: "CI" };
        for (subject, expected) in
            [(None, "Buildbot failure in CI on linux"), (Some("100%"), "100%"), (Some("%(builder)-8s|%(projectName)s %%"), "linux   |CI %")]
        {
            assert_eq!(SubjectFormat::compile(subject.map(Into::into)).unwrap().render(&values).unwrap(), expected);
        }
        for subject in ["a\nb", "%(bulder)s", "%(builder)s 5%"] {
            assert_eq!(SubjectFormat::compile(Some(subject.into())).unwrap_err().0[0].at, "/subject");
        }
    }
}
