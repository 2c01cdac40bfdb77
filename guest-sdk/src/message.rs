//! MessageFormatter: what a message about builds says.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use minijinja::value::{Tuple, Value};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::build::{Build, text};
use crate::component::{Failure, Problems};
use crate::event::{Event, MasterInfo};
use crate::excerpt::Excerpt;
use crate::percent::python_str;
use crate::results::{CANCELLED, EXCEPTION, FAILURE, NAMES, SUCCESS, WARNINGS, name};
use crate::services::{Level, log};
use crate::slot::{Context, Slot, ask};
use crate::subject::one_line;
use crate::template::{Defaults, Rendered, TemplateSettings, TemplateType, Templates, value_of};
use crate::want::{Want, WantSettings};

/// `messageFormatter = { … }`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageFormatterSettings {
    /// The templates
    #[serde(flatten)]
    pub templates: TemplateSettings,
    /// How much of a build they get
    #[serde(flatten)]
    pub want: WantSettings,
    /// Lines of each failing step's log that {{ excerpts }} has (default 20), at most 200; given, the built-in text has them as well
    #[serde(default)]
    pub excerpt: Option<u32>,
}

/// A body and perhaps a subject.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The body.
    pub body: String,
    /// The subject, one line, if the formatter has one.
    pub subject: Option<String>,
    /// Plain or HTML.
    pub kind: TemplateType,
    /// The body in HTML beside the plain one, if there are both.
    pub html: Option<String>,
    /// What else a formatter component said (`extra_info`), or null.
    pub extra_info: serde_json::Value,
}

impl Message {
    /// The message that goes out when the formatter failed: the bare facts, and why there is no more.
    fn plain(builds: &[Build], positions: &[usize], why: &str) -> Self {
        let mut body = String::new();
        for build in positions.iter().filter_map(|n| builds.get(*n)) {
            let number = build.number().map(|number| format!("Build {number}")).unwrap_or_else(|| "A build".into());
            body.push_str(&format!("{number} of {} ended: {}", build.builder(), crate::results::name(build.results())));
            let state = build.state_string();
            if !state.is_empty() {
                body.push_str(&format!(" ({})", one_line(&state)));
            }
            body.push_str(&format!("\n{}\n\n", build.url()));
        }
        body.push_str(&format!("Its message could not be worded: {why}\n"));
        Self { body, subject: None, kind: TemplateType::Plain, html: None, extra_info: serde_json::Value::Null }
    }

    /// Reads a `message` document.
    ///
    /// # Errors
    ///
    /// What of its shape is wrong.
    pub fn from_document(document: &serde_json::Value) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::for_good(format!("the formatter's answer {what}: a message is {{\"body\": …, \"subject\": …, \"type\": \"plain\"}}"));
        let body = document["body"].as_str().ok_or_else(|| wrong("has no text as body"))?;
        let kind = match document.get("type").map(|kind| kind.as_str()) {
            None | Some(Some("plain")) => TemplateType::Plain,
            Some(Some("html")) => TemplateType::Html,
            _ => return Err(wrong("has a type that is neither plain nor html")),
        };
        let subject = match &document["subject"] {
            serde_json::Value::Null => None,
            serde_json::Value::String(subject) => Some(subject.split_whitespace().collect::<Vec<_>>().join(" ")),
            _ => return Err(wrong("has a subject that is no text")),
        };
        let html = match &document["html"] {
            serde_json::Value::Null => None,
            serde_json::Value::String(html) if kind == TemplateType::Plain => Some(html.clone()),
            _ => return Err(wrong("has as html what is no text, or stands beside a body that is HTML itself")),
        };
        Ok(Self { body: body.into(), subject, kind, html, extra_info: document["extra_info"].clone() })
    }
}

/// The compiled `messageFormatter` of a reporter.
#[derive(Debug)]
pub struct MessageFormatter {
    how: How,
    want: Want,
    additional: bool,
    /// Lines of an excerpt.
    excerpt: u32,
}

/// Lines of an excerpt unless the operator says otherwise, and at most.
const EXCERPT: (u32, u32) = (20, 200);

#[derive(Debug)]
enum How {
    Templates(Box<Templates>),
    Component,
}

/// The built-in texts about builds.
const DEFAULTS: Defaults = Defaults {
    plain: include_str!("message/build.txt"),
    html: include_str!("message/build.html"),
    names: &["default_mail.txt", "default_mail.html"],
    variables: &VARIABLES,
};

