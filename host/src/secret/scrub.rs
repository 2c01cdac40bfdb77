//! Takes secrets out of what comes back: remotes echo requests in error pages and headers.

use std::collections::BTreeSet;

use aho_corasick::{AhoCorasick, MatchKind};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use url::form_urlencoded;

use super::{Encode, Plain, encode};

/// What stands where a secret was.
const MARK: &str = "[secret]";
/// A value shorter than this is left: replacing each `on` of a text would hide nothing and garble all.
const SHORTEST: usize = 4;
/// The shortest run of base64 that is taken for a part of an encoded secret.
const SHORTEST_RUN: usize = 8;

/// Replaces the values of secrets, and the forms in which they travel (percent-encoded, in JSON or
/// HTML, in base64 at any offset, such as in `Basic` credentials), by `[secret]`.
pub struct Scrubber {
    needles: Needles,
    longest: usize,
}

enum Needles {
    None,
    Some(AhoCorasick),
    /// More than can be searched for: nothing gets through.
    TooMany,
}

impl Scrubber {
    /// Scrubs these values; those of less than 4 bytes stay.
    pub fn new(values: &[Plain]) -> Self {
        let mut forms = BTreeSet::new();
        for value in values.iter().map(Plain::expose).filter(|value| value.len() >= SHORTEST) {
            add_forms(value, &mut forms);
        }
        let longest = forms.iter().map(Vec::len).max().unwrap_or(0);
        let needles = match AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&forms) {
            _ if forms.is_empty() => Needles::None,
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
            Needles::Some(needles) => replaced(needles, bytes),
            Needles::TooMany => MARK.as_bytes().to_vec(),
        }
    }

    /// The length of the longest form of a secret, in bytes: whoever cuts a text cuts so far behind
    /// the place first, scrubs, and then cuts again.
    pub fn longest(&self) -> usize {
        self.longest
    }
}

fn replaced(needles: &AhoCorasick, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    needles.replace_all_with_bytes(bytes, &mut out, |_, _, out| {
        out.extend_from_slice(MARK.as_bytes());
        true
    });
    out
}

fn add_forms(value: &str, forms: &mut BTreeSet<Vec<u8>>) {
    let mut add = |form: String| {
        forms.insert(form.into_bytes());
    };
    let percent = encode(value, Encode::Segment).unwrap_or_default();
    let component: String = form_urlencoded::byte_serialize(value.as_bytes()).collect();
    let strict = component.replace('+', "%20");
    for form in [percent, component, strict] {
        if form.len() >= SHORTEST {
            add(lower_hex(&form));
            add(form);
        }
    }
    let json = serde_json::Value::from(value).to_string();
    let json = &json[1..json.len() - 1];
    add(json.replace('/', "\\/"));
    add(ascii_json(json));
    add(json.to_owned());
    for quote in ["&#39;", "&#x27;", "'"] {
        add(html(value).replace('\'', quote));
    }
    for engine in [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD] {
        add(engine.encode(value));
    }
    for before in 0..3 {
        let mut shifted = vec![0; before];
        shifted.extend_from_slice(value.as_bytes());
        // Characters that also hold bits of what stands before or after are not this value's.
        let (from, to) = ((before * 8).div_ceil(6), shifted.len() * 8 / 6);
        for engine in [&STANDARD_NO_PAD, &URL_SAFE_NO_PAD] {
            let run = engine.encode(&shifted);
            if let Some(run) = run.get(from..to).filter(|run| run.len() >= SHORTEST_RUN) {
                add(run.to_owned());
            }
        }
    }
    add(value.to_owned());
}

fn lower_hex(percent_encoded: &str) -> String {
    let mut digits = 0;
    percent_encoded
        .chars()
        .map(|c| {
            digits = if c == '%' { 2 } else { i32::max(digits - 1, -1) };
            if c != '%' && digits >= 0 { c.to_ascii_lowercase() } else { c }
        })
        .collect()
}

/// As Python's json.dumps and PHP's json_encode write it.
fn ascii_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_ascii() {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

fn html(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
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
