//! Which commit a source stamp means on Bitbucket Cloud.

use serde_json::Value;

use crate::commit::{Commit, Forge};

/// Buildbot's own hook takes addresses of the API for repositories.
const CLOUD: Forge = Forge { name: "Bitbucket", owner: "a workspace", of_api: Some("2.0/repositories/") };

/// The commit of a source stamp; its owner is the workspace.
///
/// # Errors
///
/// Why it has none, as what follows "the source stamp".
pub fn commit(stamp: &Value) -> Result<Commit, String> {
    CLOUD.commit(stamp, None)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::commit;

    #[test]
    fn workspace_and_name() {
        let of = |repository: &str| commit(&json!({"repository": repository, "revision": "4f1c9d2"})).map(|commit| commit.name());
        for repository in ["git@bitbucket.org:own/repo.git/", "https://user@bitbucket.org/own/repo.git", "https://api.bitbucket.org/2.0/repositories/own/repo"]
        {
            assert_eq!(of(repository).as_deref(), Ok("own/repo@4f1c9d2"), "{repository}");
        }
        assert_eq!(of("https://bitbucket.org/repo.git"), Err("has a repository without a workspace: https://bitbucket.org/repo.git".into()));
        assert!(of("https://bitbucket.org/a/b/c").unwrap_err().ends_with("which Bitbucket does not have: a/b/c"));
    }
}
