//! What a bot reads from masters.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use super::bot::{Bot, Presenter, Refusal, readable};
use super::text::Line;
use crate::master;

/// Builds that are read at once to find the last of each builder.
const LATEST: &str = "200";
/// Builders whose last build is asked for one by one.
const ONE_BY_ONE: usize = 20;
/// Running builds whose step is asked for.
const WITH_STEP: usize = 10;

/// A builder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Builder {
    /// The name of its master.
    pub master: String,
    /// Its number.
    pub id: u64,
    /// Its name.
    pub name: String,
    /// As it is called here: by its name, or as `MASTER/NAME` where another master has one of the same name.
    pub called: String,
    /// Whether a worker that it is configured on is connected.
    pub online: bool,
}

/// A build that runs.
#[derive(Clone, Debug)]
pub struct Running {
    /// The builder.
    pub builder: Builder,
    /// The build's id.
    pub id: u64,
    /// Its number in the builder.
    pub number: u64,
    /// The step that it is at, in words; none: it is between steps, or was not asked for.
    pub step: Option<String>,
}

/// What is known of a builder's last build that ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Last {
    /// Its row.
    Build(Value),
    /// None has ended yet.
    Never,
    /// It is not among the newest of its master, and there were too many builders to ask for each.
    NotAsked,
}

/// Rows of a master's REST API.
///
/// # Errors
///
/// It cannot be reached, or has no such thing.
pub fn rows(name: &str, path: &[&str], query: &[(&str, &str)]) -> Result<Vec<Value>, Refusal> {
    let answer = master::get(name, path, query);
    match (answer.status, serde_json::from_slice(&answer.body)) {
        (200, Ok(Value::Array(rows))) => Ok(rows),
        (404, _) => Err(Refusal::new(format!("The master {name} cannot say that."))),
        _ => {
            let why = String::from_utf8_lossy(&answer.body).into_owned();
            Err(Refusal::new(format!("The master {name} cannot be asked now: {}", readable_line(&why))))
        }
    }
}

/// Whether a master is running or shutting down, in a word.
///
/// # Errors
///
/// It cannot be asked.
pub fn shutdown(master: &str) -> Result<String, Refusal> {
    let state = rows(master, &["shutdown"], &[])?;
    Ok(state.first().and_then(|state| state["state"].as_str()).unwrap_or("in a state that is not known").to_owned())
}

fn readable_line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    crate::cut::to_chars(&line, 200).into_owned()
}

/// A number of a row.
pub fn number(row: &Value, key: &str) -> u64 {
    row[key].as_u64().unwrap_or_default()
}

/// A result of a row.
pub fn results(row: &Value) -> Option<u8> {
    row["results"].as_u64().and_then(|results| u8::try_from(results).ok())
}

/// The address of a master's pages, with a slash at its end; empty if it is not known.
pub fn url(name: &str) -> String {
    let config = rows(name, &["config"], &[]).unwrap_or_default();
    let url = config.first().and_then(|config| config["buildbotURL"].as_str()).unwrap_or_default().trim_end_matches('/');
    if url.is_empty() { String::new() } else { format!("{url}/") }
}

/// The page of a build.
pub fn build_url(base: &str, builder: u64, number: u64) -> String {
    if base.is_empty() { String::new() } else { format!("{base}#/builders/{builder}/builds/{number}") }
}

