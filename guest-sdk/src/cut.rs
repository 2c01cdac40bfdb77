//! Cutting texts to what a remote takes.

use std::borrow::Cow;
use std::ops::Range;

/// At most `most` characters, the last an ellipsis if something was cut.
pub fn to_chars(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => text.into(),
        Some(_) => {
            let kept: String = text.chars().take(most.saturating_sub(1)).collect();
            if most == 0 { "".into() } else { format!("{}…", kept.trim_end()).into() }
        }
    }
}

/// At most `most` bytes of UTF-8, ending in an ellipsis if something was cut and there is room for one.
pub fn to_bytes(text: &str, most: usize) -> Cow<'_, str> {
    const ELLIPSIS: &str = "…";
    if text.len() <= most {
        return text.into();
    }
    if most < ELLIPSIS.len() {
        return text[..text.floor_char_boundary(most)].into();
    }
    let end = text.floor_char_boundary(most - ELLIPSIS.len());
    format!("{}{ELLIPSIS}", text[..end].trim_end()).into()
}

/// `text`, a space and `link` in at most `most` characters; the text is cut, never the link. A link that is too long
/// by itself is left out.
pub fn with_link(text: &str, link: &str, most: usize) -> String {
    let room = most.checked_sub(link.chars().count() + 1);
    match room {
        _ if link.is_empty() => to_chars(text, most).into_owned(),
        None => to_chars(text, most).into_owned(),
        Some(0) => link.to_owned(),
        Some(room) => format!("{} {link}", to_chars(text, room)),
    }
}

/// At most `most` bytes of UTF-8. What is cut off the end leaves an ellipsis, and its links, one a line, as many as there is room for.
pub fn keeping_links(text: &str, most: usize) -> Cow<'_, str> {
    const ELLIPSIS: &str = "…";
    if text.len() <= most {
        return text.into();
    }
    let links = links(text);
    // From the end: with each byte that is cut there is room for more links, and with each link that is cut there is less.
    let (mut end, mut cut) = (text.len(), links.len());
    let mut behind = 0;
    while end > 0 {
        end = text.floor_char_boundary(end - 1);
        while cut > 0 && links[cut - 1].end > end {
            cut -= 1;
            behind += 1 + links[cut].len();
            // No half of a link stays.
            end = end.min(links[cut].start);
        }
        if end + ELLIPSIS.len() + behind <= most {
            let mut kept = format!("{}{ELLIPSIS}", text[..end].trim_end());
            for link in &links[cut..] {
                kept.push('\n');
                kept.push_str(&text[link.clone()]);
            }
            return kept.into();
        }
    }
    // Links alone are too much: the first ones.
    let mut kept = String::new();
    for link in links {
        if kept.len() + link.len() + 1 + ELLIPSIS.len() > most {
            break;
        }
        kept.push_str(&text[link]);
        kept.push('\n');
    }
    if kept.is_empty() { to_bytes(text, most) } else { format!("{kept}{ELLIPSIS}").into() }
}

/// Where http and https URLs are.
fn links(text: &str) -> Vec<Range<usize>> {
    let mut links: Vec<Range<usize>> = Vec::new();
    for (at, _) in text.match_indices("http") {
        let rest = &text[at..];
        if (rest.starts_with("http://") || rest.starts_with("https://")) && links.last().is_none_or(|last| last.end <= at) {
            let end = rest.find(|c: char| c.is_whitespace() || c.is_control() || "<>\"".contains(c)).unwrap_or(rest.len());
            links.push(at..at + rest[..end].trim_end_matches(['.', ',', ';', ')']).len());
        }
    }
    links
}

#[cfg(test)]
mod tests {
    use super::{keeping_links, to_bytes, to_chars, with_link};

    #[test]
    fn characters_and_bytes() {
        assert_eq!(to_chars("grün", 4), "grün");
        assert_eq!(to_chars("grüne", 4), "grü…");
        assert_eq!(to_chars("ab", 0), "");
        assert_eq!(to_bytes("grün", 5), "grün");
        assert_eq!(to_bytes("grünes", 6), "gr…");
        assert_eq!(to_bytes("üü", 2), "ü");
        assert_eq!(to_bytes("üü", 1), "");
        for most in 0..12 {
            assert!(to_bytes("aüb🙂c…d", most).len() <= most);
            assert!(to_chars("aüb🙂c…d", most).chars().count() <= most);
        }
    }

    #[test]
    fn the_link_survives() {
        assert_eq!(with_link("failed test", "http://x/1", 30), "failed test http://x/1");
        assert_eq!(with_link("failed test", "http://x/1", 18), "failed… http://x/1");
        assert_eq!(with_link("failed test", "http://x/1", 11), "http://x/1");
        assert_eq!(with_link("failed test", "http://x/1", 6), "faile…");
    }

    #[test]
    fn links_outlive_what_is_around_them() {
        let text = "linux failed (a) - http://x/1\n\nwindows failed (bbbbbbbbbbbbbbbbbbbb) - http://x/2\n\nmac failed, see (https://x/3).";
        assert_eq!(keeping_links(text, text.len()), text);
        assert_eq!(keeping_links(text, 72), "linux failed (a) - http://x/1\n\nwindows failed…\nhttp://x/2\nhttps://x/3");
        assert_eq!(keeping_links(text, 45), "linux fa…\nhttp://x/1\nhttp://x/2\nhttps://x/3");
        assert_eq!(keeping_links(text, 26), "http://x/1\nhttp://x/2\n…");
        assert_eq!(keeping_links("grün und blau", 8), "grün…");
        for most in 0..text.len() {
            assert!(keeping_links(text, most).len() <= most, "{most}");
        }
        let many: String = (0..2_000).map(|n| format!("{} http://x/{n}\n", "y".repeat(20))).collect();
        let kept = keeping_links(&many, 30_000);
        assert!(kept.len() <= 30_000 && kept.ends_with("http://x/1999") && kept.matches("http").count() == 2_000);
    }
}
