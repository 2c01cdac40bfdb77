//! What the source stamps of a build mean on GitLab.

use reporter_sdk::giturl::GitUrl;
use reporter_sdk::prelude::*;
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

/// Properties of a merge request that name its repositories, as GitLab's hook sets them.
const REPOSITORIES: [&str; 4] = ["source_repository", "source_git_ssh_url", "target_repository", "target_git_ssh_url"];

/// The commits of a build, each once, and why other source stamps have none.
///
/// A merge request's commits are in the project from which it comes, on the branch that it merges: the hook's properties `source_project_id` and
/// `source_branch`. Of several source stamps, they are about those whose repository is one of the merge request's, if any is.
pub fn targets(build: &Build) -> (Vec<Target>, Vec<String>) {
    let stamps = build.sourcestamps();
    let merge = MergeRequest::of(build);
    let of_merge: Vec<bool> = stamps.iter().map(|stamp| merge.is_about(stamp)).collect();
    let is_told = of_merge.contains(&true);
    let (mut targets, mut reasons) = (Vec::<Target>::new(), Vec::new());
    for (stamp, of_merge) in stamps.iter().zip(of_merge) {
        let merge = if of_merge || !is_told { &merge } else { &MergeRequest::default() };
        match target(stamp, merge) {
            Ok(target) if targets.iter().any(|other| other.project == target.project && other.sha == target.sha) => {}
            Ok(target) => targets.push(target),
            Err(reason) => reasons.push(reason),
        }
    }
    if stamps.is_empty() {
        reasons.push("the build has no source stamp".into());
    }
    (targets, reasons)
}

fn target(stamp: &Value, merge: &MergeRequest) -> Result<Target, String> {
    let text = |key: &str| stamp[key].as_str().unwrap_or_default();
    let codebase = match text("codebase") {
        "" => String::new(),
        codebase => format!(" of codebase {codebase}"),
    };
    let sha = text("revision");
    if matches!(sha, "" | "." | "..") {
        return Err(format!("the source stamp{codebase} has no revision"));
    }
    let project = match merge.project {
        Some(id) => Project::Id(id),
        None => Project::Path(path(text("repository")).map_err(|why| format!("the source stamp{codebase} {why}"))?),
    };
    let branch = merge.branch.clone().or_else(|| stamp["branch"].as_str().map(str::to_owned));
    Ok(Target { project, sha: sha.into(), branch })
}

/// `group/subgroup/name`
fn path(repository: &str) -> Result<String, String> {
    if repository.is_empty() {
        return Err("has no repository".into());
    }
    let url = GitUrl::parse(repository).ok_or_else(|| format!("has a repository that is no URL of a group and a name: {repository}"))?;
    let owner = url.owner.ok_or_else(|| format!("has a repository without a group: {repository}"))?;
    Ok(format!("{owner}/{}", url.repo))
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