/// The same, for a telephone's screen.
const SHORT: Defaults = Defaults {
    plain: include_str!("message/short.txt"),
    html: include_str!("message/short.html"),
    names: &["default_notification.txt"],
    variables: &VARIABLES,
};

impl MessageFormatter {
    /// Compiles the setting `messageFormatter`. `additional`: whether a component fills the slot `context`.
    ///
    /// # Errors
    ///
    /// Everything wrong in it.
    pub fn compile(setting: Option<Slot<MessageFormatterSettings>>, additional: bool) -> Result<Self, Problems> {
        Self::with_defaults(setting, additional, DEFAULTS, TemplateType::Plain)
    }

    /// The same for a reporter of short messages; `kind` is that of its default text. As in Buildbot, a `messageFormatter` that
    /// names no template has the long text.
    ///
    /// # Errors
    ///
    /// Everything wrong in it.
    pub fn compile_short(setting: Option<Slot<MessageFormatterSettings>>, additional: bool, kind: TemplateType) -> Result<Self, Problems> {
        if let Some(Slot::Own(settings)) = &setting
            && settings.templates.template_type == TemplateType::Both
        {
            return Err(Problems::at("/messageFormatter/template_type", "a mail has both forms, this has one: write \"plain\" or \"html\""));
        }
        let short = match &setting {
            Some(Slot::Own(settings)) => settings.templates.template_filename.as_deref().is_some_and(|name| SHORT.names.contains(&name)),
            _ => true,
        };
        Self::with_defaults(setting, additional, if short { SHORT } else { DEFAULTS }, kind)
    }

    fn with_defaults(setting: Option<Slot<MessageFormatterSettings>>, additional: bool, defaults: Defaults, kind: TemplateType) -> Result<Self, Problems> {
        let at = "/messageFormatter";
        let settings = match setting {
            Some(Slot::Component) => return Ok(Self { how: How::Component, want: Want::default(), additional, excerpt: 0 }),
            Some(Slot::Own(settings)) => settings,
            None => {
                let templates = TemplateSettings { template_type: kind, ..TemplateSettings::default() };
                MessageFormatterSettings { templates, ..MessageFormatterSettings::default() }
            }
        };
        let mut problems = Problems::default();
        let mut want = problems.take(settings.want.compile(true, at));
        if settings.excerpt.is_some_and(|lines| lines > EXCERPT.1) {
            problems.add(format!("{at}/excerpt"), format!("an excerpt has {} lines at most", EXCERPT.1));
        }
        let templates = match Templates::compile(settings.templates, defaults, at) {
            Ok(templates) => templates,
            Err(found) => {
                problems.0.extend(found.0);
                return Err(problems);
            }
        };
        if !templates.is_own() {
            want = Want::of(&["properties", "steps", "logs"]);
        }
        // The built-in text is what it is unless it is asked for more.
        let excerpt = settings.excerpt.unwrap_or(if templates.is_own() { EXCERPT.0 } else { 0 });
        problems.or(Self { how: How::Templates(Box::new(templates)), want, additional, excerpt })
    }

    /// Words of `build.document` that it asks for, for the plan.
    pub fn words(&self) -> &[&'static str] {
        match self.how {
            How::Templates(_) => self.want.words(),
            How::Component => &[],
        }
    }

    /// The message about one build of the event, by position.
    ///
    /// # Errors
    ///
    /// A template or a component that failed.
    pub fn build(&self, event: &Event, position: usize, mode: &[&str]) -> Result<Message, Failure> {
        self.chosen(event, &[position], mode, false)
    }

    /// The message about a whole buildset: the bodies of these builds one after another, and the first subject.
    ///
    /// # Errors
    ///
    /// A template or a component that failed.
    pub fn set(&self, event: &Event, positions: &[usize], mode: &[&str]) -> Result<Message, Failure> {
        self.chosen(event, positions, mode, true)
    }

    /// [`MessageFormatter::build`], or [`MessageFormatter::set`] if `is_buildset`; but if the wording fails for good, a
    /// plain message that says so: silence would hide the build too.
    ///
    /// # Errors
    ///
    /// Only what may go better later.
    pub fn or_plain(&self, event: &Event, positions: &[usize], mode: &[&str], is_buildset: bool) -> Result<Message, Failure> {
        self.chosen(event, positions, mode, is_buildset).or_else(|failure| {
            if failure.again {
                return Err(failure);
            }
            log(Level::Error, &failure.message);
            Ok(Message::plain(event.builds(), positions, &failure.message))
        })
    }

