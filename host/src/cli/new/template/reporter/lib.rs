//! Decides which builds are reported, and posts them.

use reporter_sdk::event::Event;
use reporter_sdk::http::{self, Request};
use reporter_sdk::prelude::*;
use serde_json::json;

/// What the operator writes beside `component = "…"`. Their descriptions are shown by the host.
#[derive(Deserialize, JsonSchema)]
pub struct Settings {
    /// The URL to post to
    url: String,
    /// The token that it wants: { secret = "name" }
    #[serde(default)]
    token: Option<String>,
}

/// The reporter: what `configure` makes of the settings.
pub struct Mine;

impl Reporter for Mine {
    type Settings = Settings;
    const NAME: &'static str = "{{name}}";
    const DESCRIPTION: &'static str = "Posts failures as JSON";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        let mut endpoint = json!({"base_url": settings.url});
        if let Some(token) = settings.token {
            endpoint["auth"] = json!({"bearer": token});
        }
        Ok((Self, Plan::events(["build-finished"]).endpoint("server", "http", endpoint)))
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let builds = event.builds();
        let build = builds.first().ok_or_else(|| Failure::for_good("an event without a build"))?;
        if build.results() != Some(FAILURE) {
            return Ok(Outcome::Skipped("only failures are reported".into()));
        }
        let text = format!("{}: {} {}", build.builder(), build.state_string(), build.url());
        let title = format!("failure on {}", build.builder());
        http::send(Request::new::<&str>("server", "POST", []).json(&json!({"text": text})), Terms::titled(title).lane(build.builder()));
        Ok(Outcome::Sent)
    }
}

reporter_sdk::export_reporter!(Mine);
