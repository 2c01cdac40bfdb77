//! Builds guest crates of this workspace from a build script, and makes components of them.
//!
//! `reporters/bundle/build.rs` shows how.
//!
//! The nested cargo gets a target folder of its own, `guests` beside `debug` and `release`: on the outer one it would wait for
//! the lock that the outer cargo holds until this build script has ended. What the guests depend on is compiled once.

mod cargo;
mod error;
mod target;

pub use cargo::Guests;
pub use error::Error;
pub use target::Target;

use wit_component::ComponentEncoder;

/// Makes a component of a core module that wit-bindgen's bindings are in. Nothing is adapted: what the module imports,
/// the component imports.
///
/// # Errors
///
/// If the module imports or lacks something that its world does not say.
pub fn encode(module: &[u8]) -> Result<Vec<u8>, Error> {
    let encoded = ComponentEncoder::default().module(module).and_then(|encoder| encoder.validate(true).encode());
    encoded.map_err(|error| Error::Encode(format!("{error:#}")))
}

/// Ends a build script: cargo shows the error as this package's own.
pub fn give_up(error: &Error) -> ! {
    for line in error.to_string().lines() {
        println!("cargo::error={line}");
    }
    std::process::exit(1)
}
