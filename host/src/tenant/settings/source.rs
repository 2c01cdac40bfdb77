//! Where something is written: a file's text, and a span of it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that was read.
#[derive(Debug)]
pub struct Source {
    /// Its path, as the operator wrote it.
    pub path: PathBuf,
    /// What it says.
    pub text: String,
}

/// Bytes `start..end` of a file.
#[derive(Clone, Debug)]
pub struct Span {
    /// The file.
    pub source: Arc<Source>,
    /// The first byte.
    pub start: usize,
    /// The first byte after it.
    pub end: usize,
}

impl Span {
    /// The very beginning of a file: for what concerns all of it.
    pub fn top(source: &Arc<Source>) -> Self {
        Self { source: Arc::clone(source), start: 0, end: 0 }
    }

    /// Line and column, both from 1; columns count characters.
    pub fn line_and_column(&self) -> (usize, usize) {
        let before = self.source.text.get(..self.start).unwrap_or(&self.source.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        (line, before.get(line_start..).map_or(0, |text| text.chars().count()) + 1)
    }

    /// The part of the span that is on its first line: what a caret can underline.
    pub fn first_line(&self) -> std::ops::Range<usize> {
        let text = self.source.text.get(self.start..self.end).unwrap_or("");
        let line = text.find('\n').map_or(text, |end| text.get(..end).unwrap_or(text)).trim_end();
        self.start..self.start + line.len()
    }

    /// The folder that relative paths written here are relative to.
    pub fn folder(&self) -> &Path {
        match self.source.path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        }
    }

    /// A path that is written here, seen from where the host runs.
    pub fn path(&self, written: &str) -> PathBuf {
        let written = Path::new(written);
        if written.is_absolute() {
            return written.to_owned();
        }
        let written = written.strip_prefix(".").unwrap_or(written);
        match self.source.path.parent() {
            _ if written.as_os_str().is_empty() => self.folder().to_owned(),
            Some(parent) => parent.join(written),
            None => written.to_owned(),
        }
    }
}
