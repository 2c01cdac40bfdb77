//! Cutting texts to what a remote takes.

use std::borrow::Cow;

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

#[cfg(test)]
mod tests {
    use super::{to_bytes, to_chars, with_link};

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
}
