//! A reporter that does what its settings say: `{ do = "loop", serverUrl = "http://127.0.0.1:8000/hook" }`.
//!
//! Its endpoints are `server` (HTTP, at serverUrl), `relay` (SMTP, at 127.0.0.1:25) and, for words that begin with `ssh-`, `shell` (SSH). What each word does stands beside it in
//! [`configure`] and [`report`]; one that nobody knows is refused, so that no test passes because of a misspelt word.

mod configure;
mod exhaust;
mod report;
mod shell;
mod wire;

use reporter_sdk::event::Event;
use reporter_sdk::prelude::*;
use reporter_sdk::settings::Table;

/// What the operator writes.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct Settings {
    /// What to do
    #[serde(rename = "do")]
    what: String,
    /// The base URL of its endpoint
    #[serde(rename = "serverUrl", default = "nowhere")]
    server_url: String,
    /// A text for the words that need one: a secret's placeholder, a path segment
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    text: String,
    /// Members of the endpoint `shell`
    #[serde(default)]
    #[schemars(extend("x-secret" = true))]
    shell: Table,
    /// How often, for the words that repeat
    #[serde(default = "million")]
    count: u64,
}

fn nowhere() -> String {
    "http://127.0.0.1:9/".into()
}

fn million() -> u64 {
    1_000_000
}

/// The reporter.
#[derive(Debug)]
pub struct Hostile(Settings);

impl Reporter for Hostile {
    type Settings = Settings;
    const NAME: &'static str = "Hostile";
    const DESCRIPTION: &'static str = "Does what its settings say, most of it wrong";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        let plan = configure::configure(&settings)?;
        Ok((Self(settings), plan))
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        report::report(&self.0, event)
    }

    fn answered(&self, tag: &str, answer: &Answer) -> Result<Outcome, Failure> {
        report::answered(&self.0, tag, answer)
    }
}

reporter_sdk::export_reporter!(Hostile);
