//! Digests: what is reported within a window of time goes out in one mail to each person.
//!
//! The letters of a window wait in the entry's state, and a reminder comes when the window is over: both are committed with the call that took
//! the letter, so a restart loses neither. Each person gets the letters that are for them; people with the same ones share a mail.

use std::collections::BTreeMap;

use reporter_sdk::prelude::*;
use reporter_sdk::results;
use reporter_sdk::services::state;
use serde::{Deserialize, Serialize};

use crate::address::bare;
use crate::letter::{Letter, escaped};
use crate::recipients::Envelope;

/// Bytes of letters that wait at most: an entry may keep 64 KiB. What is more goes out early.
const ROOM: usize = 48 << 10;
/// Mails of one call; the others follow in a minute, with a budget of sends of their own.
const MOST_MAILS: usize = 50;
const AFTERWARDS: u32 = 60;
/// Seconds after which a reminder that did not come is asked for once more.
const OVERDUE: u64 = 300;

/// The key of [`Window`], and what the keys of letters begin with.
const WINDOW: &str = "digest";
const LETTER: &str = "digest/";
const TAG: &str = "digest ";

/// The window that is open, or was last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Window {
    /// Counts windows: a reminder of an earlier one is not to close this one.
    number: u64,
    /// When it ends, in seconds since 1970.
    until: u64,
    /// Bytes of the letters that wait; 0: it is closed.
    bytes: usize,
    /// The next letter's number.
    next: u64,
}

impl Window {
    fn read() -> Self {
        state::get(WINDOW).and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
    }

    fn write(&self) {
        state::set(WINDOW, serde_json::to_string(self).ok().as_deref());
    }

    fn add(&mut self, text: &str) {
        state::set(&format!("{LETTER}{:010}", self.next), Some(text));
        self.next += 1;
        self.bytes += text.len();
    }

    /// Takes everything out, and closes it.
    fn take(&mut self) -> Vec<Letter> {
        let keys = state::keys(LETTER);
        let letters = keys.iter().filter_map(|key| {
            let text = state::get(key);
            state::set(key, None);
            serde_json::from_str(&text?).ok()
        });
        self.bytes = 0;
        letters.collect()
    }

    /// The mails of these letters. Of those that are too many for one call, the letters wait for another, unless they are too much for that.
    fn close(&mut self, letters: Vec<Letter>) -> Vec<Letter> {
        let (mut mails, later) = bind(&letters, MOST_MAILS);
        let later: Option<Vec<String>> = later.iter().map(|letter| serde_json::to_string(letter).ok()).collect();
        match later.filter(|later| later.iter().map(String::len).sum::<usize>() <= ROOM) {
            Some(later) => later.iter().for_each(|text| self.add(text)),
            None => mails = bind(&letters, usize::MAX).0,
        }
        if self.bytes > 0 {
            self.number += 1;
            self.until += u64::from(AFTERWARDS);
            state::remind(&self.tag(), AFTERWARDS);
        }
        self.write();
        mails
    }

    fn tag(&self) -> String {
        format!("{TAG}{}", self.number)
    }
}

/// Keeps a letter until the window is over, which it opens for so many seconds if none is open. Answers with the mails that are to go out at once,
/// because there is no more room.
///
/// # Errors
///
/// If the letter cannot be kept.
pub fn keep(letter: Letter, seconds: u32, now: u64) -> Result<Vec<Letter>, Failure> {
    let text = serde_json::to_string(&letter).map_err(|error| Failure::for_good(error.to_string()))?;
    let mut window = Window::read();
    let open = window.bytes > 0;
    if window.bytes + text.len() > ROOM {
        let mut letters = window.take();
        letters.push(letter);
        return Ok(window.close(letters));
    }
    window.add(&text);
    if !open {
        window.number += 1;
        window.until = now + u64::from(seconds);
        state::remind(&window.tag(), seconds);
    } else if now > window.until + OVERDUE {
        // The call for it failed, or an operator's limit was in the way.
        window.until = now;
        state::remind(&window.tag(), 1);
    }
    window.write();
    Ok(Vec::new())
}

/// The mails of the window that this reminder is about; none if it went out already.
pub fn due(tag: &str) -> Option<Vec<Letter>> {
    let number: u64 = tag.strip_prefix(TAG)?.parse().ok()?;
    let mut window = Window::read();
    if window.number != number || window.bytes == 0 {
        return None;
    }
    let letters = window.take();
    Some(window.close(letters))
}

/// How somebody is addressed: the lower the more openly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    To,
    Cc,
    Bcc,
}

