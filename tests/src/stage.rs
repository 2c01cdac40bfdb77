//! A build at each of its stages, of a repository and branch of one's choice: what reporters to code forges are shown.

use reporter_host::event::{Event, Kind, Rows};
use serde_json::{Map, Value, json};

use crate::{Mapped, build};

/// How far a build is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It is asked for.
    Requested,
    /// It is not wanted any more, before it began.
    Cancelled,
    /// It runs.
    Started,
    /// It ended so.
    Finished(u8),
}

/// What is built: by default the pull request 7 of octo/repo.
#[derive(Clone, Debug)]
pub struct Checkout {
    /// The source stamps. One without a project, repository, branch or revision has these of octo/repo.
    pub stamps: Vec<Value>,
    /// Properties beside the usual ones: `{name: value}`.
    pub properties: Value,
}

const REVISION: &str = "4f1c9d2e77aab0c3d1e5f60718293a4b5c6d7e8f";
const BRANCH: &str = "refs/pull/7/merge";

impl Default for Checkout {
    fn default() -> Self {
        Self { stamps: vec![json!({})], properties: json!({"branch": BRANCH}) }
    }
}

impl Checkout {
    /// A build of one repository and branch, which is no project of its own.
    pub fn of(repository: &str, branch: &str) -> Self {
        Self { stamps: vec![json!({"project": "", "repository": repository, "branch": branch})], properties: json!({"branch": branch}) }
    }

    /// With a property.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.properties[name] = value.into();
        self
    }

    /// The `n`-th event about build 12 of `linux`.
    pub fn at(&self, stage: Stage, n: usize) -> (Event, Mapped) {
        let results = if let Stage::Finished(results) = stage { Some(results) } else { None };
        let (mut event, source) = build(results.unwrap_or_default());
        let mut rows: Vec<(String, Rows)> = source.rows().map(|(path, rows)| (path.clone(), rows.clone())).collect();
        for (path, found) in &mut rows {
            match path.as_str() {
                "buildsets/60" => found[0]["sourcestamps"] = self.stamps.iter().enumerate().map(stamp).collect(),
                "builds/40/properties" | "buildsets/60/properties" => {
                    for (name, value) in self.properties.as_object().into_iter().flatten() {
                        found[0][name] = json!([value, "Change"]);
                    }
                }
                "buildrequests/50" => {
                    found[0]["complete"] = json!(stage == Stage::Cancelled);
                    found[0]["results"] = json!(if stage == Stage::Cancelled { 6 } else { -1 });
                }
                _ => {}
            }
        }
        let request = |rows: &[(String, Rows)]| rows.iter().find(|(path, _)| path == "buildrequests/50").map(|(_, rows)| rows[0].clone());
        let (kind, verb) = match stage {
            Stage::Requested => (Kind::BuildrequestNew, "new"),
            Stage::Cancelled => (Kind::BuildrequestCancelled, "cancel"),
            Stage::Started => (Kind::BuildStarted, "new"),
            Stage::Finished(_) => (Kind::BuildFinished, "finished"),
        };
        event.kind = kind;
        match stage {
            Stage::Requested | Stage::Cancelled => {
                event.id = format!("main/buildrequests/{n}/{verb}");
                event.message = request(&rows).unwrap_or_default();
            }
            _ => event.id = format!("main/builds/{n}/{verb}"),
        }
        if stage == Stage::Started {
            for (key, value) in [("complete", json!(false)), ("complete_at", Value::Null), ("results", Value::Null)] {
                event.message[key] = value;
            }
        }
        (event, Mapped::new(rows))
    }
}

fn stamp((n, given): (usize, &Value)) -> Value {
    let mut stamp = json!({"ssid": n + 1, "branch": BRANCH, "revision": REVISION, "project": "octo/repo", "repository": "https://github.com/octo/repo.git",
        "codebase": "", "created_at": 1_799_999_990, "patch": null});
    for (key, value) in given.as_object().unwrap_or(&Map::new()) {
        stamp[key] = value.clone();
    }
    stamp
}
