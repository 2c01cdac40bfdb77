//! Excerpts of the logs of failing steps: the first line that looks like an error with what stands around it, the last ones, and the end.

use minijinja::value::Value;

use crate::build::{Build, Log, Step};
use crate::cut;
use crate::results::{EXCEPTION, FAILURE};

/// Steps of a build that are excerpted.
const MOST_STEPS: usize = 3;
/// Lines that are looked at for errors, from the end.
const MOST_FOUND: u32 = 200;
/// With room for fewer lines, the first error has nothing around it.
const LEAST_CONTEXT: u32 = 4;
/// Characters of a line.
const MOST_LINE: usize = 300;

/// What compilers, test runners and shells write in the line that matters; case is ignored.
const NEEDLES: [&str; 30] = [
    "error:",
    "error[",
    ": error ",
    "npm err!",
    "fatal:",
    "fatal error",
    "failed:",
    "--- fail",
    "not ok ",
    "*** [",
    "*** no rule",
    "*** stack smashing",
    "*** buffer overflow",
    "traceback (most recent",
    "exception:",
    "assertionerror",
    "assertion failed",
    "assertion `",
    "assertion '",
    "assertion \"",
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

/// What is written of errors that there are not, each with nothing of a larger number before or after it.
const NONE: [&str; 9] = ["0 error", "no error", "0 fail", "no fail", "0 timed out", "error: 0", "errors: 0", "failed: 0", "without error"];
/// Lines that look like errors, of which the first is not one that says there are none.
const MOST_HARMLESS: u32 = 50;

/// Whether the line only looks like an error: `0 errors`, `checking for error: … no`.
fn is_harmless(line: &str) -> bool {
    let line = line.trim().to_lowercase();
    let counts_none = |words: &str| {
        line.match_indices(words).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let after = line[at + words.len()..].chars().next();
            !before.is_some_and(|c| c.is_alphanumeric() || c == '.') && !(words.ends_with('0') && after.is_some_and(|c| c.is_alphanumeric() || c == '.'))
        })
    };
    line.starts_with("checking ") || line.ends_with("... yes") || line.ends_with("... no") || NONE.into_iter().any(counts_none)
}

/// Part of one log. Numbers of lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excerpt {
    /// The step's name.
    pub step: String,
    /// The log's name.
    pub log: String,
    /// The log's page; empty if the source has no URL.
    pub url: String,
    /// The first line that looks like an error, with its number, and others like it: the last ones.
    pub errors: Vec<(u64, String)>,
    /// What stands around the first of these, itself included; empty if there is little room.
    pub context: Vec<(u64, String)>,
    /// The last lines.
    pub tail: Vec<String>,
}

impl Excerpt {
    /// The first error with what stands around it, the other ones, each with its number, and then the last lines.
    pub fn text(&self) -> String {
        let first = self.errors.first().map(|(number, _)| *number);
        let mut text = String::new();
        let mut before = None;
        for (number, line) in self.context.iter().chain(self.errors.iter().filter(|error| !self.context.contains(error))) {
            // Only what is left out after the context is not to be seen by the numbers.
            if before.is_some_and(|before| before + 1 < *number) && before == self.context.last().map(|(number, _)| *number) {
                text.push_str("…\n");
            }
            let sign = if self.context.iter().any(|(of, _)| of == number) && Some(*number) != first { '-' } else { ':' };
            text.push_str(&format!("{number}{sign} {line}\n"));
            before = Some(*number);
        }
        if !text.is_empty() && !self.tail.is_empty() {
            text.push_str("…\n");
        }
        self.tail.iter().for_each(|line| text.extend([line, "\n"]));
        text
    }

    /// For templates: `step`, `log`, `url`, `errors` and `context` (`number` and `text`), `tail` and `text`.
    pub fn value(&self) -> Value {
        let lines = |lines: &[(u64, String)]| {
            lines.iter().map(|(number, text)| Value::from_pairs([("number", Value::from(*number)), ("text", Value::from(text.as_str()))])).collect::<Value>()
        };
        Value::from_pairs([
            ("step", Value::from(self.step.as_str())),
            ("log", Value::from(self.log.as_str())),
            ("url", Value::from(self.url.as_str())),
            ("errors", lines(&self.errors)),
            ("context", lines(&self.context)),
            ("tail", self.tail.iter().map(|line| Value::from(line.as_str())).collect()),
            ("text", Value::from(self.text())),
        ])
    }
}

