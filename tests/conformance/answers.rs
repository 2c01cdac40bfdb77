//! What reporters ask for before they send: answered as it was in the recordings.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::case::{array, json, sent_files};

/// Answers by path, as it goes over the wire.
#[derive(Clone, Default)]
pub struct Answers(BTreeMap<String, (u16, Value)>);

impl Answers {
    /// Adds those of a case. A project of GitLab's whose id was asked for in a scenario that is not among the recordings is known by the commit that got a
    /// status.
    pub fn add(&mut self, folder: &Path) -> Result<(), String> {
        let known = json(&folder.join("build.json"))?;
        let of_build = |build: &'_ Value| [array(&build["sourcestamps"]), array(&build["buildset"]["sourcestamps"])].concat();
        let stamps: Vec<Value> = array(&known["builds"]).iter().flat_map(of_build).collect();
        for file in sent_files(folder) {
            let sent = json(&file)?;
            let path = sent["path"].as_str().unwrap_or_default();
            if sent["method"] == "GET" {
                let status = sent["response"]["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(404);
                self.0.insert(path.to_owned(), (status, sent["response"]["json"].clone()));
            } else if let Some((before, (id, sha))) = path.split_once("/projects/").and_then(|(before, rest)| Some((before, rest.split_once("/statuses/")?))) {
                for repository in stamps.iter().filter(|stamp| stamp["revision"] == sha).filter_map(|stamp| stamp["repository"].as_str()) {
                    let asked = format!("{before}/projects/{}", project(repository).replace('/', "%2F"));
                    self.0.entry(asked).or_insert_with(|| (200, json!({"id": id.parse::<u64>().unwrap_or_default()})));
                }
            }
        }
        Ok(())
    }

    /// The answer to what is asked for at a path.
    pub fn to(&self, path: &str) -> (u16, String) {
        self.0.get(path).map_or_else(|| (404, "{}".into()), |(status, body)| (*status, body.to_string()))
    }
}

/// `group/name` of a repository's URL.
fn project(repository: &str) -> &str {
    let rest = repository.split_once("://").map_or(repository, |(_, rest)| rest);
    let rest = rest.split_once(['/', ':']).map_or(rest, |(_, path)| path);
    let rest = rest.split_once('/').filter(|(port, _)| port.bytes().all(|byte| byte.is_ascii_digit())).map_or(rest, |(_, path)| path);
    rest.strip_suffix(".git").unwrap_or(rest)
}
