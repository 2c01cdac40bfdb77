//! JSON as Python writes it: with `NaN`, `Infinity` and `-Infinity`, with integers that no `f64` reaches, and with halves of
//! surrogate pairs (a file's name that is not UTF-8). Masters send them as they find them in properties, and parsers that keep
//! to RFC 8259 refuse the whole answer for one.

use serde::Deserialize as _;
use serde::de::IgnoredAny;
use serde_json::{Deserializer, Result, Value};

/// Reads a JSON text. Numbers that are none become `null`, halves of surrogate pairs U+FFFD.
///
/// # Errors
/// It is no JSON for Python either: what is wrong with it as it stands.
pub(super) fn read(text: &[u8]) -> Result<Value> {
    strictly_or_repaired(text, |text| serde_json::from_slice(text))
}

/// Reads the JSON text that something else follows.
///
/// # Errors
/// As [`read`].
pub(super) fn read_beginning(text: &[u8]) -> Result<Value> {
    strictly_or_repaired(text, |text| Value::deserialize(&mut Deserializer::from_slice(text)))
}

fn strictly_or_repaired(text: &[u8], parse: impl Fn(&[u8]) -> Result<Value>) -> Result<Value> {
    parse(text).or_else(|error| repaired(text).and_then(|text| parse(&text).ok()).ok_or(error))
}

/// The text with what only Python writes replaced; none if there is nothing of it.
fn repaired(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len());
    let (mut at, mut kept, mut in_string) = (0, 0, false);
    while let Some(byte) = text.get(at) {
        let rest = &text[at..];
        let (length, instead) = match byte {
            b'"' => {
                in_string = !in_string;
                (1, None)
            }
            b'\\' if in_string => escape(rest),
            _ if !in_string && in_word(byte) => word(rest),
            _ => (1, None),
        };
        if let Some(instead) = instead {
            out.extend_from_slice(&text[kept..at]);
            out.extend_from_slice(instead);
            kept = at + length;
        }
        at += length;
    }
    out.extend_from_slice(&text[kept..]);
    (kept > 0).then_some(out)
}

/// How long the escape is (or the two that make a pair), and what to write instead.
fn escape(text: &[u8]) -> (usize, Option<&'static [u8]>) {
    let unit = |text: &[u8]| u16::from_str_radix(std::str::from_utf8(text.strip_prefix(b"\\u")?.get(..4)?).ok()?, 16).ok();
    match unit(text) {
        None => (2, None),
        Some(0xd800..=0xdbff) if matches!(unit(&text[6..]), Some(0xdc00..=0xdfff)) => (12, None),
        Some(0xd800..=0xdfff) => (6, Some(b"\\ufffd")),
        Some(_) => (6, None),
    }
}

fn in_word(byte: &u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(byte)
}

