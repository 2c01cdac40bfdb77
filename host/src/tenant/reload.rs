//! Notices that the settings may have changed, and reads them again: on SIGHUP, and when a file that
//! they were read from changes.
//!
//! What was read is for the caller to take, whole. Settings that are wrong are logged and left alone:
//! what runs goes on with what it has.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

use super::links;
use super::settings::{Describe, Settings, load_to_run};

/// Editors write a file in several steps, and configuration tools several files: this much quiet ends a change.
const QUIET: Duration = Duration::from_millis(250);
/// How often files that change all the time are waited for.
const RESTLESS: u32 = 20;
/// The system writes times of change by a clock that is behind by up to a tick.
const COARSE: Duration = Duration::from_millis(20);

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
        watch.follow(files, None);
        Ok(watch)
    }

    /// Watches these files instead. Those that were watched already are as the last tick saw them, so that a change since
    /// then is a change; for those that are new it is one if they changed after `began`, when they began to be read.
    pub fn follow(&mut self, files: &[PathBuf], began: Option<SystemTime>) {
        // Folders are watched, not files: an editor's rename or a changed symbolic link puts another file in the place.
        let folders: BTreeSet<_> = files.iter().flat_map(|file| links::folders(file)).collect();
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
        let changed = |file: &PathBuf| began.is_some_and(|began| file.metadata().and_then(|it| it.modified()).is_ok_and(|at| at + COARSE >= began));
        let seen = |file: &PathBuf| match self.seen.get(file) {
            Some(before) => *before,
            None if changed(file) => None,
            None => print(file),
        };
        self.seen = files.iter().map(|file| (file.clone(), seen(file))).collect();
    }

    /// Waits until the settings may have changed.
    pub async fn tick(&mut self) -> Tick {
        // A change while the files were read may have been told to nobody.
        if self.changed().await {
            return Tick::Changed;
        }
        loop {
            tokio::select! {
                Some(()) = self.hangups.recv() => {
                    self.seen = prints(self.seen.keys());
                    return Tick::Asked;
                }
                Some(()) = self.events.recv() => {
                    // Other files of the folder may never be quiet (a log beside the settings): only ours are looked at.
                    tokio::time::sleep(QUIET).await;
                    if self.changed().await {
                        return Tick::Changed;
                    }
                }
            }
        }
    }

    /// Whether a file is not what it was. If so, waits until all of them stay what they are, but not for ever: each tenant has a file among them.
    async fn changed(&mut self) -> bool {
        let mut now = prints(self.seen.keys());
        if now == self.seen {
            return false;
        }
        for _ in 0..RESTLESS {
            tokio::time::sleep(QUIET).await;
            let later = prints(self.seen.keys());
            if later == now {
                break;
            }
            now = later;
        }
        self.seen = now;
        true
    }
}

fn prints<'f>(files: impl Iterator<Item = &'f PathBuf>) -> BTreeMap<PathBuf, Option<Print>> {
    files.map(|file| (file.clone(), print(file))).collect()
}

