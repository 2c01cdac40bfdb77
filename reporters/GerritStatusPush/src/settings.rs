//! The arguments, and the plan that they make.

use reporter_sdk::filter::BuildersSetting;
use reporter_sdk::kinds::EventsSetting;
use reporter_sdk::prelude::*;
use reporter_sdk::slot::Slot;
use reporter_sdk::ssh::SshSettings;
use reporter_sdk::want::WantSettings;
use serde_json::Value;

use crate::GerritStatusPush;
use crate::callback::{Callback, CallbackSetting, When};
use crate::dialect::{REVIEW, VERSION};

/// The endpoint's name in the plan.
pub const ENDPOINT: &str = "gerrit";

/// Gerrit's port for SSH.
const PORT: u16 = 29418;

/// Kinds of event that it can report, and the callback for each.
pub const EVENTS: [(&str, When); 5] = [
    ("buildset-complete", When::Summary),
    ("build-started", When::Start),
    ("build-finished", When::End),
    ("buildrequest-new", When::Start),
    ("buildrequest-cancelled", When::End),
];

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Settings {
    /// The Gerrit server's name or address
    server: String,
    /// Who logs in there
    username: String,
    /// The port of its SSH server (default 29418)
    #[serde(default)]
    port: Option<u16>,
    /// The file of the private key to log in with; without it, those in ~/.ssh
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    identity_file: Option<String>,
    /// Instead of identity_file: the private key itself, { secret = "…" }
    #[serde(default)]
    identity: Option<String>,
    /// What the private key is encrypted with
    #[serde(default)]
    identity_passphrase: Option<String>,
    /// The file with the server's key, in OpenSSH's form (default ~/.ssh/known_hosts)
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    known_hosts: Option<String>,
    /// What is said when a build ends: { message = "…", labels = { … } }, a formatter component, or "default"
    #[serde(default, rename = "reviewCB")]
    #[schemars(extend("x-slot" = "review"))]
    review_cb: Option<Slot<CallbackSetting>>,
    /// What is said when a build starts: { message = "…", labels = { … } }, or a formatter component
    #[serde(default, rename = "startCB")]
    #[schemars(extend("x-slot" = "review-start"))]
    start_cb: Option<Slot<CallbackSetting>>,
    /// What is said when all builds of a set have ended: { message = "…", labels = { … } }, a formatter component, or "default"; without it and reviewCB, the default
    #[serde(default, rename = "summaryCB")]
    #[schemars(extend("x-slot" = "review-summary"))]
    summary_cb: Option<Slot<CallbackSetting>>,
    /// Any value, which reviewCB sees as arg
    #[serde(default, rename = "reviewArg")]
    review_arg: Option<Value>,
    /// Any value, which startCB sees as arg
    #[serde(default, rename = "startArg")]
    start_arg: Option<Value>,
    /// Any value, which summaryCB sees as arg
    #[serde(default, rename = "summaryArg")]
    summary_arg: Option<Value>,
    /// Whom Gerrit tells: NONE, OWNER, OWNER_REVIEWERS, ALL, as far as its version knows them
    #[serde(default)]
    notify: Option<String>,
    #[serde(flatten)]
    builders: BuildersSetting,
    #[serde(flatten)]
    events: EventsSetting,
    #[serde(flatten)]
    want: WantSettings,
}

