//! Takes secrets out of what comes back: remotes echo requests in error pages and headers.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use regex::bytes::{Regex, RegexBuilder};

use super::Plain;

/// What stands where a secret was.
const MARK: &str = "[secret]";
/// A value shorter than this is left: replacing each `on` of a text would hide nothing and garble all.
const SHORTEST: usize = 4;
/// The shortest run of base64 that is taken for a part of an encoded secret.
const SHORTEST_RUN: usize = 8;
/// Characters of a secret that are searched for as one. A longer value is several, each of which goes wherever it is.
const PART: usize = 128;
/// Bytes that one character of a secret takes at most: four bytes percent-encoded three times over.
const WIDEST: usize = 4 * "%252541".len();
/// Bytes of memory for what is searched for.
const SIZE: usize = 64 << 20;

/// Replaces the values of secrets by `[secret]`, however their characters other than letters and digits are written: as
/// they are, percent-encoded (up to three times over), escaped in JSON or another language's texts, or as HTML entities;
/// or all of them in base64 at any offset, such as in `Basic` credentials.
pub struct Scrubber {
    needles: Needles,
    longest: usize,
}

enum Needles {
    None,
    Some(Regex),
    /// More than can be searched for: nothing gets through.
    TooMany,
}

impl Scrubber {
    /// Scrubs these values; those of less than 4 bytes stay.
    pub fn new(values: &[Plain]) -> Self {
        let mut parts: Vec<&str> = values.iter().map(Plain::expose).filter(|value| value.len() >= SHORTEST).flat_map(parts).collect();
        // The first that matches is taken: of two that begin alike the longer.
        parts.sort_unstable_by_key(|part| (std::cmp::Reverse(part.len()), *part));
        parts.dedup();
        let longest = parts.iter().map(|part| part.chars().count() * WIDEST).max().unwrap_or(0);
        let mut pattern = String::new();
        for part in &parts {
            let either = if pattern.is_empty() { "" } else { "|" };
            pattern.push_str(either);
            part.chars().for_each(|c| character(c, &mut pattern));
            for run in base64_runs(part) {
                pattern.push('|');
                pattern.push_str(&run);
            }
        }
        let needles = match RegexBuilder::new(&pattern).unicode(false).size_limit(SIZE).build() {
            _ if parts.is_empty() => Needles::None,
            Ok(needles) => Needles::Some(needles),
            Err(_) => Needles::TooMany,
        };
        Self { needles, longest }
    }

    /// The text without secrets.
    pub fn text(&self, text: &str) -> String {
        String::from_utf8_lossy(&self.bytes(text.as_bytes())).into_owned()
    }

    /// The bytes without secrets.
    pub fn bytes(&self, bytes: &[u8]) -> Vec<u8> {
        match &self.needles {
            Needles::None => bytes.to_vec(),
            Needles::Some(needles) => needles.replace_all(bytes, regex::bytes::NoExpand(MARK.as_bytes())).into_owned(),
            Needles::TooMany => MARK.as_bytes().to_vec(),
        }
    }

    /// The length of the longest form of what is searched for, in bytes: whoever cuts a text cuts so far behind
    /// the place first, scrubs, and then cuts again.
    pub fn longest(&self) -> usize {
        self.longest
    }
}

/// Parts of [`PART`] characters; the last one has what is left as well.
fn parts(value: &str) -> Vec<&str> {
    let starts: Vec<usize> = value.char_indices().map(|(at, _)| at).step_by(PART).collect();
    let many = starts.len().max(2) - 1;
    let ends = starts.iter().skip(1).take(many - 1).copied().chain([value.len()]);
    starts.iter().zip(ends).map(|(from, to)| &value[*from..to]).collect()
}

