//! What is said, before a protocol gives it a form.

/// Items of one list.
pub const ITEMS: usize = 200;

/// A message of one or more lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Message {
    /// The lines.
    pub lines: Vec<Line>,
    /// Said as something that the bot does (`/me dances`).
    pub action: bool,
    /// The message that it answers, as the protocol names it; or empty.
    pub answers: String,
    /// Rows of buttons, for protocols that have them. Others leave them out: what they do can be typed too.
    pub buttons: Vec<Vec<Button>>,
}

/// A line.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line(pub Vec<Span>);

/// A part of a line.
#[derive(Clone, Debug, PartialEq)]
pub enum Span {
    /// Words.
    Text(String),
    /// The name of a builder, a worker, a command: set off from the words.
    Name(String),
    /// A link.
    Link {
        /// What is shown.
        text: String,
        /// Where it leads; empty: nowhere.
        url: String,
    },
    /// Between the items of a list: a blank, or a line's end where lines cost nothing.
    Gap,
    /// How a build ended, in words; the number gives it a colour or a sign.
    Result(Option<u8>, String),
}

/// A button.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    /// What is on it.
    pub caption: String,
    /// The command that it stands for.
    pub command: String,
}

impl Line {
    /// A line of words.
    pub fn text(text: impl Into<String>) -> Self {
        Self::default().and(text)
    }

    /// Adds words.
    pub fn and(mut self, text: impl Into<String>) -> Self {
        self.0.push(Span::Text(text.into()));
        self
    }

    /// Adds a name.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.0.push(Span::Name(name.into()));
        self
    }

    /// Adds an item of a list.
    pub fn item(mut self, name: impl Into<String>) -> Self {
        self.0.push(Span::Gap);
        self.name(name)
    }

    /// Adds the items of a list, and how many were too many.
    pub fn items<S: Into<String>>(self, names: impl IntoIterator<Item = S>) -> Self {
        let mut names = names.into_iter();
        let line = names.by_ref().take(ITEMS).fold(self, Self::item);
        match names.count() {
            0 => line,
            more => line.and(format!(" and {more} more")),
        }
    }

    /// Adds a link.
    pub fn link(mut self, text: impl Into<String>, url: impl Into<String>) -> Self {
        self.0.push(Span::Link { text: text.into(), url: url.into() });
        self
    }

    /// Adds how a build ended.
    pub fn result(mut self, results: Option<u8>, words: impl Into<String>) -> Self {
        self.0.push(Span::Result(results, words.into()));
        self
    }

    /// Adds another line's parts.
    pub fn line(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// The words alone.
    pub fn plain(&self) -> String {
        self.0
            .iter()
            .map(|span| match span {
                Span::Text(text) | Span::Name(text) | Span::Link { text, .. } | Span::Result(_, text) => text.as_str(),
                Span::Gap => " ",
            })
            .collect()
    }
}

impl From<Line> for Message {
    fn from(line: Line) -> Self {
        Self { lines: vec![line], ..Self::default() }
    }
}

impl From<Vec<Line>> for Message {
    fn from(lines: Vec<Line>) -> Self {
        Self { lines, ..Self::default() }
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::from(text.lines().map(Line::text).collect::<Vec<_>>())
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl Message {
    /// Something that the bot does.
    pub fn action(text: impl Into<String>) -> Self {
        Self { action: true, ..Self::from(Line::text(text)) }
    }

    /// Adds a row of buttons.
    pub fn row(mut self, row: Vec<Button>) -> Self {
        self.buttons.push(row);
        self
    }
}
