//! The arguments, and the plan that they make.

use reporter_sdk::chat::{Authz, Bot, EventWord, User};
use reporter_sdk::endpoint::Verify;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::settings::{OneOrMany, Table};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use crate::IrcBot;
use crate::present::{ENDPOINT, Irc, fold, is_channel};

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Settings {
    /// The IRC server's name or address
    host: String,
    /// The bot's nick
    nick: String,
    /// Channels to join: "#name", or { channel = "#name", password = … }
    channels: Vec<ChannelSetting>,
    /// Nicks that are told what notify_events says
    #[serde(default, rename = "pm_to_nicks")]
    pm_to_nicks: Option<OneOrMany<String>>,
    /// The server's port (default 6667)
    #[serde(default)]
    port: Option<u16>,
    /// Tags: only builders that have one of them are spoken of
    #[serde(default)]
    tags: Option<OneOrMany<String>>,
    /// The account's password: goes to SASL or NickServ; where SASL is not used and serverPassword not given, to the server as well
    #[serde(default)]
    password: Option<String>,
    /// The server's own password, where it has one that is not the account's
    #[serde(default)]
    server_password: Option<String>,
    /// How NickServ is addressed (default "NickServ", whoever has that nick): "NickServ@services.example.org" is nobody else
    #[serde(default)]
    nickserv: Option<String>,
    /// Events that are announced in the channels: started, finished, success, warnings, failure, exception, cancelled, problem, recovery, worse, better, worker, or a change as failureToSuccess
    #[serde(default, rename = "notify_events")]
    notify_events: Option<OneOrMany<String>>,
    /// Whether channels are sent notices instead of messages (default false)
    #[serde(default)]
    notice_on_channel: bool,
    /// Whether the authors of changes are named when a build does not succeed (default false)
    #[serde(default)]
    show_blame_list: bool,
    /// Whether a build is named by its revisions instead of its number (default false)
    #[serde(default)]
    use_revisions: bool,
    /// Whether the connection is encrypted (default false)
    #[serde(default, rename = "useSSL")]
    use_ssl: bool,
    /// Whether SASL is used: true: or nothing; false: never; without it, if the server offers it
    #[serde(default, rename = "useSASL")]
    use_sasl: Option<bool>,
    /// Seconds before a lost connection is made again, 1 at least (default: a random number from 1 to 5)
    #[serde(default)]
    lost_delay: Option<u32>,
    /// Seconds before a connection that failed is tried again, 1 at least (default: a random number from 45 to 60)
    #[serde(default)]
    failed_delay: Option<u32>,
    /// Whether results have colours (default true)
    #[serde(default)]
    use_colors: Option<bool>,
    /// Who may use which commands: a table of commands ("force, stop"; "" for harmless ones, "!" for dangerous ones, "*" for all) and true, false, a nick or a list of nicks
    #[serde(default)]
    authz: Option<Table>,
    /// Deprecated: true is authz = { "force, stop" = true }
    #[serde(default)]
    allow_force: Option<bool>,
    /// Deprecated: true is authz = { shutdown = true }
    #[serde(default)]
    allow_shutdown: Option<bool>,
    /// Whether the names in authz are services accounts where the server tells them (default true)
    #[serde(default)]
    use_accounts: Option<bool>,
    /// false: the certificate of the server is not verified; or the PEM file of the authorities to trust
    #[serde(default)]
    verify: Option<Verify>,
    /// The PEM file of a client certificate, for SASL EXTERNAL
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    client_certificate: Option<String>,
    /// The PEM file of its key
    #[serde(default)]
    #[schemars(extend("format" = "path"))]
    client_key: Option<String>,
    /// Seconds between two lines, after a burst of five (default 1)
    #[serde(default)]
    line_rate: Option<f64>,
    /// Whether every call is logged
    #[serde(default)]
    debug: bool,
    /// Whether every success is logged
    #[serde(default)]
    verbose: bool,
}

/// `"#name"`, or a table with the channel's password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSetting {
    channel: String,
    password: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keyed {
    channel: String,
    #[serde(default)]
    password: Option<String>,
}

