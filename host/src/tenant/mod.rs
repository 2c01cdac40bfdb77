//! Service entries: what the operator wrote, checked and ready to run.

mod entry;
pub mod settings;

pub use entry::{Entry, EntryError, Shared, load};
