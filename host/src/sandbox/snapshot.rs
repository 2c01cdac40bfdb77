//! Snapshots: the state that `configure` leaves, frozen into a component of its own, so that the
//! next call need not configure again. An optimisation that may fail: then the entry runs without.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use sha2::{Digest, Sha256};
use wasmtime::component::{Component, Val};
use wasmtime::{Engine, OptLevel, RegallocAlgorithm, Store};
use wasmtime_wizer::Wizer;

use super::engine::{TICK, base};
use super::instance::{Reporter, call, guard};
use super::limits::Limits;
use super::load::{Kind, Loaded, Loader, ReporterCode, linker};
use crate::contract::{Call, Meter, Phase};

/// The function that a snapshot is taken after.
const CONFIGURE: &str = "reporter-host:reporter/component.configure@0.1.0";
/// Snapshots that are in use at a time: each is a component of its own, some megabytes of mapped code.
const MOST: usize = 256;
/// Wizer needs room for what it adds to a memory.
const EXTRA_PAGE: u64 = 64 << 10;

/// Makes snapshots, a bounded number of them.
#[derive(Default)]
pub struct Snapshots {
    in_use: Arc<()>,
}

/// A configured component.
pub struct Snapshot {
    pub(super) code: ReporterCode,
    /// Its place among [`MOST`], given back with it.
    _place: Arc<()>,
}

/// Why there is no snapshot.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// There are as many as the host keeps.
    #[error("{MOST} snapshots are kept already")]
    Full,
    /// The component cannot be frozen.
    #[error("{0}")]
    Refused(String),
}

impl Snapshots {
    /// Lets a reporter start from the snapshot that was made of it before, by this host or an earlier one. False:
    /// there is none, see [`Snapshots::make`].
    pub fn find(&self, loader: &Loader, reporter: &Reporter) -> bool {
        let (loaded, ..) = reporter.parts();
        let Ok(place) = self.place() else { return false };
        let Some(found) = loader.compiled(&name(reporter), loaded.profile) else { return false };
        match link(loader, loaded, &found) {
            Ok(code) => {
                reporter.set_snapshot(Some(Snapshot { code, _place: place }));
                true
            }
            Err(_) => false,
        }
    }

    /// Makes a snapshot of a reporter and lets it start from there. Takes seconds, on a thread of its own.
    ///
    /// # Errors
    /// [`SnapshotError`]; the reporter goes on as it was.
    pub async fn make(&self, loader: Arc<Loader>, reporter: Arc<Reporter>) -> Result<(), SnapshotError> {
        let place = self.place()?;
        let (answer, made) = tokio::sync::oneshot::channel();
        let target = reporter.clone();
        std::thread::Builder::new()
            .name("snapshot".into())
            .spawn(move || {
                // It panics when a guest has filled its memory to the cap.
                let frozen = std::panic::catch_unwind(AssertUnwindSafe(|| freeze(&loader, &target)));
                let frozen = frozen.unwrap_or_else(|_| Err(SnapshotError::Refused("freezing it failed".into())));
                answer.send(frozen).ok();
            })
            .map_err(|error| SnapshotError::Refused(error.to_string()))?;
        let code = made.await.unwrap_or_else(|_| Err(SnapshotError::Refused("freezing it was given up".into())))?;
        reporter.set_snapshot(Some(Snapshot { code, _place: place }));
        Ok(())
    }

    fn place(&self) -> Result<Arc<()>, SnapshotError> {
        let place = self.in_use.clone();
        // Two are held here.
        if Arc::strong_count(&place) - 2 >= MOST { Err(SnapshotError::Full) } else { Ok(place) }
    }
}

/// What its compiled code is kept under: `configure` does the same for the same settings.
fn name(reporter: &Reporter) -> String {
    let (loaded, settings, _) = reporter.parts();
    format!("snapshot-{}", hex::encode(Sha256::digest(format!("{}\n{settings}", loaded.hash))))
}

