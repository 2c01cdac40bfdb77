//! Projects and their ids.

use reporter_sdk::http::{self, Request};
use reporter_sdk::remembered::Remembered;
use reporter_sdk::services::{Level, log};
use serde_json::Value;

use crate::settings::ENDPOINT;

/// Ids by path.
const PROJECTS: Remembered = Remembered::new("projects");
/// Paths that have stood in for an id.
const STOOD_IN: Remembered = Remembered::new("projects by path");

/// A project, as the build knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Project {
    /// From the property `source_project_id`, which GitLab's hook sets.
    Id(u64),
    /// From the repository's URL: `group/subgroup/name`.
    Path(String),
}

/// A project, as requests name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its id. Without a network to ask over, or a GitLab that can say, its path, which GitLab takes as well.
    pub id: String,
    /// The path, if the id is one that was kept and may be another by now.
    pub kept_of: Option<String>,
    /// What lanes and what is kept call it: its id, or its path once that has stood in, so that what names the one and what names the other keep
    /// their order. Not the path from the start: builds of merge requests know nothing but the id.
    pub key: String,
}

impl Project {
    /// For people.
    pub fn name(&self) -> String {
        match self {
            Self::Id(id) => format!("project {id}"),
            Self::Path(path) => path.clone(),
        }
    }

    /// Its id: kept, or asked for with `GET /api/v4/projects/{path}`.
    ///
    /// # Errors
    ///
    /// Why there is none.
    pub fn find(&self) -> Result<Found, String> {
        let path = match self {
            Self::Id(id) => return Ok(Found { id: id.to_string(), kept_of: None, key: id.to_string() }),
            Self::Path(path) => path,
        };
        let key = |id: &str| STOOD_IN.get(path).map_or_else(|| id.to_owned(), |_| path.clone());
        if let Some(id) = PROJECTS.get(path) {
            return Ok(Found { key: key(&id), id, kept_of: Some(path.clone()) });
        }
        let answer = http::query(Request::new(ENDPOINT, "GET", ["api", "v4", "projects", path]));
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let said = body["message"].as_str().or_else(|| body["error"].as_str()).map(|message| format!(": {message}")).unwrap_or_default();
        let refused = |why: &str| Err(format!("GitLab does not say which project {path} is; it answered {}{said}{why}", answer.status));
        match (answer.status, body["id"].as_u64()) {
            (0, _) => Ok(Found { id: path.clone(), kept_of: None, key: path.clone() }),
            (500..=599, _) => {
                log(Level::Warn, &format!("GitLab cannot say which project {path} is, and the status names its path; it answered {}{said}", answer.status));
                STOOD_IN.put(path, "");
                Ok(Found { id: path.clone(), kept_of: None, key: path.clone() })
            }
            (200..=299, Some(id)) => {
                PROJECTS.put(path, &id.to_string());
                Ok(Found { id: id.to_string(), kept_of: None, key: key(&id.to_string()) })
            }
            // GitLab has the same answer for what a token may not see.
            (404, _) => Err(format!(
                "GitLab has no project {path}, or hides it from the setting token{said}; give that token scope api and role Developer in the project"
            )),
            (401 | 403, _) => refused("; look at the token and its rights (scope api, role Developer)"),
            (200..=299, None) => refused(", without an id; look at baseURL"),
            _ => refused(""),
        }
    }

    /// Forgets the id.
    pub fn forget(&self) {
        if let Self::Path(path) = self {
            PROJECTS.forget(path);
        }
    }
}
