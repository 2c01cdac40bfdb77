//! Words what a reporter says about a build.

use reporter_sdk::prelude::*;

/// What the operator writes in `settings = { … }`. Their descriptions are shown by the host.
#[derive(Deserialize, JsonSchema)]
pub struct Settings {
    /// Stands before the subject of a failure
    #[serde(default = "alarm")]
    alarm: String,
}

fn alarm() -> String {
    "!! ".into()
}

/// The formatter.
pub struct Mine;

impl Formatter for Mine {
    type Settings = Settings;
    // The hooks that it fills: a message for messageFormatter. docs/slots.md has them all.
    const SLOTS: &'static [&'static str] = &["message"];

    fn format(settings: &Settings, _slot: &str, subjects: Subjects, _context: Context) -> Result<Document, String> {
        let build = subjects.build()?;
        let alarm = if build.results() == Some(FAILURE) { &settings.alarm } else { "" };
        let line = format!("{alarm}{}: {}", build.builder(), build.state_string());
        Ok(Document::message(format!("{line}\nby {}\n{}\n", build.users().join(", "), build.url())).subject(line))
    }
}

reporter_sdk::export_formatter!(Mine);
