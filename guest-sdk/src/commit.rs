//! Commits of repositories that have an owner and a name, as most forges call them.

use serde_json::Value;

use crate::giturl::{GitUrl, decoded};
use crate::stamps::{part, revision, text};

/// Characters of a revision that people need to know it again.
const SHORT: usize = 7;

/// A commit of a repository.
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
    /// `octo/repo@4f1c9d2`, for people.
    pub fn name(&self) -> String {
        format!("{}/{}@{}", self.owner, self.repo, short(&self.sha))
    }
}

/// The first characters of a revision, for people.
pub fn short(sha: &str) -> String {
    sha.chars().take(SHORT).collect()
}

/// How a forge calls what it has.
#[derive(Clone, Copy, Debug)]
pub struct Forge {
    /// `GitHub`
    pub name: &'static str,
    /// What its repositories belong to: `an owner`, `a workspace`.
    pub owner: &'static str,
    /// What stands before the owner in an address of its API that may be taken for a repository's: `2.0/repositories/`.
    pub of_api: Option<&'static str>,
}

impl Forge {
    /// The commit of a source stamp, whose repository is `given` (owner and name) or what its URL says.
    ///
    /// # Errors
    ///
    /// Why it has none, as what follows "the source stamp".
    pub fn commit(&self, stamp: &Value, given: Option<(String, String)>) -> Result<Commit, String> {
        let sha = revision(stamp)?;
        let (owner, repo) = given.map_or_else(|| self.owner_and_name(text(stamp, "repository")), Ok)?;
        Ok(Commit { owner: part(self.owner, &owner)?, repo: part("a repository", &repo)?, sha })
    }

    fn owner_and_name(&self, repository: &str) -> Result<(String, String), String> {
        if repository.is_empty() {
            return Err("has no repository".into());
        }
        let url = GitUrl::parse(repository).ok_or_else(|| format!("has a repository that is no URL of {} and a name: {repository}", self.owner))?;
        let owner = url.owner.ok_or_else(|| format!("has a repository without {}: {repository}", self.owner))?;
        let owner = match self.of_api.and_then(|before| owner.rsplit_once(before)) {
            Some((before, owner)) if before.is_empty() || before.ends_with('/') => owner,
            _ => &owner,
        };
        if owner.contains('/') {
            return Err(format!("has a repository in a group of groups, which {} does not have: {owner}/{}", self.name, url.repo));
        }
        Ok(if url.proto.starts_with("http") { (decoded(owner), decoded(&url.repo)) } else { (owner.to_owned(), url.repo) })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const FORGE: Forge = Forge { name: "Forge", owner: "an owner", of_api: Some("2.0/repositories/") };

    fn of(repository: &str) -> Result<String, String> {
        FORGE.commit(&json!({"repository": repository, "revision": "4f1c9d2aaaa"}), None).map(|commit| commit.name())
    }

    #[test]
    fn owner_and_name() {
        for (repository, expected) in [
            ("https://h/octo/repo", "octo/repo@4f1c9d2"),
            ("https://h/octo/repo.git/", "octo/repo@4f1c9d2"),
            ("git@h:octo/repo.git", "octo/repo@4f1c9d2"),
            ("ssh://git@h/octo/repo.git", "octo/repo@4f1c9d2"),
            ("https://u:tok%40en@h/octo/repo.git", "octo/repo@4f1c9d2"),
            ("https://h/octo/we%20ird+repo.git", "octo/we ird+repo@4f1c9d2"),
            ("https://h/octo/a%2fb", "octo/a%2fb@4f1c9d2"),
            ("https://api.h/2.0/repositories/octo/repo", "octo/repo@4f1c9d2"),
            ("https://proxy.h/bb/2.0/repositories/octo/repo", "octo/repo@4f1c9d2"),
        ] {
            assert_eq!(of(repository).as_deref(), Ok(expected), "{repository}");
        }
        let given = FORGE.commit(&json!({"repository": "https://h/octo/other", "revision": "4f1"}), Some(("own".into(), "repo".into())));
        assert_eq!(given.map(|commit| commit.name()), Ok("own/repo@4f1".into()));
    }

    #[test]
    fn no_commit() {
        for (repository, reason) in [
            ("", "has no repository"),
            ("/srv/git/r.git", "has a repository that is no URL of an owner and a name: /srv/git/r.git"),
            ("file:///srv/git/o/r.git", "has a repository that is no URL of an owner and a name: file:///srv/git/o/r.git"),
            ("https://h/repo.git", "has a repository without an owner: https://h/repo.git"),
            ("git@h:grp/sub/proj.git", "has a repository in a group of groups, which Forge does not have: grp/sub/proj"),
            ("https://h/12.0/repositories/own/repo", "has a repository in a group of groups, which Forge does not have: 12.0/repositories/own/repo"),
            ("https://h/%2e%2e/repo", "has an owner that is none: \"..\""),
        ] {
            assert_eq!(of(repository), Err(reason.into()), "{repository}");
        }
        let stamp = |revision| json!({"repository": "https://h/o/r", "codebase": "lib", "revision": revision});
        for (revision, reason) in [(json!(null), "has no revision"), (json!(""), "has no revision")] {
            assert_eq!(FORGE.commit(&stamp(revision), None), Err(reason.into()));
        }
        assert_eq!(FORGE.commit(&stamp(json!("a".repeat(20_000))), None), Err("has a revision of 20000 characters".into()));
        assert!(FORGE.commit(&stamp(json!("..")), None).is_err());
    }
}
