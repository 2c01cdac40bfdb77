//! Comments that a reporter edits instead of adding another: the half that knows no service.
//!
//! A [`Thread`] is one comment to come back to: a place (a pull request) and a context (`buildbot/linux`). [`say`] edits its comment
//! if there is one and adds it otherwise; the reporter hands what comes back to [`answered`], which keeps the comment's id. When the id is not
//! known (a first report, a lost state, too many threads since), the comment is looked for among those at the place by a marker that nobody sees,
//! which is its last line, and by its author: anybody may write a marker, so the service is asked who we are, and none of anybody else's is taken.
//! Builds may write one as well, into a log that is reported: what is reported is made [`harmless`].
//! A comment that somebody has deleted meanwhile, or that we may not edit (any more), is made anew.
//!
//! Adding twice cannot always be avoided: a report may come while the comment before it is on its way, and its id in nobody's hands; or the service
//! does not say who we are before it has a comment of ours; or its comments could not be read. Then the older one is removed as soon as both are known:
//! it is looked for when the new one has been added, and where that fails, each time when that has been edited.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::component::{Failure, Outcome};
use crate::cut;
use crate::delivery::{Answer, Terms, Verdict};
use crate::http::{self, Request};
use crate::remembered::Remembered;
use crate::services::{Level, log, state};

/// Comments that are known, by thread.
const KNOWN: Remembered = Remembered::new("comments");
/// What is being written into comments, by thread, in case that they are gone.
const TEXTS: Remembered = Remembered::of("comment texts", MOST_TEXTS);
/// Who we are, as the service says, and the author of what we added last. Others may copy a marker.
const OURSELVES: &str = "comments are by";
/// Bytes of all these texts, so that those and the ids have room in the 64 KiB that an entry has.
const MOST_TEXTS: usize = 46 << 10;
/// Bytes that are kept of a text at least; more, as long as there is room.
const LEAST_KEPT: usize = 4 << 10;
/// Bytes that are left for another's: each of it may take two.
const RESERVED: usize = 10 << 10;
/// Bytes of a context, which goes into tags.
const MOST_CONTEXT: usize = 200;
/// Bytes of a tag.
const MOST_TAG: usize = 1_000;
/// Questions for pages that are looked through for a marker.
const MOST_PAGES: usize = 20;
/// Comments on a page, as long as the host hands on the whole of it (256 KiB).
const PER_PAGE: u64 = 32;
/// How often an edit is begun anew because somebody else has edited meanwhile.
const MOST_CONFLICTS: u8 = 3;
/// How often an earlier comment is looked for beside one that is known, each time when that has been written.
const MOST_LOOKS: u8 = 10;

/// One comment to come back to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Thread {
    /// Where it stands, in the service's own words: owner, repository, number of the pull request …
    pub place: Vec<String>,
    /// What tells our comments of one place apart: `buildbot/linux`.
    pub context: String,
}

impl Thread {
    /// The comment for `context` at a place.
    pub fn new<S: Into<String>>(place: impl IntoIterator<Item = S>, context: &str) -> Self {
        Self { place: place.into_iter().map(Into::into).collect(), context: cut::to_bytes(context, MOST_CONTEXT).into_owned() }
    }

    /// A lane for everything that is written there, and what newer texts supersede.
    pub fn key(&self) -> String {
        format!("{} {}", self.place.join("/"), self.context)
    }
}

/// A comment as its service tells of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comment {
    /// Its id.
    pub id: String,
    /// Its version, where an edit has to name the one that it replaces.
    pub version: Option<u64>,
    /// Who wrote it, as a service's own id of a person; empty if it does not say.
    pub author: String,
    /// What it says, marker included.
    pub text: String,
}

/// What is taken as a comment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most code points.
    pub chars: usize,
    /// The most bytes of UTF-8.
    pub bytes: usize,
}

/// Some of the comments at a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The comments; of several with our marker, the first counts.
    pub comments: Vec<Comment>,
    /// Where the next page begins; none on the last.
    pub next: Option<u64>,
}

