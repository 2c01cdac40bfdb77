//! Notices that the settings may have changed, and reads them again: on SIGHUP, and when a file that
//! they were read from changes.
//!
//! What was read is for the caller to take, whole. Settings that are wrong are logged and left alone:
//! what runs goes on with what it has.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::settings::{Describe, Settings, load_to_run};

/// Editors write a file in several steps, and configuration tools several files: this much quiet ends a change.
const QUIET: Duration = Duration::from_millis(250);

/// Why the settings are to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tick {
    /// A SIGHUP came.
    Asked,
    /// A file is not what it was.
    Changed,
}

/// Watches the files that settings were read from.
pub struct Watch {
    hangups: Signal,
    events: mpsc::Receiver<()>,
    watcher: Option<RecommendedWatcher>,
    folders: BTreeSet<PathBuf>,
    seen: BTreeMap<PathBuf, Option<Print>>,
}

/// Tells versions of a file apart: length, time of change, inode.
type Print = (u64, i64, i64, u64);

impl Watch {
    /// Begins to watch. Where the system cannot watch files, the log says so and SIGHUP remains.
    ///
    /// # Errors
    /// No handler for SIGHUP can be installed.
    pub fn new(files: &[PathBuf]) -> std::io::Result<Self> {
        let (changed, events) = mpsc::channel(1);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| event.kind.is_access()) {
                return;
            }
            // A full channel says "changed" already.
            let _ = changed.try_send(());
        });
        let watcher = watcher.inspect_err(|why| tracing::warn!("changes of the settings are not noticed, send SIGHUP: {why}")).ok();
        let hangups = signal(SignalKind::hangup())?;
        let mut watch = Self { hangups, events, watcher, folders: BTreeSet::new(), seen: BTreeMap::new() };
        watch.follow(files);
        Ok(watch)
    }

    /// Watches these files instead.
    pub fn follow(&mut self, files: &[PathBuf]) {
        // Folders are watched, not files: an editor's rename or a changed symbolic link puts another file in the place.
        let folders: BTreeSet<_> = files.iter().map(|file| folder(file)).collect();
        if let Some(watcher) = &mut self.watcher {
            for gone in self.folders.difference(&folders) {
                // A folder that was removed is not watched any more already.
                let _ = watcher.unwatch(gone);
            }
            for new in folders.difference(&self.folders) {
                if let Err(why) = watcher.watch(new, RecursiveMode::NonRecursive) {
                    tracing::warn!("changes in {} are not noticed, send SIGHUP: {why}", new.display());
                }
            }
        }
        self.folders = folders;
        self.seen = prints(files.iter());
    }

    /// Waits until the settings may have changed.
    pub async fn tick(&mut self) -> Tick {
        loop {
            tokio::select! {
                Some(()) = self.hangups.recv() => {
                    self.seen = prints(self.seen.keys());
                    return Tick::Asked;
                }
                Some(()) = self.events.recv() => {
                    // Other files of the folder may never be quiet (a log beside the settings): only ours are looked at.
                    tokio::time::sleep(QUIET).await;
                    let mut now = prints(self.seen.keys());
                    if now == self.seen {
                        continue;
                    }
                    loop {
                        tokio::time::sleep(QUIET).await;
                        let later = prints(self.seen.keys());
                        if later == now {
                            break;
                        }
                        now = later;
                    }
                    self.seen = now;
                    return Tick::Changed;
                }
            }
        }
    }
}

fn folder(file: &Path) -> PathBuf {
    let folder = if file.is_dir() { Some(file) } else { file.parent() };
    folder.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_owned()
}

fn prints<'f>(files: impl Iterator<Item = &'f PathBuf>) -> BTreeMap<PathBuf, Option<Print>> {
    let print = |file: &PathBuf| file.metadata().ok().map(|m| (m.len(), m.mtime(), m.mtime_nsec(), m.ino()));
    files.map(|file| (file.clone(), print(file))).collect()
}

/// Reads the settings whenever they may have changed.
pub struct Reloader {
    watch: Watch,
    file: PathBuf,
    describe: Arc<dyn Describe>,
}

