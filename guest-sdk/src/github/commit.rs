//! Which commit a source stamp means.

use serde_json::Value;

use crate::giturl::{GitUrl, decoded};
use crate::stamps::{part, revision, text};

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
    /// Why it has none, as what follows "the source stamp".
    pub fn of(stamp: &Value) -> Result<Self, String> {
        let sha = revision(stamp)?;
        let (owner, repo) = from_project(text(stamp, "project")).map_or_else(|| from_url(text(stamp, "repository")), Ok)?;
        Ok(Self { owner: part("an owner", &owner)?, repo: part("a repository", &repo)?, sha })
    }
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
            ("", "", "has neither a project like owner/repo nor a repository"),
            ("a/b/c", "", "has neither a project like owner/repo nor a repository"),
            ("", "file:///srv/git/o/r.git", "has a repository that is no URL of an owner and a name: file:///srv/git/o/r.git"),
            ("", "/srv/git/r.git", "has a repository that is no URL of an owner and a name: /srv/git/r.git"),
            ("", "https://example.org/repo.git", "has a repository without an owner: https://example.org/repo.git"),
            ("", "git@gitlab.com:grp/sub/proj.git", "has a repository in a group of groups, which GitHub does not have: grp/sub/proj"),
            ("../..", "", "has an owner that is none: \"..\""),
        ] {
            assert_eq!(of(project, repository), Err(reason.into()), "{project} {repository}");
        }
        let stamp = |revision| json!({"project": "o/r", "codebase": "lib", "revision": revision});
        assert_eq!(Commit::of(&stamp(json!(null))), Err("has no revision".into()));
        assert_eq!(Commit::of(&stamp(json!(""))), Err("has no revision".into()));
        assert_eq!(Commit::of(&stamp(json!("a".repeat(20_000)))), Err("has a revision of 20000 characters".into()));
        assert!(Commit::of(&stamp(json!(".."))).is_err());
    }
}
