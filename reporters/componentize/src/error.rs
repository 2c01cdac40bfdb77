//! What can go wrong, and what to do about it.

use std::fmt;
use std::path::PathBuf;

/// Why there are no guests.
#[derive(Debug)]
pub enum Error {
    /// Cargo did not set this variable: not a build script.
    NotABuildScript(&'static str),
    /// A program could not be started.
    Start(String, std::io::Error),
    /// The standard library of this target is not installed, and rustup could not help.
    NoTarget(&'static str, String),
    /// The nested cargo failed; its own messages.
    Cargo(String),
    /// Cargo was content but made no file for this package.
    NoArtifact(String),
    /// A file could not be read or written.
    File(PathBuf, std::io::Error),
    /// The module does not make a component.
    Encode(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotABuildScript(variable) => write!(f, "{variable} is not set: this runs in a build script only"),
            Self::Start(program, error) => write!(f, "{program} could not be started: {error}"),
            Self::NoTarget(target, why) => write!(
                f,
                "the built-in reporters are WebAssembly, and Rust's standard library for {target} is not installed.\n\
                 Install it with: rustup target add {target}\n\
                 Without rustup: install the package that has it (Debian: libstd-rust-dev-wasm32), for the same version as rustc.\n\
                 It was tried: {why}"
            ),
            Self::Cargo(messages) => write!(f, "the guests did not compile:\n{messages}"),
            Self::NoArtifact(package) => write!(f, "cargo made no .wasm file of {package}: its Cargo.toml needs [lib] crate-type = [\"cdylib\", \"rlib\"]"),
            Self::File(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Encode(error) => write!(f, "no component can be made of it: {error}"),
        }
    }
}

impl std::error::Error for Error {}
