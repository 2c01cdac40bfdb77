//! What the source stamps of a build mean on GitLab.

use reporter_sdk::giturl::GitUrl;
use reporter_sdk::prelude::*;
use reporter_sdk::stamps::{self, revision, text};
use serde_json::Value;

use crate::project::Project;

/// A commit that gets a status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The project.
    pub project: Project,
    /// The commit.
    pub sha: String,
    /// The branch or tag.
    pub branch: Option<String>,
}

/// Bytes of a project's path, so that a request's has not more than the host takes.
const MOST_PATH: usize = 4_000;
/// Properties of a merge request that name its repositories, as GitLab's hook sets them.
const REPOSITORIES: [&str; 4] = ["source_repository", "source_git_ssh_url", "target_repository", "target_git_ssh_url"];

/// The commits of a build, each once.
///
/// A merge request's commits are in the project from which it comes, on the branch that it merges: the hook's properties `source_project_id` and
/// `source_branch`. Of several source stamps, they are about those whose repository is one of the merge request's, if any is.
///
/// # Errors
///
/// Why there are none.
pub fn targets(build: &Build) -> Result<Vec<Target>, String> {
    let merge = MergeRequest::of(build);
    let is_told = build.sourcestamps().iter().any(|stamp| merge.is_about(stamp));
    let none = MergeRequest::default();
    let mut targets = stamps::each(build, |stamp| target(stamp, if merge.is_about(stamp) || !is_told { &merge } else { &none }))?;
    let mut seen = Vec::new();
    targets.retain(|target| {
        let commit = (target.project.clone(), target.sha.clone());
        let is_new = !seen.contains(&commit);
        seen.push(commit);
        is_new
    });
    Ok(targets)
}

fn target(stamp: &Value, merge: &MergeRequest) -> Result<Target, String> {
    let sha = revision(stamp)?;
    let project = match merge.project {
        Some(id) => Project::Id(id),
        None => Project::Path(path(text(stamp, "repository"))?),
    };
    let branch = merge.branch.clone().or_else(|| stamp["branch"].as_str().map(str::to_owned));
    Ok(Target { project, sha, branch })
}

/// `group/subgroup/name`
fn path(repository: &str) -> Result<String, String> {
    if repository.is_empty() {
        return Err("has no repository".into());
    }
    let url = GitUrl::parse(repository).ok_or_else(|| format!("has a repository that is no URL of a group and a name: {repository}"))?;
    let owner = url.owner.ok_or_else(|| format!("has a repository without a group: {repository}"))?;
    let path = format!("{owner}/{}", url.repo);
    if path.len() > MOST_PATH { Err(format!("has a repository whose path has {} bytes", path.len())) } else { Ok(path) }
}

/// What GitLab's hook says of a merge request.
#[derive(Default)]
struct MergeRequest {
    project: Option<u64>,
    branch: Option<String>,
    repositories: Vec<GitUrl>,
}

impl MergeRequest {
    fn of(build: &Build) -> Self {
        let text = |name: &str| build.property(name).and_then(|value| value.as_str().map(str::to_owned)).filter(|text| !text.is_empty());
        let number = |value: Value| value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
        let project = build.property("source_project_id").and_then(number);
        let branch = text("source_branch");
        let repositories = match (project, &branch) {
            (None, None) => Vec::new(),
            _ => REPOSITORIES.iter().filter_map(|name| GitUrl::parse(&text(name)?)).collect(),
        };
        Self { project, branch, repositories }
    }

    fn is_about(&self, stamp: &Value) -> bool {
        let Some(url) = stamp["repository"].as_str().and_then(GitUrl::parse) else { return false };
        self.repositories.iter().any(|other| other.domain == url.domain && other.owner == url.owner && other.repo == url.repo)
    }
}
