//! JSON for templates, of which only what a template asks for is made into values: a build's document has a hundred of
//! them, and most templates name five.

use std::borrow::Cow;
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
    key: Quoted,
    at: usize,
    value: OnceLock<Value>,
}

/// A text of the JSON: where it is, without its quotes, and whether something in it is escaped.
#[derive(Clone, Debug)]
struct Quoted {
    inner: Range<usize>,
    escaped: bool,
}

impl Quoted {
    fn of<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        if self.escaped {
            return serde_json::from_str(text.get(self.inner.start - 1..self.inner.end + 1)?).ok().map(Cow::Owned);
        }
        text.get(self.inner.clone()).map(Cow::Borrowed)
    }
}

impl Object for Members {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.get_value_by_str(key.as_str()?)
    }

    fn get_value_by_str(self: &Arc<Self>, key: &str) -> Option<Value> {
        let member = self.members.iter().rfind(|member| member.key.of(&self.text).as_deref() == Some(key))?;
        Some(member.value.get_or_init(|| Reader { text: &self.text, at: member.at }.value().unwrap_or_default()).clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        self.mapped_rev_enumerator(|this| Box::new(this.members.iter().filter_map(|member| Some(Value::from(member.key.of(&this.text)?)))))
    }

    fn enumerator_len(self: &Arc<Self>) -> Option<usize> {
        Some(self.members.len())
    }
}

/// Where one is in a JSON text. Each function answers none where the text is not what it expects.
struct Reader<'a> {
    text: &'a Arc<str>,
    at: usize,
}

impl Reader<'_> {
    fn value(&mut self) -> Option<Value> {
        match self.peek()? {
            b'{' => self.object(),
            b'[' => self.list(),
            b'"' => self.string()?.of(self.text).map(Value::from),
            _ => {
                let begin = self.at;
                self.plain();
                serde_json::from_str(&self.text[begin..self.at]).ok()
            }
        }
    }

    fn list(&mut self) -> Option<Value> {
        let mut items = Vec::new();
        self.at += 1;
        if self.peek()? == b']' {
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

    fn object(&mut self) -> Option<Value> {
        let mut members = Vec::with_capacity(8);
        self.at += 1;
        if self.peek()? == b'}' {
            self.at += 1;
        } else {
            loop {
                self.peek()?;
                let key = self.string()?;
                if self.peek()? != b':' {
                    return None;
                }
                self.at += 1;
                self.peek()?;
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
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while matches!(bytes.get(self.at)?, b' ' | b'\n' | b'\t' | b'\r') {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// Whether the list or object ends here instead of going on after a comma.
    fn ends(&mut self, with: u8) -> Option<bool> {
        let next = self.peek()?;
        self.at += 1;
        if next == with { Some(true) } else { (next == b',').then_some(false) }
    }

    /// Passes a text.
    fn string(&mut self) -> Option<Quoted> {
        let rest = self.text.as_bytes().get(self.at..)?.strip_prefix(b"\"")?;
        let mut bytes = rest.iter();
        let mut escaped = false;
        loop {
            match bytes.next()? {
                b'"' => break,
                b'\\' => {
                    escaped = true;
                    bytes.next()?;
                }
                _ => {}
            }
        }
        let begin = self.at + 1;
        let end = begin + rest.len() - bytes.len() - 1;
        self.at = end + 1;
        Some(Quoted { inner: begin..end, escaped })
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
            match self.peek()? {
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
            prop_assert_eq!(serde_json::to_value(&read).unwrap(), serde_json::to_value(&at_once).unwrap());
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
        assert_eq!(render("{{ value.missing is undefined }} {{ 'steps' in value }} {{ value is mapping }} {{ value|length }}", lazy()), "True True True 4");
        assert_eq!(
            render("{% for key, one in value.properties.items() %}{{ key }}={{ one[1] }}{% endfor %}{{ value.get('a\"b') }}", lazy()),
            "owner=ForceNone"
        );
        assert_eq!(render("{{ value.steps|tojson }}", lazy()), r#"[{"name": "a"}, {"name": "b", "urls": []}]"#);
    }
}
