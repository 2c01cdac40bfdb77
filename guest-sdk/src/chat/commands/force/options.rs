//! The options of `force build`.

use crate::chat::bot::{Refusal, readable};

/// What was given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// The builder's name.
    pub builder: String,
    /// Empty: none.
    pub reason: String,
    /// None: the first.
    pub codebase: Option<String>,
    /// `branch`, `revision`, `project`, with their values.
    pub source: Vec<(&'static str, String)>,
    /// Properties in the order given.
    pub props: Vec<(String, String)>,
}

impl Options {
    /// Reads the words behind `force build`.
    pub fn parse(words: &[String]) -> Result<Self, Refusal> {
        let mut options = Self::default();
        let mut positional = Vec::new();
        let mut words = words.iter();
        let mut more = true;
        while let Some(word) = words.next() {
            let Some(option) = word.strip_prefix("--").filter(|_| more && positional.is_empty()) else {
                positional.push(word.as_str());
                continue;
            };
            if option.is_empty() {
                more = false;
                continue;
            }
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => (option, words.next().cloned().ok_or_else(|| Refusal::new(format!("--{} needs a value.", readable(option))))?),
            };
            if value.chars().any(char::is_control) {
                return Err(Refusal::new(format!("--{} must not have control characters.", readable(name))));
            }
            options.set(name, value)?;
        }
        let mut positional = positional.into_iter();
        let twice = |what: &str| Refusal::new(format!("The {what} is given twice."));
        match (options.builder.is_empty(), positional.next()) {
            (true, Some(builder)) => options.builder = builder.to_owned(),
            (true, None) => return Err(Refusal::new("Say which builder.")),
            // With --builder, what stands alone is the reason.
            (false, Some(word)) if options.reason.is_empty() => options.reason = word.to_owned(),
            (false, Some(_)) => return Err(twice("reason")),
            (false, None) => {}
        }
        let rest = positional.collect::<Vec<_>>().join(" ");
        if !rest.is_empty() && !options.reason.is_empty() {
            options.reason.push(' ');
        }
        options.reason.push_str(&rest);
        Ok(options)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), Refusal> {
        match name {
            "builder" => self.builder = value,
            "reason" => self.reason = value,
            "codebase" => self.codebase = Some(value),
            "branch" => self.source.push(("branch", value)),
            "revision" => self.source.push(("revision", value)),
            "project" => self.source.push(("project", value)),
            "props" | "properties" => {
                for pair in value.split(',').filter(|pair| !pair.is_empty()) {
                    match pair.split_once('=') {
                        Some((name, value)) if !name.is_empty() => self.props.push((name.to_owned(), value.to_owned())),
                        _ => return Err(Refusal::new(format!("A property is written NAME=VALUE, not {}.", readable(pair)))),
                    }
                }
            }
            other => {
                return Err(Refusal::new(format!("There is no option --{}; there are --codebase, --branch, --revision, --project, --props.", readable(other))));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Options, String> {
        Options::parse(&crate::chat::split(line).unwrap()).map_err(|refusal| refusal.0.lines[0].plain())
    }

    #[test]
    fn everything_that_the_page_shows() {
        let all = parse(r#"--codebase=lib --branch=br --revision 123 --props=a=b,c=d=e "slow one" because of -- me"#).unwrap();
        assert_eq!((all.builder.as_str(), all.reason.as_str()), ("slow one", "because of -- me"));
        assert_eq!(all.codebase.as_deref(), Some("lib"));
        assert_eq!(all.source, [("branch", "br".to_owned()), ("revision", "123".to_owned())]);
        assert_eq!(all.props, [("a".to_owned(), "b".to_owned()), ("c".to_owned(), "d=e".to_owned())]);
        let other = parse("--builder=b why not").unwrap();
        assert_eq!((other.builder.as_str(), other.reason.as_str()), ("b", "why not"));
        assert_eq!(parse("b").unwrap().reason, "");
    }

    #[test]
    fn mistakes_are_said() {
        for (line, part) in [
            ("", "which builder"),
            ("--nope=1 b", "--nope"),
            ("--branch", "needs a value"),
            ("--props=a b", "NAME=VALUE"),
            ("--builder=b --reason=r c", "twice"),
            ("--branch='a\nb' b", "control"),
        ] {
            let said = parse(line).unwrap_err();
            assert!(said.contains(part), "{line}: {said}");
        }
    }
}
