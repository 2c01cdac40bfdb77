//! Which builds are reported: the arguments that most reporters share.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::build::Build;
use crate::component::Problems;
use crate::event::Event;
use crate::results::{CANCELLED, EXCEPTION, FAILURE, SUCCESS, WARNINGS, name};
use crate::settings::OneOrMany;

/// The shared arguments. Flatten them into a reporter's settings: `#[serde(flatten)] filter: FilterSettings`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FilterSettings {
    /// Which results are reported: change, failing, passing, problem, warnings, exception, cancelled; or "all" (every build that ended), or "warnings" (warnings and failures)
    #[serde(default)]
    pub mode: Option<OneOrMany<String>>,
    /// Names of builders; without it, all
    #[serde(default)]
    pub builders: Option<OneOrMany<String>>,
    /// Tags, of which the builder must have one; not together with builders
    #[serde(default)]
    pub tags: Option<OneOrMany<String>>,
    /// Names of schedulers; without it, all
    #[serde(default)]
    pub schedulers: Option<OneOrMany<String>>,
    /// Names of branches; without it, all
    #[serde(default)]
    pub branches: Option<OneOrMany<String>>,
    /// Whether a buildset is reported at its end, as a whole, instead of its builds one by one
    #[serde(default)]
    pub build_set_summary: bool,
}

/// Only `builders`, for reporters that take no other filter.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct BuildersSetting {
    /// Names of builders; without it, all
    #[serde(default)]
    pub builders: Option<OneOrMany<String>>,
}

/// `builders` and `tags`, for reporters of statuses, which every result has.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct OriginSettings {
    /// Names of builders; without it, all
    #[serde(default)]
    pub builders: Option<OneOrMany<String>>,
    /// Tags, of which the builder must have one; not together with builders
    #[serde(default)]
    pub tags: Option<OneOrMany<String>>,
}

impl OriginSettings {
    /// Checks them.
    ///
    /// # Errors
    ///
    /// Builders together with tags.
    pub fn compile(self) -> Result<Filter, Problems> {
        FilterSettings { builders: self.builders, tags: self.tags, ..FilterSettings::default() }.compile(&[])
    }
}

impl From<BuildersSetting> for Filter {
    fn from(setting: BuildersSetting) -> Self {
        Self { builders: setting.builders.map(|builders| builders.items), ..Self::default() }
    }
}

/// Decides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Filter {
    /// Modes; none: the result does not matter.
    modes: Option<Modes>,
    builders: Option<Vec<String>>,
    tags: Option<Vec<String>>,
    schedulers: Option<Vec<String>>,
    branches: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq)]
struct Modes {
    /// As written, for reasons.
    written: String,
    /// Every build that ended.
    all: bool,
    words: Vec<&'static str>,
}

/// A mode that a list may contain.
const WORDS: [&str; 7] = ["change", "failing", "passing", "problem", "warnings", "exception", "cancelled"];

impl FilterSettings {
    /// Checks them. `default_mode` is for entries without `mode`; empty: the result does not matter.
    ///
    /// # Errors
    ///
    /// Unknown modes, `all` in a list, builders together with tags.
    pub fn compile(&self, default_mode: &[&str]) -> Result<Filter, Problems> {
        let mut problems = Problems::default();
        let modes = match &self.mode {
            None if default_mode.is_empty() => None,
            None => Some(Modes::of(default_mode.iter().copied())),
            Some(mode) => Some(problems.take(Modes::parse(mode))),
        };
        if self.builders.is_some() && self.tags.is_some() {
            problems.add("/tags", "builders and tags cannot both be given: leave one of them out");
        }
        let items = |setting: &Option<OneOrMany<String>>| setting.as_ref().map(|many| many.items.clone());
        problems.or(Filter {
            modes,
            builders: items(&self.builders),
            tags: items(&self.tags),
            schedulers: items(&self.schedulers),
            branches: items(&self.branches),
        })
    }
}

impl Default for Modes {
    fn default() -> Self {
        Self::of([])
    }
}

impl Modes {
    fn of<'a>(given: impl IntoIterator<Item = &'a str>) -> Self {
        let given: Vec<&str> = given.into_iter().collect();
        Self { written: given.join(", "), all: false, words: given.iter().filter_map(|word| known(word)).collect() }
    }

    fn parse(mode: &OneOrMany<String>) -> Result<Self, Problems> {
        match &mode[..] {
            [one] if !mode.list && one == "all" => {
                // What Buildbot makes of the shortcut, for `{{ mode }}`; the decision goes by `all`.
                Ok(Self { written: "all".into(), all: true, words: vec!["failing", "passing", "warnings", "exception", "cancelled"] })
            }
            [one] if !mode.list && one == "warnings" => Ok(Self { written: "warnings".into(), ..Self::of(["failing", "warnings"]) }),
            words => {
                let mut problems = Problems::default();
                for (n, word) in words.iter().enumerate() {
                    let at = if mode.list { format!("/mode/{n}") } else { "/mode".into() };
                    if word == "all" {
                        problems.add(at, "\"all\" stands alone: write mode = \"all\"");
                    } else if known(word).is_none() {
                        problems.add(at, format!("there is no mode {word:?}; there are {}, and alone \"all\"", WORDS.join(", ")));
                    }
                }
                if words.is_empty() {
                    problems.add("/mode", "an empty mode reports nothing: leave it out, or write mode = \"all\"");
                }
                problems.or(Self::of(words.iter().map(String::as_str)))
            }
        }
    }
}

