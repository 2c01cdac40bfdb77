//! What is wrong in the settings, shown where it stands and with what to write instead.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet, normalize_untrusted_str};
use serde_json::{Value, json};

use super::source::{Source, Span};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The settings are refused.
    Error,
    /// They are taken all the same.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The bytes that are underlined.
    pub span: Range<usize>,
    /// What to write instead.
    pub help: Option<String>,
    source: Option<Arc<Source>>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(at: &Span, message: impl Into<String>) -> Self {
        let (line, column) = at.line_and_column();
        Self {
            severity: Severity::Error,
            message: message.into(),
            file: at.source.path.clone(),
            line,
            column,
            span: at.first_line(),
            help: None,
            source: Some(Arc::clone(&at.source)),
        }
    }

    /// A warning at a place.
    pub fn warning(at: &Span, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(at, message) }
    }

    /// An error about a file that could not be read at all.
    pub fn unread(file: PathBuf, message: impl Into<String>) -> Self {
        let (severity, span) = (Severity::Error, 0..0);
        Self { severity, message: message.into(), file, line: 1, column: 1, span, help: None, source: None }
    }

    /// Adds what to write instead.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The message with the text it is about, a caret below, and the help.
    pub fn render(&self, colours: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let file = self.file.display().to_string();
        let message = one_line(&self.message);
        let mut group = match &self.source {
            Some(source) => level
                .primary_title(message)
                .element(Snippet::source(source.text.as_str()).path(file).annotation(AnnotationKind::Primary.span(self.span.clone()))),
            None => Group::with_title(level.primary_title(format!("{}: {message}", one_line(&file)))),
        };
        if let Some(help) = &self.help {
            group = group.element(Level::HELP.message(one_line(help)));
        }
        let renderer = if colours { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }

    /// For scripts: `severity`, `message`, `file`, `line`, `column`, `span`, `help`.
    pub fn to_json(&self) -> Value {
        json!({
            "severity": match self.severity { Severity::Error => "error", Severity::Warning => "warning" },
            "message": self.message,
            "file": self.file.display().to_string(),
            "line": self.line,
            "column": self.column,
            "span": [self.span.start, self.span.end],
            "help": self.help,
        })
    }
}

/// `file:line:column: message; help`
impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file.display(), self.line, self.column, self.message)?;
        match &self.help {
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// Settings and components word parts of a message: neither may move the terminal's cursor.
fn one_line(text: &str) -> String {
    normalize_untrusted_str(&text.replace(['\n', '\r'], " "))
}

/// Everything that is wrong, in the order of the files.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The diagnostics.
    pub diagnostics: Vec<Diagnostic>,
    /// Every file that was read, or looked for: a change of one may mend what is wrong.
    pub files: Vec<PathBuf>,
}

impl Report {
    /// All of it for people.
    pub fn render(&self, colours: bool) -> String {
        let mut text = String::new();
        for diagnostic in &self.diagnostics {
            text.push_str(&diagnostic.render(colours));
            text.push_str("\n\n");
        }
        text.truncate(text.trim_end().len());
        text
    }

    /// All of it for scripts: an array.
    pub fn to_json(&self) -> Value {
        self.diagnostics.iter().map(Diagnostic::to_json).collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Report {}

/// Collects what is found on the way through the files.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub errors: Vec<Diagnostic>,
    pub warnings: Vec<Diagnostic>,
    pub files: Vec<PathBuf>,
}

impl Found {
    pub fn error(&mut self, diagnostic: Diagnostic) {
        self.errors.push(diagnostic);
    }

    pub fn warn(&mut self, diagnostic: Diagnostic) {
        self.warnings.push(diagnostic);
    }

    /// A file, or a folder, whose change is a reason to read the settings again.
    pub fn file(&mut self, path: PathBuf) {
        if !self.files.contains(&path) {
            self.files.push(path);
        }
    }

    /// What was found as a refusal, the diagnostics sorted by file (in reading order) and place.
    pub fn into_report(mut self) -> Report {
        let order = |path: &PathBuf| self.files.iter().position(|file| file == path);
        self.errors.sort_by_key(|d| (order(&d.file), d.span.start, d.span.end));
        self.errors.dedup_by(|a, b| a.file == b.file && a.span == b.span && a.message == b.message);
        Report { diagnostics: self.errors, files: self.files }
    }
}
