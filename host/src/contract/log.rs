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

    /// Takes the lines out, and how many were not kept.
    pub fn said(&mut self) -> Vec<(String, String)> {
        let mut log = std::mem::take(&mut self.log);
        if self.unlogged > 0 {
            log.push(("warn".into(), format!("{} more lines were not kept (limits.log_lines)", self.unlogged)));
        }
        log
    }

    /// Begins anew, with room for so many lines.
    pub fn forget_said(&mut self, lines: u32) {
        self.log.clear();
        (self.unlogged, self.budget.log_lines) = (0, lines);
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
