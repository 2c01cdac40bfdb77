//! Small templates that share one context: a message, and the values that stand beside it.

use std::collections::BTreeSet;

use minijinja::Environment;
use minijinja::value::Value;
use serde_json::Map;

use crate::component::{Failure, Problems};
use crate::jinja;
use crate::template::{value_of, words};

/// Templates by name, compiled.
#[derive(Debug)]
pub struct Snippets {
    env: Environment<'static>,
    words: BTreeSet<String>,
}

/// A template that is to be compiled.
#[derive(Clone, Copy, Debug)]
pub struct Snippet<'a> {
    /// By which it is rendered.
    pub name: &'a str,
    /// Its text.
    pub text: &'a str,
    /// The pointer to its setting.
    pub at: &'a str,
}

impl Snippets {
    /// Compiles them, for plain text.
    ///
    /// # Errors
    ///
    /// Each that does not parse.
    pub fn compile(snippets: &[Snippet<'_>]) -> Result<Self, Problems> {
        let mut problems = Problems::default();
        let mut env = jinja::environment(false, false);
        let mut used = BTreeSet::new();
        for Snippet { name, text, at } in snippets {
            if let Err(error) = env.add_template_owned((*name).to_owned(), (*text).to_owned()) {
                problems.add(*at, jinja::explain(&error));
            }
            used.extend(words(text).map(str::to_owned));
        }
        jinja::add_named(&mut env, used.iter().map(String::as_str));
        problems.or(()).map(|()| Self { env, words: used })
    }

    /// Whether a template may use this variable.
    pub fn uses(&self, variable: &str) -> bool {
        self.words.contains(variable)
    }

    /// One of them, with these variables.
    ///
    /// # Errors
    ///
    /// Its name, the line and what is wrong.
    pub fn render(&self, name: &str, variables: &Map<String, serde_json::Value>) -> Result<String, Failure> {
        let context = Value::from_pairs(variables.iter().map(|(name, value)| (name.as_str(), value_of(value))));
        let rendered = self.env.get_template(name).and_then(|template| template.render(context));
        rendered.map_err(|error| Failure::for_good(format!("{name} {}", jinja::explain(&error))))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_and_its_number() {
        let of = |name, text, at| Snippet { name, text, at };
        let snippets = Snippets::compile(&[of("message", "{{ who|upper }}", "/m"), of("Verified", "{{ 1 if result == 0 else -1 }}", "/l/Verified")]).unwrap();
        assert!(snippets.uses("who") && snippets.uses("result") && !snippets.uses("build"));
        let variables = json!({"who": "bob", "result": 2});
        let variables = variables.as_object().unwrap();
        assert_eq!(snippets.render("message", variables).unwrap(), "BOB");
        assert_eq!(snippets.render("Verified", variables).unwrap(), "-1");
        let problems = Snippets::compile(&[of("a", "{{ x", "/a"), of("b", "{% if %}", "/b")]).unwrap_err();
        assert_eq!(problems.0.iter().map(|problem| problem.at.as_str()).collect::<Vec<_>>(), ["/a", "/b"]);
    }
}
