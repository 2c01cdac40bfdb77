//! `check`: settings, components, grants and, with `--connect`, endpoints. Nothing is sent.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use super::output::{Output, Paint, plain};
use super::{Context, Failure};
use crate::tenant::settings::{Diagnostic, Report, load};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The settings file.
    pub file: Option<PathBuf>,
    /// Also connect and log in to every endpoint, TLS and authentication included.
    #[arg(long)]
    pub connect: bool,
}

/// One thing that was checked.
#[derive(Clone, Debug)]
pub enum Checked {
    /// Something about an entry.
    Line(Line),
    /// A component does not take its settings.
    Refused(Diagnostic),
}

/// Something about an entry.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// The service entry.
    pub entry: String,
    /// What was checked: `events`, `endpoint api` …; or `warning`.
    pub part: String,
    /// Whether it is all right.
    pub ok: bool,
    /// What was found, or what is wrong and what to do.
    pub text: String,
}

/// Prints what is checked, and fails if anything is not as it should be.
pub(super) async fn check(args: Args, context: &Context<'_>) -> Result<(), Failure> {
    let settings = context.settings(args.file.as_deref(), load)?;
    if context.output.json() {
        settings.warnings.iter().for_each(|warning| context.output.object(&serde_json::json!({ "warning": warning })));
    } else {
        let counted = [("source", settings.sources.len()), ("service", settings.services.len()), ("warning", settings.warnings.len())];
        let counted = counted.map(|(what, count)| format!("{count} {what}{}", if count == 1 { "" } else { "s" }));
        context.output.line(&format!("{}: {}", settings.file.display(), counted.join(", ")));
    }
    let results: Arc<Mutex<(Vec<Diagnostic>, usize)>> = Arc::default();
    let (collect, output) = (Arc::clone(&results), context.output.clone());
    let tell = Arc::new(move |checked: Checked| {
        let mut results = collect.lock().unwrap_or_else(PoisonError::into_inner);
        match checked {
            Checked::Refused(diagnostic) => results.0.push(diagnostic),
            Checked::Line(line) => {
                results.1 += usize::from(!line.ok);
                line.print(&output);
            }
        }
    });
    context.host.check(&settings, args.connect, tell).await.map_err(Failure::Failed)?;
    let (diagnostics, failed) = std::mem::take(&mut *results.lock().unwrap_or_else(PoisonError::into_inner));
    match (diagnostics.is_empty(), failed) {
        (false, _) => Err(Failure::Settings(Report { diagnostics, files: settings.files })),
        (true, 0) => Ok(()),
        (true, failed) => Err(Failure::Failed(format!("{failed} checks failed"))),
    }
}

impl Line {
    /// The part of what is no mistake, and hardly meant.
    pub const WARNING: &str = "warning";

    /// `ok  entry  part: text`
    pub fn print(&self, output: &Output) {
        if output.json() {
            return output.object(self);
        }
        let mark = match (self.ok, self.part.as_str()) {
            (false, _) => output.paint(Paint::Bad, "fail"),
            (true, Self::WARNING) => output.paint(Paint::Doubtful, "warn"),
            (true, _) => output.paint(Paint::Good, "ok  "),
        };
        output.line(&format!("{mark}  {}  {}: {}", plain(&self.entry), plain(&self.part), plain(&self.text)));
    }
}