fn known(word: &str) -> Option<&'static str> {
    WORDS.iter().find(|known| **known == word).copied()
}

impl Filter {
    /// The modes after expansion, for `{{ mode }}`.
    pub fn mode(&self) -> &[&'static str] {
        self.modes.as_ref().map_or(&[], |modes| &modes.words)
    }

    /// Whether a build is reported: builders, schedulers, branches, tags, then its result.
    ///
    /// # Errors
    ///
    /// Why not, for *skipped, because*.
    pub fn decide(&self, build: &Build) -> Result<(), String> {
        self.decide_origin(build)?;
        self.decide_result(build)
    }

    /// The build of an event, if it is reported whatever its result ([`Filter::decide_origin`]).
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn build<'a>(&self, event: &'a Event) -> Result<&'a Build, String> {
        let build = event.builds().first().ok_or("the event has no build")?;
        self.decide_origin(build).map(|()| build)
    }

    /// Whether a build is reported whatever its result: builders, schedulers, branches, tags. Cheapest first; only
    /// `schedulers` and `branches` fetch.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn decide_origin(&self, build: &Build) -> Result<(), String> {
        if let Some(builders) = &self.builders {
            let builder = build.builder();
            if !builders.contains(&builder) {
                return Err(format!("builder {builder} is not in builders"));
            }
        }
        for (setting, property, wanted) in [("schedulers", "scheduler", &self.schedulers), ("branches", "branch", &self.branches)] {
            let Some(wanted) = wanted else { continue };
            match build.property(property) {
                Some(Value::String(value)) if wanted.contains(&value) => {}
                Some(Value::String(value)) => return Err(format!("{property} {value} is not in {setting}")),
                _ => return Err(format!("the build has no {property}, and {setting} is set")),
            }
        }
        if let Some(wanted) = &self.tags
            && !build.tags().iter().any(|tag| wanted.contains(tag))
        {
            return Err(format!("builder {} has none of the tags {}", build.builder(), wanted.join(", ")));
        }
        Ok(())
    }

    /// The builds of an event that are reported, by position: those of a set that ended, or the one that it is about.
    ///
    /// # Errors
    ///
    /// Why none of them is.
    pub fn chosen(&self, event: &Event) -> Result<Vec<usize>, String> {
        match event.builds() {
            builds if event.kind() == "buildset-complete" => self.decide_set(builds),
            [build, ..] => self.decide(build).map(|()| vec![0]),
            [] => Err("the event has no build".into()),
        }
    }

    /// Whether a build's result is reported. The previous build is fetched only if the mode asks for it.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn decide_result(&self, build: &Build) -> Result<(), String> {
        let Some(modes) = &self.modes else { return Ok(()) };
        let results = build.results();
        let plain = match results {
            Some(SUCCESS) => "passing",
            Some(WARNINGS) => "warnings",
            Some(FAILURE) => "failing",
            Some(EXCEPTION) => "exception",
            Some(CANCELLED) => "cancelled",
            _ => "",
        };
        if (modes.all && results.is_some()) || modes.words.contains(&plain) {
            return Ok(());
        }
        let by_change = modes.words.contains(&"change") || (modes.words.contains(&"problem") && results == Some(FAILURE));
        let why = format!("mode is {}, the build {}", modes.written, happened(results));
        if !by_change {
            return Err(why);
        }
        match build.previous() {
            None => Err(format!("{why} and is the first of its builder")),
            Some(previous) if previous.results() == results => Err(format!("{why} like the one before")),
            Some(_) => Ok(()),
        }
    }

    /// Whether a set without builds is reported (its requests were cancelled, or merged into others'): only if all sets are.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn decide_empty_set(&self) -> Result<(), String> {
        let of_builds = [&self.builders, &self.tags, &self.schedulers, &self.branches];
        if of_builds.iter().all(|setting| setting.is_none()) && self.modes.as_ref().is_none_or(|modes| modes.all) {
            return Ok(());
        }
        Err("the buildset has no builds".into())
    }

    /// The builds of a set that are reported, by position.
    ///
    /// # Errors
    ///
    /// Why none of them is.
    pub fn decide_set(&self, builds: &[Build]) -> Result<Vec<usize>, String> {
        let mut reasons = Vec::new();
        let mut chosen = Vec::new();
        for (n, build) in builds.iter().enumerate() {
            match self.decide(build) {
                Ok(()) => chosen.push(n),
                Err(reason) if reasons.contains(&reason) => {}
                Err(reason) => reasons.push(reason),
            }
        }
        match (chosen.is_empty(), reasons.is_empty()) {
            (false, _) => Ok(chosen),
            (true, true) => Err("the buildset has no builds".into()),
            (true, false) => Err(format!("no build of the set is reported: {}", reasons.join("; "))),
        }
    }
}

/// `succeeded`, `failed` …
fn happened(results: Option<u8>) -> String {
    match results {
        Some(SUCCESS) => "succeeded".into(),
        Some(WARNINGS) => "had warnings".into(),
        Some(FAILURE) => "failed".into(),
        None => "is not finished".into(),
        other => format!("ended as {}", name(other)),
    }
}

#[cfg(test)]
#[path = "filter_tests.rs"]
mod tests;
