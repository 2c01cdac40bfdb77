//! `test-send`: one test message through each entry, really sent.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::told::{Came, Told};
use super::{Context, Failure};
use crate::tenant::settings::load_to_run;

/// Arguments of `test-send`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The settings file.
    pub file: Option<PathBuf>,
    /// The service entry (may be repeated).
    #[arg(long, value_name = "NAME", required = true)]
    pub entry: Vec<String>,
    /// Whom a test mail goes to, of a service that writes to nobody but those responsible for a build.
    #[arg(long, value_name = "ADDRESS")]
    pub to: Option<String>,
}

/// Sends, and fails unless everything was delivered.
pub(super) async fn test_send(args: Args, context: &Context<'_>) -> Result<(), Failure> {
    let settings = context.settings(args.file.as_deref(), load_to_run)?;
    super::known_entries(&settings, &args.entry)?;
    let (delivered, other) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (good, bad, output) = (Arc::clone(&delivered), Arc::clone(&other), context.output.clone());
    let tell = Arc::new(move |told: Told| {
        let count = if matches!(told.came, Came::Delivered { .. }) { &good } else { &bad };
        count.fetch_add(1, Ordering::Relaxed);
        told.print(&output);
    });
    context.host.test_send(&settings, &args.entry, args.to.as_deref(), tell).await.map_err(Failure::Failed)?;
    match (delivered.load(Ordering::Relaxed), other.load(Ordering::Relaxed)) {
        (0, 0) => Err(Failure::Failed("nothing was sent".to_owned())),
        (_, 0) => Ok(()),
        (_, other) => Err(Failure::Failed(format!("{other} messages were not delivered"))),
    }
}