/// What a service knows about its comments. Requests are made of a thread's place alone, so that they can be made when an answer comes back.
pub trait Service {
    /// What a comment may have.
    fn limits(&self) -> Limits;
    /// Asks for `most` comments at a place, from the one at position `from` (0: the first), which is a multiple of `most` if the service's
    /// pages begin at such.
    fn page(&self, place: &[String], from: u64, most: u64) -> Request;
    /// Reads the answer to it; called with 2xx only. None if it cannot be read, as where the end of a long page is missing.
    fn read_page(&self, answer: &Answer, from: u64, most: u64) -> Option<Page>;
    /// Asks for one comment.
    fn one(&self, place: &[String], id: &str) -> Request;
    /// Reads a comment, as a page has it and as adding and editing are answered; none if it is no comment.
    fn read(&self, comment: &Value) -> Option<Comment>;
    /// Adds a comment.
    fn add(&self, place: &[String], text: &str) -> Request;
    /// Writes a new text into a comment.
    fn edit(&self, place: &[String], comment: &Comment, text: &str) -> Request;
    /// Removes a comment.
    fn remove(&self, place: &[String], comment: &Comment) -> Request;
    /// Asks who we are, in the words of [`Comment::author`]; none if the service does not say. The answer is kept.
    fn ourselves(&self) -> Option<String>;

    /// What marks our comment for a context and is not seen when the text is shown: one line, with [`plain`] in it. Where HTML is shown as text,
    /// write another.
    fn marker(&self, context: &str) -> String {
        format!("<!-- {} -->", plain(context))
    }
}

/// What every marker has before its context.
const MARK: &str = "reporter-host:";

/// A text without anything that could be taken for a marker: what somebody has a build print is no comment of ours.
pub fn harmless<'a>(service: &dyn Service, text: &'a str) -> Cow<'a, str> {
    let marker = service.marker("");
    let Some(begin) = marker.find(MARK).map(|at| &marker[..at + MARK.len()]) else { return text.into() };
    if text.contains(begin) { text.replace(begin, &begin.replace(MARK, "reporter-host :")).into() } else { text.into() }
}

/// Whether a comment's text ends with this marker, alone in its line.
fn ends_with(text: &str, marker: &str) -> bool {
    text.trim_end().lines().next_back().is_some_and(|line| line.trim() == marker)
}

/// A context in letters that end no HTML comment, in one word.
pub fn plain(context: &str) -> String {
    let mut out = String::from(MARK);
    for byte in context.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'_' => out.push(byte.into()),
            _ => out.push_str(&format!("%{byte:02X}")),
        }
    }
    out
}

/// The number of a text that is not in [`TEXTS`].
const NOT_KEPT: u64 = 0;

/// What comes back with an answer.
#[derive(Debug, Serialize, Deserialize)]
struct Tag {
    #[serde(flatten)]
    thread: Thread,
    title: String,
    /// The comment that was edited; none if one was added.
    edited: Option<String>,
    /// Which of the texts for this thread.
    text: u64,
    conflicts: u8,
    /// Whether there may be one that could not be looked for.
    #[serde(default)]
    unseen: bool,
}

/// Edits the comment of a thread, or adds it. `link` survives when the text has to be cut. Lane, superseding, tag and the rules for comments
/// that are gone are added to `terms`, whose title is that of what may follow, too.
pub fn say(service: &dyn Service, thread: &Thread, text: &str, link: &str, terms: Terms) {
    let key = thread.key();
    let marker = format!("\n\n{}", service.marker(&thread.context));
    let limits = service.limits();
    let text = harmless(service, text);
    let body = |bytes: usize| {
        let text = cut::with_link_below(&text, link, limits.chars - marker.chars().count(), bytes - marker.len());
        format!("{text}{marker}")
    };
    let (mut comment, mut unseen) = (known(&key).map(|(comment, _)| comment), false);
    if comment.is_none() {
        match ourselves(service).map(|name| find(service, thread, &name, None)) {
            Some(Ok(found)) => comment = found.inspect(|comment| remember(&key, comment, 0)),
            None | Some(Err(Unread)) => unseen = true,
        }
    }
    let number = match &comment {
        Some(_) => {
            let before = TEXTS.get(&key).and_then(|row| row.split_once(' ')?.0.parse::<u64>().ok());
            let number = before.unwrap_or_default() + 1;
            TEXTS.forget(&key);
            TEXTS.put(&key, &format!("{number} {}", kept(limits.bytes, body)));
            number
        }
        None => NOT_KEPT,
    };
    let title = cut::to_bytes(terms.title.as_deref().unwrap_or("comment"), MOST_CONTEXT).into_owned();
    let tag = Tag { thread: thread.clone(), title, edited: comment.as_ref().map(|comment| comment.id.clone()), text: number, conflicts: 0, unseen };
    write(service, &tag, comment.as_ref(), &body(limits.bytes), terms);
}

/// As much of a text as there is room for: all of it, unless it or those of other threads are long.
fn kept(most: usize, body: impl Fn(usize) -> String) -> String {
    let room = TEXTS.room().saturating_sub(RESERVED).max(LEAST_KEPT);
    let mut bytes = room;
    loop {
        let text = body(bytes.min(most));
        // Line feeds and quotes take two bytes in the table.
        if bytes <= LEAST_KEPT || serde_json::to_string(&text).is_ok_and(|text| text.len() <= room) {
            return text;
        }
        bytes = (bytes - bytes / 8).max(LEAST_KEPT);
    }
}

