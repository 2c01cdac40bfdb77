//! MessageFormatterMissingWorker: what a message about a missing worker says.

use std::collections::BTreeMap;

use minijinja::value::Value;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::component::{Failure, Problems};
use crate::event::{Event, Subjects};
use crate::message::Message;
use crate::slot::{Context, Slot, ask};
use crate::template::{Defaults, Rendered, TemplateSettings, TemplateType, Templates, value_of};

/// `messageFormatterMissingWorker = { … }`
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MissingWorkerSettings {
    /// The templates
    #[serde(flatten)]
    pub templates: TemplateSettings,
}

/// The compiled `messageFormatterMissingWorker` of a reporter.
#[derive(Debug)]
pub struct MissingWorkerFormatter(How, TemplateType);

#[derive(Debug)]
enum How {
    Component,
    Templates(Box<Templates>),
    /// The built-in text: compiled when a worker goes missing, which is rare.
    BuiltIn,
}

const AT: &str = "/messageFormatterMissingWorker";

const DEFAULTS: Defaults = Defaults {
    plain: include_str!("message/worker.txt"),
    html: include_str!("message/worker.html"),
    names: &["missing_mail.txt", "missing_mail.html", "missing_notification.txt"],
    variables: &[],
};

/// When it is back.
const BACK: Defaults = Defaults { plain: include_str!("message/back.txt"), html: include_str!("message/back.html"), names: &[], variables: &[] };

impl MissingWorkerFormatter {
    /// Compiles the setting `messageFormatterMissingWorker`.
    ///
    /// # Errors
    ///
    /// Everything wrong in it.
    pub fn compile(setting: Option<Slot<MissingWorkerSettings>>) -> Result<Self, Problems> {
        let settings = match setting {
            Some(Slot::Component) => return Ok(Self(How::Component, TemplateType::Plain)),
            Some(Slot::Own(settings)) => settings,
            None => return Ok(Self(How::BuiltIn, TemplateType::Plain)),
        };
        let kind = settings.templates.template_type;
        Templates::compile(settings.templates, DEFAULTS, AT).map(|templates| Self(How::Templates(Box::new(templates)), kind))
    }

    /// The message about the event's worker, which is missing or back; its subject is always there. That it is back is the built-in text,
    /// unless a component words it: a template is about one that is missing.
    ///
    /// # Errors
    ///
    /// A template or a component that failed, or an event without a worker.
    pub fn worker(&self, event: &Event) -> Result<Message, Failure> {
        let worker = event.worker().ok_or_else(|| Failure::for_good("there is no worker in this event"))?;
        let master = event.master();
        let name = worker.name();
        let by_templates = |templates: &Templates| {
            let context = BTreeMap::from([
                ("buildbot_title".to_owned(), Value::from(master.title.as_str())),
                ("buildbot_url".to_owned(), Value::from(master.url.as_str())),
                ("worker".to_owned(), value_of(&worker.document())),
            ]);
            let Rendered { body, html, subject } = templates.render(context)?;
            Ok(Message { body, subject, kind: templates.kind(), html, extra_info: serde_json::Value::Null })
        };
        let built_in = |defaults: Defaults, template_type: TemplateType| {
            let settings = TemplateSettings { template_type, ..TemplateSettings::default() };
            by_templates(&Templates::compile(settings, defaults, AT).map_err(|problems| Failure::for_good(problems.to_string()))?)
        };
        let back = event.kind() == "worker-connected";
        let mut message = match &self.0 {
            How::Templates(_) | How::BuiltIn if back => built_in(BACK, self.1)?,
            How::Templates(templates) => by_templates(templates)?,
            How::BuiltIn => built_in(DEFAULTS, TemplateType::Plain)?,
            How::Component => {
                let context = Context::default().with("event", event.kind()).with("buildbot_title", master.title).with("buildbot_url", master.url);
                Message::from_document(&ask("missing-worker-message", Subjects::Worker(worker), context)?.0)?
            }
        };
        message.subject.get_or_insert_with(|| format!("Buildbot worker {name} {}", if back { "is back" } else { "missing" }));
        Ok(message)
    }
}
