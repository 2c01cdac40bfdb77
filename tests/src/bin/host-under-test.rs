//! The real host, as a program that suites start and kill.

fn main() -> std::process::ExitCode {
    reporter_host::transport::install_crypto();
    reporter_host::cli::main(&reporter_host::cli::app::App::default())
}