/// Sends an edit, or a new comment.
fn write(service: &dyn Service, tag: &Tag, comment: Option<&Comment>, body: &str, mut terms: Terms) {
    let place = &tag.thread.place;
    let key = tag.thread.key();
    let request = match comment {
        Some(comment) => service.edit(place, comment, body),
        None => service.add(place, body),
    };
    if comment.is_some() {
        for status in [404, 409, 410] {
            terms = terms.rule(status..=status, "", Verdict::Dead);
        }
    }
    terms = terms.lane(key.clone()).supersede(key);
    match serde_json::to_string(tag) {
        Ok(tag) if tag.len() <= MOST_TAG => terms = terms.tag(tag),
        _ => log(Level::Warn, "this comment's id is not kept: owner, repository and context are too long together"),
    }
    http::send(request, terms);
}

/// The answer to what [`say`] sent.
///
/// # Errors
///
/// None today; so that a reporter can return it.
pub fn answered(service: &dyn Service, tag: &str, answer: &Answer) -> Result<Outcome, Failure> {
    let skip = |why: &str| Ok(Outcome::Skipped(why.into()));
    let Ok(tag) = serde_json::from_str::<Tag>(tag) else { return skip("it was no comment") };
    let key = tag.thread.key();
    let kept = TEXTS.get(&key).and_then(|row| row.split_once(' ').map(|(number, text)| (number.to_owned(), text.to_owned())));
    let newest = kept.filter(|(number, _)| *number == tag.text.to_string()).map(|(_, text)| text);
    if answer.ended == "delivered" {
        if newest.is_some() {
            TEXTS.forget(&key);
        }
        return Ok(keep(service, &tag, answer));
    }
    let (Some(id), "dead") = (tag.edited.clone(), answer.ended.as_str()) else { return skip("it was not delivered, so there is nothing to keep") };
    match answer.status {
        401 | 403 | 404 | 410 => {
            let known = known(&key).filter(|(known, _)| known.id == id);
            if known.is_some() {
                KNOWN.forget(&key);
            }
            let why = if matches!(answer.status, 401 | 403) {
                // We may be somebody else by now, whose comment it is not: it would be found again.
                state::set(OURSELVES, None);
                "may not be edited"
            } else {
                "is gone"
            };
            let Some(text) = newest else { return skip(&format!("the comment {why}; the next report makes a new one")) };
            TEXTS.forget(&key);
            log(Level::Info, &format!("the comment {why}: a new one is made"));
            let title = tag.title.clone();
            // Whoever we are now may have one there already, and so may we.
            let unseen = matches!(answer.status, 401 | 403) || known.is_some_and(|(_, looks)| looks > 0);
            write(service, &Tag { edited: None, text: NOT_KEPT, unseen, ..tag }, None, &text, Terms::titled(title));
            Ok(Outcome::Sent)
        }
        409 if tag.conflicts < MOST_CONFLICTS => {
            let Some(text) = newest else { return skip("somebody else has edited the comment; the next report edits it again") };
            let comment = read(service, &http::query(service.one(&tag.thread.place, &id)));
            let title = tag.title.clone();
            let tag = match &comment {
                Some(_) => Tag { conflicts: tag.conflicts + 1, ..tag },
                None => Tag { edited: None, text: NOT_KEPT, ..tag },
            };
            write(service, &tag, comment.as_ref(), &text, Terms::titled(title));
            Ok(Outcome::Sent)
        }
        _ => skip("the comment was refused"),
    }
}

/// Keeps the id of a comment that was written, and removes the one before it if there are two now.
fn keep(service: &dyn Service, tag: &Tag, answer: &Answer) -> Outcome {
    let Some(comment) = read(service, answer) else { return Outcome::Skipped("the answer has no id of a comment".into()) };
    let key = tag.thread.key();
    let is_new = tag.edited.is_none();
    let (known, mut looks) = known(&key).unzip();
    let mut before = known.filter(|before| is_new && before.id != comment.id);
    if is_new && !comment.author.is_empty() {
        state::set(OURSELVES, Some(&comment.author));
    }
    let is_unseen = if is_new { tag.unseen } else { looks > Some(0) };
    if is_unseen && before.is_none() {
        (before, looks) = earlier(service, tag, &comment, looks.unwrap_or_default());
    }
    remember(&key, &comment, looks.unwrap_or_default());
    let Some(before) = before else { return Outcome::Skipped("the comment's id is kept".into()) };
    // Whoever removed it by hand did the same.
    let terms = Terms::titled(format!("removal of the comment before {}", tag.title)).lane(key).rule(404..=404, "", Verdict::Done);
    http::send(service.remove(&tag.thread.place, &before), terms);
    Outcome::Sent
}