    fn chosen(&self, event: &Event, positions: &[usize], mode: &[&str], is_buildset: bool) -> Result<Message, Failure> {
        let master = event.master();
        let templates = match &self.how {
            How::Templates(templates) => templates,
            How::Component => {
                let document = ask("message", event.subjects(Some(positions)), hook_context(event, positions, mode, is_buildset, &master))?;
                return Message::from_document(&document.0);
            }
        };
        let mut message: Option<Message> = None;
        for (position, build) in event.builds().iter().enumerate().filter(|(n, _)| positions.contains(n)) {
            let mut context = build_context(event, build, mode, is_buildset, &master, &self.want, templates);
            if templates.uses("excerpts") {
                context.insert("excerpts".to_owned(), crate::excerpt::of_build(build, self.excerpt).iter().map(Excerpt::value).collect());
            }
            if self.additional {
                self.add_context(event, position, mode, is_buildset, &master, &mut context)?;
            }
            let Rendered { body, html, subject } = templates.render(context)?;
            match &mut message {
                None => message = Some(Message { body, subject, kind: templates.kind(), html, extra_info: serde_json::Value::Null }),
                Some(message) => {
                    message.body.push_str(&body);
                    if let (Some(all), Some(html)) = (&mut message.html, html) {
                        all.push_str(&html);
                    }
                    message.subject = message.subject.take().or(subject);
                }
            }
        }
        message.ok_or_else(|| Failure::for_good("there is no build to word"))
    }

    fn add_context(
        &self,
        event: &Event,
        position: usize,
        mode: &[&str],
        is_buildset: bool,
        master: &MasterInfo,
        context: &mut BTreeMap<String, Value>,
    ) -> Result<(), Failure> {
        let document = ask("context", event.subjects(Some(&[position])), hook_context(event, &[position], mode, is_buildset, master))?;
        let table = document.0.as_object().ok_or_else(|| Failure::for_good("the formatter for context answered with something that is no JSON object"))?;
        context.extend(table.iter().map(|(key, value)| (key.clone(), value_of(value))));
        Ok(())
    }
}

/// What a formatter component for `message` and its siblings knows beside the builds (docs/slots.md).
pub fn hook_context(event: &Event, positions: &[usize], mode: &[&str], is_buildset: bool, master: &MasterInfo) -> Context {
    let builds = event.builds();
    let chosen: Vec<&Build> = positions.iter().filter_map(|n| builds.get(*n)).collect();
    let one = chosen.first().filter(|_| !is_buildset);
    let mut context = Context::default()
        .with("event", event.kind())
        .with("mode", mode.to_vec())
        .with("is_buildset", is_buildset)
        .with("buildbot_title", master.title.clone())
        .with("buildbot_url", master.url.clone());
    if let Some(build) = one {
        context = context.with("buildername", build.builder()).with("results", build.results()).with("summary", summary(build));
    } else if is_buildset {
        let results = event.buildset().map_or(serde_json::Value::Null, |set| set["results"].clone());
        context = context.with("buildername", "whole buildset").with("results", results);
    }
    context
}

/// The variables that a template has beside `ctx`.
const VARIABLES: [&str; 22] = [
    "results",
    "result_names",
    "statuses",
    "mode",
    "buildername",
    "workername",
    "buildset",
    "build",
    "is_buildset",
    "builds",
    "projects",
    "previous_results",
    "status_detected",
    "build_url",
    "buildbot_url",
    "buildbot_title",
    "blamelist",
    "changes",
    "summary",
    "sourcestamps",
    "results_style",
    "excerpts",
];

