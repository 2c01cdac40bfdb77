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

/// `text` in at most `chars` characters and `bytes` bytes. If something is cut, `link` stands below what is left; a block of code that was cut
/// open (Markdown's ```) is closed before it. A link that is too long by itself is left out.
pub fn with_link_below<'a>(text: &'a str, link: &str, chars: usize, bytes: usize) -> Cow<'a, str> {
    let fits = |text: &str| text.len() <= bytes && (text.len() <= chars || text.chars().count() <= chars);
    if fits(text) {
        return text.into();
    }
    let below = if link.is_empty() { String::new() } else { format!("\n\n{link}") };
    let kept = |fence: usize| {
        // The ellipsis, and what closes a block.
        let most_chars = chars.checked_sub(1 + fence + below.chars().count())?;
        let most_bytes = bytes.checked_sub('…'.len_utf8() + fence + below.len())?;
        let end = text.char_indices().nth(most_chars).map_or(text.len(), |(end, _)| end);
        Some(text[..text.floor_char_boundary(end.min(most_bytes))].trim_end())
    };
    let mut fence = 0;
    loop {
        let Some(kept) = kept(fence) else { return to_bytes(&to_chars(text, chars), bytes).into_owned().into() };
        match open_fence(kept) {
            0 => return format!("{kept}…{below}").into(),
            open if open < fence => return format!("{kept}…\n{}{below}", "`".repeat(open)).into(),
            open => fence = open + 1,
        }
    }
}

/// How many backticks end the block of code in which a text ends; 0 outside of one.
fn open_fence(text: &str) -> usize {
    text.lines().fold(0, |open, line| {
        let line = line.trim();
        let ticks = line.len() - line.trim_start_matches('`').len();
        match open {
            0 if ticks >= 3 && !line[ticks..].contains('`') => ticks,
            0 => 0,
            open if ticks >= open && ticks == line.len() => 0,
            open => open,
        }
    })
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
    use super::{keeping_links, to_bytes, to_chars, with_link, with_link_below};

    #[test]
    fn the_link_stands_below_and_outside_of_code() {
        const LINK: &str = "https://ci.example/1";
        assert_eq!(with_link_below("short", LINK, 100, 100), "short");
        assert_eq!(with_link_below(&"x".repeat(200), LINK, 40, 100), format!("{}…\n\n{LINK}", "x".repeat(17)));
        assert_eq!(with_link_below(&"ü".repeat(200), LINK, 100, 40), format!("{}…\n\n{LINK}", "ü".repeat(7)));
        assert_eq!(with_link_below(&format!("```\n{}\n```", "x".repeat(200)), LINK, 50, 1000), format!("```\n{}…\n```\n\n{LINK}", "x".repeat(19)));
        assert_eq!(with_link_below(&"x".repeat(200), "", 10, 100), format!("{}…", "x".repeat(9)));
        let long = format!("````\n```\n{}\n````", "x".repeat(200));
        assert_eq!(with_link_below(&long, LINK, 50, 1000), format!("````\n```\n{}…\n````\n\n{LINK}", "x".repeat(13)));
        for (chars, bytes) in (0..60).flat_map(|chars| (0..80).map(move |bytes| (chars, bytes))) {
            let cut = with_link_below("```\naü🙂b\n```\nü ü ü ü ü ü ü ü ü ü ü ü ü ü ü ü ü ü ü ü ü", LINK, chars, bytes).into_owned();
            assert!(cut.chars().count() <= chars && cut.len() <= bytes, "{chars} {bytes} {cut}");
        }
    }

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
