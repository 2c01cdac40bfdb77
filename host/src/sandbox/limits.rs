//! What one call of a component may use, and its compiler.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::compile::Bounds;

/// The limits of one entry (or formatter), each in the settings under `limits` and each enforced: per call, but for the last two.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Limits {
    /// `compute_ms`: time computing, to the 10 ms of the epoch clock.
    pub compute: Duration,
    /// `wait_ms`: time from the call's start to its end, waiting for details and queries included.
    pub wait: Duration,
    /// `memory_mib`: all linear memories and tables of the instance together, in bytes. Up to 16 MiB the component runs in
    /// the small engine, above in the large one (at most 256 MiB).
    pub memory: u64,
    /// `sends`: deliveries.
    pub sends: u32,
    /// `send_kib`: bytes of all deliveries together.
    pub send_bytes: u64,
    /// `log_lines`: lines kept of `log.write`, stdout and stderr, 2,000 bytes each.
    pub log_lines: u32,
    /// `read_kib`: bytes handed to the component by getters, documents and logs.
    pub read_bytes: u64,
    /// `queries`: calls of `http.query` and formatters.
    pub queries: u32,
    /// `state_kib`: bytes of all keys and values of the entry's state.
    pub state_bytes: u64,
    /// `component_mib`: size of the component's file, in bytes.
    pub component_bytes: u64,
    /// `compile_ms` and `compile_mib`.
    pub compile: Bounds,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            compute: Duration::from_millis(1_000),
            wait: Duration::from_secs(60),
            memory: 16 << 20,
            sends: 100,
            send_bytes: 8 << 20,
            log_lines: 200,
            read_bytes: 64 << 20,
            queries: 50,
            state_bytes: 64 << 10,
            component_bytes: 32 << 20,
            compile: Bounds::default(),
        }
    }
}