fn print(file: &PathBuf) -> Option<Print> {
    file.metadata().ok().map(|it| (it.len(), it.mtime(), it.mtime_nsec(), it.ino()))
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
            let (file, describe, began) = (self.file.clone(), Arc::clone(&self.describe), Some(SystemTime::now()));
            // Describing may compile components.
            match tokio::task::spawn_blocking(move || load_to_run(&file, describe.as_ref())).await {
                Ok(Ok(settings)) => {
                    tracing::info!(?why, "settings read again: {}", self.file.display());
                    self.watch.follow(&settings.files, began);
                    return settings;
                }
                Ok(Err(report)) => {
                    tracing::error!("the settings are wrong, so the host goes on with those it has:\n{report}");
                    self.watch.follow(&report.files, began);
                }
                Err(why) => tracing::error!("the settings could not be read again: {why}"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::settings::{ComponentRef, Described};
    use super::*;
    use crate::sandbox::Limits;

    /// A hangup reaches every watch of the process, so one test at a time.
    static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

    struct Nothing;

    impl Describe for Nothing {
        fn describe(&self, _: &ComponentRef, _: &Limits) -> Result<Described, String> {
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

    /// Changes a file while settings are being read: the first time that it is asked.
    struct Meddler {
        file: PathBuf,
        with: String,
        done: AtomicBool,
    }

    impl Describe for Meddler {
        fn describe(&self, _: &ComponentRef, _: &Limits) -> Result<Described, String> {
            if !self.done.swap(true, Ordering::Relaxed) {
                std::fs::write(&self.file, &self.with).unwrap();
            }
            Described::parse(r#"{"name": "component"}"#)
        }
        fn built_in(&self) -> Vec<String> {
            Vec::new()
        }
    }

    #[tokio::test]
    async fn what_changes_while_settings_are_read_is_read_as_well() {
        let _alone = ALONE.lock().await;
        let component = "[[services]]\ncomponent = 'component.wasm'\n";
        let (old, new) = ("[retention]\nage = '2 h'\n", "[retention]\nage = '30 h'\n");
        // In the file itself, and in one that is included for the first time.
        for (at, settings, with) in [
            ("settings.toml", format!("{old}{component}"), format!("{new}{component}")),
            ("more.toml", format!("include = 'more.toml'\n{component}"), new.to_owned()),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let path = |name: &str| folder.path().join(name);
            std::fs::write(path("component.wasm"), "").unwrap();
            std::fs::write(path("settings.toml"), "[retention]\nage = '1 h'\n").unwrap();
            let first = load_to_run(&path("settings.toml"), &Nothing).unwrap();
            let meddler = Meddler { file: path(at), with, done: AtomicBool::new(false) };
            let mut reloader = Reloader::new(&first, Arc::new(meddler)).unwrap();
            std::fs::write(path("more.toml"), old).unwrap();
            std::fs::write(path("settings.toml"), settings).unwrap();
            for age in [7_200, 108_000] {
                let next = tokio::time::timeout(QUIET * 200, reloader.next()).await;
                assert_eq!(next.map(|settings| settings.retention.age), Ok(age), "{at}");
            }
        }
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
    async fn a_file_that_is_never_quiet_holds_nothing_up() {
        let _alone = ALONE.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("settings.toml");
        settings(&file, "60");
        let mut watch = Watch::new(std::slice::from_ref(&file)).unwrap();
        let busy = tokio::spawn(async move {
            for n in 0.. {
                settings(&file, &n.to_string());
                tokio::time::sleep(QUIET / 10).await;
            }
        });
        let ticked = tokio::time::timeout(QUIET * 200, watch.tick()).await;
        busy.abort();
        assert_eq!(ticked, Ok(Tick::Changed));
    }

    #[tokio::test]
    async fn what_is_behind_a_link_is_watched_where_it_is() {
        let _alone = ALONE.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["conf", "old", "new"] {
            std::fs::create_dir(path(name)).unwrap();
        }
        for (name, age) in [("old/settings.toml", "60"), ("new/settings.toml", "'2 h'")] {
            settings(&path(name), age);
        }
        symlink("old", path("now")).unwrap();
        let file = path("conf/settings.toml");
        symlink("../now/settings.toml", &file).unwrap();
        let first = load_to_run(&file, &Nothing).unwrap();
        let mut reloader = Reloader::new(&first, Arc::new(Nothing)).unwrap();
        let swap = || {
            symlink("new", path("next")).unwrap();
            std::fs::rename(path("next"), path("now")).unwrap();
        };
        // The file itself, a link to its folder, the file that is there now, and the link that the operator named.
        let steps: [(&dyn Fn(), u64); 4] = [
            (&|| settings(&path("old/settings.toml"), "'1 h'"), 3_600),
            (&swap, 7_200),
            (&|| settings(&path("new/settings.toml"), "'30 h'"), 108_000),
            (&|| std::fs::rename(path("old/settings.toml"), &file).unwrap(), 3_600),
        ];
        for (change, age) in steps {
            change();
            let next = tokio::time::timeout(QUIET * 200, reloader.next()).await;
            assert_eq!(next.map(|settings| settings.retention.age), Ok(age));
        }
    }

    /// As Kubernetes mounts a ConfigMap: the files are links through `..data`, which is put in the place of the one before.
    #[tokio::test]
    async fn a_mounted_folder_that_is_swapped_is_a_change_each_time() {
        let _alone = ALONE.lock().await;
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let put = |version: &str, age: &str| {
            std::fs::create_dir(path(version)).unwrap();
            settings(&path(version).join("settings.toml"), age);
            symlink(version, path("..data_tmp")).unwrap();
            std::fs::rename(path("..data_tmp"), path("..data")).unwrap();
        };
        put("..1", "'1 h'");
        symlink("..data/settings.toml", path("settings.toml")).unwrap();
        let first = load_to_run(&path("settings.toml"), &Nothing).unwrap();
        let mut reloader = Reloader::new(&first, Arc::new(Nothing)).unwrap();
        for (version, before, age) in [("..2", "..1", 7_200), ("..3", "..2", 10_800)] {
            put(version, &age.to_string());
            std::fs::remove_dir_all(path(before)).unwrap();
            let next = tokio::time::timeout(QUIET * 200, reloader.next()).await;
            assert_eq!(next.map(|settings| settings.retention.age), Ok(age), "{version}");
        }
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
