//! The `reporter-host` binary: see [`reporter_host::cli`].

use std::process::ExitCode;

use reporter_host::cli;

fn main() -> ExitCode {
    // Whichever part asks for TLS first finds this provider.
    reporter_host::transport::install_crypto();
    cli::main(&cli::app::App::default())
}
