//! The arguments, and the plan that they make.

use reporter_sdk::endpoint::{Auth, BaseUrl, HttpSettings, Login};
use reporter_sdk::filter::FilterSettings;
use reporter_sdk::http;
use reporter_sdk::kinds::{EventsSetting, KINDS};
use reporter_sdk::message::{MessageFormatter, MessageFormatterSettings};
use reporter_sdk::missing::{MissingWorkerFormatter, MissingWorkerSettings};
use reporter_sdk::prelude::*;
use reporter_sdk::settings::{OneOrMany, Table};
use reporter_sdk::slot::{OnlyComponent, Slot};
use reporter_sdk::want::WantSettings;
use serde_json::{Value, json};

use crate::content::{Contents, Formatting};
use crate::{HttpStatusPush, Watched};

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "server";

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// The URL to post to
    server_url: String,
    /// The user for HTTP Basic authentication; not together with auth
    #[serde(default)]
    user: Option<String>,
    /// Its password
    #[serde(default)]
    password: Option<String>,
    /// How to authenticate: ["user", "password"], { basic = { user, password } }, { digest = { user, password } }, { bearer = "token" } or { oauth2 = { token_url, client_id, client_secret } }
    #[serde(default)]
    auth: Option<Auth>,
    /// Headers of every request
    #[serde(default)]
    headers: Table,
    /// A formatter component that makes the JSON
    #[serde(default, rename = "format_fn")]
    #[schemars(extend("x-slot" = "payload"))]
    format_fn: Option<Slot<OnlyComponent>>,
    /// What is posted instead of JSON: templates, or a formatter component that makes a message
    #[serde(default)]
    #[schemars(extend("x-slot" = "message"))]
    message_formatter: Option<Slot<MessageFormatterSettings>>,
    /// The same for missing workers
    #[serde(default)]
    #[schemars(extend("x-slot" = "missing-worker-message"))]
    message_formatter_missing_worker: Option<Slot<MissingWorkerSettings>>,
    #[serde(flatten)]
    filter: FilterSettings,
    #[serde(flatten)]
    want: WantSettings,
    /// Which logs have their contents in the JSON: true, false, or names ("stdio", "step.stdio"); needs wantSteps
    #[serde(default)]
    #[schemars(schema_with = "true_or_names")]
    want_logs_content: Option<WantContents>,
    #[serde(flatten)]
    events: EventsSetting,
    /// Workers that are reported when they go missing: "all", or names
    #[serde(default)]
    watched_workers: Option<OneOrMany<String>>,
    /// Accepted; the JSON is always UTF-8
    #[serde(default, rename = "skipEncoding")]
    _skip_encoding: bool,
    #[serde(flatten)]
    http: HttpSettings,
}

/// Who words events of builds, and who those of workers.
fn formatting(
    format_fn: Option<Slot<OnlyComponent>>,
    message: Option<Slot<MessageFormatterSettings>>,
    missing: Option<Slot<MissingWorkerSettings>>,
) -> Result<(Formatting, Formatting), Problems> {
    let mut problems = Problems::default();
    let of_workers = match missing {
        missing @ Some(_) => MissingWorkerFormatter::compile(missing).map(|formatter| Formatting::Worker(Box::new(formatter))),
        None if format_fn.is_some() => Ok(Formatting::Payload),
        None => Ok(Formatting::Plain),
    };
    let of_workers = problems.take(of_workers);
    let of_builds = match (format_fn, message) {
        (Some(_), Some(_)) => Err(Problems::at("/messageFormatter", "format_fn and messageFormatter both make the body: leave one of them out")),
        (Some(_), None) => Ok(Formatting::Payload),
        (None, Some(Slot::Component)) => Ok(Formatting::Message),
        (None, message @ Some(_)) => MessageFormatter::compile(message, false).map(Formatting::Templates),
        (None, None) => Ok(Formatting::Plain),
    };
    let of_builds = problems.take(of_builds);
    problems.or((of_builds, of_workers))
}

/// `wantLogsContent`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub enum WantContents {
    /// All or none.
    Switch(bool),
    /// These.
    Names(Vec<String>),
}

fn true_or_names(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({"type": ["boolean", "array"], "items": {"type": "string"}})
}

