//! Headers as they go over the wire: ASCII, folded at blanks and commas, and no line longer than a server takes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use lettre::message::Mailbox;
use lettre::message::header::{HeaderName, HeaderValue};

/// Bytes of a line where it can be folded (RFC 5322, 2.1.1: 78 with what comes after them).
const LINE: usize = 76;
/// Bytes of a word that stays as it is: behind the longest name still less than the 998 that a line may have.
const MOST_WORD: usize = 900;
/// Bytes of a text in one encoded word, which may have 75 characters (RFC 2047, 2).
const ENCODED: usize = 45;

/// A header with a text, blanks and all.
pub(super) fn text(name: HeaderName, value: &str) -> HeaderValue {
    let mut line = Line::of(&name);
    let (mut odd, mut blanks) = (String::new(), 0);
    for word in value.split(' ') {
        if word.is_empty() {
            blanks += 1;
            continue;
        }
        // Readers drop what stands between two encoded words, and may make one of several blanks: those are encoded with their word.
        if blanks > 0 || !is_plain(word) {
            odd.push_str(&" ".repeat(if odd.is_empty() { blanks } else { blanks + 1 }));
            odd.push_str(word);
        } else {
            line.encode(&std::mem::take(&mut odd));
            line.push(word);
        }
        blanks = 0;
    }
    line.encode(&odd);
    line.header(name, value)
}

/// A header that may have a form of its own, in which a blank is as good as several, and one after a comma as good as none.
pub(super) fn structured(name: HeaderName, value: &str) -> HeaderValue {
    let words = |value: &str| value.split([' ', '\t']).filter(|word| !word.is_empty()).map(str::to_owned).collect::<Vec<_>>();
    let mut found = words(value);
    if found.iter().any(|word| word.len() > MOST_WORD) {
        found = words(&value.replace(',', ", "));
    }
    text(name, &found.join(" "))
}

/// A header with addresses.
pub(super) fn addresses(name: HeaderName, list: &[Mailbox]) -> HeaderValue {
    let mut line = Line::of(&name);
    for (n, mailbox) in (1..).zip(list) {
        let address: &str = mailbox.email.as_ref();
        let comma = if n < list.len() { "," } else { "" };
        match &mailbox.name {
            Some(name) => {
                line.phrase(name);
                line.push(&format!("<{address}>{comma}"));
            }
            None => line.push(&format!("{address}{comma}")),
        }
    }
    let raw = list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    line.header(name, &raw)
}

/// Whether it can stand as it is, and is not read as something encoded.
fn is_plain(word: &str) -> bool {
    word.len() <= MOST_WORD && word.bytes().all(|byte| byte.is_ascii_graphic()) && !word.contains("=?")
}

struct Line {
    out: String,
    /// Bytes of the last line.
    length: usize,
}

impl Line {
    fn of(name: &HeaderName) -> Self {
        Self { out: String::new(), length: name.len() + ": ".len() }
    }

    /// The next word, with a blank or a fold before it. Nothing is folded directly after the name.
    fn push(&mut self, word: &str) {
        if !self.out.is_empty() {
            if self.length + 1 + word.len() > LINE {
                self.out.push_str("\r\n");
                self.length = 0;
            }
            self.out.push(' ');
            self.length += 1;
        }
        self.out.push_str(word);
        self.length += word.len();
    }

    /// RFC 2047.
    fn encode(&mut self, mut text: &str) {
        while !text.is_empty() {
            let (word, rest) = text.split_at(text.floor_char_boundary(ENCODED));
            self.push(&format!("=?utf-8?b?{}?=", STANDARD.encode(word)));
            text = rest;
        }
    }

    /// A person's name: an atom, a quoted string, or encoded.
    fn phrase(&mut self, name: &str) {
        let is_short = name.len() <= ENCODED && name.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) && !name.contains("=?");
        if !is_short {
            self.encode(name);
        } else if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_') {
            self.push(name);
        } else {
            self.push(&format!("\"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")));
        }
    }

    fn header(self, name: HeaderName, raw: &str) -> HeaderValue {
        HeaderValue::dangerous_new_pre_encoded(name, raw.to_owned(), self.out)
    }
}
