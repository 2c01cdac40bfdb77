//! Excerpts of the logs of failing steps: lines that look like errors, and the end.

use minijinja::value::Value;

use crate::build::{Build, Log, Step};
use crate::cut;
use crate::results::{EXCEPTION, FAILURE};

/// Steps of a build that are excerpted.
const MOST_STEPS: usize = 3;
/// Lines that are looked at for errors.
const MOST_FOUND: u32 = 200;
/// Characters of a line.
const MOST_LINE: usize = 300;

/// What compilers, test runners and shells write in the line that matters; case is ignored.
const NEEDLES: [&str; 22] = [
    "error:",
    "error[",
    " error ",
    "fatal:",
    "fatal error",
    "failed:",
    "--- fail",
    "not ok ",
    "*** ",
    "traceback (most recent",
    "exception:",
    "assertion",
    "panicked at",
    "undefined reference",
    "undefined symbol",
    "segmentation fault",
    "no such file or directory",
    "permission denied",
    "command not found",
    "out of memory",
    "no space left",
    "timed out",
];

/// Part of one log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The step's name.
    pub step: String,
    /// The log's name.
    pub log: String,
    /// The log's page; empty if the source has no URL.
    pub url: String,
    /// Lines that look like errors, with their numbers from 1.
    pub errors: Vec<(u64, String)>,
    /// The last lines.
    pub tail: Vec<String>,
}

impl Excerpt {
    /// The errors that are not among the last lines, each with its number, and then the last lines.
    pub fn text(&self) -> String {
        let mut text: String = self.errors.iter().map(|(number, line)| format!("{number}: {line}\n")).collect();
        if !text.is_empty() && !self.tail.is_empty() {
            text.push_str("…\n");
        }
        self.tail.iter().for_each(|line| text.extend([line, "\n"]));
        text
    }

    /// For templates: `step`, `log`, `url`, `errors` (`number` and `text`), `tail` and `text`.
    pub fn value(&self) -> Value {
        let errors = self.errors.iter().map(|(number, text)| Value::from_pairs([("number", Value::from(*number)), ("text", Value::from(text.as_str()))]));
        Value::from_pairs([
            ("step", Value::from(self.step.as_str())),
            ("log", Value::from(self.log.as_str())),
            ("url", Value::from(self.url.as_str())),
            ("errors", errors.collect()),
            ("tail", self.tail.iter().map(|line| Value::from(line.as_str())).collect()),
            ("text", Value::from(self.text())),
        ])
    }
}

/// Excerpts of the first failing steps of a build, each of at most `lines` lines: half of them for errors, the rest for the end.
pub fn of_build(build: &Build, lines: u32) -> Vec<Excerpt> {
    if lines == 0 {
        return Vec::new();
    }
    let failing = |step: &Step| !step.hidden() && matches!(step.results(), Some(FAILURE | EXCEPTION));
    let steps = build.steps().into_iter().filter(failing);
    steps.filter_map(|step| Some(of_log(&step, &log_of(&step)?, lines))).filter(|excerpt| !excerpt.tail.is_empty()).take(MOST_STEPS).collect()
}

/// Buildbot's own account of an exception, or what the step printed, or the last log that is text.
fn log_of(step: &Step) -> Option<Log> {
    let mut logs: Vec<Log> = step.logs().into_iter().filter(|log| !["d", "h"].contains(&log.kind().as_str())).collect();
    let named = ["err.text", "stdio"].iter().find_map(|name| logs.iter().position(|log| log.name() == *name));
    match named {
        Some(at) => Some(logs.swap_remove(at)),
        None => logs.pop(),
    }
}