impl<P: Presenter> Bot<P> {
    /// The names of the masters.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn masters(&self) -> Result<Vec<String>, Refusal> {
        let names = master::names();
        if names.is_empty() { Err(Refusal::new("I follow no master.")) } else { Ok(names) }
    }

    /// The builders that the bot speaks of, in the order of the masters.
    ///
    /// # Errors
    ///
    /// A master cannot be asked.
    pub fn builders(&self) -> Result<Vec<Builder>, Refusal> {
        let mut found = Vec::new();
        for master in self.masters()? {
            let all = rows(&master, &["builders"], &[])?;
            let workers = rows(&master, &["workers"], &[]).unwrap_or_default();
            let connected = workers.iter().filter(|worker| is_some(&worker["connected_to"]));
            let online: Vec<u64> =
                connected.flat_map(|worker| worker["configured_on"].as_array().into_iter().flatten()).map(|on| number(on, "builderid")).collect();
            for row in &all {
                // A builder without masters is no longer configured.
                if row.get("masterids").is_some_and(|ids| !is_some(ids)) || !self.speaks_of(&tags(row)) {
                    continue;
                }
                let id = number(row, "builderid");
                let name = row["name"].as_str().unwrap_or_default().to_owned();
                found.push(Builder { master: master.clone(), id, called: name.clone(), name, online: online.contains(&id) });
            }
        }
        let mut masters: BTreeMap<String, usize> = BTreeMap::new();
        found.iter().for_each(|builder| *masters.entry(builder.name.clone()).or_default() += 1);
        for builder in found.iter_mut().filter(|builder| masters.get(&builder.name).is_some_and(|masters| *masters > 1)) {
            builder.called = format!("{}/{}", builder.master, builder.name);
        }
        Ok(found)
    }

    /// One builder, by its name or as it is called.
    ///
    /// # Errors
    ///
    /// There is none of this name, or several masters have one; or a master cannot be asked.
    pub fn builder(&self, name: &str) -> Result<Builder, Refusal> {
        let all = self.builders()?;
        if let Some(one) = all.iter().find(|builder| builder.called == name) {
            return Ok(one.clone());
        }
        let found: Vec<&str> = all.iter().filter(|builder| builder.name == name).map(|builder| builder.called.as_str()).collect();
        Err(match found[..] {
            [] => Line::text("There is no builder ").name(readable(name)).and(". Say list all builders for those there are."),
            _ => Line::text("More than one master has a builder ").name(readable(name)).and(". Say which, as one of:").items(found),
        }
        .into())
    }

    /// Whether the bot speaks of builders with these tags.
    pub fn speaks_of(&self, tags: &[String]) -> bool {
        self.tags.is_empty() || tags.iter().any(|tag| self.tags.contains(tag))
    }

    /// The builds of these builders that run, with the step that they are at.
    ///
    /// # Errors
    ///
    /// A master cannot be asked.
    pub fn running(&self, builders: &[Builder]) -> Result<Vec<Running>, Refusal> {
        let mut found = Vec::new();
        for master in distinct(builders) {
            let of_one = builders.len() == 1;
            let id = builders[0].id.to_string();
            let mut query = vec![("complete", "false"), ("order", "buildid")];
            if of_one {
                query.push(("builderid", &id));
            }
            for row in rows(master, &["builds"], &query)? {
                let Some(builder) = builders.iter().find(|builder| builder.master == *master && builder.id == number(&row, "builderid")) else { continue };
                let id = number(&row, "buildid");
                let step = if found.len() < WITH_STEP { step(master, id) } else { None };
                found.push(Running { builder: builder.clone(), id, number: number(&row, "number"), step });
            }
        }
        Ok(found)
    }

    /// The last build of each of these builders that ended.
    ///
    /// # Errors
    ///
    /// A master cannot be asked.
    pub fn last(&self, builders: &[Builder]) -> Result<Vec<Last>, Refusal> {
        let mut last: Vec<Option<Value>> = vec![None; builders.len()];
        let ended = |row: &Value| row["complete"].as_bool() == Some(true);
        if builders.len() > 1 {
            for master in distinct(builders) {
                let latest = rows(master, &["builds"], &[("complete", "true"), ("order", "-buildid"), ("limit", LATEST)])?;
                for (place, builder) in builders.iter().enumerate().filter(|(_, builder)| builder.master == *master) {
                    last[place] = latest.iter().find(|row| number(row, "builderid") == builder.id && ended(row)).cloned();
                }
            }
        }
        let missing: Vec<usize> = (0..builders.len()).filter(|place| last[*place].is_none()).collect();
        let not_asked = missing.get(ONE_BY_ONE..).unwrap_or_default().to_vec();
        for place in missing.into_iter().take(ONE_BY_ONE) {
            let (builder, id) = (&builders[place], builders[place].id.to_string());
            let query = [("builderid", id.as_str()), ("complete", "true"), ("order", "-number"), ("limit", "1")];
            last[place] = rows(&builder.master, &["builds"], &query)?.into_iter().find(ended);
        }
        let of = |(place, last): (usize, Option<Value>)| match last {
            Some(build) => Last::Build(build),
            None if not_asked.contains(&place) => Last::NotAsked,
            None => Last::Never,
        };
        Ok(last.into_iter().enumerate().map(of).collect())
    }

    /// How a build of a master is called: `Build #12 of linux`, with its link; or by its revisions.
    pub fn named(&self, base: &str, builder: &Builder, id: u64, build: u64) -> Line {
        if self.use_revisions {
            let revisions = revisions(&rows(&builder.master, &["builds", &id.to_string(), "changes"], &[]).unwrap_or_default());
            if !revisions.is_empty() {
                return by_revisions(&revisions, &builder.called);
            }
        }
        by_number(build, build_url(base, builder.id, build), &builder.called)
    }
}

