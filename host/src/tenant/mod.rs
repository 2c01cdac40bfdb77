//! Service entries: what the operator wrote, checked and ready to run.

mod components;
mod entry;
mod links;
pub mod reload;
pub mod settings;

pub use components::Components;
pub use entry::{Entry, EntryError, Shared, load};