fn of_log(step: &Step, log: &Log, lines: u32) -> Excerpt {
    let tail: Vec<String> = log.tail(lines.div_ceil(2)).lines().map(readable).collect();
    let needles = NEEDLES.map(str::to_owned);
    let mut errors: Vec<(u64, String)> = Vec::new();
    for (number, line) in log.find(&needles, MOST_FOUND) {
        let line = readable(&line);
        // The first error explains the others; and one is enough of what is repeated.
        if errors.len() < lines as usize / 2 && !tail.contains(&line) && !errors.iter().any(|(_, other)| *other == line) {
            errors.push((number + 1, line));
        }
    }
    Excerpt { step: step.name(), log: log.name(), url: log.url(), errors, tail }
}

/// A line as a terminal would leave it: without colours, and of what was written over itself the last.
fn readable(line: &str) -> String {
    let line = line.trim_end_matches(['\r', '\n']);
    let line = line.rsplit('\r').next().unwrap_or(line);
    let mut out = String::new();
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\u{1b}' if chars.peek() == Some(&'[') => {
                chars.next();
                // ECMA-48: parameters, then a final character.
                while chars.next().is_some_and(|c| !('@'..='~').contains(&c)) {}
            }
            '\t' => out.push('\t'),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    cut::to_chars(&out, MOST_LINE).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn build(steps: serde_json::Value) -> Build {
        Build::from_json(json!({"steps": steps}))
    }

    #[test]
    fn errors_and_the_end() {
        let middle: String = (0..50).map(|n| format!("ofile {n}\n")).collect();
        let stdio =
            format!("hmake\noa.c:1: \u{1b}[31merror:\u{1b}[0m no x\n{middle}oa.c:1: error: no x\nob.c:9: ERROR: no y\no10 %\r90 %\nemake: *** [all] Error 1\n");
        let logs = json!([{"name": "warnings", "type": "t", "content": {"content": "w\n"}}, {"name": "stdio", "type": "s", "content": {"content": stdio}}]);
        let steps = json!([
            {"name": "fine", "results": 0, "logs": [{"name": "stdio", "type": "s", "content": {"content": "ofatal: no\n"}}]},
            {"name": "compile", "results": 2, "logs": logs},
            {"name": "report", "results": 4, "logs": [{"name": "stdio", "type": "s", "content": {"content": "ox\n"}}, {"name": "err.text", "type": "t", "content": {"content": "Traceback\n"}}, {"name": "err.html", "type": "h", "content": {"content": "<b>"}}]},
            {"name": "silent", "results": 2, "logs": []},
            {"name": "hidden", "results": 2, "hidden": true, "logs": logs},
        ]);
        let excerpts = of_build(&build(steps), 4);
        assert_eq!(excerpts.iter().map(|it| (it.step.as_str(), it.log.as_str())).collect::<Vec<_>>(), [("compile", "stdio"), ("report", "err.text")]);
        assert_eq!(excerpts[0].errors, [(2, "a.c:1: error: no x".to_owned()), (54, "b.c:9: ERROR: no y".to_owned())]);
        assert_eq!(excerpts[0].tail, ["90 %", "make: *** [all] Error 1"]);
        assert_eq!(excerpts[0].text(), "2: a.c:1: error: no x\n54: b.c:9: ERROR: no y\n…\n90 %\nmake: *** [all] Error 1\n");
        assert_eq!(excerpts[1].text(), "Traceback\n");
        assert!(of_build(&build(json!([{"name": "a", "results": 2, "logs": logs}])), 0).is_empty());
    }

    #[test]
    fn it_is_bounded() {
        let log = json!([{"name": "stdio", "type": "t", "content": {"content": format!("{}\n", "error: x".repeat(10_000)).repeat(100)}}]);
        let steps: Vec<_> = (0..10).map(|n| json!({"name": n.to_string(), "results": 2, "logs": log})).collect();
        let excerpts = of_build(&build(json!(steps)), 20);
        assert_eq!(excerpts.len(), MOST_STEPS);
        assert!(excerpts.iter().all(|it| it.text().chars().count() <= 11 * (MOST_LINE + 10)));
    }
}
