//! The targets that guests are built for, and how they are installed.

use std::path::Path;
use std::process::Command;

use crate::Error;

/// What a guest is built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// wasm32-unknown-unknown: a core module without any WASI, to be [encoded](crate::encode).
    Core,
    /// wasm32-wasip2: already a component, which imports WASI 0.2.
    Wasi,
}

impl Target {
    /// As rustc calls it.
    pub fn triple(self) -> &'static str {
        match self {
            Self::Core => "wasm32-unknown-unknown",
            Self::Wasi => "wasm32-wasip2",
        }
    }

    /// Has rustup install it if it is missing.
    pub(crate) fn ensure(self) -> Result<(), Error> {
        if self.installed()? {
            return Ok(());
        }
        let why = match Command::new("rustup").args(["target", "add", self.triple()]).output() {
            Err(error) => format!("rustup could not be started: {error}"),
            Ok(tried) if tried.status.success() && self.installed()? => return Ok(()),
            Ok(tried) => format!("rustup target add {}: {}", self.triple(), String::from_utf8_lossy(&tried.stderr).trim()),
        };
        Err(Error::NoTarget(self.triple(), why))
    }

    fn installed(self) -> Result<bool, Error> {
        let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
        let asked = Command::new(&rustc).args(["--print", "target-libdir", "--target", self.triple()]).output();
        let asked = asked.map_err(|error| Error::Start(rustc.to_string_lossy().into_owned(), error))?;
        let folder = String::from_utf8_lossy(&asked.stdout);
        Ok(asked.status.success() && Path::new(folder.trim()).is_dir())
    }
}
