//! Commands on SSH servers, through endpoints of kind `ssh`.

use serde_json::{Map, Value, json};

#[cfg(target_arch = "wasm32")]
use crate::bindings::reporter::reporter_host::reporter::ssh as wit;
use crate::delivery::Terms;

pub use crate::delivery::Answer;

/// The settings of an endpoint of kind `ssh` (docs/endpoints.md).
#[derive(Clone, Debug, Default)]
pub struct SshSettings {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// The file of the private key, as the host sees it.
    pub identity_file: Option<String>,
    /// The private key itself: a secret.
    pub identity: Option<String>,
    /// What the key is encrypted with: a secret.
    pub passphrase: Option<String>,
    /// The file of the servers' keys.
    pub known_hosts: Option<String>,
    /// What may be queued.
    pub commands: Vec<&'static str>,
    /// What may be asked: commands that only read.
    pub queries: Vec<&'static str>,
}

impl SshSettings {
    /// As they stand in a plan.
    pub fn endpoint(&self) -> Value {
        let mut endpoint = Map::new();
        for (name, value) in [("host", json!(self.host)), ("port", json!(self.port)), ("user", json!(self.user))] {
            endpoint.insert(name.into(), value);
        }
        let optional =
            [("identity_file", &self.identity_file), ("identity", &self.identity), ("passphrase", &self.passphrase), ("known_hosts", &self.known_hosts)];
        for (name, value) in optional {
            if let Some(value) = value {
                endpoint.insert(name.into(), json!(value));
            }
        }
        endpoint.insert("commands".into(), json!(self.commands));
        endpoint.insert("queries".into(), json!(self.queries));
        Value::Object(endpoint)
    }
}

/// A command, as `send` and `query` take it.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    /// The endpoint's name in the plan.
    pub endpoint: String,
    /// One of the endpoint's commands, as its words.
    pub words: Vec<String>,
    /// Its arguments, not quoted.
    pub arguments: Vec<String>,
    /// What it reads from its standard input.
    pub stdin: Vec<u8>,
}

impl Command {
    /// A command without arguments: `Command::new("server", "gerrit review")`.
    pub fn new(endpoint: &str, words: &str) -> Self {
        let words = words.split_whitespace().map(Into::into).collect();
        Self { endpoint: endpoint.into(), words, arguments: Vec::new(), stdin: Vec::new() }
    }

    /// Adds an argument; it needs no quotes. An empty one is refused.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Adds `--name=value`: one argument, so that a value that begins with `-` is no option itself.
    pub fn option(self, name: &str, value: impl std::fmt::Display) -> Self {
        self.argument(format!("{name}={value}"))
    }

    #[cfg(target_arch = "wasm32")]
    fn into_host(self) -> wit::Command {
        wit::Command { endpoint: self.endpoint, words: self.words, arguments: self.arguments, stdin: self.stdin }
    }
}

/// Queues a command.
pub fn send(command: Command, terms: Terms) {
    #[cfg(target_arch = "wasm32")]
    wit::send(&command.into_host(), terms.into_host());
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::record(crate::testing::Delivery::Ssh(command, terms));
}

/// Runs a command that only reads, now. *Fetches.*
pub fn query(command: Command) -> Answer {
    #[cfg(target_arch = "wasm32")]
    return wit::query(&command.into_host());
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::answer_command(&command)
}