/// Looks for the comment before one that was written, and says how often that has failed, if it is to be done again.
fn earlier(service: &dyn Service, tag: &Tag, comment: &Comment, looks: u8) -> (Option<Comment>, Option<u8>) {
    let author = Some(comment.author.clone()).filter(|author| !author.is_empty()).or_else(|| state::get(OURSELVES));
    match author.map(|author| find(service, &tag.thread, &author, Some(&comment.id))) {
        Some(Ok(found)) => (found, None),
        Some(Err(Unread)) if looks + 1 < MOST_LOOKS => (None, Some(looks + 1)),
        Some(Err(Unread)) => {
            let place = tag.thread.place.join("/");
            log(
                Level::Warn,
                &format!("comments at {place} could not be read {MOST_LOOKS} times: if an earlier one of ours is there, it stays until somebody removes it"),
            );
            (None, None)
        }
        None => (None, None),
    }
}

fn read(service: &dyn Service, answer: &Answer) -> Option<Comment> {
    if !(200..300).contains(&answer.status) {
        return None;
    }
    service.read(&serde_json::from_slice(&answer.body).ok()?).filter(|comment| !comment.id.is_empty())
}

/// `12`, `12 3`, `12 3 1` or `12 - 1`: id, version, and how often an earlier comment could not be looked for; 0 if there is none to look for.
fn known(key: &str) -> Option<(Comment, u8)> {
    let row = KNOWN.get(key)?;
    let mut words = row.split(' ');
    let id = words.next()?.into();
    let version = words.next().and_then(|version| version.parse().ok());
    let looks = words.next().and_then(|looks| looks.parse().ok()).unwrap_or_default();
    Some((Comment { id, version, ..Comment::default() }, looks))
}

fn remember(key: &str, comment: &Comment, looks: u8) {
    let row = match (comment.version, looks) {
        (Some(version), 0) => format!("{} {version}", comment.id),
        (None, 0) => comment.id.clone(),
        (Some(version), _) => format!("{} {version} {looks}", comment.id),
        (None, _) => format!("{} - {looks}", comment.id),
    };
    KNOWN.put(key, &row);
}

/// Who we are.
fn ourselves(service: &dyn Service) -> Option<String> {
    let kept = state::get(OURSELVES).filter(|name| !name.is_empty());
    kept.or_else(|| service.ourselves().filter(|name| !name.is_empty()).inspect(|name| state::set(OURSELVES, Some(name))))
}

/// The comments at a place cannot be read.
struct Unread;

/// Our comment among those at the place, but for one.
fn find(service: &dyn Service, thread: &Thread, ourselves: &str, but: Option<&str>) -> Result<Option<Comment>, Unread> {
    let marker = service.marker(&thread.context);
    let is_ours = |comment: &Comment| comment.author == ourselves && ends_with(&comment.text, &marker) && but != Some(comment.id.as_str());
    let (mut from, mut most) = (0, PER_PAGE);
    for _ in 0..MOST_PAGES {
        let answer = http::query(service.page(&thread.place, from, most));
        if !(200..300).contains(&answer.status) {
            // The comment itself will be refused for the same reason, where the operator sees it. Without a network the status is 0.
            if answer.status != 0 {
                log(Level::Info, &format!("comments at {} cannot be read: the answer was {}", thread.place.join("/"), answer.status));
            }
            return Err(Unread);
        }
        let Some(page) = service.read_page(&answer, from, most) else {
            let what = format!("{most} comments at {} from number {from} on cannot be read, as when they are too long together", thread.place.join("/"));
            if most > 1 {
                most /= 2;
                log(Level::Warn, &format!("{what}: {most} are asked for"));
            } else {
                from += 1;
                log(Level::Warn, &format!("{what}: they are left out; if ours is among them, another is added"));
            }
            continue;
        };
        if let Some(comment) = page.comments.into_iter().find(is_ours) {
            return Ok(Some(comment));
        }
        match page.next {
            Some(next) => from = next,
            None => return Ok(None),
        }
        while most < PER_PAGE && from % (2 * most) == 0 {
            most *= 2;
        }
    }
    log(Level::Info, &format!("there are too many comments at {} to look through them all", thread.place.join("/")));
    Ok(None)
}

#[cfg(test)]
#[path = "comment_tests.rs"]
mod tests;
