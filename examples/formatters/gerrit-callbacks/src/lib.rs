//! The three callbacks of GerritStatusPush: one message for a build that starts, one with a vote for a build that ends, and one with a
//! vote for all builds of a set.

use reporter_sdk::prelude::*;
use serde_json::{Value, json};

/// The callbacks.
pub struct Callbacks;

impl Formatter for Callbacks {
    type Settings = ();
    const SLOTS: &'static [&'static str] = &["review-start", "review", "review-summary"];

    fn format(_: &(), slot: &str, subjects: Subjects, context: Context) -> Result<Document, String> {
        match slot {
            "review-start" => start(subjects.build()?),
            "review" => review(subjects.build()?, &context),
            _ => summary(&context),
        }
    }
}

/// `startCB`: no labels, so nothing but a message.
fn start(build: &Build) -> Result<Document, String> {
    let message = format!("Buildbot started compiling your patchset\non configuration: {}\nSee your build here: {}", build.builder(), build.url());
    Ok(Document::json(json!({"message": message})))
}

/// `reviewCB`: nothing for a build that is made again. With `reviewArg`, a link as well.
fn review(build: &Build, context: &Context) -> Result<Document, String> {
    let Some(result) = build.results().filter(|result| *result != RETRY) else {
        return Ok(Document::json(Value::Null));
    };
    let name = context.text("result_name").to_uppercase();
    let mut message = format!("Buildbot finished compiling your patchset\non configuration: {}\nThe result is: {name}\n", build.builder());
    if context.get("arg").is_some_and(|arg| !arg.is_null()) {
        message.push_str(&format!("\nFor more details visit:\n{}\n", build.url()));
    }
    Ok(Document::json(json!({"message": message, "labels": {"Verified": if result == SUCCESS { 1 } else { -1 }}})))
}

/// `summaryCB`: a line for each build; verified is what succeeded everywhere.
fn summary(context: &Context) -> Result<Document, String> {
    let builds = context.get("buildInfoList").and_then(Value::as_array).ok_or("there is no buildInfoList")?;
    let line = |info: &Value| {
        let text = |key: &str| info[key].as_str().unwrap_or_default();
        let line = format!("Builder {} {} ({})", text("name"), text("resultText"), text("text"));
        if text("url").is_empty() { line + "." } else { line + " - " + text("url") }
    };
    let verified = builds.iter().all(|info| info["result"] == SUCCESS);
    let message = builds.iter().map(line).collect::<Vec<_>>().join("\n\n");
    Ok(Document::json(json!({"message": message, "labels": {"Verified": if verified { 1 } else { -1 }}})))
}

reporter_sdk::export_formatter!(Callbacks);

#[cfg(test)]
mod tests {
    use reporter_sdk::testing;

    use super::*;

    fn said(slot: &str, results: Value, context: Value) -> Value {
        let event = json!({"builds": [{"number": 12, "results": results, "builder": {"name": "linux"}, "url": "https://ci.example/12"}]});
        testing::format::<Callbacks>(json!({}), slot, event, context).unwrap()
    }

    #[test]
    fn starts_and_ends() {
        let start = said("review-start", Value::Null, json!({}));
        assert_eq!(start, json!({"message": "Buildbot started compiling your patchset\non configuration: linux\nSee your build here: https://ci.example/12"}));
        let failed = said("review", json!(2), json!({"result_name": "failure", "arg": "x"}));
        assert_eq!(failed["labels"], json!({"Verified": -1}));
        let message =
            "Buildbot finished compiling your patchset\non configuration: linux\nThe result is: FAILURE\n\nFor more details visit:\nhttps://ci.example/12\n";
        assert_eq!(failed["message"], message);
        let passed = said("review", json!(0), json!({"result_name": "success"}));
        assert_eq!((&passed["labels"]["Verified"], passed["message"].as_str().unwrap().contains("visit")), (&json!(1), false));
        assert_eq!(said("review", json!(5), json!({})), Value::Null);
    }

    #[test]
    fn summaries() {
        let info = |name: &str, result: u8, text: &str, url: &str| json!({"name": name, "result": result, "resultText": text, "text": "t", "url": url});
        let both = json!({"buildInfoList": [info("linux", 0, "succeeded", "https://ci.example/12"), info("mac", 2, "failed", "")]});
        let summary = said("review-summary", json!(0), both);
        assert_eq!(summary, json!({"message": "Builder linux succeeded (t) - https://ci.example/12\n\nBuilder mac failed (t).", "labels": {"Verified": -1}}));
    }
}