fn build_context(
    event: &Event,
    build: &Build,
    mode: &[&str],
    is_buildset: bool,
    master: &MasterInfo,
    want: &Want,
    templates: &Templates,
) -> BTreeMap<String, Value> {
    let results = build.results();
    let document = OnceCell::new();
    let document = || document.get_or_init(|| build.document_value(want.words())).clone();
    let names = || NAMES.iter().map(|name| Value::from(*name)).collect::<Value>();
    let mut context = BTreeMap::new();
    let mut put = |name: &str, value: &dyn Fn() -> Value| {
        if templates.uses(name) {
            context.insert(name.to_owned(), value());
        }
    };
    let previous = || build.previous().and_then(|previous| previous.results());
    put("results", &|| Value::from(results));
    put("result_names", &names);
    put("statuses", &names);
    put("mode", &|| Value::from(Tuple::new(mode.iter().map(|word| Value::from(*word)).collect())));
    put("buildername", &|| Value::from(build.builder()));
    put("workername", &|| Value::from(build.property("workername").map_or("<unknown>".into(), |name| python_str(&name))));
    put("buildset", &|| document().get_attr("buildset").unwrap_or_default());
    put("build", &document);
    put("is_buildset", &|| Value::from(is_buildset));
    put("builds", &|| event.builds().iter().map(|build| build.document_value(want.words())).collect());
    put("projects", &|| Value::from(projects(&build.sourcestamps(), master)));
    put("previous_results", &|| Value::from(previous()));
    put("status_detected", &|| Value::from(status_detected(results, mode, &previous)));
    put("build_url", &|| Value::from(build.url()));
    put("buildbot_url", &|| Value::from(master.url.as_str()));
    put("buildbot_title", &|| Value::from(master.title.as_str()));
    put("blamelist", &|| Value::from(build.users()));
    put("changes", &|| build.changes_value());
    put("summary", &|| Value::from(summary(build)));
    put("sourcestamps", &|| Value::from(sourcestamps(&build.sourcestamps())));
    put("results_style", &|| Value::from_pairs(STYLES.iter().map(|(results, style)| (*results, *style))));
    context
}

/// CSS by result, for HTML.
const STYLES: [(u8, &str); 7] = [
    (0, ""),
    (1, "color: #b60"),
    (2, "color: #c00; font-weight: bold"),
    (3, "color: #06c"),
    (4, "color: #a0a; font-weight: bold"),
    (5, "color: #06c"),
    (6, "color: #06c"),
];

/// The projects of the source stamps, or the master's title.
pub fn projects(stamps: &[serde_json::Value], master: &MasterInfo) -> String {
    let projects = projects_of(stamps);
    if projects.is_empty() { master.title.clone() } else { projects.join(", ") }
}

/// The projects of the source stamps, sorted and unique.
pub fn projects_of(stamps: &[serde_json::Value]) -> Vec<String> {
    let projects: BTreeSet<String> = stamps.iter().map(|stamp| text(&stamp["project"])).filter(|project| !project.is_empty()).collect();
    projects.into_iter().collect()
}

/// What was detected, in Buildbot's words; `previous` is asked only if the mode makes a difference.
pub fn status_detected(results: Option<u8>, mode: &[&str], previous: &dyn Fn() -> Option<u8>) -> String {
    let differs = |from: u8| previous().is_some_and(|previous| previous != from);
    match results {
        Some(FAILURE) if (mode.contains(&"change") || mode.contains(&"problem")) && differs(FAILURE) => "new failure".into(),
        Some(FAILURE) => "failed build".into(),
        Some(WARNINGS) => "problem in the build".into(),
        Some(SUCCESS) if mode.contains(&"change") && differs(SUCCESS) => "restored build".into(),
        Some(SUCCESS) => "passing build".into(),
        Some(EXCEPTION) => "build exception".into(),
        other => format!("{} build", name(other)),
    }
}

/// One line: what came of it.
pub fn summary(build: &Build) -> String {
    let state = build.state_string();
    let with_state = |what: &str| if state.is_empty() { what.to_owned() } else { format!("{what}: {state}") };
    match build.results() {
        Some(SUCCESS) => "Build succeeded!".into(),
        Some(WARNINGS) => with_state("Build Had Warnings"),
        Some(CANCELLED) => "Build was cancelled".into(),
        _ => with_state("BUILD FAILED"),
    }
}

/// A line for each source stamp.
pub fn sourcestamps(stamps: &[serde_json::Value]) -> String {
    let text = |value: &serde_json::Value| one_line(&text(value));
    let line = |stamp: &serde_json::Value| {
        let codebase = Some(text(&stamp["codebase"])).filter(|codebase| !codebase.is_empty()).map(|codebase| format!(" '{codebase}'")).unwrap_or_default();
        let branch = Some(text(&stamp["branch"])).filter(|branch| !branch.is_empty()).map(|branch| format!("[branch {branch}] ")).unwrap_or_default();
        let revision = Some(text(&stamp["revision"])).filter(|revision| !revision.is_empty()).unwrap_or_else(|| "HEAD".into());
        let patch = if stamp["patch"].is_object() { " (plus patch)" } else { "" };
        format!("Build Source Stamp{codebase}: {branch}{revision}{patch}\n")
    };
    stamps.iter().map(line).collect()
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