/// Every way to write a character, as a group of a regular expression over bytes. Backslashes and ampersands may have been
/// escaped themselves.
fn character(c: char, out: &mut String) {
    // No encoding writes these in another way.
    if c.is_ascii_alphanumeric() {
        return out.push(c);
    }
    let code = u32::from(c);
    // Those that begin with another's first byte stand before it.
    let _ = write!(out, "(?:&(?:amp;){{0,2}}#(?:0{{0,4}}{code}|[xX]0{{0,4}}(?i:{code:x}));");
    if let Some(name) = entity(c) {
        let _ = write!(out, "|&(?:amp;){{0,2}}{name};");
    }
    out.push_str("|\\\\{1,4}(?:");
    for (n, unit) in c.encode_utf16(&mut [0; 2]).iter().enumerate() {
        let before = if n > 0 { "\\\\{1,4}" } else { "" };
        let _ = write!(out, "{before}u(?i:{unit:04x})");
    }
    let _ = write!(out, "|u\\{{0{{0,4}}(?i:{code:x})\\}}");
    if code < 0x100 {
        let _ = write!(out, "|x(?i:{code:02x})");
    }
    if let Some(letter) = escape(c) {
        let _ = write!(out, "|{}", regex::escape(&letter.to_string()));
    }
    out.push(')');
    let bytes = c.to_string().into_bytes();
    out.push('|');
    for byte in &bytes {
        let _ = write!(out, "%(?:25){{0,2}}(?i:{byte:02x})");
    }
    if c == ' ' {
        out.push_str("|\\+");
    }
    out.push_str(if c == '\\' { "|(?:\\\\){1,4}" } else { "|" });
    if c != '\\' {
        for byte in &bytes {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out.push(')');
}

fn entity(c: char) -> Option<&'static str> {
    match c {
        '&' => Some("amp"),
        '<' => Some("lt"),
        '>' => Some("gt"),
        '"' => Some("quot"),
        '\'' => Some("apos"),
        _ => None,
    }
}

/// What stands behind the backslash, in JSON and in the texts of most languages.
fn escape(c: char) -> Option<char> {
    match c {
        '"' | '\'' | '/' | '\\' | '`' | '$' => Some(c),
        '\n' => Some('n'),
        '\r' => Some('r'),
        '\t' => Some('t'),
        '\u{8}' => Some('b'),
        '\u{c}' => Some('f'),
        _ => None,
    }
}

/// What a text makes of base64, wherever it stands in what is encoded: without the characters that also hold bits of what
/// stands before or after.
fn base64_runs(text: &str) -> BTreeSet<String> {
    let mut runs = BTreeSet::new();
    for before in 0..3 {
        let mut shifted = vec![0; before];
        shifted.extend_from_slice(text.as_bytes());
        let (from, to) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let all = engine.encode(&shifted);
            let run = all.get(from..to).filter(|run| run.len() >= SHORTEST_RUN);
            // Encoded by itself it goes even if it is short.
            for run in run.into_iter().chain((before == 0).then_some(all.as_str())) {
                // Base64 travels in URLs and in JSON as well.
                runs.insert(run.replace('+', "(?:\\+|%2[bB])").replace('/', "(?:\\\\?/|%2[fF])"));
            }
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn scrubber(value: &str) -> Scrubber {
        Scrubber::new(&[Plain::new(value)])
    }

    #[test]
    fn every_form_goes() {
        let secret = "s3cr/et+é&\"x y";
        let forms = [
            secret.to_owned(),
            "s3cr%2Fet%2B%C3%A9%26%22x%20y".to_owned(),
            "s3cr%2fet%2b%c3%a9%26%22x+y".to_owned(),
            serde_json::json!({ "echo": secret }).to_string(),
            r#"s3cr\/et+é&\"x y"#.to_owned(),
            r#"s3cr/et+\u00e9&\"x y"#.to_owned(),
            "s3cr/et+é&amp;&quot;x y".to_owned(),
            // Python's quote leaves a slash, Go's JSON has no ampersand, and there are as many ways as there are servers.
            "s3cr/et%2B%C3%A9%26%22x%20y".to_owned(),
            r#"s3cr/et+é\u0026\"x y"#.to_owned(),
            r#"s3cr\/et+\u00E9\u0026\u0022x\u0020y"#.to_owned(),
            r#"s3cr/et+\xc3\xa9&\"x y"#.replace("\\xc3\\xa9", "\\xe9"),
            "s3cr&#x2F;et&#43;&#233;&#38;&#34;x&#x20;y".to_owned(),
            "s3cr%252Fet%252B%25C3%25A9%2526%2522x%2520y".to_owned(),
            "s3cr/et+é&amp;amp;&amp;quot;x y".to_owned(),
            r#"{\"echo\": \"s3cr\\/et+\\u00e9&\\\"x y\"}"#.to_owned(),
            "s3cr%2Fet+é&amp;\\u0022x+y".to_owned(),
            format!("Basic%20{}", STANDARD.encode(format!("me:{secret}")).replace('+', "%2B").replace('/', "%2F")),
            STANDARD.encode(secret),
            URL_SAFE_NO_PAD.encode(secret),
        ];
        for form in forms {
            let clean = scrubber(secret).text(&format!("<{form}>"));
            assert!(clean.contains(MARK), "{form} stayed: {clean}");
            for part in ["s3cr", "x y", "x+y"] {
                assert!(!clean.contains(part), "{form} left {clean}");
            }
        }
    }

    #[test]
    fn basic_credentials_go_whatever_the_user_is_called() {
        for user in ["", "b", "bo", "bot", "octocat"] {
            let header = STANDARD.encode(format!("{user}:correct horse"));
            let clean = scrubber("correct horse").text(&format!("Authorization: Basic {header}"));
            assert!(clean.contains(MARK), "{header}: {clean}");
        }
    }

    #[test]
    fn the_longer_of_two_secrets_goes_first_and_short_ones_stay() {
        let both = Scrubber::new(&[Plain::new("token"), Plain::new("token-2"), Plain::new("on")]);
        assert_eq!(both.text("token-2 token on"), "[secret] [secret] on");
        assert_eq!(Scrubber::new(&[]).bytes(b"\xff"), b"\xff");
    }

    #[test]
    fn a_key_goes_as_a_whole_and_each_part_of_it_by_itself() {
        let key: String = (0..64 << 10).map(|n| if n % 65 == 64 { '\n' } else { char::from(b'A' + ((n / 7 + n * 31 + n % 13) % 23) as u8) }).collect();
        let scrubber = scrubber(&key);
        let echoes = [key.clone(), serde_json::Value::from(key.as_str()).to_string(), key.replace('\n', "%0A"), key[..1_000].to_owned()];
        for echo in echoes {
            let clean = scrubber.text(&echo);
            assert!(clean.matches(MARK).count() >= 7, "{clean}");
            // Of what was cut off in a part that much stays.
            assert!(clean.replace(MARK, "").len() < 2 * PART, "{clean}");
        }
        assert!(scrubber.longest() < 10 << 10);
    }

    proptest! {
        #[test]
        fn no_value_survives(value in "[!-~]{4,40}", before in "\\PC{0,10}", after in "\\PC{0,10}") {
            prop_assume!(!MARK.contains(&value));
            let clean = scrubber(&value).text(&format!("{before}{value}{after}"));
            // What was around may spell the value again only by joining the mark.
            prop_assert!(clean.contains(MARK));
        }

        #[test]
        fn base64_around_a_value_gives_nothing_away(value in "[a-z]{8,40}", before in "[A-Z]{0,9}", after in "[A-Z]{0,9}") {
            let clean = scrubber(&value).text(&STANDARD.encode(format!("{before}{value}{after}")));
            prop_assert!(clean.contains(MARK));
        }
    }
}