impl<'de> Deserialize<'de> for ChannelSetting {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(channel) => Ok(Self { channel, password: None }),
            other => {
                let keyed = serde_json::from_value::<Keyed>(other);
                let keyed = keyed.map_err(|_| serde::de::Error::custom("write \"#channel\", or { channel = \"#channel\", password = \"…\" }"))?;
                Ok(Self { channel: keyed.channel, password: keyed.password })
            }
        }
    }
}

impl JsonSchema for ChannelSetting {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Channel".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["string", "object"],
            "properties": {"channel": {"type": "string"}, "password": {"type": "string"}},
            "required": ["channel"],
            "additionalProperties": false
        })
    }
}

/// Whether something can stand as one word in a line of IRC.
fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.starts_with(':') && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == ',')
}

/// Nicks in `authz`: capitals do not matter.
struct Nick;

impl User for Nick {
    fn user(value: &Value) -> Option<String> {
        value.as_str().filter(|nick| !nick.is_empty()).map(fold)
    }
    const FORM: &'static str = "nicks";
}

impl Settings {
    /// Checks everything, and makes the bot and its plan. `bot` is what a component of one's own begins with.
    ///
    /// # Errors
    ///
    /// What is wrong in the settings.
    pub fn compile(self, bot: Bot<Irc>) -> Result<(IrcBot, Plan), Problems> {
        let mut problems = Problems::default();
        if !is_word(&self.nick) || is_channel(&self.nick) || self.nick.starts_with(|c: char| c.is_ascii_digit() || c == '-') {
            problems.add("/nick", "a nick has no blanks, and does not begin with a number, a hyphen or a sign of channels");
        }
        let people = self.pm_to_nicks.as_ref().map(|nicks| nicks.items.clone()).unwrap_or_default();
        self.places(&people, &mut problems);
        if self.nickserv.as_ref().is_some_and(|name| !is_word(name) || is_channel(name)) {
            problems.add("/nickserv", "write how NickServ is addressed on this network: nickserv = \"NickServ@services.example.org\"");
        }
        if self.client_certificate.is_some() != self.client_key.is_some() {
            problems.add("/clientCertificate", "clientCertificate and clientKey go together");
        }
        if self.client_certificate.is_some() && !self.use_ssl {
            problems.add("/clientCertificate", "a client certificate needs an encrypted connection: write useSSL = true");
        }
        if self.use_sasl == Some(true) && self.password.is_none() && self.client_certificate.is_none() {
            problems.add("/useSASL", "SASL needs a password, or a client certificate");
        }
        if self.verify.is_some() && !self.use_ssl {
            problems.add("/verify", "there is no certificate without an encrypted connection: write useSSL = true, or leave verify out");
        }
        if self.line_rate.is_some_and(|rate| !(0.0..=60.0).contains(&rate)) {
            problems.add("/lineRate", "write the seconds between two lines, from 0 to 60");
        }
        let events = problems.take(EventWord::parse_all(self.notify_events.as_ref(), "/notify_events"));
        let presenter = Irc { colors: self.use_colors.unwrap_or(true), notice: self.notice_on_channel };
        let mut bot = Bot { presenter, ..bot };
        let commands = bot.commands();
        let names: Vec<&str> = commands.iter().map(|command| command.name).collect();
        bot.authz = match &self.authz {
            Some(authz) => problems.take(Authz::parse::<Nick>(authz, &names)),
            None => Authz::default(),
        };
        for (given, name, opens) in [(self.allow_force, "allowForce", &["force", "stop"][..]), (self.allow_shutdown, "allowShutdown", &["shutdown"])] {
            if given.is_some() && self.authz.is_some() {
                problems.add(
                    format!("/{name}"),
                    format!("{name} is from before authz, and not to be given together with it: write \"{}\" = true in authz", opens.join(", ")),
                );
            }
            if given == Some(true) {
                opens.iter().for_each(|command| bot.authz.open(command));
            }
        }
        bot.tags = self.tags.as_ref().map(|tags| tags.items.clone()).unwrap_or_default();
        bot.notify_events = events;
        bot.configured = self.channels.iter().map(|it| it.channel.clone()).chain(people).map(|place| fold(&place)).collect();
        bot.use_revisions = self.use_revisions;
        bot.show_blame_list = self.show_blame_list;
        let endpoint = self.endpoint();
        let mut plan = Plan::events(Bot::<Irc>::EVENTS).endpoint(ENDPOINT, "irc", Value::Object(endpoint)).uses(["state"]);
        if let Some(first) = self.channels.first() {
            plan = plan.fallback(ENDPOINT, json!({"target": first.channel, "verb": "notice", "text": "{subject}"}));
        }
        if self.allow_force.is_some() || self.allow_shutdown.is_some() {
            let instead = "write `\"force, stop\" = true` and `shutdown = true` in authz instead";
            log(Level::Warn, &format!("allowForce and allowShutdown are deprecated: {instead}"));
        }
        problems.or((IrcBot { bot, use_accounts: self.use_accounts.unwrap_or(true) }, plan))
    }

