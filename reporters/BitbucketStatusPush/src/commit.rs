//! Which commit a source stamp means.

use reporter_sdk::giturl::{GitUrl, decoded};
use reporter_sdk::stamps::{part, revision, text};
use serde_json::Value;

/// What stands before workspace and repository in an address of the API, which Buildbot's own hook takes for the repository.
const OF_API: &str = "2.0/repositories/";

/// A commit of a repository on Bitbucket Cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// The workspace.
    pub owner: String,
    /// The repository's name.
    pub repo: String,
    /// The revision.
    pub sha: String,
}

impl Commit {
    /// The commit of a source stamp.
    ///
    /// # Errors
    ///
    /// Why it has none.
    pub fn of(stamp: &Value) -> Result<Self, String> {
        let sha = revision(stamp)?;
        let (owner, repo) = place(text(stamp, "repository"))?;
        Ok(Self { owner: part("a workspace", &owner)?, repo: part("a repository", &repo)?, sha })
    }
}

fn place(repository: &str) -> Result<(String, String), String> {
    if repository.is_empty() {
        return Err("has no repository".into());
    }
    let url = GitUrl::parse(repository).ok_or_else(|| format!("has a repository that is no URL of a workspace and a name: {repository}"))?;
    let owner = url.owner.ok_or_else(|| format!("has a repository without a workspace: {repository}"))?;
    let owner = match owner.rsplit_once(OF_API) {
        Some((before, workspace)) if before.is_empty() || before.ends_with('/') => workspace,
        _ => &owner,
    };
    if owner.contains('/') {
        return Err(format!("has a repository in a group of groups, which Bitbucket does not have: {owner}/{}", url.repo));
    }
    Ok(if url.proto.starts_with("http") { (decoded(owner), decoded(&url.repo)) } else { (owner.to_owned(), url.repo) })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::Commit;

    fn of(repository: &str) -> Result<String, String> {
        Commit::of(&json!({"repository": repository, "revision": "4f1c9d2"})).map(|commit| format!("{}/{}", commit.owner, commit.repo))
    }

    #[test]
    fn workspace_and_name() {
        for (repository, expected) in [
            ("git@bitbucket.org:own/repo.git", "own/repo"),
            ("git@bitbucket.org:own/repo.git/", "own/repo"),
            ("https://bitbucket.org/own/repo", "own/repo"),
            ("https://bitbucket.org/own/repo.git/", "own/repo"),
            ("ssh://git@bitbucket.org/own/repo.git", "own/repo"),
            ("https://user@bitbucket.org/own/repo.git", "own/repo"),
            ("https://api.bitbucket.org/2.0/repositories/own/repo", "own/repo"),
            ("https://proxy.example/bb/2.0/repositories/own/repo", "own/repo"),
            ("https://bitbucket.org/acme/we%20ird+repo.git", "acme/we ird+repo"),
        ] {
            assert_eq!(of(repository).as_deref(), Ok(expected), "{repository}");
        }
    }

    #[test]
    fn no_commit() {
        for (repository, reason) in [
            ("", "has no repository"),
            ("/srv/git/r.git", "is no URL of a workspace and a name"),
            ("https://bitbucket.org/repo.git", "without a workspace"),
            ("https://bitbucket.org/a/b/c", "a group of groups, which Bitbucket does not have: a/b/c"),
            ("https://h/12.0/repositories/own/repo", "a group of groups"),
            ("https://h/%2e%2e/repo", "has a workspace that is none: \"..\""),
        ] {
            assert!(of(repository).unwrap_err().contains(reason), "{repository}: {:?}", of(repository));
        }
        for revision in [json!(null), json!("")] {
            assert_eq!(Commit::of(&json!({"repository": "https://h/o/r", "revision": revision})), Err("has no revision".into()));
        }
    }
}
