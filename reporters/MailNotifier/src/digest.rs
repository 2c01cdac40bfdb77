//! Digests: what is reported within a window of time goes out in one mail to each person.
//!
//! The letters of a window wait in the entry's state, and a reminder comes when the window is over: both are committed with the call that took
//! the letter, so a restart loses neither. The window is one of the host's clock, whenever the builds were that it has. Each person gets the
//! letters that are for them; people with the same ones share a mail. What the entry's limits have no room for goes out early, or a little later.

use std::collections::BTreeMap;

use reporter_sdk::delivery;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log, state};
use serde::{Deserialize, Serialize};

use crate::address::bare;
use crate::bound::bound;
use crate::letter::Letter;
use crate::recipients::Envelope;

/// Bytes of letters that wait at most, also if the entry may keep more: each mail has a copy of those that are in it. What is more goes
/// out early.
const ROOM: usize = 48 << 10;
/// Bytes that [`Window`] takes at most, and a letter beside its own: its key.
const WINDOW_BYTES: usize = 200;
const KEY_BYTES: usize = 17;
/// Sends of one call; the others follow when a reminder has a budget of sends of its own, of which the last minute's count.
const MOST_SENDS: usize = 50;
const AFTERWARDS: u32 = 75;

/// The key of [`Window`], and what the keys of letters begin with.
const WINDOW: &str = "digest";
const LETTER: &str = "digest/";
const TAG: &str = "digest ";

/// The window that is open, or was last.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Window {
    /// Counts windows: a reminder of an earlier one is not to close this one.
    number: u64,
    /// Bytes of the letters that wait; 0: it is closed.
    bytes: usize,
    /// The next letter's number.
    next: u64,
    /// The last number of a window of the full time, and of one [`AFTERWARDS`]. A window that went out early leaves its reminder behind: it serves
    /// for the next one, because there can only be so many.
    #[serde(default)]
    long: u64,
    #[serde(default)]
    short: u64,
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

    /// The letters that wait, in order.
    fn letters() -> Vec<Letter> {
        state::keys(LETTER).iter().filter_map(|key| serde_json::from_str(&state::get(key)?).ok()).collect()
    }

    /// The mails of these letters, with which the window closes; `None`, and nothing has changed, if what is too much for one call is also too
    /// much to wait for another.
    fn close(&mut self, letters: &[Letter]) -> Option<Vec<Letter>> {
        let (mails, later) = bind(letters, Left::now());
        let later: Option<Vec<String>> = later.iter().map(|letter| serde_json::to_string(letter).ok()).collect();
        let later = later?;
        let keys = state::keys(LETTER);
        let kept: usize = keys.iter().map(|key| key.len() + state::get(key).map_or(0, |text| text.len())).sum();
        let wanted: usize = later.iter().map(|text| text.len() + KEY_BYTES).sum();
        if wanted > kept.max(ROOM.min(kept.saturating_add(room()))) {
            return None;
        }
        keys.iter().for_each(|key| state::set(key, None));
        self.bytes = 0;
        later.iter().for_each(|text| self.add(text));
        if self.bytes > 0 {
            self.short = self.open(self.short, AFTERWARDS);
        }
        self.write();
        Some(mails)
    }

    /// Opens a window until the reminder of this one, if that is still to come, or for so many seconds. Answers with its number.
    fn open(&mut self, earlier: u64, seconds: u32) -> u64 {
        if state::awaits(&tag(earlier)) {
            self.number = earlier;
        } else {
            self.number = self.number.max(self.long).max(self.short) + 1;
            state::remind(&self.tag(), seconds);
        }
        self.number
    }

    fn tag(&self) -> String {
        tag(self.number)
    }
}

fn tag(number: u64) -> String {
    format!("{TAG}{number}")
}

/// Bytes that can be kept for letters, beside those that are.
fn room() -> usize {
    usize::try_from(state::room()).unwrap_or(usize::MAX).saturating_sub(WINDOW_BYTES)
}

