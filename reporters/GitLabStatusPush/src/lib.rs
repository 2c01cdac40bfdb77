//! GitLabStatusPush: sets a commit status on GitLab for each source stamp of a build.
//!
//! `POST /api/v4/projects/{id}/statuses/{sha}` with state, ref, description, target_url and name. The project's id is asked for once and kept.
//! GitLab updates the status of the same name and ref while it runs and refuses steps back, so all statuses of one are in one lane, and a
//! newer one replaces those that still wait.
//!
//! GitLab shows a status in a pipeline: the newest of the commit and ref, unless `pipeline_id` says another. A commit that gets one more pipeline
//! while it is built would have the build's start in the one and its end in the other, so the pipeline of the first status, which is that of its
//! request, is kept for the others.

mod pipeline;
mod project;
mod settings;
mod state;
mod status;
mod target;

use reporter_sdk::commit::short;
use reporter_sdk::context::StatusContext;
use reporter_sdk::event::Event;
use reporter_sdk::filter::Filter;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::status::is_final;
use reporter_sdk::title;
use reporter_sdk::wording::Descriptions;
use serde_json::Value;

use project::Project;
use settings::Settings;
pub use settings::Settings as GitLabStatusPushSettings;
use status::{MOST, Status};
use target::targets;

/// The reporter.
#[derive(Debug)]
pub struct GitLabStatusPush {
    context: StatusContext,
    descriptions: Descriptions,
    /// The pipeline; none: that of the build's first status.
    pipeline: Option<Interpolate>,
    filter: Filter,
}

impl Reporter for GitLabStatusPush {
    type Settings = Settings;
    const NAME: &'static str = "GitLabStatusPush";
    const DESCRIPTION: &'static str = "Sets commit statuses on GitLab";

    fn configure(settings: Settings) -> Result<(Self, Plan), Problems> {
        settings.compile()
    }

    fn report(&self, event: &Event) -> Result<Outcome, Failure> {
        let (build, targets) = match self.filter.build(event).and_then(|build| Ok((build, targets(build)?))) {
            Ok(found) => found,
            Err(reason) => return Ok(Outcome::Skipped(reason)),
        };
        let mut refused = None;
        let mut statuses = Vec::new();
        for target in targets {
            match target.project.find() {
                Ok(project) => statuses.push((target, project)),
                Err(reason) => {
                    log(Level::Error, &reason);
                    refused = Some(reason);
                }
            }
        }
        if let Some(reason) = refused.filter(|_| statuses.is_empty()) {
            return Err(Failure::for_good(reason));
        }
        let state = state::of(build);
        let description = self.descriptions.of(event, build, state)?;
        let name = self.context.of(build, MOST)?;
        let pipeline = pipeline::given(self.pipeline.as_ref(), build)?;
        let request = build.request_id().map(|id| format!("{}/buildrequests/{id}", event.source()));
        for (target, project) in statuses {
            let status = Status {
                body: status::body(state, &target, &description, &build.url(), &name),
                title: format!("{} to {}@{}", title::of_build(event.kind(), build), target.project.name(), short(&target.sha)),
                sha: target.sha,
                pipeline,
                build: build.number().map(|_| title::lane(&event.source(), build)),
                request: request.clone(),
                is_final: is_final(build),
            };
            status.send(&project);
        }
        Ok(Outcome::Sent)
    }

    fn answered(&self, tag: &str, answer: &Answer) -> Result<Outcome, Failure> {
        let skip = |why: &str| Ok(Outcome::Skipped(why.into()));
        let tag: Value = serde_json::from_str(tag).unwrap_or_default();
        if answer.ended == "delivered" {
            return Ok(Outcome::Skipped(pipeline::learned(&tag, answer)));
        }
        pipeline::unknown(&tag);
        let body = String::from_utf8_lossy(&answer.body);
        if answer.ended != "dead" || answer.status != 404 {
            return skip("the project is known");
        }
        if let Some(again) = pipeline::without(&tag, &body) {
            return Ok(again);
        }
        if !body.contains("Project Not Found") {
            return skip("the project is known");
        }
        let Some(path) = tag["path"].as_str() else { return skip("the project was not looked up") };
        let project = Project::Path(path.into());
        project.forget();
        let Some(status) = Status::of_tag(&tag) else { return skip("the project has moved: the next status asks for it again") };
        match project.find() {
            Ok(found) if Some(found.id.as_str()) != tag["id"].as_str() => {
                status.send(&found);
                Ok(Outcome::Sent)
            }
            Ok(_) => skip("GitLab says that the project is there, and does not know it"),
            Err(reason) => Ok(Outcome::Skipped(reason)),
        }
    }
}

reporter_sdk::export_reporter!(GitLabStatusPush);

#[cfg(test)]
mod tests;
