//! The logs of failed steps, as Markdown: `getresults` of Buildbot's page, for comments on pull requests.

use reporter_sdk::prelude::*;

/// What the operator writes in `settings = { … }`.
#[derive(Deserialize, JsonSchema)]
pub struct Settings {
    /// How many lines of each log are shown, the last ones
    #[serde(default = "lines")]
    lines: u32,
}

fn lines() -> u32 {
    500
}

/// The formatter.
pub struct FailedLogs;

impl Formatter for FailedLogs {
    type Settings = Settings;
    const SLOTS: &'static [&'static str] = &["description", "message"];

    fn format(settings: &Settings, slot: &str, subjects: Subjects, _context: Context) -> Result<Document, String> {
        let build = subjects.build()?;
        let mut text = String::new();
        for step in build.steps().iter().filter(|step| matches!(step.results(), Some(FAILURE | EXCEPTION))) {
            for log in step.logs() {
                let result = reporter_sdk::results::name(step.results());
                text.push_str(&format!("Step : {} Result : {result}\n{}\n", step.name(), fenced(&log.tail(settings.lines))));
            }
        }
        Ok(match (slot, text.is_empty()) {
            ("message", true) => Document::message(build.state_string()),
            ("message", false) => Document::message(text),
            // The default: nothing failed.
            (_, true) => Document(().into()),
            (_, false) => Document(text.into()),
        })
    }
}

/// A block of code that its content does not end.
fn fenced(content: &str) -> String {
    let longest = content.split(|c| c != '`').map(str::len).max().unwrap_or_default();
    let fence = "`".repeat(3.max(longest + 1));
    format!("{fence}\n{}\n{fence}", content.trim_end())
}

reporter_sdk::export_formatter!(FailedLogs);

#[cfg(test)]
mod tests {
    use reporter_sdk::testing;
    use serde_json::{Value, json};

    use super::FailedLogs;

    fn text(settings: Value, slot: &str, steps: Value) -> Value {
        let event = json!({"builds": [{"results": 2, "state_string": "build successful", "steps": steps}]});
        testing::format::<FailedLogs>(settings, slot, event, json!({})).unwrap()
    }

    fn step(name: &str, results: u8, content: &str) -> Value {
        json!({"name": name, "results": results, "logs": [{"name": "stdio", "type": "s", "content": {"content": content}}]})
    }

    #[test]
    fn failed_steps_only() {
        let steps = json!([step("compile", 0, "oall well\n"), step("check", 2, "hmake check\neerror: two\n"), step("lint", 4, "oa ``` b\n")]);
        assert_eq!(
            text(json!({}), "description", steps.clone()),
            "Step : check Result : failure\n```\nmake check\nerror: two\n```\nStep : lint Result : exception\n````\na ``` b\n````\n"
        );
        assert_eq!(
            text(json!({"lines": 1}), "message", steps)["body"],
            "Step : check Result : failure\n```\nerror: two\n```\nStep : lint Result : exception\n````\na ``` b\n````\n"
        );
    }

    #[test]
    fn where_nothing_failed_the_default_stands() {
        let steps = json!([step("compile", 0, "oall well\n")]);
        assert_eq!(text(json!({}), "description", steps.clone()), Value::Null);
        assert_eq!(text(json!({}), "message", steps)["body"], "build successful");
    }
}
