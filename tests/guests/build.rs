//! Compiles the guests of the tests.

use std::path::{Path, PathBuf};

use reporter_componentize::{Error, Guests, Target, encode, give_up};

/// File name of the component and package of what is built without WASI.
const CORE: &[(&str, &str)] =
    &[("hostile", "hostile-guest"), ("hostile-formatter", "hostile-formatter-guest"), ("other-world", "other-world-guest"), ("pick", "pick-guest")];

const WATCHED: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "wit/reporter",
    "guest-sdk/Cargo.toml",
    "guest-sdk/src",
    "guest-sdk/formatter-world",
    "guest-sdk/reporter-world",
    "guest-sdk/chat-world",
    "tests/guests",
];

fn main() {
    if let Err(error) = build() {
        give_up(&error);
    }
}

fn build() -> Result<(), Error> {
    let guests = Guests::from_build_script()?;
    guests.watch(WATCHED);
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or(Error::NotABuildScript("OUT_DIR"))?);

    let packages: Vec<&str> = CORE.iter().map(|(_, package)| *package).collect();
    for ((name, _), module) in CORE.iter().zip(guests.build(&packages, Target::Core)?) {
        let module = read(&module)?;
        let component = encode(&module).map_err(|error| Error::Encode(format!("{name}: {error}")))?;
        write(&out.join(format!("{name}.wasm")), &component)?;
        if *name == "hostile-formatter" {
            // What somebody gets who forgets the last step.
            write(&out.join("core-module.wasm"), &module)?;
        }
    }
    for component in guests.build(&["wasi-guest"], Target::Wasi)? {
        write(&out.join("wasi.wasm"), &read(&component)?)?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::File(path.to_owned(), error))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::write(path, bytes).map_err(|error| Error::File(path.to_owned(), error))
}
