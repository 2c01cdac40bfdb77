//! Threads and lists: the headers by which mail programs group and sort.

use std::collections::BTreeSet;

use reporter_sdk::interpolate::Values;
use reporter_sdk::prelude::*;
use reporter_sdk::subject::one_line;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::address::on_the_wire;

/// `threads`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Threads {
    /// All mails about one builder.
    Builder,
    /// All mails about one change, whoever builds it.
    Change,
}

impl Threads {
    /// The headers of a mail about builds: as if it answered the thread's first mail, which nobody has to have got. The id is made of what the
    /// thread is about alone, so it is the same for ever.
    pub fn of_builds(self, event: &Event, builds: &[&Build], from: &str) -> Vec<(String, String)> {
        let Some(first) = builds.first() else { return Vec::new() };
        let source = event.source();
        match self {
            Self::Builder => {
                let builders: BTreeSet<String> = event.builds().iter().map(Build::builder).collect();
                headers("builder", [source].into_iter().chain(builders), from)
            }
            Self::Change => headers("change", [source].into_iter().chain(change(first)), from),
        }
    }

    /// The headers of a mail about a worker.
    pub fn of_worker(self, event: &Event, worker: &str, from: &str) -> Vec<(String, String)> {
        headers("worker", [event.source(), worker.to_owned()], from)
    }
}

/// What is the same for all builds of a change: its number at Gerrit, or the revisions; without any, the buildset.
fn change(build: &Build) -> Vec<String> {
    if let Some(Value::String(id)) = build.property("event.change.id") {
        return vec!["gerrit".into(), id];
    }
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let revision = |stamp: &Value| {
        let revision = text(&stamp["revision"]).filter(|revision| !revision.is_empty() && !stamp["patch"].is_object())?;
        Some(format!("{} {revision}", text(&stamp["codebase"]).unwrap_or_default()))
    };
    let stamps = build.sourcestamps();
    let revisions: Option<BTreeSet<String>> = stamps.iter().map(revision).collect();
    match revisions.filter(|revisions| !revisions.is_empty()) {
        Some(revisions) => revisions.into_iter().collect(),
        None => vec!["buildset".into(), build.document(&[])["buildset"]["bsid"].to_string()],
    }
}

fn headers(kind: &str, parts: impl IntoIterator<Item = String>, from: &str) -> Vec<(String, String)> {
    let parts: Vec<String> = parts.into_iter().collect();
    let from = on_the_wire(from).unwrap_or_default();
    let domain = from.rsplit_once('@').map_or("localhost", |(_, domain)| domain.trim_end_matches(['>', ' ', '.']));
    let root = format!("<{kind}.{}@{domain}>", digest(&parts));
    ["In-Reply-To", "References"].map(|name| (name.to_owned(), root.clone())).into()
}

/// 128 bits of FNV-1a, in hexadecimal: told apart are a few thousand builders, not adversaries.
fn digest(parts: &[String]) -> String {
    let bytes = parts.iter().flat_map(|part| part.bytes().chain([0]));
    let hash = bytes
        .fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b));
    format!("{hash:032x}")
}

/// `listId`, compiled.
#[derive(Debug)]
pub struct ListId(Interpolate);

impl ListId {
    /// Compiles.
    ///
    /// # Errors
    ///
    /// What cannot be a list's id.
    pub fn compile(setting: Option<Interpolate>) -> Result<Option<Self>, Problems> {
        let Some(id) = setting else { return Ok(None) };
        if id.is_static() {
            let text = id.render(&()).unwrap_or_default();
            if !text.contains('.') || list_id(&text) != format!("<{text}>") {
                return Err(Problems::at("/listId", format!("{text:?} is no list's id: write a name below a domain of yours, \"builds.example.org\"")));
            }
        }
        Ok(Some(Self(id)))
    }

    /// The header (RFC 2919).
    ///
    /// # Errors
    ///
    /// If a value does not fit its conversion.
    pub fn render(&self, values: &dyn Values) -> Result<(String, String), Failure> {
        Ok(("List-Id".into(), list_id(&one_line(&self.0.render(values)?))))
    }
}

/// Builders may have any name.
fn list_id(text: &str) -> String {
    let id: String = text.chars().map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' }).collect();
    format!("<{}>", id.trim_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_tell_parts_apart_and_stay_the_same() {
        let of = |parts: &[&str]| digest(&parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>());
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        // Threads of mailboxes that exist.
        assert_eq!(of(&[]), "6c62272e07bb014262b821756295c58d");
        let domain = |from: &str| headers("builder", ["main".to_owned(), "linux".to_owned()], from)[0].1.split_once('@').unwrap().1.to_owned();
        assert_eq!([domain("CI <ci@example.org> "), domain("ci@bücher.example")], ["example.org>", "xn--b-cher.example>"]);
    }

    #[test]
    fn lists() {
        assert_eq!(list_id("my builder.ci.example.org"), "<my-builder.ci.example.org>");
        for wrong in ["builds", "a b.example.org", "<builds.example.org>", ".example.org"] {
            assert!(ListId::compile(Some(Interpolate::literal(wrong))).is_err(), "{wrong}");
        }
        assert!(ListId::compile(Some(Interpolate::literal("builds.example.org"))).is_ok());
    }
}
