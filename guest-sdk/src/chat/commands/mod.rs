//! The commands that every bot has.

mod act;
pub mod force;
mod help;
mod list;
mod notify;
mod status;
mod talk;
pub mod waiting;

pub use act::{Act, What};

use super::bot::{Command, Presenter};

/// All of them.
pub fn core<P: Presenter>() -> Vec<Command<P>> {
    let mut all = Vec::new();
    all.extend(help::commands());
    all.extend(talk::commands());
    all.extend(list::commands());
    all.extend(status::commands());
    all.extend(notify::commands());
    all.extend(force::commands());
    all.extend(act::commands());
    all
}
