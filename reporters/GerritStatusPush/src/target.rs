//! Which patch sets a build is about.

use reporter_sdk::prelude::*;
use serde_json::Value;

/// A patch set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Gerrit's project.
    pub project: String,
    /// The commit, or `CHANGE,PATCHSET`.
    pub revision: String,
}

/// The patch sets that `repo` downloaded, else the one that GerritChangeSource found; and why others are none.
pub fn targets(build: &Build) -> (Vec<Target>, Vec<String>) {
    let given = |name: &str| build.property(name).filter(|value| !value.is_null());
    match (given("repo_downloads"), given("repo_downloaded")) {
        // What was not downloaded was not tested, whatever change led to the build.
        (Some(downloads), Some(downloaded)) => repo(&downloads, &downloaded),
        _ => match git(&given) {
            Ok(target) => (vec![target], Vec::new()),
            Err(reason) => (Vec::new(), vec![reason]),
        },
    }
}

/// `["project change/patchset"]`, and `change/patchset revision` for each that was downloaded.
fn repo(downloads: &Value, downloaded: &Value) -> (Vec<Target>, Vec<String>) {
    let tokens: Vec<&str> = downloaded.as_str().unwrap_or_default().split_whitespace().collect();
    let of = |download: &str| {
        let (project, change) = download.trim().rsplit_once(' ').ok_or_else(|| format!("repo_downloads has {download:?}, which is no project and change"))?;
        let revision = tokens.chunks_exact(2).find(|pair| pair[0] == change).map(|pair| pair[1]);
        let revision = revision.ok_or_else(|| format!("repo_downloaded has no revision of {change} of {project}"))?;
        Target::new(project.trim(), revision)
    };
    let (mut targets, mut reasons) = (Vec::new(), Vec::new());
    for download in downloads.as_array().into_iter().flatten() {
        match of(download.as_str().unwrap_or_default()) {
            Ok(target) if targets.contains(&target) => {}
            Ok(target) => targets.push(target),
            Err(reason) => reasons.push(reason),
        }
    }
    if targets.is_empty() && reasons.is_empty() {
        reasons.push("the build downloaded no change with repo: repo_downloads is empty".to_owned());
    }
    (targets, reasons)
}

fn git(given: &dyn Fn(&str) -> Option<Value>) -> Result<Target, String> {
    if given("event.change.id").is_none() {
        return Err("the build has neither the properties repo_downloads and repo_downloaded nor event.change.id of GerritChangeSource".into());
    }
    let project = given("event.change.project").ok_or("the build has no property event.change.project")?;
    let revision = ["event.patchSet.revision", "got_revision", "revision"].iter().find_map(|name| given(name));
    let revision = match revision.ok_or("the build has none of the properties event.patchSet.revision, got_revision and revision")? {
        // Of several codebases.
        Value::Object(revisions) => {
            let codebase = given("codebase").and_then(|codebase| codebase.as_str().map(str::to_owned));
            let codebase = codebase.ok_or("the revision is one of several codebases, and the build has no property codebase that says which")?;
            revisions.get(&codebase).cloned().unwrap_or_default()
        }
        one => one,
    };
    Target::new(project.as_str().unwrap_or_default(), revision.as_str().unwrap_or_default())
}

impl Target {
    /// Only what can be nothing else on a command line: properties come from anywhere.
    fn new(project: &str, revision: &str) -> Result<Self, String> {
        if project.is_empty() || project.starts_with('-') || project.contains(char::is_control) {
            return Err(format!("{project:?} is no project of Gerrit"));
        }
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let commit = (4..=64).contains(&revision.len()) && revision.bytes().all(|b| b.is_ascii_hexdigit());
        if !commit && !revision.split_once(',').is_some_and(|(change, set)| digits(change) && digits(set)) {
            return Err(format!("{revision:?} is neither a commit nor a change and a patch set"));
        }
        Ok(Self { project: project.into(), revision: revision.into() })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const A: &str = "3b97070d46ccd66422a8e7b83e6967ed84780538";
    const B: &str = "9f6194d012e32351219374c1b15c7675fdc3b297";

    fn of(properties: Value) -> (Vec<(String, String)>, Vec<String>) {
        let all: serde_json::Map<_, _> = properties.as_object().unwrap().iter().map(|(name, value)| (name.clone(), json!([value, "Change"]))).collect();
        let (targets, reasons) = targets(&Build::from_json(json!({"properties": all})));
        (targets.into_iter().map(|target| (target.project, target.revision)).collect(), reasons)
    }

    fn is(project: &str, revision: &str) -> (String, String) {
        (project.into(), revision.into())
    }

    #[test]
    fn a_patch_set_of_the_change_source() {
        let base = json!({"event.change.id": "I8473", "event.change.project": "tools/p"});
        let with = |name: &str, value: Value| {
            let mut properties = base.clone();
            properties[name] = value;
            properties
        };
        assert_eq!(of(with("event.patchSet.revision", json!(A))).0, [is("tools/p", A)]);
        assert_eq!(of(with("got_revision", json!(A))).0, [is("tools/p", A)]);
        assert_eq!(of(with("revision", json!("4711,3"))).0, [is("tools/p", "4711,3")]);
        let mut several = with("got_revision", json!({"lib": A, "app": B}));
        assert!(of(several.clone()).1[0].contains("no property codebase"));
        several["codebase"] = json!("app");
        assert_eq!(of(several).0, [is("tools/p", B)]);
        assert!(of(base).1[0].contains("none of the properties"));
        assert!(of(json!({"revision": A, "event.change.project": "p"})).1[0].contains("neither the properties"));
    }

    #[test]
    fn nothing_that_could_be_an_option() {
        for (project, revision) in [("--submit", A), ("", A), ("p", "--submit"), ("p", ""), ("p", "HEAD"), ("p", "1,"), ("p\n", A), ("p", "abc")] {
            let (targets, reasons) = of(json!({"event.change.id": "I", "event.change.project": project, "revision": revision}));
            assert!(targets.is_empty() && reasons.len() == 1, "{project:?} {revision:?}");
        }
    }

    #[test]
    fn what_repo_downloaded() {
        let both = json!({"repo_downloads": ["tools/p 564/12", "tools/q 565/1"], "repo_downloaded": format!("564/12 {A} 565/1 {B} ")});
        assert_eq!(of(both), (vec![is("tools/p", A), is("tools/q", B)], vec![]));
        let one = json!({"repo_downloads": ["tools/p 564/12", "tools/q 565/1"], "repo_downloaded": format!("565/1 {B}")});
        assert_eq!(of(one), (vec![is("tools/q", B)], vec!["repo_downloaded has no revision of 564/12 of tools/p".into()]));
        // The change that led to the build was not downloaded, so nothing is said about it.
        let none = json!({"repo_downloads": [], "repo_downloaded": "", "event.change.id": "I", "event.change.project": "p", "event.patchSet.revision": A});
        assert_eq!(of(none).0, []);
        assert_eq!(of(json!({"repo_downloads": ["nonsense"], "repo_downloaded": ""})).1, ["repo_downloads has \"nonsense\", which is no project and change"]);
    }
}
