//! Source stamps, each on its own: one that names nothing does not stop the others.

use serde_json::Value;

use crate::build::Build;
use crate::cut;
use crate::services::{Level, log};

/// The most characters of a part of a path: no forge has longer names.
const MOST: usize = 255;
/// Characters of a reason, which may quote what the source stamp says.
const MOST_REASON: usize = 500;

/// What the source stamps of a build name, by `of`, each once and in their order. Why the others name nothing is logged; `of` says it as
/// what follows "the source stamp": `has no revision`.
///
/// # Errors
///
/// Why none of them names anything.
pub fn each<T: PartialEq>(build: &Build, of: impl Fn(&Value) -> Result<T, String>) -> Result<Vec<T>, String> {
    let mut named = Vec::new();
    let mut reasons = Vec::new();
    for stamp in &build.sourcestamps() {
        match of(stamp) {
            Ok(one) if named.contains(&one) => {}
            Ok(one) => named.push(one),
            Err(why) => {
                let codebase = text(stamp, "codebase");
                let of = if codebase.is_empty() { String::new() } else { format!(" of codebase {codebase}") };
                reasons.push(cut::to_chars(&format!("the source stamp{of} {why}"), MOST_REASON).into_owned());
            }
        }
    }
    if named.is_empty() {
        return Err(if reasons.is_empty() { "the build has no source stamp".into() } else { reasons.join("; ") });
    }
    reasons.iter().for_each(|reason| log(Level::Info, reason));
    Ok(named)
}

/// A member of a source stamp; empty if there is none.
pub fn text<'a>(stamp: &'a Value, key: &str) -> &'a str {
    stamp[key].as_str().unwrap_or_default()
}

/// The revision, as one part of a path.
///
/// # Errors
///
/// It has none.
pub fn revision(stamp: &Value) -> Result<String, String> {
    match text(stamp, "revision") {
        "" => Err("has no revision".into()),
        revision => part("a revision", revision),
    }
}

/// A text that can be one part of a path; `what` is what it would be.
///
/// # Errors
///
/// It cannot.
pub fn part(what: &str, text: &str) -> Result<String, String> {
    let length = text.chars().count();
    if length > MOST {
        return Err(format!("has {what} of {length} characters"));
    }
    if matches!(text, "" | "." | "..") || text.contains(char::is_control) {
        return Err(format!("has {what} that is none: {text:?}"));
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn one_that_names_nothing_does_not_stop_the_others() {
        let build = |stamps: Value| Build::from_json(json!({"buildset": {"sourcestamps": stamps}}));
        let stamps = json!([
            {"codebase": "a", "revision": null}, {"revision": "r1"}, {"codebase": "b", "revision": ".."}, {"codebase": "c", "revision": "r2"}, {"revision": "r1"}
        ]);
        assert_eq!(each(&build(stamps), revision), Ok(vec!["r1".into(), "r2".into()]));
        let none = json!([{"codebase": "a", "revision": ""}, {"revision": "r".repeat(256)}]);
        assert_eq!(
            each(&build(none), revision),
            Err("the source stamp of codebase a has no revision; the source stamp has a revision of 256 characters".into())
        );
        let why = each(&build(json!([{"revision": ""}])), |_| Err::<(), _>(format!("has {}", "x".repeat(20_000))));
        assert_eq!(why.unwrap_err().chars().count(), MOST_REASON);
        assert_eq!(each(&build(json!([])), revision), Err("the build has no source stamp".into()));
    }
}
