//! What a bot reads from masters.

use std::borrow::Cow;

use serde_json::Value;

use super::bot::{Bot, Presenter, Refusal, readable};
use super::text::Line;
use crate::master;
use crate::services::{Level, log};

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
    /// As it is called here: by its name, or as `MASTER/NAME` where the entry follows several masters.
    pub called: String,
    /// Whether a worker that it is configured on is connected.
    pub online: bool,
}

/// What is known of builders.
#[derive(Clone, Debug, Default)]
pub struct Builders {
    /// Those of the masters that answer, in the order of the masters.
    pub all: Vec<Builder>,
    /// The names of the masters that cannot be asked now.
    pub away: Vec<String>,
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
/// It cannot be reached, or has no such thing. Why goes to the log: addresses are nothing for a public channel.
pub fn rows(name: &str, path: &[&str], query: &[(&str, &str)]) -> Result<Vec<Value>, Refusal> {
    let answer = master::get(name, path, query);
    match (answer.status, serde_json::from_slice(&answer.body)) {
        (200, Ok(Value::Array(rows))) => Ok(rows),
        (404, _) => Err(Refusal::new(format!("The master {name} cannot say that."))),
        _ => {
            log(Level::Warn, &format!("the master {name} cannot be asked: {}", readable_line(&String::from_utf8_lossy(&answer.body))));
            Err(Refusal(cannot_be_asked(&[name.to_owned()]).into()))
        }
    }
}

/// `The master east cannot be asked now.`
fn cannot_be_asked(masters: &[String]) -> Line {
    let many = if masters.len() == 1 { "master" } else { "masters" };
    Line::text(format!("The {many} {} cannot be asked now.", masters.join(", ")))
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

    /// The builders that the bot speaks of.
    ///
    /// # Errors
    ///
    /// No master can be asked.
    pub fn builders(&self) -> Result<Builders, Refusal> {
        let masters = self.masters()?;
        let mut found = Builders::default();
        for master in &masters {
            let Ok(all) = rows(master, &["builders"], &[]) else {
                found.away.push(master.clone());
                continue;
            };
            let workers = rows(master, &["workers"], &[]).unwrap_or_default();
            let connected = workers.iter().filter(|worker| is_some(&worker["connected_to"]));
            let online: Vec<u64> =
                connected.flat_map(|worker| worker["configured_on"].as_array().into_iter().flatten()).map(|on| number(on, "builderid")).collect();
            for row in &all {
                // A builder without masters is no longer configured.
                if row.get("masterids").is_some_and(|ids| !is_some(ids)) || !self.speaks_of(&tags(row)) {
                    continue;
                }
                let id = number(row, "builderid");
                let name = row["name"].as_str().unwrap_or_default();
                let called = called(&masters, master, name);
                found.all.push(Builder { master: master.clone(), id, called, name: name.to_owned(), online: online.contains(&id) });
            }
        }
        if found.away.len() == masters.len() { Err(Refusal(cannot_be_asked(&masters).into())) } else { Ok(found) }
    }

    /// One builder, by its name or as `MASTER/NAME`, to be looked at.
    ///
    /// # Errors
    ///
    /// There is none of this name, or it may mean several; or no master can be asked.
    pub fn builder(&self, name: &str) -> Result<Builder, Refusal> {
        self.builders()?.one(name)
    }

    /// One builder, to do something there.
    ///
    /// # Errors
    ///
    /// As [`Bot::builder`]; or a master cannot be asked that may have a builder of this name too.
    pub fn builder_to_change(&self, name: &str) -> Result<Builder, Refusal> {
        let found = self.builders()?;
        let one = found.one(name)?;
        if found.away.is_empty() || name == one.with_master() {
            return Ok(one);
        }
        let line = cannot_be_asked(&found.away).and(" It may have a builder of this name too; if it is not meant, say ").name(one.with_master()).and(".");
        Err(line.into())
    }

    /// How the builder of an event is called.
    pub fn called(&self, source: &str, builder: &str) -> String {
        called(&master::names(), source, builder)
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

/// `NAME`, or `MASTER/NAME` where there are several masters. That depends on the settings alone: what others have or whether they answer
/// changes no name.
fn called(masters: &[String], master: &str, name: &str) -> String {
    if masters.len() > 1 && masters.iter().any(|known| known == master) { format!("{master}/{name}") } else { name.to_owned() }
}

impl Builder {
    fn with_master(&self) -> String {
        format!("{}/{}", self.master, self.name)
    }

    fn goes_by(&self, name: &str) -> bool {
        self.name == name || name.strip_prefix(&self.master).and_then(|rest| rest.strip_prefix('/')) == Some(&self.name)
    }
}

impl Builders {
    /// Which masters cannot be asked, to be said beside what the others answered.
    pub fn missing(&self) -> Option<Line> {
        (!self.away.is_empty()).then(|| cannot_be_asked(&self.away))
    }

    /// Says that there is nothing, and which masters cannot be asked.
    pub fn nothing(&self, text: impl Into<String>) -> Refusal {
        Refusal(std::iter::once(Line::text(text)).chain(self.missing()).collect::<Vec<_>>().into())
    }

    fn one(&self, name: &str) -> Result<Builder, Refusal> {
        let meant = |name: &str| self.all.iter().filter(|builder| builder.goes_by(name)).collect::<Vec<_>>();
        let found = meant(name);
        if let [one] = found[..] {
            return Ok(one.clone());
        }
        if found.is_empty() {
            let line = Line::text("There is no builder ").name(readable(name)).and(". Say list all builders for those there are.");
            return Err(Refusal(std::iter::once(line).chain(self.missing()).collect::<Vec<_>>().into()));
        }
        // A builder may be called as another's master and name are.
        let alone = |builder: &&&Builder| [builder.with_master(), builder.name.clone()].into_iter().find(|name| meant(name).len() == 1);
        let names: Vec<String> = found.iter().filter_map(|builder| alone(&builder)).collect();
        let nameless = found.len() - names.len();
        let line = Line::text("More than one builder goes by ").name(readable(name));
        let line = if names.is_empty() { line.and(".") } else { line.and(". Say which, as one of:").items(names) };
        Err(if nameless == 0 { line } else { line.and(" (What has no name of its own has to be renamed on its master.)") }.into())
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