/// Keeps a letter until the window is over, which it opens for so many seconds if none is open. Answers with the mails that are to go out at once,
/// because there is no more room.
///
/// # Errors
///
/// If the letter cannot be kept.
pub fn keep(letter: Letter, seconds: u32) -> Result<Vec<Letter>, Failure> {
    let text = serde_json::to_string(&letter).map_err(|error| Failure::for_good(error.to_string()))?;
    let mut window = Window::read();
    if window.bytes + text.len() > ROOM || text.len() + KEY_BYTES > room() {
        let why = "what waits for the digest is more than there is room for (48 KiB, and limits.state_kib)";
        let mut letters = Window::letters();
        letters.push(letter);
        if let Some(mails) = window.close(&letters) {
            log(Level::Warn, &format!("{why}: it goes out before its time"));
            return Ok(mails);
        }
        log(Level::Warn, &format!("{why}, and for which limits.sends are too few: this mail goes out by itself"));
        return Ok(letters.pop().into_iter().collect());
    }
    let open = window.bytes > 0;
    window.add(&text);
    if !open {
        window.long = window.open(window.long, seconds);
    } else if !state::awaits(&window.tag()) {
        // It came, and the call for it failed for good.
        state::remind(&window.tag(), AFTERWARDS);
    }
    window.write();
    Ok(Vec::new())
}

/// The mails of the window that this reminder is about, as many as can be sent for now; none if it went out already.
pub fn due(tag: &str) -> Option<Vec<Letter>> {
    let number: u64 = tag.strip_prefix(TAG)?.parse().ok()?;
    let mut window = Window::read();
    if window.number != number || window.bytes == 0 {
        return None;
    }
    let mails = window.close(&Window::letters());
    if mails.is_none() {
        state::remind(&window.tag(), AFTERWARDS);
    }
    Some(mails.unwrap_or_default())
}

/// What a call may still send.
#[derive(Clone, Copy)]
struct Left {
    sends: usize,
    bytes: usize,
}

impl Left {
    fn now() -> Self {
        let (sends, bytes) = delivery::left();
        Self { sends: usize::try_from(sends).unwrap_or(MOST_SENDS).min(MOST_SENDS), bytes: usize::try_from(bytes).unwrap_or(usize::MAX) }
    }

    fn take(&mut self, mail: &Letter) -> bool {
        let (sends, bytes) = (self.sends.checked_sub(mail.sends()), self.bytes.checked_sub(mail.bytes()));
        if let (Some(sends), Some(bytes)) = (sends, bytes) {
            *self = Self { sends, bytes };
        }
        sends.is_some() && bytes.is_some()
    }
}

/// How somebody is addressed: the lower the more openly.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Place {
    To,
    Cc,
    Bcc,
}

/// One mail for all who get the same letters, as many as can be sent; and the letters of everybody else, to them alone. Letters that are too
/// much for one mail are several.
fn bind(letters: &[Letter], mut left: Left) -> (Vec<Letter>, Vec<Letter>) {
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
    let (mut now, most) = (Vec::new(), left.bytes);
    for (of, mut envelope) in groups {
        if envelope.to.is_empty() {
            envelope.to = std::mem::take(&mut envelope.cc);
        }
        let mut of = &of[..];
        while !of.is_empty() && left.sends > 0 {
            let (take, mut mail) = fitting(letters, of, &envelope, most);
            if mail.bytes() > most {
                // It will not fit into another call either, and must not keep the others waiting.
                mail.shorten(most);
            }
            if !left.take(&mail) {
                if !now.is_empty() {
                    break;
                }
                // More people than one call has sends for: who does not get it is named where it is sent.
                left.sends = 0;
            }
            now.push(mail);
            of = of.get(take..).unwrap_or_default();
        }
        for n in of {
            let later = later.entry(*n).or_default();
            later.to.extend(envelope.to.iter().cloned());
            later.cc.extend(envelope.cc.iter().cloned());
            later.bcc.extend(envelope.bcc.iter().cloned());
        }
    }
    let later = later.into_iter().filter_map(|(n, envelope)| Some(Letter { envelope, ..letters.get(n)?.clone() }));
    (now, later.collect())
}

/// As many of these letters, from the first on, as make a mail of at most `most` bytes, one at least; and that mail.
fn fitting(letters: &[Letter], of: &[usize], envelope: &Envelope, most: usize) -> (usize, Letter) {
    let mut take = of.len();
    loop {
        let chosen: Vec<&Letter> = of.iter().take(take).filter_map(|n| letters.get(*n)).collect();
        let mail = Letter { envelope: envelope.clone(), ..bound(&chosen) };
        if take <= 1 || mail.bytes() <= most {
            return (take.max(1), mail);
        }
        take /= 2;
    }
}
