//! The whole host, in this process: recorded builds are played to services.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use reporter_host::event::Event;
use reporter_host::host::{Host, Workbench};
use reporter_host::source::recording::Writer;
use reporter_host::store::{Delivery, End, Settle, Settled};
use reporter_host::tenant::Components;
use reporter_host::tenant::settings::{Describe, Report, Settings, load_to_run, load_to_start};

use crate::process::PATIENCE;
use crate::{Mapped, build};

/// The recording of a folder.
const RECORDING: &str = "recording.jsonl";

/// What became of units and deliveries, by entry.
#[derive(Default)]
pub struct Noted {
    ends: Mutex<Vec<(String, String)>>,
    titles: Mutex<Vec<String>>,
    dead: Mutex<Vec<String>>,
    reported: Mutex<Vec<(String, String)>>,
    units: AtomicUsize,
}

impl Noted {
    /// How the units of an entry ended, and what was settled of its deliveries, in order.
    pub fn of(&self, entry: &str) -> Vec<String> {
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|(name, _)| name == entry).map(|(_, what)| what.clone()).collect()
    }

    /// The ids of the events whose units ended for good in an entry, in the order in which they did.
    pub fn reported(&self, entry: &str) -> Vec<String> {
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|(name, _)| name == entry).map(|(_, id)| id.clone()).collect()
    }

    /// How many calls have ended, of all entries.
    pub fn units(&self) -> usize {
        self.units.load(Ordering::Relaxed)
    }

    /// Why deliveries, or single recipients of them, became dead letters.
    pub fn dead_letters(&self) -> Vec<String> {
        self.dead.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The titles of deliveries.
    pub fn titles(&self) -> Vec<String> {
        self.titles.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl reporter_host::dispatch::Observer for Noted {
    fn unit(&self, event: &Event, entry: &str, end: &End, _: &[(String, String)]) {
        self.units.fetch_add(1, Ordering::Relaxed);
        if !matches!(end, End::Again { .. }) {
            self.reported.lock().unwrap_or_else(PoisonError::into_inner).push((entry.to_owned(), event.id.clone()));
        }
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).push((entry.to_owned(), format!("{end:?}")));
    }
}

impl reporter_host::delivery::Observer for Noted {
    fn settled(&self, delivery: &Delivery, settled: &Settled) {
        let whole = if let Settle::Dead(why) = &settled.settle { Some(why.clone()) } else { None };
        let parts = settled.split.iter().filter_map(|part| part.dead.clone());
        self.dead.lock().unwrap_or_else(PoisonError::into_inner).extend(parts.chain(whole));
        let what = match &settled.settle {
            Settle::Delivered => "delivered".to_owned(),
            other => format!("{other:?}"),
        };
        self.titles.lock().unwrap_or_else(PoisonError::into_inner).push(delivery.new.title.clone());
        self.ends.lock().unwrap_or_else(PoisonError::into_inner).push((delivery.new.entry.clone(), what));
    }
}

/// Plays builds 1 to `builds`, which failed, with these settings, and waits until everything has ended. The settings,
/// the recording and the state are in `folder`.
pub async fn play(folder: &Path, settings: &str, builds: u64) -> Arc<Noted> {
    record(folder, builds);
    start(folder, settings).await.end().await
}

/// Builds 1 to `builds`, which failed, as the recording of the folder.
pub fn record(folder: &Path, builds: u64) {
    record_events(&folder.join(RECORDING), failed("main", builds));
}

/// The same builds of another master, as `NAME.jsonl`.
pub fn record_another(folder: &Path, name: &str, builds: u64) {
    record_events(&folder.join(format!("{name}.jsonl")), failed(name, builds));
}

fn failed(source: &str, builds: u64) -> impl Iterator<Item = (Event, Mapped)> {
    (1..=builds).map(move |number| {
        let (mut event, details) = build(2);
        event.id = format!("{source}/builds/{number}/finished");
        (event, details)
    })
}

/// The same with these events. What was played in the folder before is not played again.
pub async fn play_events(folder: &Path, settings: &str, events: impl IntoIterator<Item = (Event, Mapped)>) -> Arc<Noted> {
    record_events(&folder.join(RECORDING), events);
    start(folder, settings).await.end().await
}

fn record_events(recording: &Path, events: impl IntoIterator<Item = (Event, Mapped)>) {
    std::fs::remove_file(recording).ok();
    let mut writer = Writer::append(recording).expect("a recording");
    for (event, source) in events {
        let details: Vec<_> = source.rows().map(|(path, rows)| (path.clone(), rows.clone())).collect();
        writer.write(&event, &details).expect("written");
    }
}

/// A host that plays the recording in its folder.
pub struct Playing {
    host: Host,
    /// What has become of units and deliveries so far.
    pub noted: Arc<Noted>,
}

/// Starts a host that plays the recording in `folder`, with these settings. It can be stopped and started again.
pub async fn start(folder: &Path, settings: &str) -> Playing {
    run(folder, settings, load_to_run).await
}

/// The same though a component may be missing or broken: its entry is kept out.
pub async fn start_without_broken(folder: &Path, settings: &str) -> Playing {
    run(folder, settings, load_to_start).await
}

async fn run(folder: &Path, settings: &str, load: fn(&Path, &dyn Describe) -> Result<Settings, Report>) -> Playing {
    let file = folder.join("settings.toml");
    std::fs::write(&file, format!("[[recordings]]\nfile = '{RECORDING}'\n{settings}")).expect("written");
    let workbench = Workbench::new().expect("the engine starts");
    let settings = load(&file, &Components::new(workbench.loader.clone())).unwrap_or_else(|report| panic!("{}", report.render(false)));
    let noted = Arc::new(Noted::default());
    let host = Host::start(workbench, &settings, noted.clone()).await.expect("the host starts");
    Playing { host, noted }
}

impl Playing {
    /// Waits until everything has ended.
    pub async fn end(self) -> Arc<Noted> {
        tokio::time::timeout(2 * PATIENCE, self.host.finished()).await.expect("everything ends").expect("without an error");
        self.stop().await
    }

    /// Stops it as it stands.
    pub async fn stop(self) -> Arc<Noted> {
        self.host.stop().await;
        self.noted
    }
}
