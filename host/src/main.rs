//! `reporter-host`: see [`reporter_host::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    // Whichever part asks for TLS first, it finds this one; a second installation would be refused, and is not needed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    match reporter_host::cli::wiring::host() {
        Ok(host) => reporter_host::cli::main(host.as_ref()),
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::FAILURE
        }
    }
}
