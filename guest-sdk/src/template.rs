//! Message templates: settings, compiled once; rendered for each event.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::Environment;
use minijinja::value::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::component::{Failure, Problems};
use crate::jinja;
use crate::settings::{FileText, Folder, Table};

/// The arguments that MessageFormatter and MessageFormatterMissingWorker share. Flatten them into settings.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
pub struct TemplateSettings {
    /// A folder of templates, which may include each other
    #[serde(default)]
    pub template_dir: Option<Folder>,
    /// The file in template_dir that is the body
    #[serde(default)]
    pub template_filename: Option<String>,
    /// The body's template
    #[serde(default)]
    pub template: Option<String>,
    /// A file that is the body's template
    #[serde(default)]
    pub template_file: Option<FileText>,
    /// The file in template_dir that is the subject
    #[serde(default)]
    pub subject_filename: Option<String>,
    /// The subject's template; without it, the reporter's own subject
    #[serde(default)]
    pub subject: Option<String>,
    /// plain, html (values are escaped), or both: a mail has the two forms
    #[serde(default)]
    pub template_type: TemplateType,
    /// Of both, the file in template_dir that is the HTML form
    #[serde(default)]
    pub html_template_filename: Option<String>,
    /// Of both, the HTML form's template
    #[serde(default)]
    pub html_template: Option<String>,
    /// Of both, a file that is the HTML form's template
    #[serde(default)]
    pub html_template_file: Option<FileText>,
    /// Additional variables for the templates
    #[serde(default)]
    pub ctx: Table,
}

/// What a template produces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum TemplateType {
    /// Plain text.
    #[default]
    Plain,
    /// HTML; values are escaped.
    Html,
    /// Plain text with HTML beside it, of which a mail program shows what it can.
    Both,
}

impl TemplateType {
    /// `plain` or `html`: what the body is by itself.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain | Self::Both => "plain",
            Self::Html => "html",
        }
    }
}

/// The built-in texts of a formatter.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// Plain body.
    pub plain: &'static str,
    /// HTML body.
    pub html: &'static str,
    /// File names that Buildbot has for its own texts; they mean these here.
    pub names: &'static [&'static str],
    /// Variables that are made only if a template may use them.
    pub variables: &'static [&'static str],
}

/// A body and perhaps a subject, compiled.
#[derive(Debug)]
pub struct Templates {
    env: Environment<'static>,
    body: String,
    /// Where the subject is, if not in `env`.
    subjects: Option<Environment<'static>>,
    subject: Option<String>,
    kind: TemplateType,
    ctx: Table,
    uses: BTreeSet<&'static str>,
    own: bool,
    /// The HTML form beside this plain one.
    html: Option<Box<Templates>>,
}

/// What templates came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Rendered {
    /// The body.
    pub body: String,
    /// The same in HTML, if there are both forms.
    pub html: Option<String>,
    /// The subject, one line.
    pub subject: Option<String>,
}

const BODY: &str = "template";
const SUBJECT: &str = "subject";

