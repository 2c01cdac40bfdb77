//! A message of one line: `✗ linux 12: failed test (bob, zoe)`.

use reporter_sdk::prelude::*;

/// What the operator writes in `settings = { … }`.
#[derive(Deserialize, JsonSchema)]
pub struct Settings {
    /// Whether the line begins with a sign.
    #[serde(default = "yes")]
    sign: bool,
}

fn yes() -> bool {
    true
}

/// The formatter.
pub struct Headline;

impl Formatter for Headline {
    type Settings = Settings;
    const SLOTS: &'static [&'static str] = &["message"];

    fn format(settings: &Settings, _slot: &str, subjects: Subjects, _context: Context) -> Result<Document, String> {
        let build = subjects.build()?;
        let sign = match build.results() {
            _ if !settings.sign => "",
            Some(SUCCESS | WARNINGS) => "✓ ",
            Some(_) => "✗ ",
            None => "… ",
        };
        let number = build.number().map(|number| format!(" {number}")).unwrap_or_default();
        let line = format!("{sign}{}{number}: {}", build.builder(), build.state_string());
        let who = build.users().join(", ");
        let body = if who.is_empty() { line.clone() } else { format!("{line} ({who})") };
        Ok(Document::message(format!("{body}\n{}\n", build.url())).subject(line))
    }
}

reporter_sdk::export_formatter!(Headline);

#[cfg(test)]
mod tests {
    use reporter_sdk::testing;
    use serde_json::json;

    use super::Headline;

    #[test]
    fn one_line() {
        let event = json!({"builds": [{"number": 12, "results": 2, "state_string": "failed test",
            "builder": {"name": "linux"}, "users": ["bob", "zoe"], "url": "https://ci.example/12"}]});
        let message = testing::format::<Headline>(json!({}), "message", event, json!({})).unwrap();
        assert_eq!(message["subject"], "✗ linux 12: failed test");
        assert_eq!(message["body"], "✗ linux 12: failed test (bob, zoe)\nhttps://ci.example/12\n");
    }

    #[test]
    fn a_misspelt_setting_is_refused() {
        let error = testing::format::<Headline>(json!({"signs": true}), "message", json!({"builds": []}), json!({})).unwrap_err();
        assert!(error.starts_with("/signs: there is no setting signs"), "{error}");
    }
}
