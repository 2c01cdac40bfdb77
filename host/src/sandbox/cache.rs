//! Compiled code in a private folder, so that no start waits for the compiler twice.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use wasmtime::Engine;
use wasmtime::component::Component;

/// Bytes that the folder may hold; the files that were not used for longest go first.
const MOST_BYTES: u64 = 2 << 30;
/// A file that was not used for so long goes.
const UNUSED: Duration = Duration::from_hours(30 * 24);
/// How old the time of a file may be when it is used; then it is set again.
const STALE: Duration = Duration::from_hours(24);

/// A folder of compiled components.
pub(super) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// A cache in `folder`, which only this user may enter: what is in it is run as native code.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(folder: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&folder)?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        }
        let this = Self { folder };
        this.prune(MOST_BYTES);
        Ok(this)
    }

    /// What was kept under this name by an engine like this one.
    pub fn get(&self, engine: &Engine, name: &str) -> Option<Component> {
        self.read(engine, &self.path(engine, name))
    }

    /// Keeps code that was just compiled for such an engine under this name, and maps it. Where it cannot be written, that costs memory now and time
    /// at the next start, and nothing else.
    ///
    /// # Errors
    /// The engine does not take it.
    #[allow(unsafe_code)]
    pub fn put(&self, engine: &Engine, name: &str, code: &[u8]) -> wasmtime::Result<Component> {
        let path = self.path(engine, name);
        if let Err(error) = write_whole(&self.folder, &path, code) {
            tracing::warn!("compiled code cannot be kept in {}: {error}", self.folder.display());
        }
        self.prune(MOST_BYTES);
        match self.read(engine, &path) {
            Some(component) => Ok(component),
            // SAFETY: the compiler wrote it, of this process or of this program.
            None => unsafe { Component::deserialize(engine, code) }.inspect_err(|_| {
                fs::remove_file(&path).ok();
            }),
        }
    }

    fn path(&self, engine: &Engine, name: &str) -> PathBuf {
        use std::hash::{DefaultHasher, Hash as _, Hasher as _};
        let mut hasher = DefaultHasher::new();
        (engine.precompile_compatibility_hash(), super::direct::VERSION).hash(&mut hasher);
        self.folder.join(format!("{name}-{:016x}.cwasm", hasher.finish()))
    }

    #[allow(unsafe_code)]
    fn read(&self, engine: &Engine, path: &Path) -> Option<Component> {
        let used = fs::metadata(path).and_then(|found| found.modified()).ok()?;
        // SAFETY: the folder is this user's alone, files in it are written by `write_whole` and nobody else, and are
        // named by the hash of what they were compiled from and of the engine that did it.
        match unsafe { Component::deserialize_file(engine, path) } {
            Ok(component) => {
                if used.elapsed().is_ok_and(|age| age > STALE) {
                    // Only how long it is kept depends on it.
                    fs::File::open(path).and_then(|file| file.set_modified(SystemTime::now())).ok();
                }
                Some(component)
            }
            Err(error) => {
                tracing::warn!("compiled code in {} is left aside: {error:#}", path.display());
                None
            }
        }
    }

    /// Removes what is not used any more. A file that is mapped lives on until nobody maps it.
    fn prune(&self, most: u64) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut files: Vec<_> = entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let found = entry.metadata().ok()?;
                (found.is_file()).then_some((found.modified().ok()?, found.len(), entry.path()))
            })
            .collect();
        files.sort_unstable_by(|a, b| b.cmp(a));
        let mut bytes = 0;
        for (used, size, path) in files {
            bytes += size;
            if bytes > most || used.elapsed().is_ok_and(|age| age > UNUSED) {
                // Another host may have removed it just now.
                fs::remove_file(path).ok();
            }
        }
    }
}

/// Writes a file so that a reader sees all of it or none.
fn write_whole(folder: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    io::Write::write_all(&mut file, bytes)?;
    file.as_file().sync_data()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_used_for_longest_goes_first() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, age: Duration| {
            let path = folder.path().join(name);
            fs::write(&path, [0; 10]).unwrap();
            fs::File::open(&path).unwrap().set_modified(SystemTime::now() - age).unwrap();
            path
        };
        let hours = Duration::from_hours;
        let (ancient, old, new) = (file("ancient", hours(31 * 24)), file("old", hours(3)), file("new", hours(1)));
        let cache = Cache::new(folder.path().to_owned()).unwrap();
        assert!(!ancient.exists() && old.exists() && new.exists(), "a month unused is too long");
        cache.prune(10);
        assert!(!old.exists() && new.exists(), "there is room for one");
    }
}
