//! Steps and logs.

use std::sync::Arc;

use serde_json::{Value, json};

use super::build::{int, text};
use super::{Details, FetchError, Row, Rows, paths};

/// A step of a build.
#[derive(Clone)]
pub struct Step {
    pub(super) details: Arc<Details>,
    /// The step in the REST API's shape.
    pub object: Row,
    /// The build's page, or empty.
    pub(super) build: String,
}

impl Step {
    /// Its name.
    pub fn name(&self) -> &str {
        text(&self.object, "name")
    }

    /// Its position.
    pub fn number(&self) -> u64 {
        int(&self.object, "number").unwrap_or_default()
    }

    /// Its logs.
    ///
    /// # Errors
    /// [`FetchError::NotNow`].
    pub async fn logs(&self) -> Result<Vec<Log>, FetchError> {
        let Some(id) = int(&self.object, "stepid") else { return Ok(Vec::new()) };
        let rows = self.details.get(&paths::logs(id)).await?;
        Ok(Row::all(&rows).map(|object| Log { details: self.details.clone(), object, step: self.clone(), most: None }).collect())
    }

    /// The step as a JSON object in Buildbot's shape, with `logs` and their contents if wanted.
    ///
    /// # Errors
    /// [`FetchError::NotNow`].
    pub async fn document(&self, logs: bool, contents: bool) -> Result<Value, FetchError> {
        let mut step = self.object.to_value();
        if logs && let Some(step) = step.as_object_mut() {
            let mut all = Vec::new();
            for log in self.logs().await? {
                all.push(log.document(contents).await?);
            }
            step.insert("logs".into(), all.into());
        }
        Ok(step)
    }
}

/// A log of a step.
#[derive(Clone)]
pub struct Log {
    pub(super) details: Arc<Details>,
    /// The log in the REST API's shape.
    pub object: Row,
    pub(super) step: Step,
    /// Bytes of its end that it stands for; none: all of it.
    most: Option<u64>,
}

impl Log {
    /// The name of its step.
    pub fn step(&self) -> &str {
        self.step.name()
    }

    /// Its page: `{build}/steps/N/logs/SLUG`, or empty.
    pub fn url(&self) -> String {
        if self.step.build.is_empty() {
            return String::new();
        }
        format!("{}/steps/{}/logs/{}", self.step.build, self.step.number(), text(&self.object, "slug"))
    }

    /// The name under which its text waits to be attached: letters, digits and dashes.
    pub fn spool_name(&self) -> String {
        let name = format!("{}-{}", self.details.seq, int(&self.object, "logid").unwrap_or_default());
        self.most.map_or(name.clone(), |most| format!("{name}-{most}"))
    }

    /// The same log, of which at most so many bytes of the end are left.
    pub fn end(&self, bytes: u64) -> Self {
        Self { most: Some(self.most.map_or(bytes, |most| most.min(bytes))), ..self.clone() }
    }

    /// The contents as the REST API has them, stream prefixes included.
    async fn contents(&self) -> Result<Row, FetchError> {
        let id = int(&self.object, "logid").unwrap_or_default();
        self.details.one(&paths::contents(id)).await
    }

    /// The text.
    ///
    /// # Errors
    /// [`FetchError::NotNow`].
    pub async fn text(&self) -> Result<LogText, FetchError> {
        let id = int(&self.object, "logid").unwrap_or_default();
        let rows = self.details.get(&paths::contents(id)).await?;
        Ok(LogText { rows, prefixed: text(&self.object, "type") == "s", most: self.most })
    }

    async fn document(&self, contents: bool) -> Result<Value, FetchError> {
        let mut log = self.object.to_value();
        let page = self.url();
        let content = if contents { Some(self.contents().await?) } else { None };
        if let Some(log) = log.as_object_mut() {
            log.insert("stepname".into(), self.step().into());
            log.insert("url".into(), page.into());
            let id = int(&self.object, "logid").unwrap_or_default();
            let api = self.step.build.split_once("#/").map_or("", |(base, _)| base);
            if !api.is_empty() {
                log.insert("url_raw".into(), format!("{api}api/v2/logs/{id}/raw").into());
                log.insert("url_raw_inline".into(), format!("{api}api/v2/logs/{id}/raw_inline").into());
            }
            if let Some(content) = content {
                log.insert("content".into(), if content.is_null() { json!({"logid": id, "firstline": 0, "content": ""}) } else { content.to_value() });
            }
        }
        Ok(log)
    }
}

