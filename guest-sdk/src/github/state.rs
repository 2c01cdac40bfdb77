//! GitHub's states.

use crate::results::{FAILURE, RETRY, SKIPPED, SUCCESS, WARNINGS};

/// A state of GitHub's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It waits or runs, or will be made again.
    Pending,
    /// It is well, or had nothing to do.
    Success,
    /// It failed.
    Failure,
    /// It came to no result.
    Error,
}

impl State {
    /// The state of a build.
    pub fn of(complete: bool, results: Option<u8>) -> Self {
        match results {
            _ if !complete => Self::Pending,
            Some(SUCCESS | WARNINGS | SKIPPED) => Self::Success,
            Some(FAILURE) => Self::Failure,
            Some(RETRY) => Self::Pending,
            _ => Self::Error,
        }
    }

    /// As GitHub calls it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Success => "success",
            Self::Failure => "failure",
            Self::Error => "error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn every_result() {
        for (results, word) in [(0, "success"), (1, "success"), (2, "failure"), (3, "success"), (4, "error"), (5, "pending"), (6, "error"), (7, "error")] {
            assert_eq!(State::of(true, Some(results)).word(), word, "{results}");
            assert_eq!(State::of(false, Some(results)), State::Pending);
        }
        assert_eq!(State::of(true, None), State::Error);
        assert_eq!(State::of(false, None), State::Pending);
    }
}
