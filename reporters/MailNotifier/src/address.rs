//! Mail addresses, as people are named in version control and settings.

use reporter_sdk::smtp;

/// Whether this can be written in a `To`: `bob@example.org`, or `Bob <bob@example.org>`.
pub fn is_valid(text: &str) -> bool {
    is_written(text, 2)
}

/// The same for who sends, who may be on this machine: `buildbot@localhost`, as in Buildbot's tutorial.
pub fn is_sender(text: &str) -> bool {
    is_written(text, 1)
}

/// With or without a name; the domain has at least so many labels.
fn is_written(text: &str, least: usize) -> bool {
    if text.contains(char::is_control) {
        return false;
    }
    if is_bare(text, least) {
        return true;
    }
    let Some(inside) = text.trim_end_matches(' ').strip_suffix('>') else { return false };
    match inside.rsplit_once('<') {
        Some((name, address)) => (name.is_empty() || name.ends_with(' ')) && is_bare(address, least),
        None => false,
    }
}

fn is_bare(text: &str, least: usize) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let labels: Vec<&str> = domain.strip_suffix('.').unwrap_or(domain).split('.').collect();
    // What no server takes must not cost the others their mail.
    let is_label = |label: &&str| {
        (1..=63).contains(&label.chars().count()) && !label.starts_with('-') && !label.ends_with('-') && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    };
    let is_local = |c: char| c.is_alphanumeric() || "!#$%&'*+-/=?^_`{|}~.".contains(c);
    (1..=62).contains(&local.len()) && domain.len() <= 253 && local.chars().all(is_local) && labels.len() >= least && labels.iter().all(is_label)
}

/// A valid address with the domain that it has on the wire: an international one is made of A-labels there.
///
/// # Errors
///
/// Why no server takes it.
pub fn on_the_wire(text: &str) -> Result<String, String> {
    let (before, domain) = text.rsplit_once('@').unwrap_or((text, ""));
    if domain.is_ascii() {
        return Ok(text.to_owned());
    }
    let form = smtp::wire_form(text)?;
    let name = before.rsplit_once('<').map(|(name, _)| name);
    Ok(name.map_or(form.clone(), |name| format!("{name}<{form}>")))
}

/// The address without the name, by which duplicates are found.
pub fn bare(text: &str) -> String {
    let text = text.trim();
    let bare = text.strip_suffix('>').and_then(|inside| inside.rsplit_once('<')).map_or(text, |(_, address)| address);
    bare.to_ascii_lowercase()
}

/// What version control made longer: `'U' <u@foo.com>@foo.com` loses everything from the last `@`.
pub fn without_second_at(text: &str) -> &str {
    match text.rsplit_once('@') {
        Some((before, _)) if before.contains('@') => before,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::{bare, is_sender, is_valid, on_the_wire, without_second_at};

    #[test]
    fn vectors() {
        for valid in [
            "foo@example.com",
            "foo+bar@example.com",
            "nobody@example.com.",
            "My Name <my.name@example.com>",
            "<my.name@example.com>",
            "\"A, B\" <ab@ex.org>",
            "x@1.2",
            "a@b.c",
            "<my@example.com> ",
            "Jürgen <j@example.com>",
            "user@bücher.example",
            "Users <user@例え.テスト>",
        ] {
            assert!(is_valid(valid), "{valid}");
        }
        for invalid in [
            "foo@invalid",
            "foo bar@example.net",
            "foo@",
            "@example.com",
            "foo@example.com ",
            "'U' <u@f.com>@x.com",
            "alice on #chan@example.org",
            "A\nB <a@example.com>",
            "a@example.com\r\nBcc: x@y.z",
            "",
            "<>",
            "a@b@c.d",
            "a,b@c.d",
            "a@-b.c",
            "a@b-.c",
            "\u{1f600}@b.c",
            "a@\u{1f600}.c",
            "a@bü cher.example",
        ] {
            assert!(!is_valid(invalid), "{invalid:?}");
        }
    }

    #[test]
    fn a_sender_may_be_on_this_machine() {
        for valid in ["buildbot@localhost", "Buildbot <buildbot@localhost>", "foo@example.com"] {
            assert!(is_sender(valid), "{valid}");
        }
        for invalid in ["buildbot", "buildbot@", "@localhost", "a b@localhost", "a@b@localhost", "a@localhost\r\nBcc: x@y.z"] {
            assert!(!is_sender(invalid), "{invalid:?}");
        }
    }

    #[test]
    fn international_domains() {
        for (text, form) in [
            ("a@example.org", Ok("a@example.org")),
            ("jörg@example.org", Ok("jörg@example.org")),
            ("user@bücher.example", Ok("user@xn--b-cher.example")),
            ("\"B, C\" <user@Bücher.example>", Ok("\"B, C\" <user@xn--b-cher.example>")),
        ] {
            assert_eq!(on_the_wire(text).as_deref().map_err(String::as_str), form, "{text}");
        }
        assert!(on_the_wire(&format!("a@{}.example", "ü".repeat(60))).is_err());
    }

    #[test]
    fn parts() {
        assert_eq!(bare("Bob <Bob@Example.org> "), "bob@example.org");
        assert_eq!(bare("bob@example.org"), "bob@example.org");
        assert_eq!(without_second_at("'U' <u@foo.com>@foo.com"), "'U' <u@foo.com>");
        assert_eq!(without_second_at("u@foo.com"), "u@foo.com");
        assert_eq!(without_second_at("u"), "u");
    }
}