/// `Build #12 of linux`
pub fn by_number(number: u64, url: String, builder: &str) -> Line {
    Line::text("Build ").link(format!("#{number}"), url).and(" of ").name(builder)
}

/// `Build containing revisions [a87b2c4] of linux`
pub fn by_revisions(revisions: &[String], builder: &str) -> Line {
    Line::text(format!("Build containing revisions [{}] of ", revisions.join(", "))).name(builder)
}

/// Revisions or people that are named at most, and one more if it is the last.
const WORDS: usize = 10;
/// Characters of one of them.
pub const WORD: usize = 60;

/// The revisions of changes or source stamps, each once. Hashes are cut to 7 characters.
pub fn revisions(rows: &[Value]) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    for revision in rows.iter().filter_map(|row| row["revision"].as_str()).filter(|revision| !revision.is_empty()) {
        let is_hash = revision.len() >= 12 && revision.bytes().all(|byte| byte.is_ascii_hexdigit());
        let short = if is_hash { Cow::Borrowed(&revision[..7]) } else { crate::cut::to_chars(revision, WORD) };
        if !found.iter().any(|known| *known == short) {
            found.push(short.into_owned());
        }
    }
    some_of(found)
}

/// The first of a list of words, and how many others there are.
pub fn some_of(mut words: Vec<String>) -> Vec<String> {
    let more = words.len().saturating_sub(WORDS);
    if more > 1 {
        words.truncate(WORDS);
        words.push(format!("and {more} others"));
    }
    words
}

/// The step that a build is at.
fn step(master: &str, build: u64) -> Option<String> {
    let query = [("complete", "false"), ("order", "number"), ("limit", "1")];
    let steps = rows(master, &["builds", &build.to_string(), "steps"], &query).ok()?;
    let step = steps.iter().find(|step| step["complete"].as_bool() != Some(true))?;
    let words = step["state_string"].as_str().filter(|words| !words.is_empty()).or_else(|| step["name"].as_str())?;
    Some(words.to_owned())
}

fn tags(row: &Value) -> Vec<String> {
    row["tags"].as_array().into_iter().flatten().filter_map(|tag| tag.as_str().map(str::to_owned)).collect()
}

/// Whether a list has something in it.
pub fn is_some(list: &Value) -> bool {
    list.as_array().is_some_and(|list| !list.is_empty())
}

fn distinct(builders: &[Builder]) -> Vec<&String> {
    let mut masters: Vec<&String> = Vec::new();
    for builder in builders {
        if !masters.contains(&&builder.master) {
            masters.push(&builder.master);
        }
    }
    masters
}
