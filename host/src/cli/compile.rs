//! `compile`: what the host starts of itself to compile a component (`sandbox/compile.rs`). Not for people: what comes of it is read by the host.

use std::time::Duration;

use clap::ValueEnum;

use crate::sandbox::{Bounds, Profile, serve_compiler};

/// Arguments of `compile`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    profile: Which,
    /// Milliseconds that it may take.
    time: u64,
    /// Bytes of memory that it may take.
    memory: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    Small,
    Large,
}

pub(super) fn compile(args: &Args) {
    let profile = match args.profile {
        Which::Small => Profile::Small,
        Which::Large => Profile::Large,
    };
    if let Err(why) = serve_compiler(profile, Bounds { time: Duration::from_millis(args.time), memory: args.memory }) {
        eprintln!("{why}");
        std::process::exit(1);
    }
}
