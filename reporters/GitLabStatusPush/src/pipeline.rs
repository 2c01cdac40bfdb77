//! Which of a commit's pipelines a status belongs to.

use reporter_sdk::prelude::*;
use reporter_sdk::remembered::Remembered;
use reporter_sdk::services::{Level, log};
use serde_json::Value;

use crate::project::Found;
use crate::status::Status;

/// Ids of pipelines in which a build that has not ended, or a request that waits, has its status, by build or request, project and commit; empty
/// until GitLab says which.
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

/// Where the status before this one is, the build's or its request's, and the row for where this one will be; none after the last.
///
/// A build takes over from its request, and a request from a build that is made again: what is answered to the one after that finds no row.
pub fn follow(build: Option<String>, request: Option<String>, waits: bool, is_final: bool) -> (Option<u64>, Option<String>) {
    let kept = [&build, &request].map(|row| row.as_deref().and_then(take));
    let id = kept.into_iter().flatten().next();
    let next = if waits { request } else { build };
    let row = next.filter(|_| !is_final);
    if let Some(row) = &row {
        PIPELINES.put(row, &id.map(|id| id.to_string()).unwrap_or_default());
    }
    (id, row)
}

fn take(row: &str) -> Option<u64> {
    let id = PIPELINES.get(row)?;
    PIPELINES.forget(row);
    id.parse().ok()
}

/// Keeps where GitLab has put a status; what to say of it.
pub fn learned(tag: &Value, answer: &Answer) -> String {
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    match (tag["key"].as_str(), body["pipeline_id"].as_u64()) {
        (Some(row), Some(id)) if PIPELINES.get(row).is_some() => {
            PIPELINES.put(row, &id.to_string());
            format!("the status is in the pipeline {id}")
        }
        (Some(_), Some(id)) => format!("the status is in the pipeline {id}, which is not kept: the build has begun or ended meanwhile"),
        _ => {
            unknown(tag);
            "there is nothing to keep".into()
        }
    }
}

/// GitLab does not say where a status is: the next one need not wait for that.
pub fn unknown(tag: &Value) {
    if let Some(row) = tag["key"].as_str()
        && PIPELINES.get(row).is_some_and(|id| id.is_empty())
    {
        PIPELINES.forget(row);
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
    let gone = &tag["body"]["pipeline_id"];
    match tag["given"].as_bool() {
        Some(true) => log(Level::Warn, &format!("GitLab has no pipeline {gone} of this commit and ref, as pipelineId says: it chooses another")),
        _ => log(Level::Info, &format!("the pipeline {gone} of the status before is gone: GitLab chooses another")),
    }
    let id = tag["id"].as_str()?.to_owned();
    let key = tag["by"].as_str().unwrap_or(&id).to_owned();
    status.send(&Found { id, kept_of: None, key });
    Some(Outcome::Sent)
}
