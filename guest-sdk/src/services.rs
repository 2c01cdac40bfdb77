//! State, log, and the formatters plugged into this entry.

use crate::event::Subjects;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// For entries with `debug = true`.
    Debug,
    /// For entries with `verbose = true`.
    Info,
    /// Always shown.
    Warn,
    /// Always shown.
    Error,
}

/// Writes one line to the delivery log of this call.
pub fn log(level: Level, message: &str) {
    #[cfg(target_arch = "wasm32")]
    {
        use crate::bindings::formatter::reporter_host::reporter::log as wit;
        let level = match level {
            Level::Debug => wit::Level::Debug,
            Level::Info => wit::Level::Info,
            Level::Warn => wit::Level::Warn,
            Level::Error => wit::Level::Error,
        };
        wit::write(level, message);
    }
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::record_line(level, message);
}

/// Small things an entry keeps; its plan must name `state`.
pub mod state {
    /// The value of a key.
    pub fn get(key: &str) -> Option<String> {
        #[cfg(target_arch = "wasm32")]
        return crate::bindings::reporter::reporter_host::reporter::state::get(key);
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::state_get(key)
    }

    /// Sets or deletes a key.
    pub fn set(key: &str, value: Option<&str>) {
        #[cfg(target_arch = "wasm32")]
        crate::bindings::reporter::reporter_host::reporter::state::set(key, value);
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::state_set(key, value);
    }

    /// Keys that begin with `prefix`, sorted.
    pub fn keys(prefix: &str) -> Vec<String> {
        #[cfg(target_arch = "wasm32")]
        return crate::bindings::reporter::reporter_host::reporter::state::keys(prefix);
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::state_keys(prefix)
    }

    /// How many bytes of keys and values may still be added.
    pub fn room() -> u64 {
        #[cfg(target_arch = "wasm32")]
        return crate::bindings::reporter::reporter_host::reporter::state::room();
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::state_room()
    }

    /// Whether a reminder with this tag is still to come.
    pub fn awaits(tag: &str) -> bool {
        #[cfg(target_arch = "wasm32")]
        return crate::bindings::reporter::reporter_host::reporter::state::awaits(tag);
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::awaits(tag)
    }

    /// Has `answered` called with this tag in `after` seconds, with an answer that ended as `due`. Less than a minute counts as a send.
    pub fn remind(tag: &str, after: u32) {
        #[cfg(target_arch = "wasm32")]
        crate::bindings::reporter::reporter_host::reporter::state::remind(tag, after);
        #[cfg(not(target_arch = "wasm32"))]
        crate::testing::record_reminder(tag, after);
    }
}

/// Calls the formatter component for `slot`; see [`crate::slot::ask`].
pub(crate) fn format(slot: &str, subjects: Subjects, context: String) -> Result<String, String> {
    #[cfg(target_arch = "wasm32")]
    {
        use crate::bindings::formatter::reporter_host::reporter::events;
        use crate::bindings::reporter::reporter_host::reporter::formatters;
        let subjects = match subjects {
            Subjects::Builds(builds) => events::Subjects::Builds(builds.into_iter().filter_map(|build| build.into_host()).collect()),
            Subjects::Worker(worker) => events::Subjects::Worker(worker.into_host().ok_or("this worker is not the host's")?),
            Subjects::Users(users) => events::Subjects::Users(users.into_iter().map(|user| user.into_host()).collect()),
        };
        formatters::format(slot, subjects, &context)
    }
    #[cfg(not(target_arch = "wasm32"))]
    crate::testing::call_formatter(slot, subjects, &context)
}