impl Templates {
    /// Compiles; `at` is the pointer to the table that has these arguments.
    ///
    /// # Errors
    ///
    /// Arguments that exclude each other, files that are not there, templates that do not parse.
    pub fn compile(mut settings: TemplateSettings, defaults: Defaults, at: &str) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let html = problems.take(Self::html_form(&mut settings, defaults, at));
        let ends = if settings.template_type == TemplateType::Both { ".txt" } else { "" };
        match Self::form(settings, defaults, at, ends) {
            Ok(form) => problems.or(Self { html, ..form }),
            Err(found) => {
                problems.0.extend(found.0);
                Err(problems)
            }
        }
    }

    /// One form; the names of its built-in text end in `ends`.
    fn form(settings: TemplateSettings, defaults: Defaults, at: &str, ends: &str) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let sources = [settings.template.is_some(), settings.template_file.is_some(), settings.template_dir.is_some()];
        if sources.iter().filter(|given| **given).count() > 1 {
            problems.add(format!("{at}/template_dir"), "write only one of template, template_file and template_dir");
        }
        let from_files = settings.template_dir.is_some() || settings.template_file.is_some();
        let mut env = jinja::environment(settings.template_type == TemplateType::Html, from_files);
        let files = settings.template_dir.unwrap_or_default().0;
        for (name, text) in &files {
            if let Err(error) = env.add_template_owned(name.clone(), text.clone()) {
                problems.add(format!("{at}/template_dir"), format!("{name} {}", jinja::explain(&error)));
            }
        }
        // A subject is a line of text, also of an HTML mail; and so is what it includes.
        let mut subjects = (settings.template_type == TemplateType::Html && (settings.subject.is_some() || settings.subject_filename.is_some())).then(|| {
            let mut subjects = jinja::environment(false, from_files);
            for (name, text) in &files {
                // What does not parse was noted above.
                let _ = subjects.add_template_owned(name.clone(), text.clone());
            }
            subjects
        });
        let default = match settings.template_type {
            TemplateType::Plain | TemplateType::Both => defaults.plain,
            TemplateType::Html => defaults.html,
        };
        let mut own = true;
        let body = match (settings.template_filename, settings.template, settings.template_file) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => {
                problems
                    .add(format!("{at}/template_filename"), "template_filename names a file of template_dir: leave it out beside template or template_file");
                BODY.into()
            }
            (Some(name), ..) if files.contains_key(&name) => name,
            (Some(name), ..) if defaults.names.contains(&name.as_str()) && name.ends_with(ends) => {
                own = false;
                add(&mut env, BODY, default.into(), format!("{at}/template_filename"), &mut problems)
            }
            (Some(name), ..) => {
                let there: Vec<&str> = files.keys().map(String::as_str).collect();
                let there = if there.is_empty() { "write template_dir as well".to_owned() } else { format!("there are {}", there.join(", ")) };
                problems.add(format!("{at}/template_filename"), format!("there is no {name} in template_dir: {there}"));
                BODY.into()
            }
            (None, Some(text), _) => add(&mut env, BODY, text, format!("{at}/template"), &mut problems),
            (None, None, Some(text)) => add(&mut env, BODY, text.0, format!("{at}/template_file"), &mut problems),
            (None, None, None) => match defaults.names.iter().find(|name| files.contains_key(**name) && name.ends_with(ends)) {
                Some(name) => (*name).into(),
                None => {
                    own = false;
                    add(&mut env, BODY, default.into(), at.into(), &mut problems)
                }
            },
        };
        let subject = match (settings.subject_filename, settings.subject) {
            (Some(_), Some(_)) => {
                problems.add(format!("{at}/subject"), "write only one of subject and subject_filename");
                None
            }
            (Some(name), None) if files.contains_key(&name) => Some(name),
            (Some(name), None) => {
                problems.add(format!("{at}/subject_filename"), format!("there is no {name} in template_dir"));
                None
            }
            (None, Some(text)) => Some(add(subjects.as_mut().unwrap_or(&mut env), SUBJECT, text, format!("{at}/subject"), &mut problems)),
            (None, None) => None,
        };
        problems.or(())?;
        let mut uses = BTreeSet::new();
        for env in [Some(&mut env), subjects.as_mut()].into_iter().flatten() {
            let sources: Vec<String> = env.templates().map(|(_, template)| template.source().to_owned()).collect();
            for source in &sources {
                uses.extend(words(source).filter_map(|word| defaults.variables.iter().find(|name| **name == word)));
                jinja::add_named(env, words(source));
            }
        }
        Ok(Self { env, body, subjects, subject, kind: settings.template_type, ctx: settings.ctx, uses, own, html: None })
    }

    /// The HTML form that stands beside the plain one, if both are wanted.
    fn html_form(settings: &mut TemplateSettings, defaults: Defaults, at: &str) -> Result<Option<Box<Self>>, Problems> {
        let in_folder = settings.html_template.is_none() && settings.html_template_file.is_none();
        let html = TemplateSettings {
            template_dir: settings.template_dir.clone().filter(|_| in_folder),
            template_filename: settings.html_template_filename.take(),
            template: settings.html_template.take(),
            template_file: settings.html_template_file.take(),
            template_type: TemplateType::Html,
            ctx: settings.ctx.clone(),
            ..TemplateSettings::default()
        };
        let given = [
            (html.template_filename.is_some(), "html_template_filename"),
            (html.template.is_some(), "html_template"),
            (html.template_file.is_some(), "html_template_file"),
        ];
        if settings.template_type != TemplateType::Both {
            let mut problems = Problems::default();
            for (_, name) in given.into_iter().filter(|(given, _)| *given) {
                problems.add(format!("{at}/{name}"), "this is one of two forms of a mail: write template_type = \"both\" as well");
            }
            return problems.or(None);
        }
        let of_folder =
            html.template_dir.as_ref().is_some_and(|folder| defaults.names.iter().any(|name| name.ends_with(".html") && folder.0.contains_key(*name)));
        let plain_is_own = settings.template.is_some() || settings.template_file.is_some() || settings.template_filename.is_some();
        if plain_is_own && !of_folder && given.iter().all(|(given, _)| !given) {
            return Err(Problems::at(
                format!("{at}/template_type"),
                "of both, the HTML form is not there: write html_template, html_template_file or html_template_filename",
            ));
        }
        let of_html = Self::form(html, defaults, at, ".html").map_err(|mut problems| {
            // Files that do not parse are told of with the plain form.
            problems.0.retain(|problem| !problem.at.ends_with("/template_dir"));
            for problem in &mut problems.0 {
                problem.at = problem.at.replace("/template", "/html_template");
            }
            problems
        });
        match of_html {
            Err(problems) if problems.0.is_empty() => Ok(None),
            other => other.map(|html| Some(Box::new(html))),
        }
    }

    /// Whether a template may use this variable of the context.
    pub fn uses(&self, variable: &str) -> bool {
        self.uses.contains(variable) || self.html.as_ref().is_some_and(|html| html.uses(variable))
    }

    /// Whether the body is the operator's in each form, and not the built-in one.
    pub fn is_own(&self) -> bool {
        self.own && self.html.as_ref().is_none_or(|html| html.own)
    }

    /// What the body is.
    pub fn kind(&self) -> TemplateType {
        self.kind
    }

    /// Body, its HTML form and subject for a context; `ctx` of the settings goes over it.
    ///
    /// # Errors
    ///
    /// The template's name, line and what is wrong.
    pub fn render(&self, mut context: BTreeMap<String, Value>) -> Result<Rendered, Failure> {
        for (key, value) in &self.ctx {
            context.insert(key.clone(), value_of(value));
        }
        let context = Value::from_pairs(context);
        let body = text(&self.env, &self.body, &context)?;
        let subjects = self.subjects.as_ref().unwrap_or(&self.env);
        let subject = self.subject.as_deref().map(|name| text(subjects, name, &context)).transpose()?;
        // A subject is one line, however its template is laid out.
        let subject = subject.map(|subject| subject.split_whitespace().collect::<Vec<_>>().join(" "));
        let html = self.html.as_ref().map(|html| text(&html.env, &html.body, &context)).transpose()?;
        Ok(Rendered { body, html, subject })
    }
}

fn text(env: &Environment<'_>, name: &str, context: &Value) -> Result<String, Failure> {
    let rendered = env.get_template(name).and_then(|template| template.render(context.clone()));
    rendered.map_err(|error| Failure::for_good(format!("{} {}", error.name().unwrap_or(name), jinja::explain(&error))))
}

/// Every word of a template from its first tag on: what it uses is among them. Parsing it for exactly that would cost as
/// much as compiling it.
pub(crate) fn words(source: &str) -> impl Iterator<Item = &str> {
    let begin = source.find("{{").into_iter().chain(source.find("{%")).min().unwrap_or(source.len());
    source[begin..].split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
}

fn add(env: &mut Environment<'static>, name: &str, text: String, at: String, problems: &mut Problems) -> String {
    if let Err(error) = env.add_template_owned(name.to_owned(), text) {
        problems.add(at, jinja::explain(&error));
    }
    name.into()
}

/// A JSON value for a template.
pub fn value_of(json: &serde_json::Value) -> Value {
    Value::from(minijinja::value::Serde(json))
}
