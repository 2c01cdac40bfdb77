//! The arguments of MailNotifier.

use std::borrow::Cow;
use std::collections::BTreeMap;

use reporter_sdk::amount::{Bytes, Seconds};
use reporter_sdk::component::Problems;
use reporter_sdk::endpoint::Verify;
use reporter_sdk::filter::FilterSettings;
use reporter_sdk::interpolate::Interpolate;
use reporter_sdk::message::MessageFormatterSettings;
use reporter_sdk::missing::MissingWorkerSettings;
use reporter_sdk::settings::OneOrMany;
use reporter_sdk::slot::{OnlyComponent, Slot};
use reporter_sdk::watched::WatchedWorkers;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::address;
use crate::thread::Threads;

/// What the operator writes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// Whom the mail is from: an address, or a name and an address
    pub fromaddr: String,
    /// Whether the people responsible for a build get its mail (default true)
    #[serde(default = "yes")]
    pub send_to_interested_users: bool,
    /// Addresses that get every mail
    #[serde(default)]
    pub extra_recipients: Option<OneOrMany<String>>,
    /// Addresses that get every mail about builds without being named in it
    #[serde(default)]
    pub bcc: Option<OneOrMany<String>>,
    /// The subject, with %(builder)s, %(result)s, %(title)s, %(projectName)s
    #[serde(default)]
    pub subject: Option<String>,
    /// mode, builders, tags, schedulers, branches, buildSetSummary
    #[serde(flatten)]
    pub filter: FilterSettings,
    /// Which logs are attached: true for all, or names as log or step.log
    #[serde(default)]
    pub add_logs: AddLogs,
    /// How large a mail may be, as "10 MB" (default); attached logs are cut to that, and the mail says so
    #[serde(default = "max_mail_size")]
    pub max_mail_size: Bytes,
    /// Whether the patch of a try build is attached (default true)
    #[serde(default = "yes")]
    pub add_patch: bool,
    /// The host that takes the mail (default localhost)
    #[serde(default = "localhost")]
    pub relayhost: String,
    /// Its port (default 25)
    #[serde(default = "smtp")]
    pub smtp_port: u16,
    /// Whether STARTTLS is required
    #[serde(default)]
    pub use_tls: bool,
    /// Whether the connection is TLS from its first byte (port 465)
    #[serde(default)]
    pub use_smtps: bool,
    /// The user to log in as
    #[serde(default)]
    pub smtp_user: Option<String>,
    /// That user's password: { secret = "name" }
    #[serde(default)]
    pub smtp_password: Option<String>,
    /// false: the relay's certificate is not verified; or the PEM file of the authorities to trust
    #[serde(default)]
    pub verify: Option<Verify>,
    /// How a user becomes an address: a domain, a table of users, or a component
    #[serde(default)]
    #[schemars(extend("x-slot" = "lookup"))]
    pub lookup: Option<Slot<Lookup>>,
    /// What the mail says
    #[serde(default)]
    #[schemars(extend("x-slot" = "message"))]
    pub message_formatter: Option<Slot<MessageFormatterSettings>>,
    /// Additional variables for the templates, from a component
    #[serde(default)]
    #[schemars(extend("x-slot" = "context"))]
    pub build_additional_context: Option<Slot<OnlyComponent>>,
    /// Who is responsible for a build, from a component
    #[serde(default)]
    #[schemars(extend("x-slot" = "users"))]
    pub get_responsible_users_for_build: Option<Slot<OnlyComponent>>,
    /// Who gets the mail about a build, from a component
    #[serde(default)]
    #[schemars(extend("x-slot" = "recipients"))]
    pub get_recipients: Option<Slot<OnlyComponent>>,
    /// Further headers; names and values may have %(prop:NAME)s
    #[serde(default)]
    pub extra_headers: BTreeMap<String, Interpolate>,
    /// What makes a thread in the mail program: builder or change; without it, nothing does
    #[serde(default)]
    pub threads: Option<Threads>,
    /// The List-Id header, by which mails are sorted: builds.example.org; may have %(prop:NAME)s
    #[serde(default)]
    pub list_id: Option<Interpolate>,
    /// Collects what is to be told for so long, as "1 h", and sends each person one mail; without it, each mail goes at once
    #[serde(default)]
    pub digest: Option<Seconds>,
    /// Names of workers that are watched, or "all" (default); false for none
    #[serde(default)]
    pub watched_workers: WatchedWorkers,
    /// What the mail about a missing worker says
    #[serde(default)]
    #[schemars(extend("x-slot" = "missing-worker-message"))]
    pub message_formatter_missing_worker: Option<Slot<MissingWorkerSettings>>,
    /// The same as messageFormatterMissingWorker
    #[serde(default)]
    #[schemars(extend("x-slot" = "missing-worker-message"))]
    pub message_formatter_missing_workers: Option<Slot<MissingWorkerSettings>>,
    /// Whether those who were told that a worker is missing are told that it is back (default false)
    #[serde(default)]
    pub worker_back: bool,
    /// Whether every mail is logged as a whole
    #[serde(default)]
    pub dump_mails_to_log: bool,
    /// Whether the log says who was left out
    #[serde(default)]
    pub verbose: bool,
    /// Whether the log says more
    #[serde(default)]
    pub debug: bool,
}