impl Settings {
    /// Checks everything, and makes the reporter and its plan.
    pub fn compile(self) -> Result<(HttpStatusPush, Plan), Problems> {
        let mut problems = Problems::default();
        let url = problems.take(BaseUrl::parse(&self.server_url, "/serverUrl"));
        let auth = problems.take(self.auth());
        let headers = problems.take(self.headers());
        let filter = problems.take(self.filter.compile(&[]));
        let contents = problems.take(self.contents());
        let events = problems.take(self.events.compile(&KINDS, self.default_events()));
        let watched = self.watched();
        let events = self.with_workers(events);
        let (formatting, of_workers) = problems.take(formatting(self.format_fn, self.message_formatter, self.message_formatter_missing_worker));
        let mut endpoint = url.endpoint(auth.as_ref(), &self.http);
        endpoint.insert("headers".into(), Value::Array(headers));
        let mut uses = contents.words().to_vec();
        if let Formatting::Templates(templates) = &formatting {
            uses.extend(templates.words().iter().filter(|word| !contents.words().contains(word)));
        }
        let plan = Plan::events(events).endpoint(ENDPOINT, "http", Value::Object(endpoint)).uses(uses);
        let query: Vec<Value> = url.query.iter().map(|(name, value)| json!([name, value])).collect();
        let body = json!({"json": json!({"summary": "{subject}", "message": "{text}"}).to_string()});
        let plan = plan.fallback(ENDPOINT, json!({"method": "POST", "path": [], "query": query, "body": body}));
        problems.or((HttpStatusPush { query: url.query, filter, contents, formatting, of_workers, watched }, plan))
    }

    fn auth(&self) -> Result<Option<Auth>, Problems> {
        match (&self.auth, &self.user, &self.password) {
            (Some(_), None, None) => Ok(self.auth.clone()),
            (Some(_), ..) => Err(Problems::at("/auth", "either user and password or auth: leave one of them out")),
            (None, Some(user), Some(password)) => Ok(Some(Auth::Basic(Login { user: user.clone(), password: password.clone() }))),
            (None, Some(_), None) => Err(Problems::at("/user", "a user without password: write password as well")),
            (None, None, Some(_)) => Err(Problems::at("/password", "a password without user: write user as well")),
            (None, None, None) => Ok(None),
        }
    }

    fn headers(&self) -> Result<Vec<Value>, Problems> {
        let mut problems = Problems::default();
        let mut headers = Vec::new();
        for (name, value) in &self.headers {
            let at = reporter_sdk::settings::pointer("/headers", name);
            let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
            match value {
                _ if name.is_empty() || !name.chars().all(token) => problems.add(at, format!("{name:?} is no name of a header")),
                _ if http::is_of_the_host(name) => problems.add(at, format!("{name} is written by the host: leave it out")),
                Value::String(text) if text.contains(['\r', '\n', '\0']) => problems.add(at, "a header is one line"),
                Value::String(text) => headers.push(json!([name, text])),
                _ => problems.add(at, "the value of a header is a text"),
            }
        }
        problems.or(headers)
    }

    fn contents(&self) -> Result<Contents, Problems> {
        let want = self.want.compile(false, "")?;
        let logs = self.want.want_logs.unwrap_or(false);
        let steps = self.want.want_steps.unwrap_or(false);
        if self.want_logs_content.as_ref().is_some_and(|want| *want != WantContents::Switch(false)) && !steps {
            return Err(Problems::at("/wantLogsContent", "logs stand in steps: write wantSteps = true as well"));
        }
        Ok(match &self.want_logs_content {
            None => Contents::new(want.words(), logs, None),
            Some(WantContents::Switch(all)) => Contents::new(want.words(), *all, None),
            Some(WantContents::Names(names)) => Contents::new(want.words(), true, Some(names.clone())),
        })
    }

    fn default_events(&self) -> &'static [&'static str] {
        if self.filter.build_set_summary { &["buildset-complete"] } else { &["build-started", "build-finished"] }
    }

    fn with_workers(&self, mut events: Vec<String>) -> Vec<String> {
        if self.watched_workers.is_some() && !events.iter().any(|kind| kind.starts_with("worker-")) {
            events.push("worker-missing".into());
        }
        events
    }

    fn watched(&self) -> Watched {
        match &self.watched_workers {
            Some(names) if names.list || names.first().is_none_or(|name| name != "all") => Watched::Names(names.items.clone()),
            _ => Watched::All,
        }
    }
}
