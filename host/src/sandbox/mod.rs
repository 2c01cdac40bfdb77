//! Runs components: one fresh instance per call, bounded in time, memory and what it may push
//! through host calls.

mod cache;
mod compile;
mod direct;
mod engine;
mod instance;
mod limits;
mod load;
mod output;
mod snapshot;

pub use compile::{Bounds, COMPILE, serve as serve_compiler, this_program};
pub use engine::{Engines, Profile};
pub use instance::{ConfigureError, Occasion, Outcome, Ran, Reporter, RunError};
pub use limits::Limits;
pub use load::{LoadError, Loaded, Loader};
pub use snapshot::{Snapshot, SnapshotError, Snapshots};
