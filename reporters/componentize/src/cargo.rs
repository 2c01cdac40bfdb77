//! The nested cargo.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::{Error, Target};

/// Variables that speak of the outer build. The nested one would take them for its own: flags of the host's target,
/// clippy as its compiler, another target folder.
const OUTER: &[&str] = &[
    "CARGO_BUILD_RUSTC_WRAPPER",
    "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
    "CARGO_BUILD_RUSTFLAGS",
    "CARGO_BUILD_TARGET",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_ENCODED_RUSTFLAGS",
    "CARGO_TARGET_DIR",
    "DEBUG",
    "HOST",
    "NUM_JOBS",
    "OPT_LEVEL",
    "OUT_DIR",
    "PROFILE",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTC_WRAPPER",
    "RUSTFLAGS",
    "TARGET",
];

/// Beginnings of such names.
const OUTER_PREFIXES: &[&str] = &["CARGO_CFG_", "CARGO_FEATURE_", "CARGO_MANIFEST_", "CARGO_PKG_", "CARGO_PROFILE_", "DEP_", "__CARGO_"];

/// The guests of this workspace.
#[derive(Debug)]
pub struct Guests {
    workspace: PathBuf,
    target_dir: PathBuf,
}

impl Guests {
    /// Finds the workspace and the target folder, from what cargo tells a build script.
    ///
    /// # Errors
    ///
    /// Outside a build script, or if there is no workspace above it.
    pub fn from_build_script() -> Result<Self, Error> {
        let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
        let out = PathBuf::from(variable("OUT_DIR")?);
        let workspace = manifest.ancestors().skip(1).find(|folder| folder.join("Cargo.lock").is_file());
        let workspace = workspace.ok_or_else(|| Error::File(manifest.join("Cargo.lock"), std::io::ErrorKind::NotFound.into()))?;
        Ok(Self { workspace: workspace.to_owned(), target_dir: target_dir(&out).join("guests") })
    }

    /// The workspace's folder.
    pub fn workspace(&self) -> &Path {
        &self.workspace
    }

    /// Has cargo run this build script again when one of these changes; paths are relative to the workspace.
    /// Folders count with everything in them.
    pub fn watch<P: AsRef<Path>>(&self, paths: impl IntoIterator<Item = P>) {
        for path in paths {
            println!("cargo::rerun-if-changed={}", self.workspace.join(path).display());
        }
    }

    /// Compiles these packages with the profile `guest`. Answers with their .wasm files, in the order of `packages`.
    ///
    /// Each gets a call of its own: a library that is an rlib too, for native use, is optimised as a whole only if the
    /// rlib is not asked for, and cargo takes `--crate-type` for one package at a time.
    ///
    /// Cargo.lock is taken as it stands (the outer cargo has just brought it up to date), and the net is used as the
    /// environment (`CARGO_NET_OFFLINE`) and cargo's configuration say.
    ///
    /// # Errors
    ///
    /// If the target is missing and cannot be installed, or if a package does not compile.
    pub fn build(&self, packages: &[&str], target: Target) -> Result<Vec<PathBuf>, Error> {
        target.ensure()?;
        packages.iter().map(|package| self.compile(package, target)).collect()
    }

    fn compile(&self, package: &str, target: Target) -> Result<PathBuf, Error> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(&cargo);
        command.current_dir(&self.workspace).args(["rustc", "--locked", "--profile", "guest", "--target", target.triple()]);
        command.arg("--target-dir").arg(&self.target_dir).args(["--color", "never"]);
        command.args(["--package", package, "--lib", "--crate-type", "cdylib"]);
        for (name, _) in std::env::vars_os().filter(|(name, _)| is_outer(name)) {
            command.env_remove(name);
        }
        let built = command.stdin(Stdio::null()).output().map_err(|error| Error::Start(cargo.to_string_lossy().into_owned(), error))?;
        if !built.status.success() {
            return Err(Error::Cargo(String::from_utf8_lossy(&built.stderr).into_owned()));
        }
        self.artifact(package, target)
    }

    fn artifact(&self, package: &str, target: Target) -> Result<PathBuf, Error> {
        let file = self.target_dir.join(target.triple()).join("guest").join(package.replace('-', "_")).with_extension("wasm");
        if file.is_file() { Ok(file) } else { Err(Error::NoArtifact(package.into())) }
    }
}

fn variable(name: &'static str) -> Result<OsString, Error> {
    std::env::var_os(name).ok_or(Error::NotABuildScript(name))
}

fn is_outer(name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    OUTER.contains(&name.as_ref()) || OUTER_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

/// The target folder that `OUT_DIR` is in. Cargo marks it with a CACHEDIR.TAG; `--target-dir` leaves no other trace.
fn target_dir(out: &Path) -> PathBuf {
    let marked = out.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file());
    // <target>/<profile>/build/<package>/out
    marked.or_else(|| out.ancestors().nth(4)).unwrap_or(out).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_speaks_of_the_outer_build_is_not_passed_on() {
        for name in ["RUSTC_WORKSPACE_WRAPPER", "CARGO_ENCODED_RUSTFLAGS", "CARGO_PKG_NAME", "CARGO_PROFILE_RELEASE_LTO", "CARGO_TARGET_DIR"] {
            assert!(is_outer(name.as_ref()), "{name}");
        }
        for name in ["CARGO_HOME", "CARGO_NET_OFFLINE", "CARGO_MAKEFLAGS", "RUSTUP_TOOLCHAIN", "PATH", "RUSTC"] {
            assert!(!is_outer(name.as_ref()), "{name}");
        }
    }

    #[test]
    fn without_the_mark_the_layout_says_where_the_target_folder_is() {
        assert_eq!(target_dir(Path::new("/nowhere/target/debug/build/bundle-1a/out")), Path::new("/nowhere/target"));
    }
}