    /// Whether it can be reached, and has somebody to talk to.
    fn places(&self, people: &[String], problems: &mut Problems) {
        match self.host.rsplit_once(':') {
            // An IPv6 address has more colons, or brackets.
            Some((host, port)) if port.parse::<u16>().is_ok() && (!host.contains(':') || host.ends_with(']')) => {
                problems.add("/host", format!("the port is a setting of its own: write host = {host:?} and port = {port}"));
            }
            _ if !is_word(self.host.trim_start_matches("::")) || self.host.contains('/') => {
                problems.add("/host", "write the server's name, as host = \"irc.example.org\"; the port is a setting of its own")
            }
            _ => {}
        }
        if self.port == Some(0) {
            problems.add("/port", "write the server's port: often 6667, or 6697 with useSSL = true; without it, it is 6667");
        }
        for (n, channel) in self.channels.iter().enumerate() {
            if channel.password.as_ref().is_some_and(|password| !is_word(password)) {
                problems.add(
                    format!("/channels/{n}/password"),
                    "a channel's password has no blanks and no commas, and no colon in front; leave it out where there is none",
                );
            }
            if !is_word(&channel.channel) || !is_channel(&channel.channel) {
                problems.add(format!("/channels/{n}"), format!("a channel begins with #, &, + or ! and has no blanks: write \"#{}\"", channel.channel.trim()));
            }
        }
        for (n, nick) in people.iter().enumerate().filter(|(_, nick)| !is_word(nick) || is_channel(nick)) {
            problems.add(format!("/pm_to_nicks/{n}"), format!("{nick:?} is no nick; channels go to `channels`"));
        }
        if !self.channels.is_empty() || !people.is_empty() {
            return;
        }
        if self.notify_events.as_ref().is_some_and(|events| events.iter().next().is_some()) {
            problems.add("/channels", "notify_events are announced in channels and to pm_to_nicks, and there are none: write channels = [\"#name\"]");
        } else {
            log(
                Level::Warn,
                "channels is empty, and there are no pm_to_nicks: the bot says nothing until somebody talks to it in private; write channels = [\"#name\"]",
            );
        }
    }

    fn endpoint(&self) -> Map<String, Value> {
        let mut endpoint = Map::new();
        let mut set = |key: &str, value: Value| {
            if !value.is_null() {
                endpoint.insert(key.into(), value);
            }
        };
        set("host", json!(self.host));
        set("port", json!(self.port.unwrap_or(6667)));
        set("tls", json!(self.use_ssl));
        set("verify", self.verify.as_ref().map_or(Value::Null, |verify| verify.0.clone()));
        set("nick", json!(self.nick));
        let channel = |it: &ChannelSetting| match &it.password {
            Some(key) => json!({"name": it.channel, "key": key}),
            None => json!({"name": it.channel}),
        };
        set("channels", self.channels.iter().map(channel).collect());
        set("password", json!(self.password));
        set("server_password", json!(self.server_password));
        set("nickserv", json!(self.nickserv));
        set("sasl", self.use_sasl.map_or(Value::Null, |sasl| json!(if sasl { "only" } else { "never" })));
        set("certificate", json!(self.client_certificate));
        set("key", json!(self.client_key));
        set("lost_delay", json!(self.lost_delay));
        set("failed_delay", json!(self.failed_delay));
        set("line_rate", json!(self.line_rate));
        let _ = (self.debug, self.verbose);
        endpoint
    }
}
