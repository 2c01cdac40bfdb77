//! `run`: follow the sources and report.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Context, Failure};
use crate::tenant::settings::SourceKind;

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
    let (sink, state_dir, file) = (settings.sink, settings.state_dir.clone(), settings.file.clone());
    let recorded = settings.sources.iter().all(|source| matches!(source.kind, SourceKind::Recording { .. }));
    let output = context.output.clone();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let quiet = args.quiet;
    let tell = Arc::new(move |told: super::told::Told| {
        counted.fetch_add(1, Ordering::Relaxed);
        if !quiet {
            told.print(&output);
        }
    });
    context.host.run(settings, tell).await.map_err(Failure::Failed)?;
    if quiet || context.output.json() {
        return Ok(());
    }
    if recorded && count.load(Ordering::Relaxed) == 0 {
        context.output.line(&format!("Nothing new: the recording has been played before. To play it again, remove {}", state_dir.display()));
    }
    if sink {
        let file = file.display();
        context
            .output
            .line(&format!("Nothing left this machine: {file} has `sink = true`. Look again with `reporter-host deliveries list --settings {file}`."));
        context.output.line("To follow a master of your own, put [[masters]] with its url in the place of [[recordings]], and take `sink` away.");
    }
    Ok(())
}