fn yes() -> bool {
    true
}

fn max_mail_size() -> Bytes {
    Bytes(10_000_000)
}

fn localhost() -> String {
    "localhost".into()
}

fn smtp() -> u16 {
    25
}

/// The addresses of the setting at this pointer.
///
/// # Errors
///
/// Those that are none, each with its place.
pub fn addresses(setting: Option<OneOrMany<String>>, pointer: &str) -> Result<Vec<String>, Problems> {
    let mut problems = Problems::default();
    let OneOrMany { items, list } = setting.unwrap_or_default();
    for (n, address) in items.iter().enumerate().filter(|(_, address)| !address::is_valid(address)) {
        let at = if list { format!("{pointer}/{n}") } else { pointer.into() };
        problems.add(at, format!("{address:?} is no address: write \"list@example.org\" or \"The list <list@example.org>\""));
    }
    problems.or(items)
}

/// `addLogs`
#[derive(Clone, Debug, Default, PartialEq)]
pub enum AddLogs {
    /// None.
    #[default]
    None,
    /// All.
    All,
    /// These, `log` or `step.log`.
    Named(Vec<String>),
}

impl AddLogs {
    /// Whether a log is attached.
    pub fn includes(&self, step: &str, log: &str) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Named(names) => names.iter().any(|name| name == log || name.strip_prefix(step).and_then(|rest| rest.strip_prefix('.')) == Some(log)),
        }
    }
}

impl<'de> Deserialize<'de> for AddLogs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Bool(false) => Ok(Self::None),
            Value::Bool(true) => Ok(Self::All),
            names => OneOrMany::<String>::deserialize(names)
                .map(|names| Self::Named(names.items))
                .map_err(|_| D::Error::custom("write true, false, or a list of names: [\"stdio\", \"compile.errors\"]")),
        }
    }
}

impl JsonSchema for AddLogs {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "AddLogs".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["boolean", "string", "array"], "items": {"type": "string"}})
    }
}

/// `lookup`, unless a component does it.
#[derive(Clone, Debug, PartialEq)]
pub enum Lookup {
    /// Users without `@` are at this domain.
    Domain(String),
    /// User → address.
    Table(BTreeMap<String, String>),
}

impl<'de> Deserialize<'de> for Lookup {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(domain) if domain.is_empty() || domain.contains('@') || domain.contains(char::is_whitespace) => {
                Err(D::Error::custom(format!("{domain:?} is no domain: write \"example.org\"")))
            }
            Value::String(domain) => Ok(Self::Domain(domain)),
            table @ Value::Object(_) => serde_json::from_value(table).map(Self::Table).map_err(D::Error::custom),
            _ => Err(D::Error::custom("write a domain (\"example.org\"), a table ({ bob = \"bob@example.org\" }), or { component = \"lookup.wasm\" }")),
        }
    }
}

impl JsonSchema for Lookup {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Lookup".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": ["string", "object"], "additionalProperties": {"type": "string"}})
    }
}
