//! Runs components: one fresh instance per call, bounded in time, memory and what it may push
//! through host calls.

mod limits;

pub use limits::Limits;
