//! `run`: follow the sources and report.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::app::run::signal;
use super::output::Output;
use super::{Context, Failure, PATIENCE};
use crate::host::store_file;
use crate::tenant::settings::{SourceKind, load_to_start};

/// Arguments of `run`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The settings file.
    pub file: Option<PathBuf>,
    /// Print nothing but errors.
    #[arg(long, short)]
    pub quiet: bool,
}

/// How a host ended that did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Every recording was played, and everything that came of it has ended.
    Finished,
    /// Somebody told it to.
    Stopped,
}

/// Runs the host, and prints each delivery as it happens. The host never waits for whoever reads that.
pub(super) async fn run(args: Args, context: &Context<'_>) -> Result<(), Failure> {
    let settings = context.settings(args.file.as_deref(), load_to_start)?;
    let (sink, state_dir, file) = (settings.sink, settings.state_dir.clone(), settings.file.clone());
    let recorded = settings.sources.iter().all(|source| matches!(source.kind, SourceKind::Recording { .. }));
    let played = store_file(&settings).exists();
    let output = context.output.unwaiting();
    let printed = output.clone();
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let quiet = args.quiet;
    let tell = Arc::new(move |told: super::told::Told| {
        counted.fetch_add(1, Ordering::Relaxed);
        if !quiet {
            told.print(&printed);
        }
    });
    let ended = context.host.run(settings, tell).await.map_err(Failure::Failed)?;
    if !quiet && !output.json() {
        let file = file.display();
        if recorded && ended == Ended::Finished && count.load(Ordering::Relaxed) == 0 {
            output.line(&match played {
                true => format!("Nothing new: the recording has been played before. To play it again, remove {}", state_dir.display()),
                false => format!("Nothing was reported: no service of {file} wants any event of the recording."),
            });
        }
        if sink {
            output.line(&format!("Nothing left this machine: {file} has `sink = true`. Look again with `reporter-host deliveries list --settings {file}`."));
            output.line("To follow a master of your own, put [[masters]] with its url in the place of [[recordings]], and take `sink` away.");
        }
    }
    last_words(&output, ended).await;
    Ok(())
}

/// Lets everything be read that was printed: as slowly as it may be, unless somebody wants an end.
async fn last_words(output: &Output, ended: Ended) {
    if ended == Ended::Finished {
        tokio::select! {
            () = output.emptied(Duration::MAX) => return,
            () = signal() => {}
        }
    }
    output.emptied(PATIENCE).await;
}
