//! Which of a commit's pipelines a status belongs to.

use reporter_sdk::prelude::*;
use reporter_sdk::remembered::Remembered;
use reporter_sdk::services::{Level, log};
use serde_json::Value;

use crate::project::Found;
use crate::status::Status;

/// Ids of pipelines in which a build that has not ended has a status, by build, project and commit; or a request of one, by what its status is about.
const PIPELINES: Remembered = Remembered::new("pipelines");

/// The operator's pipeline for a build.
///
/// # Errors
///
/// A renderable that does not fit its values.
pub fn given(setting: Option<&Interpolate>, build: &Build) -> Result<Option<u64>, Failure> {
    let Some(text) = setting.map(|id| id.render(build)).transpose()? else { return Ok(None) };
    let id = text.trim().parse().ok();
    if id.is_none() && !text.trim().is_empty() {
        log(Level::Warn, &format!("pipelineId renders to {text:?}, which is no id of a pipeline"));
    }
    Ok(id)
}

/// The pipeline of the status before this one. After the last one, it is not needed any more.
pub fn kept(key: &str, is_final: bool) -> Option<u64> {
    let id = PIPELINES.get(key)?.parse().ok();
    if is_final {
        PIPELINES.forget(key);
    }
    id
}

/// Keeps for a build where its request has a status.
pub fn of_request(request: &str, build: &str, is_final: bool) -> Option<u64> {
    let id = kept(request, true)?;
    if !is_final {
        PIPELINES.put(build, &id.to_string());
    }
    Some(id)
}

/// Keeps where GitLab has put a status; what to say of it.
pub fn learned(tag: &Value, answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match (tag["key"].as_str(), body["pipeline_id"].as_u64()) {
        (Some(key), Some(id)) => {
            PIPELINES.put(key, &id.to_string());
            format!("the status is in the pipeline {id}")
        }
        _ => "there is nothing to keep".into(),
    }
}

/// Says a status again without its pipeline, if it is that which is gone.
pub fn without(tag: &Value, refusal: &str) -> Option<Outcome> {
    if tag["body"]["pipeline_id"].is_null() || !refusal.to_lowercase().contains("pipeline") {
        return None;
    }
    let status = Status::of_tag(tag)?;
    if let Some(key) = tag["key"].as_str() {
        PIPELINES.forget(key);
    }
    let id = &tag["body"]["pipeline_id"];
    match tag["given"].as_bool() {
        Some(true) => log(Level::Warn, &format!("GitLab has no pipeline {id} of this commit and ref, as pipelineId says: it chooses another")),
        _ => log(Level::Info, &format!("the pipeline {id} of the status before is gone: GitLab chooses another")),
    }
    status.send(&Found { id: tag["id"].as_str()?.to_owned(), kept_of: None });
    Some(Outcome::Sent)
}
