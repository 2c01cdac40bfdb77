//! What callbacks know, and what the built-in ones say.

use reporter_sdk::event::Event;
use reporter_sdk::prelude::*;
use reporter_sdk::results;
use serde_json::{Map, Value, json};

use crate::callback::{Review, When};

/// The label of the built-in callbacks.
const VERIFIED: &str = "Verified";

/// `succeeded`, `failed` …
fn result_text(result: Option<u8>) -> String {
    match result {
        Some(SUCCESS) => "succeeded".into(),
        Some(FAILURE) => "failed".into(),
        Some(WARNINGS) => "completed with warnings".into(),
        Some(EXCEPTION) => "encountered an exception".into(),
        Some(SKIPPED) => "was skipped".into(),
        Some(CANCELLED) => "was cancelled".into(),
        Some(RETRY) => "is tried again".into(),
        Some(other) => format!("completed with unknown result {other}"),
        None => "is not finished".into(),
    }
}

/// The builds at these positions, by the names of their builders.
fn chosen<'a>(event: &'a Event, positions: &[usize]) -> Vec<&'a Build> {
    let builds = event.builds();
    let mut chosen: Vec<&Build> = positions.iter().filter_map(|n| builds.get(*n)).collect();
    chosen.sort_by_cached_key(|build| build.builder());
    chosen
}

/// What a callback knows (docs/slots.md). `want`: the builds' documents as well, with these words.
pub fn variables(when: When, event: &Event, positions: &[usize], arg: &Value, want: Option<&[&str]>) -> Map<String, Value> {
    let builds = chosen(event, positions);
    let master = event.master();
    let mut variables = Map::new();
    let mut put = |name: &str, value: Value| variables.insert(name.into(), value);
    put("event", json!(event.kind()));
    put("arg", arg.clone());
    put("buildbot_title", json!(master.title));
    put("buildbot_url", json!(master.url));
    let result = match when {
        When::Summary => {
            let info = builds.iter().map(|build| {
                let mut info = json!({
                    "name": build.builder(),
                    "result": build.results(),
                    "resultText": result_text(build.results()),
                    "text": build.state_string(),
                    "url": build.url(),
                });
                if let Some(want) = want {
                    info["build"] = build.document(want);
                }
                info
            });
            put("buildInfoList", info.collect());
            event.buildset().and_then(|set| set["results"].as_u64()).and_then(|result| u8::try_from(result).ok())
        }
        When::Start | When::End => {
            let build = builds.first();
            put("builderName", json!(build.map(|build| build.builder())));
            put("build_url", json!(build.map(|build| build.url())));
            if let (Some(build), Some(want)) = (build, want) {
                put("build", build.document(want));
            }
            build.and_then(|build| build.results())
        }
    };
    put("result", json!(result));
    put("result_name", json!(results::name(result)));
    put("result_names", json!(results::NAMES));
    variables
}

/// One line for each build.
fn lines(builds: &[&Build]) -> String {
    let line = |build: &&Build| {
        let (text, url) = (build.state_string(), build.url());
        let text = if text.is_empty() { text } else { format!(" ({text})") };
        let end = if url.is_empty() { ".".into() } else { format!(" - {url}") };
        format!("Builder {} {}{text}{end}", build.builder(), result_text(build.results()))
    };
    builds.iter().map(line).collect::<Vec<_>>().join("\n\n")
}

/// The bare facts, for when a callback failed.
pub fn plain(event: &Event, positions: &[usize]) -> String {
    let builds = chosen(event, positions);
    match event.kind() {
        "build-finished" | "buildset-complete" => lines(&builds),
        kind => builds.first().map_or_else(String::new, |build| format!("{}: {}", reporter_sdk::title::of_build(kind, build), build.url())),
    }
}

/// What the built-in callbacks say: all that succeeded are verified, anything else is not.
pub fn default(when: When, event: &Event, positions: &[usize]) -> Result<Review, String> {
    let builds = chosen(event, positions);
    if when == When::End && builds.iter().all(|build| build.results() == Some(RETRY)) {
        return Err("the build is tried again, and the next attempt is reviewed".into());
    }
    let verified = !builds.is_empty() && builds.iter().all(|build| build.results() == Some(SUCCESS));
    Ok(Review::new(lines(&builds), vec![(VERIFIED.into(), if verified { 1 } else { -1 })]))
}
