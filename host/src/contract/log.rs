//! `log`: lines for the operator.

use super::call::Call;
use super::reporter::reporter_host::reporter::log::{Host, Level};

/// Bytes kept of one line.
const LINE: usize = 2_000;

/// What a component said, as much of it as is kept of a line.
pub(crate) fn shortened(mut text: String) -> String {
    if text.len() > LINE {
        text.truncate(text.floor_char_boundary(LINE - '…'.len_utf8()));
        text.push('…');
    }
    text
}

impl Call {
    /// Keeps a line, within the limits.
    pub fn note(&mut self, level: &str, message: &str) {
        let Some(left) = self.budget.log_lines.checked_sub(1) else {
            self.unlogged += 1;
            return;
        };
        self.budget.log_lines = left;
        let cut = message.floor_char_boundary(LINE);
        self.log.push((level.to_owned(), message[..cut].to_owned()));
    }
}

impl Host for Call {
    fn write(&mut self, level: Level, message: String) -> wasmtime::Result<()> {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        self.note(level, &message);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_long_ends_in_an_ellipsis() {
        assert_eq!(shortened("a".repeat(LINE)), "a".repeat(LINE));
        let cut = shortened("é".repeat(LINE));
        assert!(cut.len() <= LINE && cut.ends_with("é…"), "{} bytes", cut.len());
    }
}