fn link(loader: &Loader, loaded: &Loaded, component: &Component) -> Result<ReporterCode, SnapshotError> {
    match loader.link(component, loaded.profile).map_err(|error| SnapshotError::Refused(error.to_string()))? {
        Kind::Reporter(code) => Ok(code),
        Kind::Formatter(_) => Err(SnapshotError::Refused("it is a formatter".into())),
    }
}

fn freeze(loader: &Loader, reporter: &Reporter) -> Result<ReporterCode, SnapshotError> {
    let (loaded, settings, limits) = reporter.parts();
    let component = loader.frozen(loaded, settings, limits, &name(reporter)).map_err(SnapshotError::Refused)?;
    link(loader, loaded, &component)
}

/// The component that a reporter is once it is configured: with the memory that `configure` leaves. Compiles it, the quick way, and runs it.
///
/// # Errors
/// It cannot be frozen, or `configure` answers with an error, which never is: in words.
pub(super) fn frozen(bytes: &[u8], wasi: bool, settings: &str, limits: &Limits) -> Result<Vec<u8>, String> {
    let refused = |error: &dyn std::fmt::Display| error.to_string();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(|error| refused(&error))?;
    // Not the pool's engine: an instance that is frozen is instrumented, and outlives the usual time. It is called once,
    // so the code is compiled the quick way.
    let mut config = base();
    config.cranelift_opt_level(OptLevel::None).cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
    let engine = Engine::new(&config).map_err(|error| refused(&format!("{error:#}")))?;
    let weak = engine.weak();
    std::thread::Builder::new()
        .name("snapshot epoch".into())
        .spawn(move || {
            while let Some(engine) = weak.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(TICK);
            }
        })
        .map_err(|error| refused(&error))?;
    let linker = linker(&engine, wasi).map_err(|error| refused(&format!("{error:#}")))?;
    let mut state = call(limits, Phase::Configure);
    state.meter = Meter::new(limits.memory + EXTRA_PAGE);
    state.began = Instant::now();
    let mut store = Store::new(&engine, state);
    guard(&mut store, limits.compute);
    let mut wizer = Wizer::new();
    wizer.init_func(format!("{CONFIGURE}({})", wave(settings))).keep_init_func(true);
    let frozen = runtime.block_on(async {
        let work =
            wizer.run_component(&mut store, bytes, async |store: &mut Store<Call>, component: &Component| linker.instantiate_async(store, component).await);
        tokio::time::timeout(limits.wait, work).await
    });
    let (bytes, answer) = frozen.map_err(|error| refused(&error))?.map_err(|error| refused(&format!("{error:#}")))?;
    if !matches!(answer.first(), Some(Val::Result(Ok(_)))) {
        return Err("configure answered with an error".to_owned());
    }
    Ok(bytes)
}

/// A text as a literal of WAVE, the language of calls.
fn wave(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('"');
    for character in text.chars() {
        match character {
            '"' => literal.push_str("\\\""),
            '\\' => literal.push_str("\\\\"),
            '\n' => literal.push_str("\\n"),
            '\r' => literal.push_str("\\r"),
            '\t' => literal.push_str("\\t"),
            control if control.is_control() => literal.push_str(&format!("\\u{{{:x}}}", u32::from(control))),
            other => literal.push(other),
        }
    }
    literal.push('"');
    literal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::direct::direct;
    use crate::sandbox::{Engines, Limits, Profile};

    #[test]
    fn settings_survive_as_a_literal() {
        assert_eq!(wave("{\"a\":\"\\n\u{1}ü\"}"), "\"{\\\"a\\\":\\\"\\\\n\\u{1}ü\\\"}\"");
    }

    #[test]
    fn a_snapshot_is_as_direct_as_what_it_was_made_of() {
        let cache = tempfile::tempdir().unwrap();
        let loader = Loader::new(Engines::start().unwrap(), cache.path().to_owned()).unwrap();
        let limits = Limits::default();
        let built_in = reporter_bundle::find("HttpStatusPush").unwrap();
        let loaded = loader.built_in(built_in.component, Profile::Small).unwrap();
        let settings = serde_json::json!({"serverUrl": "https://example.org/"}).to_string();
        assert!(direct(&frozen(&loaded.bytes, loaded.wasi, &settings, &limits).unwrap()).is_some());
    }
}
