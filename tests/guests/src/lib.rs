//! Components that the tests run.

/// A reporter that does what its setting `do` says: `loop`, `recurse`, `flood` … (`tests/guests/hostile`).
pub const HOSTILE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostile.wasm"));

/// A formatter of the same kind, for the slots `message`, `payload` and `description` (`tests/guests/hostile-formatter`).
pub const HOSTILE_FORMATTER: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostile-formatter.wasm"));

/// A formatter that answers with the members that its settings name (`tests/guests/pick`).
pub const PICK: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pick.wasm"));

/// A reporter built for wasm32-wasip2, which posts what it could see of its surroundings (`tests/guests/wasi`).
pub const WASIP2: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/wasi.wasm"));

/// A core module that was never made a component.
pub const CORE_MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/core-module.wasm"));

/// A component for another world.
pub const OTHER_WORLD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/other-world.wasm"));
