//! What commands print: for people, or JSON, one object a line.

use std::io::{IsTerminal as _, Write as _};
use std::sync::LazyLock;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use super::Failure;
use super::pipe::Pipe;
use crate::transport::{self, Body, Content, IrcMessage, Payload};

/// The log, and why a command failed.
static ERRORS: LazyLock<Pipe> = LazyLock::new(|| Pipe::new(std::io::stderr(), "lines of the log"));
/// What a host prints that does other things meanwhile.
static PRINTED: LazyLock<Pipe> = LazyLock::new(|| Pipe::new(std::io::stdout(), "messages"));

/// When output is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// A colour's meaning.
#[derive(Clone, Copy, Debug)]
pub enum Paint {
    /// Green.
    Good,
    /// Red.
    Bad,
    /// Yellow.
    Doubtful,
    /// Grey.
    Dim,
    /// Bold.
    Strong,
}

/// How to print.
#[derive(Clone, Debug)]
pub struct Output {
    json: bool,
    colours: bool,
    colours_on_stderr: bool,
    /// Whether printing waits for whoever reads.
    waits: bool,
}

impl Output {
    /// As the command line asks.
    pub fn new(json: bool, color: Color) -> Self {
        let wanted = |terminal: bool| match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
        };
        let (colours, colours_on_stderr) = (!json && wanted(std::io::stdout().is_terminal()), wanted(std::io::stderr().is_terminal()));
        Self { json, colours, colours_on_stderr, waits: true }
    }

    /// The same for work that is not to wait for whoever reads stdout: what is too much for them is left out, and counted.
    /// Everything is printed once [`Output::emptied`] has returned.
    pub fn unwaiting(&self) -> Self {
        Self { waits: false, ..self.clone() }
    }

    /// Waits until everything is printed, or nobody has read for `patience`.
    pub async fn emptied(&self, patience: Duration) {
        if !self.waits {
            PRINTED.emptied(patience).await;
        }
    }

    /// Whether a script reads.
    pub fn json(&self) -> bool {
        self.json
    }

    /// One line. A reader that has gone away (`| head`) is no error.
    pub fn line(&self, text: &str) {
        if self.waits {
            let _ = writeln!(std::io::stdout(), "{text}");
        } else {
            PRINTED.put(format!("{text}\n").as_bytes());
        }
    }

    /// One object on a line.
    pub fn object(&self, value: &impl Serialize) {
        match serde_json::to_string(value) {
            Ok(text) => self.line(&text),
            Err(why) => tracing::error!("this cannot be written as JSON: {why}"),
        }
    }

    /// Something that was done: in words, or as an object.
    pub fn done(&self, text: &str, object: &serde_json::Value) {
        if self.json { self.object(object) } else { self.line(text) }
    }

    /// Text with a colour, if there are colours.
    pub fn paint(&self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Good => 32,
            Paint::Bad => 31,
            Paint::Doubtful => 33,
            Paint::Dim => 2,
            Paint::Strong => 1,
        };
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A line on stderr that says how far long work is; silent for scripts and off a terminal.
    pub fn progress(&self) -> ProgressBar {
        if self.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    /// Why a command ended early: on stderr, for scripts as `{"error": …}` on stdout.
    pub(super) fn failure(&self, failure: &Failure) {
        if self.json {
            return self.object(&match failure {
                Failure::Settings(report) => serde_json::json!({ "error": "settings", "diagnostics": report.to_json() }),
                Failure::Usage(why) => serde_json::json!({ "error": "usage", "message": why }),
                Failure::Failed(why) => serde_json::json!({ "error": "failed", "message": why }),
                Failure::Nothing(why) => serde_json::json!({ "error": "nothing", "message": why }),
            });
        }
        let text = match failure {
            Failure::Settings(report) => report.render(self.colours_on_stderr),
            Failure::Usage(why) | Failure::Failed(why) | Failure::Nothing(why) => format!("error: {}", plain(why)),
        };
        ERRORS.put(format!("{text}\n").as_bytes());
    }
}

/// Waits until stderr has everything, or nobody has read there for `patience`.
pub(super) async fn errors_emptied(patience: Duration) {
    ERRORS.emptied(patience).await;
}

/// Sends the log to stderr. Only the first call counts.
pub(super) fn start_log(filter: Option<&str>, output: &Output) {
    // What the SQLite library finds slow is nothing that an operator could mend; who wants to see it says so.
    let filter = filter.unwrap_or("warn").to_owned();
    let filter = if filter.contains("sqlx") { filter } else { format!("{filter},sqlx=error") };
    // What an entry asks for is shown, and who had a master do something, in any case.
    let filter = format!("{filter},{}=debug,{}=info", crate::LOUD, crate::transport::AUDIT);
    // A filter from the settings was checked, one from the command line may be anything.
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| ERRORS.clone()).with_ansi(output.colours_on_stderr);
    // A test or an embedding program may have a log of its own.
    let _ = log.try_init();
}

/// Text of others, without anything that moves the cursor or colours the terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Text of others that may have lines and tabs.
pub fn plain_lines(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| plain(&line.replace('\t', "    ")))
}

/// A time of day where the operator is.
pub fn clock(at_ms: i64) -> String {
    clock_in(at_ms, &TimeZone::system())
}

fn clock_in(at_ms: i64, zone: &TimeZone) -> String {
    Timestamp::from_millisecond(at_ms).map_or_else(|_| "--:--:--".to_owned(), |at| at.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string())
}

/// A whole date, as RFC 3339 in UTC.
pub fn date(at_ms: i64) -> String {
    Timestamp::from_millisecond(at_ms - at_ms.rem_euclid(1_000)).map_or_else(|_| at_ms.to_string(), |at| at.to_string())
}