/// A log's text: read from where it is, because it may be large.
pub struct LogText {
    rows: Arc<Rows>,
    prefixed: bool,
    most: Option<u64>,
}

impl LogText {
    /// Its lines with their ends, without the stream prefixes that a log of kind `s` has on each.
    pub fn lines(&self) -> impl Iterator<Item = &str> {
        self.with_streams().map(|(_, line)| line)
    }

    /// The same, and whether the CI wrote the line itself: the command, its environment, how it ended.
    pub fn with_streams(&self) -> impl Iterator<Item = (bool, &str)> {
        let mut over = self.most.map_or(0, |most| self.all_bytes().saturating_sub(most));
        let mut lines = self.all().peekable();
        std::iter::from_fn(move || {
            while over > 0
                && let Some((is_header, line)) = lines.next()
            {
                let gone = usize::try_from(over).unwrap_or(usize::MAX).min(line.len());
                over -= gone as u64;
                // A line that is cut is left out, unless nothing comes after it.
                if lines.peek().is_none() {
                    return Some((is_header, &line[line.ceil_char_boundary(gone)..]));
                }
            }
            lines.next()
        })
    }

    /// How many bytes these lines have.
    pub fn bytes(&self) -> u64 {
        match self.most {
            None => self.all_bytes(),
            Some(_) => self.lines().map(|line| line.len() as u64).sum(),
        }
    }

    fn all_bytes(&self) -> u64 {
        self.all().map(|(_, line)| line.len() as u64).sum()
    }

    fn all(&self) -> impl Iterator<Item = (bool, &str)> {
        let raw = self.rows.first().map_or("", |contents| text(contents, "content"));
        raw.split_inclusive('\n').map(|line| {
            let mut characters = line.chars();
            let stream = if self.prefixed && line != "\n" { characters.next() } else { None };
            (stream == Some('h'), characters.as_str())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_with_streams_is_read_without_their_prefixes() {
        let lines = |content: &str, prefixed| {
            let text = LogText { rows: Arc::new(vec![json!({"content": content})]), prefixed, most: None };
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        assert_eq!(lines("hmake\n\noüne\ne", true), ["make\n", "\n", "üne\n", ""]);
        assert_eq!(lines("hmake\n\noüne", false), ["hmake\n", "\n", "oüne"]);
        let text = LogText { rows: Arc::new(vec![json!({"content": "hmake\nout\n\n"})]), prefixed: true, most: None };
        assert_eq!(text.with_streams().map(|(is_header, _)| is_header).collect::<Vec<_>>(), [true, false, false]);
        let missing = LogText { rows: Arc::default(), prefixed: true, most: None };
        assert_eq!((missing.lines().count(), missing.bytes()), (0, 0));
    }

    #[test]
    fn the_end_of_a_log_begins_with_a_line() {
        let end = |content: &str, most| {
            let text = LogText { rows: Arc::new(vec![json!({"content": content})]), prefixed: true, most: Some(most) };
            let all: String = text.lines().collect();
            assert_eq!(text.bytes(), all.len() as u64);
            all
        };
        let text = "oone\notwo\nothree\n";
        for (most, expected) in
            [(100, "one\ntwo\nthree\n"), (14, "one\ntwo\nthree\n"), (13, "two\nthree\n"), (10, "two\nthree\n"), (9, "three\n"), (3, "ee\n"), (0, "")]
        {
            assert_eq!(end(text, most), expected, "{most}");
        }
        assert_eq!(end("oüüü", 3), "ü");
        assert_eq!(end("", 3), "");
    }
}
