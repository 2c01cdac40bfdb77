//! Which commit a source stamp means.

use serde_json::Value;

use crate::giturl::{GitUrl, decoded};

/// A commit of a repository on GitHub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The repository's owner.
    pub owner: String,
    /// The repository's name.
    pub repo: String,
    /// The revision.
    pub sha: String,
}

impl Commit {
    /// The commit of a source stamp: `project` if it says `owner/repo`, else the repository's URL.
    ///
    /// # Errors
    ///
    /// Why it has none.
    pub fn of(stamp: &Value) -> Result<Self, String> {
        let text = |key: &str| stamp[key].as_str().unwrap_or_default();
        let codebase = match text("codebase") {
            "" => String::new(),
            codebase => format!(" of codebase {codebase}"),
        };
        let sha = text("revision");
        if sha.is_empty() {
            return Err(format!("the source stamp{codebase} has no revision"));
        }
        let (owner, repo) =
            from_project(text("project")).map_or_else(|| from_url(text("repository")), Ok).map_err(|why| format!("the source stamp{codebase} {why}"))?;
        if [owner.as_str(), &repo, sha].iter().any(|part| matches!(*part, "." | "..")) {
            return Err(format!("the source stamp{codebase} names no commit of GitHub's: {owner}/{repo}@{sha}"));
        }
        Ok(Self { owner, repo, sha: sha.into() })
    }
}

/// Every commit once, and why the other source stamps have none.
pub fn commits(stamps: &[Value]) -> (Vec<Commit>, Vec<String>) {
    let mut commits = Vec::new();
    let mut reasons = Vec::new();
    for stamp in stamps {
        match Commit::of(stamp) {
            Ok(commit) if commits.contains(&commit) => {}
            Ok(commit) => commits.push(commit),
            Err(reason) => reasons.push(reason),
        }
    }
    (commits, reasons)
}

/// A project of more parts is not GitHub's: then the repository decides.
fn from_project(project: &str) -> Option<(String, String)> {
    let (owner, repo) = project.split_once('/')?;
    let fits = !owner.is_empty() && !repo.is_empty() && !repo.contains('/');
    fits.then(|| (owner.into(), repo.into()))
}

fn from_url(repository: &str) -> Result<(String, String), String> {
    if repository.is_empty() {
        return Err("has neither a project like owner/repo nor a repository".into());
    }
    let url = GitUrl::parse(repository).ok_or_else(|| format!("has a repository that is no URL of an owner and a name: {repository}"))?;
    match url.owner {
        None => Err(format!("has a repository without an owner: {repository}")),
        Some(owner) if owner.contains('/') => Err(format!("has a repository in a group of groups, which GitHub does not have: {owner}/{}", url.repo)),
        Some(owner) if url.proto.starts_with("http") => Ok((decoded(&owner), decoded(&url.repo))),
        Some(owner) => Ok((owner, url.repo)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Commit;

    fn of(project: &str, repository: &str) -> Result<String, String> {
        let stamp = json!({"project": project, "repository": repository, "revision": "4f1c9d2", "codebase": ""});
        Commit::of(&stamp).map(|commit| format!("{}/{}", commit.owner, commit.repo))
    }

    #[test]
    fn owner_and_name() {
        for (project, repository, expected) in [
            ("", "https://github.com/octo/repo", "octo/repo"),
            ("", "https://github.com/octo/repo.git", "octo/repo"),
            ("", "https://github.com/octo/repo/", "octo/repo"),
            ("", "git@github.com:octo/repo.git", "octo/repo"),
            ("", "https://u:tok%40en@github.com/octo/repo.git", "octo/repo"),
            ("", "https://github.com/octo/we%20ird+repo.git", "octo/we ird+repo"),
            ("", "https://github.com/octo/a%2fb", "octo/a%2fb"),
            ("own/repo", "https://github.com/octo/other", "own/repo"),
            ("widget", "https://github.com/octo/repo", "octo/repo"),
            ("a/b/c", "https://github.com/octo/repo", "octo/repo"),
            ("/b", "https://github.com/octo/repo", "octo/repo"),
        ] {
            assert_eq!(of(project, repository).as_deref(), Ok(expected), "{project} {repository}");
        }
    }

    #[test]
    fn no_commit() {
        for (project, repository, reason) in [
            ("", "", "the source stamp has neither a project like owner/repo nor a repository"),
            ("a/b/c", "", "the source stamp has neither a project like owner/repo nor a repository"),
            ("", "file:///srv/git/o/r.git", "the source stamp has a repository that is no URL of an owner and a name: file:///srv/git/o/r.git"),
            ("", "/srv/git/r.git", "the source stamp has a repository that is no URL of an owner and a name: /srv/git/r.git"),
            ("", "https://example.org/repo.git", "the source stamp has a repository without an owner: https://example.org/repo.git"),
            ("", "git@gitlab.com:grp/sub/proj.git", "the source stamp has a repository in a group of groups, which GitHub does not have: grp/sub/proj"),
            ("../..", "", "the source stamp names no commit of GitHub's: ../..@4f1c9d2"),
        ] {
            assert_eq!(of(project, repository), Err(reason.into()), "{project} {repository}");
        }
        let stamp = |revision| json!({"project": "o/r", "codebase": "lib", "revision": revision});
        assert_eq!(Commit::of(&stamp(json!(null))), Err("the source stamp of codebase lib has no revision".into()));
        assert_eq!(Commit::of(&stamp(json!(""))), Err("the source stamp of codebase lib has no revision".into()));
        assert!(Commit::of(&stamp(json!(".."))).is_err());
    }
}