/// How long ago, or in how long.
pub fn relative(at_ms: i64, now_ms: i64) -> String {
    let seconds = (now_ms - at_ms).abs() / 1_000;
    let (count, unit) = match seconds {
        0 => return "now".to_owned(),
        1..120 => (seconds, "s"),
        120..7_200 => (seconds / 60, "min"),
        7_200..172_800 => (seconds / 3_600, "h"),
        _ => (seconds / 86_400, "days"),
    };
    if at_ms <= now_ms { format!("{count} {unit} ago") } else { format!("in {count} {unit}") }
}

/// Rows in aligned columns; the last column is as wide as it is.
pub fn columns(heads: &[&str], rows: &[Vec<String>]) -> Vec<String> {
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain(heads.get(at).map(|head| head.chars().count())).max().unwrap_or(0)
    };
    let widths: Vec<_> = (0..heads.len()).map(width).collect();
    let heads: Vec<_> = heads.iter().map(|head| (*head).to_owned()).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    std::iter::once(&heads).chain(rows).map(line).collect()
}

/// A message's content, of which `most` lines are shown.
pub fn payload_lines(payload: &Payload, indent: &str, most: usize, output: &Output) -> Vec<String> {
    let (said, lines) = (std::cell::Cell::new(0), std::cell::RefCell::new(Vec::new()));
    let say = |text: &str| {
        said.set(said.get() + 1);
        if said.get() <= most {
            lines.borrow_mut().push(format!("{indent}{text}"));
        }
    };
    let long = |text: &str| plain_lines(text).for_each(|line| say(&line));
    match payload {
        Payload::Http(request) => {
            let query = request.query.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
            let query = if query.is_empty() { query } else { format!("?{query}") };
            say(&plain(&format!("{} …/{}{query}", request.method, request.path.join("/"))));
            request.headers.iter().for_each(|(name, value)| say(&plain(&format!("{name}: {value}"))));
            match &request.body {
                Body::Empty => {}
                Body::Json(text) => match serde_json::from_str::<serde_json::Value>(text) {
                    Ok(value) => long(&format!("{value:#}")),
                    Err(_) => long(text),
                },
                Body::Text(text) => long(text),
                Body::Form(pairs) => pairs.iter().for_each(|(name, value)| say(&plain(&format!("{name}={value}")))),
                Body::Bytes(bytes) => say(&format!("{} bytes", bytes.len())),
            }
        }
        Payload::Irc(IrcMessage::Say { target, verb, text }) => {
            say(&plain(&format!("{} {target}", serde_json::to_string(verb).unwrap_or_default().trim_matches('"'))));
            long(text);
        }
        Payload::Irc(IrcMessage::Membership { channel, joined, .. }) => say(&plain(&format!("{} {channel}", if *joined { "join" } else { "leave" }))),
        Payload::Master(call) => say(&plain(&format!("{} …/{} {}", call.method, call.path.join("/"), call.parameters))),
        Payload::Ssh(command) => {
            long(&transport::ssh::line(command));
            if !command.stdin.is_empty() {
                say(&format!("[standard input, {} bytes]", command.stdin.len()));
            }
        }
        Payload::Smtp(mail) => {
            say(&plain(&format!("From: {}", mail.sender)));
            for (name, addresses) in [("To", &mail.to), ("Cc", &mail.cc), ("Bcc", &mail.bcc)] {
                if !addresses.is_empty() {
                    say(&plain(&format!("{name}: {}", addresses.join(", "))));
                }
            }
            say(&plain(&format!("Subject: {}", mail.subject)));
            mail.headers.iter().for_each(|(name, value)| say(&plain(&format!("{name}: {value}"))));
            for part in &mail.body {
                say(&plain(&format!("[{}]", part.content_type)));
                long(&part.text);
            }
            for attachment in &mail.attachments {
                let size = match &attachment.content {
                    Content::Bytes(bytes) => format!("{} bytes", bytes.len()),
                    Content::Spooled(name) => format!("spooled as {name}"),
                };
                say(&plain(&format!("[attachment {}, {}, {size}]", attachment.filename, attachment.content_type)));
            }
        }
    }
    let mut lines = lines.into_inner();
    if let Some(more) = said.get().checked_sub(most).filter(|more| *more > 0) {
        lines.push(output.paint(Paint::Dim, &format!("{indent}… {more} more lines")));
    }
    lines
}

/// Prints a message's content, all of it.
pub fn print_payload(payload: &Payload, indent: &str, output: &Output) {
    payload_lines(payload, indent, usize::MAX, output).iter().for_each(|line| output.line(line));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        let now = 1_800_000_000_000;
        for (ago_s, text) in [(0, "now"), (90, "90 s ago"), (600, "10 min ago"), (-600, "in 10 min"), (100_000, "27 h ago"), (700_000, "8 days ago")] {
            assert_eq!(relative(now - ago_s * 1_000, now), text);
        }
        assert_eq!(clock_in(now, &TimeZone::UTC), "08:00:00");
        assert_eq!(date(now + 123), "2027-01-15T08:00:00Z");
        assert_eq!(clock_in(i64::MAX, &TimeZone::UTC), "--:--:--");
    }

    #[test]
    fn columns_are_aligned_by_characters() {
        let rows = [vec!["1".to_owned(), "grün".to_owned(), "x".to_owned()], vec!["23".to_owned(), "r".to_owned(), "a b".to_owned()]];
        assert_eq!(columns(&["id", "state", "title"], &rows), ["id  state  title", "1   grün   x", "23  r      a b"]);
    }

    #[test]
    fn text_of_others_cannot_move_the_cursor() {
        assert_eq!(plain("a\x1b[2Jb\r\nc"), "a [2Jb  c");
    }
}
