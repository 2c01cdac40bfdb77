//! What a digest says: a list of what is in it, what needs somebody counted first, and then the texts.

use reporter_sdk::prelude::*;
use reporter_sdk::results;

use crate::letter::{Letter, escaped};
use crate::recipients::Envelope;

/// What a digest's list has of a build whose subject is the built-in one: `failure of build 12 on linux: failed test`.
pub fn line(about: &str, build: &Build, is_buildset: bool) -> String {
    let state = if is_buildset { String::new() } else { build.state_string() };
    if state.is_empty() { about.to_owned() } else { format!("{about}: {state}") }
}

/// Several letters as one; one is itself.
pub fn bound(letters: &[&Letter]) -> Letter {
    let Some((first, others)) = letters.split_first() else { return Letter::default() };
    if others.is_empty() {
        return (*first).clone();
    }
    let count = letters.len();
    let of = if first.master.is_empty() { String::new() } else { format!(" of {}", first.master) };
    let counts = counts(letters);
    let shared = |header: &&(String, String)| others.iter().all(|other| other.headers.contains(header));
    let lonely = |name: &str| ["in-reply-to", "references"].contains(&name.to_ascii_lowercase().as_str());
    let has_html = letters.iter().any(|letter| letter.html.is_some());
    let has_plain = letters.iter().all(|letter| letter.plain.is_some());
    Letter {
        about: format!("digest of {count} reports"),
        master: first.master.clone(),
        result: None,
        subject: format!("Buildbot digest{of}: {counts}"),
        line: String::new(),
        headers: first.headers.iter().filter(shared).filter(|(name, _)| !lonely(name)).cloned().collect(),
        plain: has_plain.then(|| plain(letters, &counts)),
        html: has_html.then(|| html(letters, &counts)),
        envelope: Envelope::default(),
    }
}

/// What needs somebody first, with the words for it.
const RESULTS: [(u8, &str); 7] = [
    (results::EXCEPTION, "broken by an exception"),
    (results::FAILURE, "failed"),
    (results::WARNINGS, "with warnings"),
    (results::CANCELLED, "cancelled"),
    (results::RETRY, "to be retried"),
    (results::SKIPPED, "skipped"),
    (results::SUCCESS, "succeeded"),
];

/// `2 failed, 1 with warnings, 7 succeeded`
fn counts(letters: &[&Letter]) -> String {
    let of = |result: Option<u8>| letters.iter().filter(|letter| letter.result == result).count();
    let known = RESULTS.iter().map(|(result, words)| (of(Some(*result)), *words));
    let counted: Vec<String> =
        known.chain([(of(None), "not finished")]).filter(|(count, _)| *count > 0).map(|(count, words)| format!("{count} {words}")).collect();
    counted.join(", ")
}

fn title(letter: &Letter) -> &str {
    if letter.line.is_empty() { &letter.subject } else { &letter.line }
}

fn plain(letters: &[&Letter], counts: &str) -> String {
    let mut text = format!("{} reports: {counts}\n\n", letters.len());
    for (n, letter) in letters.iter().enumerate() {
        text.push_str(&format!("{:3}. {}\n", n + 1, title(letter)));
    }
    for (n, letter) in letters.iter().enumerate() {
        let body = letter.plain.as_deref().unwrap_or_default().trim_matches('\n');
        text.push_str(&format!("\n\n{}\n{}. {}\n\n{body}\n", "-".repeat(70), n + 1, title(letter)));
    }
    text
}

fn html(letters: &[&Letter], counts: &str) -> String {
    let items: String = letters.iter().map(|letter| format!("<li>{}</li>\n", escaped(title(letter)))).collect();
    let mut html = format!("<p>{} reports: {counts}</p>\n<ol>\n{items}</ol>\n", letters.len());
    for (n, letter) in letters.iter().enumerate() {
        let body = match (&letter.html, &letter.plain) {
            (Some(html), _) => html.clone(),
            (None, plain) => format!("<pre>{}</pre>", escaped(plain.as_deref().unwrap_or_default())),
        };
        html.push_str(&format!("<hr>\n<h3>{}. {}</h3>\n{body}\n", n + 1, escaped(title(letter))));
    }
    html
}