/// Excerpts of the first failing steps of a build, each of at most `lines` lines: half of them for errors and what stands around the first, the
/// rest for the end.
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
    let before_tail = log.lines().saturating_sub(tail.len() as u64);
    let needles = NEEDLES.map(str::to_owned);
    let numbered = |(number, line): (u64, String)| (number + 1, readable(&line));
    let (mut errors, mut context) = (Vec::new(), Vec::new());
    // The first error explains the others.
    let likely = |(_, line): &(u64, String)| !is_harmless(&readable(line));
    let first = if lines > 1 { log.find_first(&needles, 0, MOST_HARMLESS).into_iter().find(likely) } else { None };
    if let Some((first, line)) = first.filter(|(number, _)| *number < before_tail) {
        let room = lines / 2;
        let (above, below) = if room < LEAST_CONTEXT { (0, 0) } else { (room / 5, room / 2 - room / 5) };
        errors.push(numbered((first, line)));
        if below > 0 {
            let from = first.saturating_sub(above.into());
            let count = u32::try_from(first - from).unwrap_or(above) + 1 + below;
            context.extend(log.find_first(&[String::new()], from, count).into_iter().filter(|(number, _)| *number < before_tail).map(numbered));
        }
        let left = (room as usize).saturating_sub(context.len().max(1));
        let mut last: Vec<(u64, String)> = Vec::new();
        for found in log.find(&needles, MOST_FOUND).into_iter().filter(likely).rev().map(numbered) {
            // One is enough of what is repeated.
            let is_new = !tail.contains(&found.1) && errors.iter().chain(&context).chain(&last).all(|(number, line)| *number != found.0 && *line != found.1);
            if last.len() < left && is_new {
                last.push(found);
            }
        }
        errors.extend(last.into_iter().rev());
    }
    Excerpt { step: step.name(), log: log.name(), url: log.url(), errors, context, tail }
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
    fn the_first_error_has_its_surroundings_and_the_last_ones_follow() {
        let noise: String = (0..500).map(|n| format!("onote {n}: error: after-effect {n}\n")).collect();
        let stdio = format!("oone\notwo\nothree\noa.c:1: error: the cause\no  int x = y;\no          ^\nofour\nofive\n{noise}oend 1\noend 2\n");
        let logs = json!([{"name": "stdio", "type": "s", "content": {"content": stdio}}]);
        let excerpts = of_build(&build(json!([{"name": "compile", "results": 2, "logs": logs}])), 20);
        let text = excerpts[0].text();
        let expected = "2- two\n3- three\n4: a.c:1: error: the cause\n5-   int x = y;\n6-           ^\n7- four\n…\n497: note 488: error: after-effect 488\n\
                        498: note 489: error: after-effect 489\n499: note 490: error: after-effect 490\n500: note 491: error: after-effect 491\n…\nnote 492: error";
        assert!(text.starts_with(expected) && text.ends_with("end 1\nend 2\n"), "{text}");
        assert_eq!(text.lines().filter(|line| *line != "…").count(), 20);
        assert_eq!(excerpts[0].errors.len(), 5);
        // An error among the last lines is not shown twice.
        let short = json!([{"name": "stdio", "type": "s", "content": {"content": "oerror: all of it\nomore\n"}}]);
        assert_eq!(of_build(&build(json!([{"name": "compile", "results": 2, "logs": short}])), 20)[0].text(), "error: all of it\nmore\n");
    }

    #[test]
    fn what_only_looks_like_an_error_does_not_win() {
        let real = "f.c:3:1: error: real cause";
        for harmless in [
            "hgcc -c error: f.c",
            "o0 errors",
            "ochecking whether to enable assertions... yes",
            "ochecking for error: ... no",
            "o*** Building ***",
            "o  no error yet",
            "oTests failed: 0",
            "oerror: 0",
            "oa line about error handling",
        ] {
            let filler = "oline\n".repeat(30);
            let log = json!([{"name": "stdio", "type": "s", "content": {"content": format!("{harmless}\n{filler}o{real}\n{filler}")}}]);
            let excerpts = of_build(&build(json!([{"name": "compile", "results": 2, "logs": log}])), 20);
            assert_eq!(excerpts[0].errors, [(32, real.to_owned())], "{harmless}");
        }
        for real in ["10 errors: error: x", "f.c:3: error: 0x1 is wrong", "a.c: Assertion `x' failed.", "make: *** [all] Error 1", "AssertionError: 0.5"] {
            assert!(!is_harmless(real) && NEEDLES.iter().any(|needle| real.to_lowercase().contains(needle)), "{real}");
        }
    }

    #[test]
    fn it_is_bounded() {
        let log = json!([{"name": "stdio", "type": "t", "content": {"content": format!("{}\n", "error: x".repeat(10_000)).repeat(100)}}]);
        let steps: Vec<_> = (0..10).map(|n| json!({"name": n.to_string(), "results": 2, "logs": log})).collect();
        let excerpts = of_build(&build(json!(steps)), 20);
        assert_eq!(excerpts.len(), MOST_STEPS);
        assert!(excerpts.iter().all(|it| it.text().chars().count() <= 21 * (MOST_LINE + 10)));
    }
}