/// One mail for all who get the same letters, so many at most; and the letters of everybody else, to them alone.
fn bind(letters: &[Letter], most: usize) -> (Vec<Letter>, Vec<Letter>) {
    let mut people: BTreeMap<String, (Place, String, Vec<usize>)> = BTreeMap::new();
    for (n, Letter { envelope, .. }) in letters.iter().enumerate() {
        for (place, addresses) in [(Place::To, &envelope.to), (Place::Cc, &envelope.cc), (Place::Bcc, &envelope.bcc)] {
            for address in addresses {
                let person = people.entry(bare(address)).or_insert_with(|| (place, address.clone(), Vec::new()));
                person.0 = person.0.min(place);
                if person.2.last() != Some(&n) {
                    person.2.push(n);
                }
            }
        }
    }
    let mut groups: BTreeMap<Vec<usize>, Envelope> = BTreeMap::new();
    for (place, address, of) in people.into_values() {
        let envelope = groups.entry(of).or_default();
        match place {
            Place::To => envelope.to.push(address),
            Place::Cc => envelope.cc.push(address),
            Place::Bcc => envelope.bcc.push(address),
        }
    }
    let mut later: BTreeMap<usize, Envelope> = BTreeMap::new();
    let mut now = Vec::new();
    for (of, mut envelope) in groups {
        if now.len() < most {
            if envelope.to.is_empty() {
                envelope.to = std::mem::take(&mut envelope.cc);
            }
            let of: Vec<&Letter> = of.iter().filter_map(|n| letters.get(*n)).collect();
            now.push(Letter { envelope, ..bound(&of) });
            continue;
        }
        for n in of {
            let left = later.entry(n).or_default();
            left.to.extend(envelope.to.iter().cloned());
            left.cc.extend(envelope.cc.iter().cloned());
            left.bcc.extend(envelope.bcc.iter().cloned());
        }
    }
    let later = later.into_iter().filter_map(|(n, envelope)| Some(Letter { envelope, ..letters.get(n)?.clone() }));
    (now, later.collect())
}

/// Several letters as one; one is itself.
fn bound(letters: &[&Letter]) -> Letter {
    let Some((first, others)) = letters.split_first() else { return Letter::default() };
    if others.is_empty() {
        return (*first).clone();
    }
    let count = letters.len();
    let of = if first.master.is_empty() { String::new() } else { format!(" of {}", first.master) };
    let mut results: BTreeMap<Option<u8>, usize> = BTreeMap::new();
    letters.iter().for_each(|letter| *results.entry(letter.result).or_default() += 1);
    let results = results.iter().rev().map(|(result, count)| format!("{count} {}", results::name(*result))).collect::<Vec<_>>().join(", ");
    let shared = |header: &&(String, String)| others.iter().all(|other| other.headers.contains(header));
    let lonely = |name: &str| ["in-reply-to", "references"].contains(&name.to_ascii_lowercase().as_str());
    let has_html = letters.iter().any(|letter| letter.html.is_some());
    let has_plain = letters.iter().all(|letter| letter.plain.is_some());
    Letter {
        about: format!("digest of {count} reports"),
        master: first.master.clone(),
        result: None,
        subject: format!("Buildbot digest{of}: {count} reports ({results})"),
        headers: first.headers.iter().filter(shared).filter(|(name, _)| !lonely(name)).cloned().collect(),
        plain: has_plain.then(|| plain(letters)),
        html: has_html.then(|| html(letters)),
        envelope: Envelope::default(),
    }
}

fn plain(letters: &[&Letter]) -> String {
    let mut text = String::from("What happened:\n\n");
    for (n, letter) in letters.iter().enumerate() {
        text.push_str(&format!("{:3}. {}\n", n + 1, letter.subject));
    }
    for (n, letter) in letters.iter().enumerate() {
        let body = letter.plain.as_deref().unwrap_or_default().trim_matches('\n');
        text.push_str(&format!("\n\n{}\n{}. {}\n\n{body}\n", "-".repeat(70), n + 1, letter.subject));
    }
    text
}

fn html(letters: &[&Letter]) -> String {
    let items: String = letters.iter().map(|letter| format!("<li>{}</li>\n", escaped(&letter.subject))).collect();
    let mut html = format!("<p>What happened:</p>\n<ol>\n{items}</ol>\n");
    for (n, letter) in letters.iter().enumerate() {
        let body = match (&letter.html, &letter.plain) {
            (Some(html), _) => html.clone(),
            (None, plain) => format!("<pre>{}</pre>", escaped(plain.as_deref().unwrap_or_default())),
        };
        html.push_str(&format!("<hr>\n<h3>{}. {}</h3>\n{body}\n", n + 1, escaped(&letter.subject)));
    }
    html
}