impl Reloader {
    /// Follows the files of settings that were just read.
    ///
    /// # Errors
    /// See [`Watch::new`].
    pub fn new(settings: &Settings, describe: Arc<dyn Describe>) -> std::io::Result<Self> {
        Ok(Self { watch: Watch::new(&settings.files)?, file: settings.file.clone(), describe })
    }

    /// Waits for the next settings that are right. Wrong ones are logged and waited out.
    pub async fn next(&mut self) -> Settings {
        loop {
            let why = self.watch.tick().await;
            let (file, describe) = (self.file.clone(), Arc::clone(&self.describe));
            // Describing may compile components.
            match tokio::task::spawn_blocking(move || load_to_run(&file, describe.as_ref())).await {
                Ok(Ok(settings)) => {
                    tracing::info!(?why, "settings read again: {}", self.file.display());
                    self.watch.follow(&settings.files);
                    return settings;
                }
                Ok(Err(report)) => {
                    tracing::error!("the settings are wrong, so the host goes on with those it has:\n{report}");
                    self.watch.follow(&report.files);
                }
                Err(why) => tracing::error!("the settings could not be read again: {why}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::settings::{ComponentRef, Described};
    use super::*;

    /// A hangup reaches every watch of the process, so one test at a time.
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    struct Nothing;

    impl Describe for Nothing {
        fn describe(&self, _: &ComponentRef) -> Result<Described, String> {
            Err("there are no components in this test".to_owned())
        }
        fn built_in(&self) -> Vec<String> {
            Vec::new()
        }
    }

    fn settings(path: &Path, age: &str) {
        std::fs::write(path, format!("[retention]\nage = {age}\n")).unwrap();
    }

    #[tokio::test]
    async fn broken_settings_are_waited_out() {
        let _alone = ALONE.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        settings(&file, "'1 h'");
        let first = load_to_run(&file, &Nothing).unwrap();
        let mut reloader = Reloader::new(&first, Arc::new(Nothing)).unwrap();
        settings(&file, "'an age'");
        assert_eq!(reloader.watch.tick().await, Tick::Changed);
        assert!(load_to_run(&file, &Nothing).is_err());
        settings(&file, "'2 h'");
        assert_eq!(reloader.next().await.retention.age, 7_200);
    }

    #[tokio::test]
    async fn a_folder_that_is_never_quiet_holds_nothing_back() {
        let _alone = ALONE.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let (file, log) = (folder.path().join("settings.toml"), folder.path().join("log"));
        settings(&file, "60");
        let mut watch = Watch::new(&[file.clone()]).unwrap();
        let busy = tokio::spawn(async move {
            for n in 0.. {
                std::fs::write(&log, n.to_string()).unwrap();
                tokio::time::sleep(QUIET / 10).await;
            }
        });
        tokio::time::sleep(QUIET * 2).await;
        settings(&file, "'2 h'");
        let ticked = tokio::time::timeout(QUIET * 200, watch.tick()).await;
        busy.abort();
        assert_eq!(ticked, Ok(Tick::Changed));
    }

    #[tokio::test]
    async fn a_hangup_asks_whatever_the_files_say() {
        let _alone = ALONE.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        settings(&file, "60");
        let mut watch = Watch::new(&[file]).unwrap();
        let kill = std::process::Command::new("kill").args(["-HUP", &std::process::id().to_string()]).status().unwrap();
        assert!(kill.success());
        assert_eq!(watch.tick().await, Tick::Asked);
    }

    #[tokio::test]
    async fn a_file_renamed_into_the_place_and_a_new_one_in_a_folder_are_changes() {
        let _alone = ALONE.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let (file, inner) = (folder.path().join("settings.toml"), folder.path().join("conf.d"));
        settings(&file, "60");
        std::fs::create_dir(&inner).unwrap();
        let mut watch = Watch::new(&[file.clone(), inner.clone()]).unwrap();
        let other = folder.path().join("other");
        settings(&other, "60");
        std::fs::rename(&other, &file).unwrap();
        assert_eq!(watch.tick().await, Tick::Changed);
        settings(&inner.join("new.toml"), "60");
        assert_eq!(watch.tick().await, Tick::Changed);
    }
}