/// How long the number or name is, and what to write instead.
fn word(text: &[u8]) -> (usize, Option<&'static [u8]>) {
    let length = text.iter().take_while(|byte| in_word(byte)).count();
    let word = &text[..length];
    // What is only read over has no range.
    let is_number = || matches!(word[0], b'-' | b'0'..=b'9') && serde_json::from_slice::<IgnoredAny>(word).is_ok();
    let is_none = matches!(word, b"NaN" | b"Infinity" | b"-Infinity") || (is_number() && serde_json::from_slice::<Value>(word).is_err());
    (length, is_none.then_some(b"null"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, json};

    use super::*;
    use crate::event::{Event, Kind};
    use crate::source::recording::{Recording, Writer};

    #[test]
    fn what_python_writes_is_read() {
        let beyond = "9".repeat(400);
        let cases = [
            ("NaN".to_owned(), json!(null)),
            ("[NaN,Infinity, -Infinity\n]".to_owned(), json!([null, null, null])),
            (
                format!("{{\"a\": {beyond}, \"b\": -{beyond}, \"c\": 1e999, \"d\": 18446744073709551616}}"),
                json!({"a": null, "b": null, "c": null, "d": 18446744073709551616_f64}),
            ),
            (r#"["a\udcffb", "\ud83d", "\uD83D\uDE00", "\ud83d\ud83d\ude00"]"#.to_owned(), json!(["a\u{fffd}b", "\u{fffd}", "😀", "\u{fffd}😀"])),
            (
                r#"{"\udcff": "NaN, \"Infinity\", \\", "n": NaN, "\\udcff": "\\ud800"}"#.to_owned(),
                json!({"\u{fffd}": "NaN, \"Infinity\", \\", "n": null, "\\udcff": "\\ud800"}),
            ),
        ];
        for (text, value) in cases {
            assert_eq!(read(text.as_bytes()).unwrap(), value, "{text}");
            assert_eq!(read_beginning(format!("{text})</script> \" NaN").as_bytes()).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn what_is_no_json_for_python_either_is_wrong_as_it_stands() {
        for text in [
            "",
            "<html>",
            "[NaN",
            "[NaN,]",
            "nan",
            "-NaN",
            "+Infinity",
            "NaN1",
            "01",
            "1.",
            "[1e999 1e999]",
            "{NaN: 1}",
            r#"["\udcf"]"#,
            r#""\ud800"#,
            "\"\\",
            "\"\n\"",
        ] {
            let strict = serde_json::from_str::<Value>(text).unwrap_err().to_string();
            assert_eq!(read(text.as_bytes()).unwrap_err().to_string(), strict, "{text}");
        }
    }

    #[test]
    fn what_was_repaired_is_recorded_and_played() {
        let read = |text: &str| read(text.as_bytes()).unwrap();
        let message = read(r#"{"workerid": 3, "name": "w\udcff", "load": Infinity}"#);
        let details = vec![("builds/1/properties".to_owned(), vec![read(r#"{"limit": [NaN, "Build"], "\ud800": ["\udfff", "Step"]}"#)])];
        let event = Event { id: "main/workers/3/missing/7".into(), kind: Kind::WorkerMissing, source: "main".into(), occurred_at: 7, late: false, message };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.jsonl");
        Writer::append(&path).unwrap().write(&event, &details).unwrap();
        let played: Vec<_> = Recording::new("main", &path).lines().unwrap().map(|line| line.unwrap()).collect();
        assert_eq!(played.len(), 1);
        assert_eq!((&played[0].0.message, &played[0].1), (&event.message, &details));
        assert_eq!(played[0].1[0].1[0], json!({"limit": [null, "Build"], "\u{fffd}": ["\u{fffd}", "Step"]}));
    }

    /// Stand for tokens, as whole strings …
    const TOKENS: [(&str, &str); 5] = [("\u{1}n", "NaN"), ("\u{1}i", "Infinity"), ("\u{1}m", "-Infinity"), ("\u{1}e", "-1e400"), ("\u{1}l", LONG)];
    const LONG: &str = "1234567890123456789012345678901234567890e350";
    /// … and for the halves of a pair, within strings.
    const HALVES: [(char, &str); 2] = [('\u{e000}', "\\ud800"), ('\u{e001}', "\\udcff")];
    const PAIR: &str = "\u{100ff}";

    fn json(leaf: impl Strategy<Value = Value> + 'static, key: &'static str) -> impl Strategy<Value = Value> {
        leaf.prop_recursive(4, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::Array),
                prop::collection::vec((key, inner), 0..6).prop_map(|members| Value::Object(members.into_iter().collect::<Map<_, _>>())),
            ]
        })
    }

    fn plain(text: &'static str) -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            text.prop_map(Value::from)
        ]
    }

    /// As Python escapes.
    fn ascii(text: &str) -> String {
        let escaped = |c: char| c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect::<String>();
        text.chars().map(|c| if c.is_ascii() { c.to_string() } else { escaped(c) }).collect()
    }

    fn with_tokens(document: &Value) -> String {
        let mut text = document.to_string();
        for (mark, token) in TOKENS {
            text = text.replace(&json!(mark).to_string(), token);
        }
        let mut text = ascii(&text);
        for (mark, half) in HALVES {
            text = text.replace(&ascii(&mark.to_string()), half);
        }
        text
    }

    fn as_repaired(document: &Value) -> Value {
        let text = |text: &str| HALVES.iter().fold(text.replace("\u{e000}\u{e001}", PAIR), |text, (mark, _)| text.replace(*mark, "\u{fffd}"));
        match document {
            Value::String(mark) if TOKENS.iter().any(|(token, _)| token == mark) => Value::Null,
            Value::String(string) => Value::String(text(string)),
            Value::Array(values) => values.iter().map(as_repaired).collect(),
            Value::Object(members) => members.iter().map(|(key, value)| (text(key), as_repaired(value))).collect::<Map<_, _>>().into(),
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn json_is_read_as_it_is(document in json(plain("(\\PC|[\\x00-\\x1f\"\\\\]|NaN|\\\\u[dD]8){0,8}"), "(\\PC|\"|\\\\u?d800){0,4}")) {
            for text in [document.to_string(), ascii(&document.to_string()), format!("{document:#}")] {
                prop_assert_eq!(read(text.as_bytes()).unwrap(), serde_json::from_str::<Value>(&text).unwrap());
                prop_assert_eq!(repaired(text.as_bytes()), None, "{}", text);
            }
        }

        #[test]
        fn only_what_python_adds_is_replaced(
            document in json(prop_oneof![
                plain("(\\PC|[\"\\\\\u{e000}\u{e001}😀]){0,8}"),
                prop::sample::select(TOKENS.to_vec()).prop_map(|(mark, _)| Value::from(mark)),
            ], "[a\\\\\u{e000}\u{e001}😀]{0,4}")
        ) {
            let text = with_tokens(&document);
            prop_assert_eq!(read(text.as_bytes()).unwrap(), as_repaired(&document), "{}", text);
        }

        #[test]
        fn nothing_is_too_broken(pieces in prop::collection::vec(prop::sample::select(vec!["\"", "\\", "\\u", "d8", "00", "dcff", "-", "1", "e999", "NaN", "[", "]", ",", "{", ":", "é", "\n"]), 0..20)) {
            let text = pieces.concat();
            let (strict, lenient) = (serde_json::from_str::<Value>(&text), read(text.as_bytes()));
            match (strict, lenient) {
                (Ok(strict), lenient) => prop_assert_eq!(lenient.unwrap(), strict),
                (Err(strict), Err(lenient)) => prop_assert_eq!(lenient.to_string(), strict.to_string()),
                (Err(_), Ok(_)) => prop_assert!(repaired(text.as_bytes()).is_some()),
            }
        }
    }
}
