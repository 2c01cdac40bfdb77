//! Service entries: what the operator wrote, checked and ready to run.

pub mod reload;
pub mod settings;
