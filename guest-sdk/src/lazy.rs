//! JSON for templates, of which only what a template asks for is made into values: a build's document has a hundred of
//! them, and most templates name five.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use minijinja::value::{Enumerator, Object, ObjectExt, Value};

/// The value of a JSON text. Objects are read when they are asked for something, all else at once; a text that is no
/// JSON is undefined, and what of an object is none is left out.
pub(crate) fn value(json: String) -> Value {
    let text: Arc<str> = json.into();
    Reader { text: &text, at: 0 }.value().unwrap_or_default()
}

/// A JSON object: where in the text its members are.
#[derive(Debug)]
struct Members {
    text: Arc<str>,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    /// Between the quotes, escapes and all.
    key: Range<usize>,
    at: usize,
    value: OnceLock<Value>,
}

impl Members {
    fn value(&self, member: &Member) -> Value {
        member.value.get_or_init(|| Reader { text: &self.text, at: member.at }.value().unwrap_or_default()).clone()
    }
}

impl Object for Members {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let is_key = |member: &&Member| match &self.text[member.key.clone()] {
            written if written.contains('\\') => unescaped(&self.text, &member.key).is_some_and(|written| written == key),
            written => written == key,
        };
        self.members.iter().rfind(is_key).map(|member| self.value(member))
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_rev_enumerator(|this| {
            Box::new(this.members.iter().map(|member| match &this.text[member.key.clone()] {
                written if written.contains('\\') => Value::from(unescaped(&this.text, &member.key).unwrap_or_default()),
                written => Value::from(written),
            }))
        })
    }
}

/// A text that stands between quotes.
fn unescaped(text: &str, inner: &Range<usize>) -> Option<String> {
    serde_json::from_str(text.get(inner.start - 1..inner.end + 1)?).ok()
}

/// Where one is in a JSON text. Each function answers none where the text is not what it expects.
struct Reader<'a> {
    text: &'a Arc<str>,
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Option<Value> {
        match self.next()? {
            b'{' => self.object(),
            b'[' => {
                let mut items = Vec::new();
                self.at += 1;
                if self.next()? == b']' {
                    self.at += 1;
                    return Some(Value::from(items));
                }
                loop {
                    items.push(self.value()?);
                    if self.ends(b']')? {
                        return Some(Value::from(items));
                    }
                }
            }
            b'"' => {
                let inner = self.string()?;
                let written = &self.text[inner.clone()];
                if written.contains('\\') { unescaped(self.text, &inner).map(Value::from) } else { Some(Value::from(written)) }
            }
            _ => {
                let begin = self.at;
                self.plain();
                serde_json::from_str(&self.text[begin..self.at]).ok()
            }
        }
    }

    fn object(&mut self) -> Option<Value> {
        let mut members = Vec::with_capacity(8);
        self.at += 1;
        if self.next()? == b'}' {
            self.at += 1;
        } else {
            loop {
                self.next()?;
                let key = self.string()?;
                if self.next()? != b':' {
                    return None;
                }
                self.at += 1;
                self.next()?;
                members.push(Member { key, at: self.at, value: OnceLock::new() });
                self.pass()?;
                if self.ends(b'}')? {
                    break;
                }
            }
        }
        Some(Value::from_object(Members { text: self.text.clone(), members }))
    }

    /// The next byte that is no blank.
    fn next(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at)?, b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Whether the list or object ends here instead of going on after a comma.
    fn ends(&mut self, with: u8) -> Option<bool> {
        let next = self.next()?;
        self.at += 1;
        if next == with { Some(true) } else { (next == b',').then_some(false) }
    }

    /// Passes a text; answers with what is between its quotes.
    fn string(&mut self) -> Option<Range<usize>> {
        let bytes = self.text.as_bytes();
        let begin = self.at + 1;
        (*bytes.get(self.at)? == b'"').then_some(())?;
        let mut at = begin;
        loop {
            match bytes.get(at)? {
                b'"' => break,
                b'\\' => at += 2,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        Some(begin..at)
    }

    /// Passes a number or a word.
    fn plain(&mut self) {
        let bytes = self.text.as_bytes();
        while bytes.get(self.at).is_some_and(|byte| !matches!(byte, b',' | b']' | b'}' | b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    /// Passes a value.
    fn pass(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.next()? {
                b'"' => {
                    self.string()?;
                }
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    depth = depth.checked_sub(1)?;
                    self.at += 1;
                }
                b',' | b':' => {
                    self.at += 1;
                    continue;
                }
                _ => self.plain(),
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::jinja;

    fn any_json() -> impl Strategy<Value = Json> {
        let leaf = prop_oneof![
            Just(Json::Null),
            any::<bool>().prop_map(Json::from),
            any::<i64>().prop_map(Json::from),
            any::<f64>().prop_filter("JSON has no other numbers", |number| number.is_finite()).prop_map(Json::from),
            "[\\PC\"\\\\/\n\u{1}]{0,12}".prop_map(Json::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Json::from),
                prop::collection::btree_map("[\\PC\"\\\\é]{0,6}", inner, 0..6).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    fn render(template: &str, value: Value) -> String {
        let mut env = jinja::environment(false, false);
        jinja::add_named(&mut env, ["tojson"].into_iter());
        env.render_str(template, minijinja::context! { value }).expect("it renders")
    }

    proptest! {
        #[test]
        fn it_is_the_value_that_is_read_at_once(json in any_json(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&json).unwrap() } else { json.to_string() };
            let at_once: Value = serde_json::from_str(&text).unwrap();
            let read = value(text);
            prop_assert_eq!(&serde_json::to_value(&read).unwrap(), &json);
            prop_assert_eq!(&read, &at_once);
            prop_assert_eq!(read.to_string(), at_once.to_string());
            prop_assert_eq!((read.kind(), read.len(), read.is_true()), (at_once.kind(), at_once.len(), at_once.is_true()));
        }

        #[test]
        fn broken_text_is_no_panic(text in "[\\[\\]{}\",:\\\\ a1ü]{0,24}") {
            let _ = value(text).to_string();
        }
    }

    #[test]
    fn templates_use_it_as_a_dict() {
        let build = json!({"number": 12, "properties": {"owner": ["bob", "Force"]}, "steps": [{"name": "a"}, {"name": "b", "urls": []}], "a\"b": null});
        let lazy = || value(build.to_string());
        assert_eq!(
            render("{{ value['properties']['owner'][0] }} {{ value.number + 1 }} {{ value.steps|map(attribute='name')|join(',') }}", lazy()),
            "bob 13 a,b"
        );
        assert_eq!(render("{{ value.missing is undefined }} {{ 'steps' in value }} {{ value is mapping }} {{ value|length }}", lazy()), "true true true 4");
        assert_eq!(
            render("{% for key, one in value.properties.items() %}{{ key }}={{ one[1] }}{% endfor %}{{ value.get('a\"b') }}", lazy()),
            "owner=Forcenone"
        );
        assert_eq!(render("{{ value.steps|tojson }}", lazy()), r#"[{"name": "a"}, {"name": "b", "urls": []}]"#);
    }
}
