//! Messages as Telegram's MarkdownV2, in parts of the size that it takes.
//!
//! <https://core.telegram.org/bots/api#markdownv2-style>

use reporter_sdk::chat::{Message, Span};
use reporter_sdk::results::{CANCELLED, EXCEPTION, FAILURE, RETRY, SKIPPED, SUCCESS, WARNINGS};

/// UTF-16 units of one message. Telegram counts them without the markup; with it they are never fewer.
pub const MOST: usize = 4_096;
/// UTF-16 units of a span that stay together.
const TOGETHER: usize = 1_000;
/// UTF-16 units of an address that is linked.
const URL: usize = 1_000;
/// What is special outside of code and addresses.
const SPECIAL: &str = r"_*[]()~`>#+-=|{}.!\";

/// The message in its parts, none of them empty.
pub fn parts(message: &Message) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut room = MOST;
    for (n, line) in message.lines.iter().enumerate() {
        let pieces: Vec<String> = line.0.iter().flat_map(pieces).collect();
        let whole: usize = pieces.iter().map(|piece| units(piece)).sum();
        let end = usize::from(n > 0);
        if n > 0 && whole + end <= MOST && whole + end > room {
            // A line that fits into one part is not divided.
            parts.push(String::new());
            room = MOST;
        } else if n > 0 && room > 0 {
            if let Some(part) = parts.last_mut() {
                part.push('\n');
            }
            room -= 1;
        }
        for piece in pieces {
            let size = units(&piece);
            if size > room {
                parts.push(String::new());
                room = MOST;
            }
            if let Some(part) = parts.last_mut() {
                part.push_str(&piece);
            }
            room -= size;
        }
    }
    let mut parts: Vec<String> = parts.into_iter().map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect();
    if parts.is_empty() {
        parts.push(escaped("(There is nothing to say.)"));
    }
    parts
}

/// A span in pieces that may be divided.
fn pieces(span: &Span) -> Vec<String> {
    match span {
        Span::Text(text) => chunks(&clean(text)).map(escaped).collect(),
        Span::Gap => vec!["\n".into()],
        Span::Name(name) => {
            let name = clean(name);
            if name.trim().is_empty() { vec![escaped("(empty)")] } else { chunks(&name).map(code).collect() }
        }
        Span::Link { text, url } => {
            let text = clean(text);
            let linked = (url.starts_with("https://") || url.starts_with("http://")) && units(url) <= URL && !text.trim().is_empty();
            chunks(&text).map(|text| if linked { link(text, &clean(url)) } else { escaped(text) }).collect()
        }
        Span::Result(results, words) => vec![escaped(&format!("{}{}", clean(words), sign(*results)))],
    }
}

/// How a build ended, as a sign.
pub fn sign(results: Option<u8>) -> &'static str {
    match results {
        Some(SUCCESS) => " ✅",
        Some(WARNINGS) => " ⚠️",
        Some(FAILURE) => " ❗",
        Some(SKIPPED) => " ⏭",
        Some(EXCEPTION) => " ‼️",
        Some(RETRY) => " 🔄",
        Some(CANCELLED) => " 🚫",
        _ => "",
    }
}

/// UTF-16 units, as Telegram counts.
pub fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// A text without markup of its own.
pub fn escaped(text: &str) -> String {
    with_backslashes(text, SPECIAL)
}

fn code(text: &str) -> String {
    format!("`{}`", with_backslashes(text, r"`\"))
}

fn link(text: &str, url: &str) -> String {
    format!("[{}]({})", escaped(text), with_backslashes(url, r")\"))
}

fn with_backslashes(text: &str, special: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(c) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

/// A name or a commit message brings no line breaks of its own, and does not turn the direction in which others are read.
pub fn clean(text: &str) -> String {
    let turns = |c: &char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|c| !turns(c)).map(|c| if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}') { ' ' } else { c }).collect()
}

/// The text in pieces that are not too large even if each of their characters is escaped, divided after blanks where there are any.
fn chunks(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut size = 0;
        let mut end = rest.len();
        for (at, c) in rest.char_indices() {
            size += c.len_utf16();
            if size > TOGETHER {
                end = at;
                break;
            }
        }
        if end < rest.len()
            && let Some(blank) = rest[..end].rfind(' ')
        {
            end = blank + 1;
        }
        let (chunk, after) = rest.split_at(end);
        rest = after;
        Some(chunk)
    })
}

#[cfg(test)]
mod tests {
    use reporter_sdk::chat::Line;

    use super::*;

    fn one(line: Line) -> String {
        let mut parts = parts(&line.into());
        assert_eq!(parts.len(), 1, "{parts:?}");
        parts.remove(0)
    }

    #[test]
    fn nothing_is_markup_that_is_not_meant_so() {
        assert_eq!(one(Line::text("a_b *c* [d](e) 1.2-3! \\ `x` > # + = | { } ~")), r"a\_b \*c\* \[d\]\(e\) 1\.2\-3\! \\ \`x\` \> \# \+ \= \| \{ \} \~");
        assert_eq!(one(Line::default().name("ünï_code `№1` \\")), r"`ünï_code \`№1\` \\`");
        assert_eq!(one(Line::default().name(" ")), r"\(empty\)");
        assert_eq!(one(Line::default().link("#1 [x]", "https://ci/(a)\\b?x=_")), r"[\#1 \[x\]](https://ci/(a\)\\b?x=_)");
        assert_eq!(one(Line::default().link("#1", "javascript:alert(1)").and(".")), r"\#1\.");
        assert_eq!(one(Line::text("a\nb\u{7}\u{202e}c")), "a b c");
        assert_eq!(one(Line::text("x ").result(Some(2), "failed")), "x failed ❗");
        assert_eq!(one(Line::text("These:").item("a").item("b")), "These:\n`a`\n`b`");
        assert_eq!(parts(&Message::default()), [r"\(There is nothing to say\.\)"]);
        assert_eq!(parts(&Message::from(" ")), [r"\(There is nothing to say\.\)"]);
    }

    #[test]
    fn long_messages_are_divided_between_lines_or_words() {
        let line = ["🎉 größer."; 30].join(" ");
        let message = Message::from(vec![Line::text(line.clone()); 40]);
        let all = parts(&message);
        assert!(all.len() > 3 && all.iter().all(|part| units(part) <= MOST && units(part) > MOST / 2 || part == all.last().unwrap()));
        assert!(all.join("\n") == vec![escaped(&line); 40].join("\n"), "nothing is lost, and no line is divided");
        let long = Message::from(Line::text("word ".repeat(3_000)).name("x`".repeat(4_000)));
        let all = parts(&long);
        let closed = |part: &String| (part.matches('`').count() - part.matches("\\`").count()) % 2 == 0;
        assert!(all.iter().all(|part| units(part) <= MOST && closed(part)), "code is closed in each part");
        assert_eq!(all.concat().matches("word").count(), 3_000);
        assert_eq!(all.concat().matches("\\`").count(), 4_000);
        let unbroken = parts(&Message::from("!".repeat(10_000)));
        assert_eq!(unbroken.concat(), "\\!".repeat(10_000));
    }
}
