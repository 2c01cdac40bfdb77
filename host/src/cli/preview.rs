//! `preview`: what entries would send for an event, from the state that they are in. Nothing is sent, and nothing is
//! written to the state folder.

use std::path::PathBuf;

use clap::ArgGroup;
use serde::Serialize;

use super::output::{Output, Paint, plain, print_payload};
use super::{Context, Failure};
use crate::tenant::settings::load;
use crate::transport::Payload;

/// Arguments of `preview`.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("what").required(true).args(["event", "build"])))]
pub struct Args {
    /// The settings file.
    pub file: Option<PathBuf>,
    /// Only this service entry (may be repeated).
    #[arg(long, value_name = "NAME")]
    pub entry: Vec<String>,
    /// An event of the journal, by its id or a part of it; the newest that fits.
    #[arg(long, value_name = "ID")]
    pub event: Option<String>,
    /// With --event: look for it in this recording instead.
    #[arg(long, value_name = "FILE", requires = "event")]
    pub recording: Option<PathBuf>,
    /// A build of the live master, by its id or as BUILDER/NUMBER.
    #[arg(long, value_name = "BUILD")]
    pub build: Option<String>,
    /// With --build: the master, if there are several.
    #[arg(long, value_name = "NAME", requires = "build")]
    pub master: Option<String>,
}

/// For what event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The newest event of the journal whose id contains this.
    Journalled(String),
    /// The last event of a recording whose id contains this.
    Recorded {
        /// The recording.
        file: PathBuf,
        /// Part of the id.
        event: String,
    },
    /// A build of a live master.
    Build {
        /// The id, or `BUILDER/NUMBER`.
        build: String,
        /// The master's name, if one was given.
        master: Option<String>,
    },
}

/// What one entry would do.
#[derive(Clone, Debug, Serialize)]
pub struct Preview {
    /// The service entry.
    pub entry: String,
    /// The event's id.
    pub event: String,
    /// Why it would keep silent, or how its component failed; none: it sends.
    pub why: Option<String>,
    /// Whether its component failed.
    pub failed: bool,
    /// What it would send.
    pub sends: Vec<Send>,
    /// What it logged: level and text.
    pub log: Vec<(String, String)>,
}

/// One message.
#[derive(Clone, Debug, Serialize)]
pub struct Send {
    /// Where to.
    pub destination: String,
    /// One line about it.
    pub title: String,
    /// The content, with placeholders instead of secrets.
    pub payload: Payload,
}

/// Prints what entries would send.
pub(super) async fn preview(args: Args, context: &Context<'_>) -> Result<(), Failure> {
    let settings = context.settings(args.file.as_deref(), load)?;
    super::known_entries(&settings, &args.entry)?;
    let what = match (args.event, args.recording, args.build) {
        (Some(event), Some(file), _) => What::Recorded { file, event },
        (Some(event), None, _) => What::Journalled(event),
        (None, _, Some(build)) => What::Build { build, master: args.master },
        (None, _, None) => return Err(Failure::Usage("name an --event or a --build".to_owned())),
    };
    let previews = context.host.preview(&settings, &args.entry, what).await.map_err(Failure::Failed)?;
    if previews.is_empty() {
        return Err(Failure::Nothing("there is no such event".to_owned()));
    }
    previews.iter().for_each(|preview| preview.print(&context.output));
    let failed: Vec<_> = previews.iter().filter(|preview| preview.failed).map(|preview| preview.entry.as_str()).collect();
    if failed.is_empty() {
        return Ok(());
    }
    Err(Failure::Failed(format!("{} of {} services failed: {}", failed.len(), previews.len(), failed.join(", "))))
}

impl Preview {
    /// The entry, then each message.
    pub fn print(&self, output: &Output) {
        if output.json() {
            return output.object(self);
        }
        output.line(&output.paint(Paint::Strong, &format!("{}: {}", plain(&self.entry), plain(&self.event))));
        if let Some(why) = &self.why {
            output.line(&format!("  nothing is sent: {}", plain(why)));
        }
        for (level, text) in &self.log {
            output.line(&format!("  {level}: {}", plain(text)));
        }
        for send in &self.sends {
            output.line(&format!("  → {}  {}", plain(&send.destination), plain(&send.title)));
            print_payload(&send.payload, "    ", output);
        }
    }
}
