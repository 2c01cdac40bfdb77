//! The command line, one file per command.
//!
//! | exit code | meaning |
//! |---|---|
//! | 0 | done |
//! | 1 | something failed: a delivery, a connection, the store, a component that `preview` called |
//! | 2 | the command line or the settings are wrong |
//! | 3 | nothing was found |

pub mod app;
pub mod check;
mod completions;
pub mod deliveries;
pub mod new;
pub mod output;
mod pipe;
pub mod preview;
pub mod record;
pub mod run;
mod schema;
pub mod test_send;
pub mod told;
pub mod wiring;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::sandbox::{COMPILE, serve_compiler};
use crate::tenant::settings::{self, Report, Settings};
use output::{Color, Output};
use wiring::Host;

/// How long the end waits for somebody to read what was said, since they last did.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long the end waits for what threads do that nobody waits for.
const LAST: Duration = Duration::from_secs(1);

/// Tells people and services what builds did.
#[derive(Debug, Parser)]
#[command(name = "reporter-host", version, about, after_help = "Exit codes: 0 done, 1 something failed, 2 wrong usage or settings, 3 nothing found.")]
pub struct Cli {
    #[command(flatten)]
    common: Common,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// The settings file.
    #[arg(long, short, global = true, value_name = "FILE", default_value = "reporter-host.toml")]
    settings: PathBuf,
    /// Print JSON, one object a line.
    #[arg(long, global = true)]
    json: bool,
    /// Colour the output.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = Color::Auto)]
    color: Color,
    /// What goes to the log (on stderr): error, warn, info, debug, or a filter; default: the settings' [host] log, or warn.
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Follow the masters and report.
    Run(run::Args),
    /// Check settings, components and grants; nothing is sent.
    Check(check::Args),
    /// Show what services would send for an event; nothing is sent.
    Preview(preview::Args),
    /// Send a test message through services.
    TestSend(test_send::Args),
    /// Record events, to preview and replay them without a master.
    Record(record::Args),
    /// Look at deliveries, retry and drop them, ask why there is none.
    #[command(subcommand)]
    Deliveries(deliveries::Command),
    /// Make a project for a component of your own.
    New(new::Args),
    /// Print the JSON Schema of the settings file, for editors.
    Schema,
    /// Print shell completions.
    Completions(completions::Args),
}

/// Why a command ended early.
#[derive(Debug)]
pub enum Failure {
    /// The settings are wrong.
    Settings(Report),
    /// The command line is wrong.
    Usage(String),
    /// Something failed.
    Failed(String),
    /// There is nothing of the kind that was asked for.
    Nothing(String),
}

/// [`load`](settings::load) or one of its kin.
pub type Load = fn(&Path, &dyn settings::Describe) -> Result<Settings, Report>;

/// What every command has at hand.
pub struct Context<'a> {
    /// Where output goes, and how.
    pub output: Output,
    /// The rest of the host.
    pub host: &'a dyn Host,
    file: PathBuf,
    log: Option<String>,
}

impl Context<'_> {
    /// The settings, read for what the command does; `named` is the file that it was given itself.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn settings(&self, named: Option<&Path>, load: Load) -> Result<Settings, Failure> {
        let file = named.unwrap_or(&self.file);
        let describe = self.host.describe();
        let settings = load(file, describe.as_ref()).map_err(Failure::Settings)?;
        output::start_log(self.log.as_deref().or(settings.log.as_deref()), &self.output);
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        Ok(settings)
    }
}

/// Refuses names of entries that the settings do not have.
fn known_entries(settings: &Settings, names: &[String]) -> Result<(), Failure> {
    let kept_out = settings.kept_out.iter().map(|out| out.name.as_str());
    let known: Vec<_> = settings.services.iter().map(|service| service.name.as_str()).chain(kept_out).collect();
    let Some(name) = names.iter().find(|name| !known.contains(&name.as_str())) else { return Ok(()) };
    let hint = match (settings::spelling::did_you_mean(name, known.iter().copied()), known.as_slice()) {
        (Some(meant), _) => format!("did you mean {meant:?}?"),
        (None, []) => "there is none at all".to_owned(),
        (None, known) => format!("there are {}", known.join(", ")),
    };
    Err(Failure::Usage(format!("there is no service {name:?} in {}; {hint}", settings.file.display())))
}

/// Parses the command line, does it, and says how it ended.
pub fn main(host: &dyn Host) -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|first| first == COMPILE) {
        return serve_compiler();
    }
    let cli = Cli::parse();
    let output = Output::new(cli.common.json, cli.common.color);
    let context = Context { output, host, file: cli.common.settings, log: cli.common.log };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(why) => return end(&context.output, Failure::Failed(format!("no threads can be started: {why}"))),
    };
    let code = match runtime.block_on(dispatch(cli.command, &context)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => end(&context.output, failure),
    };
    runtime.block_on(output::errors_emptied(PATIENCE));
    // Not until a component is compiled: its compiler ends with this process.
    runtime.shutdown_timeout(LAST);
    code
}

async fn dispatch(command: Command, context: &Context<'_>) -> Result<(), Failure> {
    match command {
        Command::Run(args) => run::run(args, context).await,
        Command::Check(args) => check::check(args, context).await,
        Command::Preview(args) => preview::preview(args, context).await,
        Command::TestSend(args) => test_send::test_send(args, context).await,
        Command::Record(args) => record::record(args, context).await,
        Command::Deliveries(command) => deliveries::deliveries(command, context).await,
        Command::New(args) => new::new(&args, context.host.template(), &context.output),
        Command::Schema => schema::print(context),
        Command::Completions(args) => completions::print(args),
    }
}

fn end(output: &Output, failure: Failure) -> ExitCode {
    let code = match &failure {
        Failure::Failed(_) => 1,
        Failure::Settings(_) | Failure::Usage(_) => 2,
        Failure::Nothing(_) => 3,
    };
    output.failure(&failure);
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        use clap::CommandFactory as _;
        Cli::command().debug_assert();
    }

    #[test]
    fn a_settings_file_can_be_named_both_ways() {
        let cli = Cli::try_parse_from(["reporter-host", "run", "a.toml"]).unwrap();
        assert!(matches!(cli.command, Command::Run(run::Args { file: Some(file), .. }) if file == Path::new("a.toml")));
        let cli = Cli::try_parse_from(["reporter-host", "deliveries", "list", "--settings", "b.toml", "--json"]).unwrap();
        assert!(cli.common.json && cli.common.settings == Path::new("b.toml"));
    }
}
