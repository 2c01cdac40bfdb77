//! The `reporter-host` binary.

fn main() -> std::process::ExitCode {
    reporter_host::cli::main(&reporter_host::cli::app::App::default())
}
