//! `run`: follow the sources and report.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Context, Failure};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The settings file.
    pub file: Option<PathBuf>,
    /// Print nothing but errors.
    #[arg(long, short)]
    pub quiet: bool,
}

/// Runs the host, and prints each delivery as it happens.
pub(super) async fn run(args: Args, context: &Context<'_>) -> Result<(), Failure> {
    let settings = context.settings(args.file.as_deref(), true)?;
    let output = context.output.clone();
    let tell = Arc::new(move |told: super::told::Told| {
        if !args.quiet {
            told.print(&output);
        }
    });
    context.host.run(settings, tell).await.map_err(Failure::Failed)
}
