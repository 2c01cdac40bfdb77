//! What is attached, and what of it when it would be too much.

use reporter_sdk::amount::Bytes;
use reporter_sdk::prelude::*;
use reporter_sdk::services::{Level, log};
use reporter_sdk::smtp::{Attachment, Content};
use reporter_sdk::subject::one_line;
use serde_json::Value;

use crate::settings::AddLogs;

/// What a line of base64 stands for, and how long it is.
const LINE: (u64, u64) = (57, 78);
/// Bytes of the headers that every mail has, and of each part.
const HEADERS: u64 = 4_000;
const PART: u64 = 400;
/// Bytes of what is said about one that is cut.
const NOTE: u64 = 300;
/// Less of a log is of no use.
const LEAST: u64 = 1_000;

/// Something to be attached.
#[derive(Debug)]
pub struct Wanted {
    name: String,
    size: u64,
    content: Content,
}

/// The patches and logs of these builds.
pub fn wanted<'a>(builds: impl Iterator<Item = &'a Build> + Clone, several: bool, add_patch: bool, add_logs: &AddLogs) -> Vec<Wanted> {
    let mut all = Vec::new();
    if add_patch {
        let mut seen = Vec::new();
        for patch in builds.clone().flat_map(Build::sourcestamps).map(|stamp| stamp["patch"].clone()).filter(Value::is_object) {
            // The builds of a set share their source stamps.
            if seen.contains(&patch) {
                continue;
            }
            match patch["body"].as_str() {
                Some(body) => {
                    let content = Content::Bytes(body.as_bytes().to_vec());
                    all.push(Wanted { name: format!("source patch {}", seen.len()), size: body.len() as u64, content });
                }
                None => log(Level::Info, "a patch is not attached: the master does not hand it out"),
            }
            seen.push(patch);
        }
    }
    if *add_logs != AddLogs::None {
        for build in builds {
            let prefix = if several { format!("{}.", build.builder()) } else { String::new() };
            for step in build.steps() {
                let name = step.name();
                for log in step.logs().into_iter().filter(|log| log.kind() != "d" && add_logs.includes(&name, &log.name())) {
                    all.push(Wanted { name: format!("{prefix}{name}.{}", log.name()), size: log.size(), content: Content::Log(log) });
                }
            }
        }
    }
    all
}

/// How many bytes there is room for beside these texts and so many bytes of headers of one's own, in a mail of at most `most` bytes.
pub fn room<'a>(texts: impl Iterator<Item = &'a str>, headers: u64, wanted: &[Wanted], most: u64) -> u64 {
    // In quoted-printable, what is not ASCII takes three bytes, and so does each line's end at worst.
    let encoded = |text: &str| text.bytes().map(|byte| if byte.is_ascii_graphic() || byte == b' ' { 1 } else { 3 }).sum::<u64>() / 70 * 74 + PART;
    // An encoded word has two bytes for one, at worst.
    let taken = HEADERS + 2 * headers + texts.map(encoded).sum::<u64>() + wanted.len() as u64 * (PART + NOTE);
    most.saturating_sub(taken) / LINE.1 * LINE.0
}

/// Cuts what is wanted to so many bytes. Patches go in whole, or not at all; logs share what is left, and of those that are too long the end stays.
/// Answers as well with a line about everything that was cut.
pub fn fit(wanted: Vec<Wanted>, room: u64) -> (Vec<Attachment>, Vec<String>) {
    let (mut left, mut notes, mut logs) = (room, Vec::new(), Vec::new());
    let mut kept: Vec<Option<Attachment>> = Vec::new();
    for (place, Wanted { name, size, content }) in wanted.into_iter().enumerate() {
        kept.push(None);
        match content {
            Content::Bytes(_) if size > left => notes.push(format!("{name}: left out ({})", Bytes(size))),
            Content::Bytes(_) => {
                left -= size;
                kept[place] = Some(attachment(&name, content));
            }
            Content::Log(log) => logs.push((size, place, name, log)),
        }
    }
    // The short ones first: what they leave of their shares is for the others.
    logs.sort_by_key(|(size, place, ..)| (*size, *place));
    let mut after = logs.len() as u64;
    let mut cut = Vec::new();
    for (size, place, name, log) in logs {
        let share = left / after;
        after -= 1;
        if size <= share {
            left -= size;
            kept[place] = Some(attachment(&name, Content::Log(log)));
        } else if share < LEAST {
            cut.push((place, format!("{name}: left out ({})", Bytes(size))));
        } else {
            left -= share;
            let end = log.end(share);
            cut.push((place, format!("{name}: the last {} of {}", Bytes(end.size()), Bytes(size))));
            kept[place] = Some(attachment(&name, Content::Log(end)));
        }
    }
    cut.sort_by_key(|(place, _)| *place);
    notes.extend(cut.into_iter().map(|(_, note)| note));
    (kept.into_iter().flatten().collect(), notes)
}

fn attachment(filename: &str, content: Content) -> Attachment {
    Attachment { filename: one_line(filename), content_type: "text/plain; charset=utf-8".into(), content }
}
