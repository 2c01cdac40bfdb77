//! Which commit a source stamp means.

use serde_json::Value;

use crate::commit::{Commit, Forge};
use crate::stamps::text;

const GITHUB: Forge = Forge { name: "GitHub", owner: "an owner", of_api: None };

/// The commit of a source stamp: `project` if it says `owner/repo`, else the repository's URL.
///
/// # Errors
///
/// Why it has none, as what follows "the source stamp".
pub fn commit(stamp: &Value) -> Result<Commit, String> {
    let named = from_project(text(stamp, "project"));
    let is_nothing = named.is_none() && text(stamp, "repository").is_empty() && !text(stamp, "revision").is_empty();
    if is_nothing {
        return Err("has neither a project like owner/repo nor a repository".into());
    }
    GITHUB.commit(stamp, named)
}

/// A project of more parts is not GitHub's: then the repository decides.
fn from_project(project: &str) -> Option<(String, String)> {
    let (owner, repo) = project.split_once('/')?;
    let fits = !owner.is_empty() && !repo.is_empty() && !repo.contains('/');
    fits.then(|| (owner.into(), repo.into()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::commit;

    fn of(project: &str, repository: &str) -> Result<String, String> {
        let stamp = json!({"project": project, "repository": repository, "revision": "4f1c9d2", "codebase": ""});
        commit(&stamp).map(|commit| format!("{}/{}", commit.owner, commit.repo))
    }

    #[test]
    fn the_project_goes_before_the_repository() {
        for (project, repository, expected) in [
            ("", "https://github.com/octo/repo", "octo/repo"),
            ("own/repo", "https://github.com/octo/other", "own/repo"),
            ("own/repo", "", "own/repo"),
            ("widget", "https://github.com/octo/repo", "octo/repo"),
            ("a/b/c", "https://github.com/octo/repo", "octo/repo"),
            ("/b", "git@github.com:octo/repo.git", "octo/repo"),
        ] {
            assert_eq!(of(project, repository).as_deref(), Ok(expected), "{project} {repository}");
        }
    }

    #[test]
    fn no_commit() {
        for (project, repository, reason) in [
            ("", "", "has neither a project like owner/repo nor a repository"),
            ("a/b/c", "", "has neither a project like owner/repo nor a repository"),
            ("", "https://example.org/repo.git", "has a repository without an owner: https://example.org/repo.git"),
            ("", "git@gitlab.com:grp/sub/proj.git", "has a repository in a group of groups, which GitHub does not have: grp/sub/proj"),
            ("../..", "", "has an owner that is none: \"..\""),
        ] {
            assert_eq!(of(project, repository), Err(reason.into()), "{project} {repository}");
        }
        assert_eq!(commit(&json!({"revision": null})), Err("has no revision".into()));
    }
}
