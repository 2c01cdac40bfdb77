//! `record`: events of masters and inboxes, with their details, into a file.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Context, Failure};
use crate::tenant::settings::load;

/// Arguments of `record`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The JSON Lines file to write; it must not exist.
    #[arg(value_name = "RECORDING")]
    pub to: PathBuf,
    /// The settings file.
    pub file: Option<PathBuf>,
    /// Only from this master or inbox (may be repeated).
    #[arg(long, value_name = "NAME")]
    pub source: Vec<String>,
    /// Builds that ended already, the newest ones of each master.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub past: u32,
    /// End after so many events; default: on Ctrl-C.
    #[arg(long, value_name = "COUNT")]
    pub most: Option<u64>,
    /// Leave out what logs say.
    #[arg(long)]
    pub without_logs: bool,
}

/// What to record.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Where to.
    pub to: PathBuf,
    /// Names of sources; empty: all.
    pub sources: Vec<String>,
    /// How many past builds of each master.
    pub past: u32,
    /// When to end.
    pub most: Option<u64>,
    /// Whether logs' contents are recorded.
    pub logs: bool,
}

/// Records, and shows how many events there are so far.
pub(super) async fn record(args: Args, context: &Context<'_>) -> Result<(), Failure> {
    if args.to.exists() {
        return Err(Failure::Usage(format!("{} exists already", args.to.display())));
    }
    let settings = context.settings(args.file.as_deref(), load)?;
    for name in &args.source {
        if settings.sources.iter().all(|source| source.name != *name) {
            return Err(Failure::Usage(format!("there is no master or inbox {name:?} in {}", settings.file.display())));
        }
    }
    let progress = context.output.progress();
    let shown = progress.clone();
    let tell = Arc::new(move |count: u64| shown.set_message(format!("{count} events")));
    let to = args.to.clone();
    let recording = Recording { to: args.to, sources: args.source, past: args.past, most: args.most, logs: !args.without_logs };
    let count = context.host.record(&settings, recording, tell).await.map_err(Failure::Failed);
    progress.finish_and_clear();
    match count? {
        0 => Err(Failure::Nothing("no event came".to_owned())),
        count => {
            context.output.done(&format!("{count} events in {}", to.display()), &serde_json::json!({ "events": count, "file": to.display().to_string() }));
            Ok(())
        }
    }
}