impl Settings {
    /// Checks everything, and makes the reporter and its plan.
    pub fn compile(mut self) -> Result<(GerritStatusPush, Plan), Problems> {
        let mut problems = Problems::default();
        self.check_server(&mut problems);
        let want = problems.take(self.want.compile(true, ""));
        let ssh = SshSettings {
            host: self.server.trim().to_owned(),
            port: self.port.unwrap_or(PORT),
            user: self.username.clone(),
            identity_file: self.identity_file.take(),
            identity: self.identity.take(),
            passphrase: self.identity_passphrase.take(),
            known_hosts: self.known_hosts.take(),
            commands: vec![REVIEW],
            queries: vec![VERSION],
        };
        let (mut start, mut review, mut summary) = (None, None, None);
        let neither = self.review_cb.is_none() && self.summary_cb.is_none();
        if neither {
            summary = Some(Callback::built_in(When::Summary, self.summary_arg.take()));
        }
        for (when, setting, arg, place) in [
            (When::Start, self.start_cb.take(), self.start_arg.take(), &mut start),
            (When::End, self.review_cb.take(), self.review_arg.take(), &mut review),
            (When::Summary, self.summary_cb.take(), self.summary_arg.take(), &mut summary),
        ] {
            let Some(setting) = setting else { continue };
            match Callback::compile(when, setting, arg) {
                Ok(callback) => *place = Some(callback),
                Err(found) => problems.0.extend(found.0),
            }
        }
        let (notify, filter) = (self.notify.take(), std::mem::take(&mut self.builders).into());
        let reporter = GerritStatusPush { start, review, summary, notify, filter, want: want.words().to_vec() };
        let events = problems.take(events(&self.events, &reporter, neither));
        let plan = Plan::events(events).endpoint(ENDPOINT, "ssh", ssh.endpoint()).uses(reporter.want.iter().copied().chain(["state"]));
        problems.or((reporter, plan))
    }

    fn check_server(&self, problems: &mut Problems) {
        let server = self.server.trim();
        let bare = server.split_once("://").map_or(server, |(_, rest)| rest).split('/').next().unwrap_or_default();
        let bare = bare.rsplit_once('@').map_or(bare, |(_, rest)| rest);
        // An address of IPv6 has colons too.
        let (name, port) = bare.split_once(':').filter(|(_, port)| !port.contains(':')).unwrap_or((bare, ""));
        if name != server {
            let port = if port.is_empty() { String::new() } else { format!(" and port = {port}") };
            problems.add("/server", format!("this is a name or an address alone: write server = \"{name}\"{port}"));
        } else if server.is_empty() || server.contains(|c: char| c.is_whitespace() || c.is_control()) {
            problems.add("/server", "write the server's name: server = \"gerrit.example.org\"");
        }
        if self.username.trim().is_empty() {
            problems.add("/username", "write the name of the account: username = \"buildbot\"");
        }
        if self.identity.is_some() && self.identity_file.is_some() {
            problems.add("/identity", "the key is either in identity_file or in identity: leave one of them out");
        }
        if self.notify.as_ref().is_some_and(|notify| notify.is_empty() || !notify.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')) {
            problems.add("/notify", "write one of Gerrit's words: NONE, OWNER, OWNER_REVIEWERS or ALL");
        }
    }
}

/// The kinds of event: as written, or those of the callbacks.
fn events(setting: &EventsSetting, reporter: &GerritStatusPush, neither: bool) -> Result<Vec<String>, Problems> {
    let possible = EVENTS.map(|(kind, _)| kind);
    let default: Vec<&str> =
        EVENTS.iter().filter(|(kind, when)| !kind.starts_with("buildrequest-") && reporter.callback(*when).is_some()).map(|(kind, _)| *kind).collect();
    let events = setting.compile(&possible, &default)?;
    let mut problems = Problems::default();
    let called = |when: When| EVENTS.iter().any(|(kind, for_it)| *for_it == when && events.iter().any(|event| event == kind));
    for when in [When::Start, When::End, When::Summary] {
        let name = when.setting();
        match (reporter.callback(when).is_some(), called(when)) {
            // Nobody wrote it, and what is written instead has its own message.
            (true, false) if when == When::Summary && neither => {}
            (true, false) => problems.add("/events", format!("{name} would never be called: leave it out, or add its event")),
            (false, true) => problems.add("/events", format!("there is nothing to say about them: write {name}")),
            _ => {}
        }
    }
    problems.or(events)
}
