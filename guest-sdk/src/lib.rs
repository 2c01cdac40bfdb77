//! Write reporters and formatters for reporter-host.
//!
//! A formatter words one hook of a reporter. This one is complete:
//!
//! ```
//! use reporter_sdk::prelude::*;
//!
//! /// What the operator writes in `settings = { … }`.
//! #[derive(Deserialize, JsonSchema)]
//! struct Settings {
//!     /// Whether a failure gets a bomb.
//!     #[serde(default)]
//!     emoji: bool,
//! }
//!
//! struct Mine;
//!
//! impl Formatter for Mine {
//!     type Settings = Settings;
//!     const SLOTS: &'static [&'static str] = &["message"];
//!
//!     fn format(settings: &Settings, _slot: &str, subjects: Subjects, _context: Context) -> Result<Document, String> {
//!         let build = subjects.build()?;
//!         let sign = if settings.emoji && build.results() == Some(FAILURE) { "💣 " } else { "" };
//!         Ok(Document::message(format!("{sign}{}: {}", build.builder(), build.state_string())))
//!     }
//! }
//!
//! reporter_sdk::export_formatter!(Mine);
//! ```
//!
//! `cargo build --target wasm32-wasip2` (or wasm32-unknown-unknown and `wasm-tools component new`) makes the component;
//! `cargo test` tests it without a host ([`testing`]). Settings derive `serde::Deserialize` and `schemars::JsonSchema`,
//! so a crate that uses them depends on both.

#[cfg(all(target_arch = "wasm32", feature = "allocator"))]
mod allocator;
pub mod amount;
#[allow(missing_docs, clippy::all)]
pub mod bindings;
pub mod bitbucket;
pub mod build;
pub mod chat;
pub mod comment;
pub mod commit;
pub mod component;
pub mod context;
pub mod cut;
pub mod delivery;
pub mod endpoint;
pub mod event;
pub mod excerpt;
#[doc(hidden)]
pub mod export;
pub mod filter;
#[cfg(any(test, all(target_arch = "wasm32", feature = "allocator")))]
mod front;
pub mod github;
pub mod giturl;
pub mod http;
pub mod interpolate;
pub mod irc;
mod jinja;
pub mod kinds;
mod lazy;
pub mod master;
pub mod message;
pub mod missing;
pub mod notice;
pub mod percent;
pub mod remembered;
pub mod services;
pub mod settings;
pub mod slot;
pub mod smtp;
pub mod snippets;
pub mod ssh;
pub mod stamps;
pub mod status;
pub mod subject;
pub mod template;
#[cfg(not(target_arch = "wasm32"))]
pub mod testing;
pub mod title;
pub mod want;
pub mod watched;
pub mod wording;
pub mod worker;

pub use chat::ChatReporter;
pub use component::{Formatter, Reporter};

/// Buildbot's results.
pub mod results {
    /// Succeeded.
    pub const SUCCESS: u8 = 0;
    /// Succeeded, with warnings.
    pub const WARNINGS: u8 = 1;
    /// Failed.
    pub const FAILURE: u8 = 2;
    /// Had nothing to do.
    pub const SKIPPED: u8 = 3;
    /// The CI itself went wrong.
    pub const EXCEPTION: u8 = 4;
    /// Is made again, because of the CI.
    pub const RETRY: u8 = 5;
    /// Was stopped.
    pub const CANCELLED: u8 = 6;

    /// The names, by number.
    pub const NAMES: [&str; 7] = ["success", "warnings", "failure", "skipped", "exception", "retry", "cancelled"];

    /// The name of a result; `not finished` for none.
    pub fn name(results: Option<u8>) -> &'static str {
        match results {
            None => "not finished",
            Some(results) => NAMES.get(usize::from(results)).copied().unwrap_or("invalid status"),
        }
    }
}

/// What most components use.
pub mod prelude {
    pub use crate::build::{Build, Log, Step};
    pub use crate::component::{Failure, Formatter, Outcome, Plan, Problem, Problems, Reporter};
    pub use crate::delivery::{Answer, Terms, Verdict};
    pub use crate::event::{Event, Subjects};
    pub use crate::interpolate::Interpolate;
    pub use crate::results::{CANCELLED, EXCEPTION, FAILURE, RETRY, SKIPPED, SUCCESS, WARNINGS};
    pub use crate::slot::{Context, Document};
    pub use crate::worker::{User, Worker};
    pub use schemars::JsonSchema;
    pub use serde::Deserialize;
}

/// A document as text. `to_string` of a [`serde_json::Value`] goes through `fmt` and takes several times as long.
pub fn json_text(value: &serde_json::Value) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
