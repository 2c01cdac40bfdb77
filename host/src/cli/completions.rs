//! `completions`: for the shell to source.

use clap::CommandFactory as _;
use clap_complete::Shell;

use super::{Cli, Failure};

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The shell.
    shell: Shell,
}

pub(super) fn print(args: Args) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "reporter-host", &mut script);
    std::io::Write::write_all(&mut std::io::stdout(), &script).map_err(|e| Failure::Failed(e.to_string()))
}
