//! The kinds of event.

use serde::{Deserialize, Serialize};

/// What happened. The words are those of the contract (`events.event.kind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// `builds/*/new`
    BuildStarted,
    /// `builds/*/finished`
    BuildFinished,
    /// `buildrequests/*/new`
    BuildrequestNew,
    /// `buildrequests/*/cancel`
    BuildrequestCancelled,
    /// `buildsets/*/complete`
    BuildsetComplete,
    /// `workers/*/missing`
    WorkerMissing,
    /// `workers/*/connected`, of a worker that was missing before
    WorkerConnected,
    /// Something was said to a bot: no source has it, no plan asks for it, and one entry alone is shown it.
    Heard,
}

impl Kind {
    /// Every kind that a plan can ask for.
    pub const ALL: [Self; 7] = [
        Self::BuildStarted,
        Self::BuildFinished,
        Self::BuildrequestNew,
        Self::BuildrequestCancelled,
        Self::BuildsetComplete,
        Self::WorkerMissing,
        Self::WorkerConnected,
    ];

    /// The contract's word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BuildStarted => "build-started",
            Self::BuildFinished => "build-finished",
            Self::BuildrequestNew => "buildrequest-new",
            Self::BuildrequestCancelled => "buildrequest-cancelled",
            Self::BuildsetComplete => "buildset-complete",
            Self::WorkerMissing => "worker-missing",
            Self::WorkerConnected => "worker-connected",
            Self::Heard => "heard",
        }
    }

    /// The kind of a word of the contract.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The last part of Buildbot's message key, and of the event's id.
    pub fn verb(self) -> &'static str {
        match self {
            Self::BuildStarted | Self::BuildrequestNew => "new",
            Self::BuildFinished => "finished",
            Self::BuildrequestCancelled => "cancel",
            Self::BuildsetComplete => "complete",
            Self::WorkerMissing => "missing",
            Self::WorkerConnected => "connected",
            Self::Heard => "heard",
        }
    }
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
