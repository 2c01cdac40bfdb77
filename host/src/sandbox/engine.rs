//! The engines: one per profile, never one per component. Settings and why: docs/engine.md.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// The epoch clock: how long a guest computes before the host looks at it again.
pub const TICK: Duration = Duration::from_millis(10);

/// Instances of the small profile that can live at a time.
const SMALL: u32 = 1_024;
/// Instances of the large profile that can live at a time.
const LARGE: u32 = 64;
/// Places that a table of the large profile can have.
pub(super) const PLACES: u32 = 20_000;

/// What a component is run with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Profile {
    /// Up to 16 MiB: guests in Rust and the like.
    Small,
    /// Up to 256 MiB: guests that bring an interpreter.
    Large,
}

impl Profile {
    /// The profile for a cap on memory, in bytes.
    pub fn of(memory: u64) -> Self {
        if memory <= Self::Small.memory() { Self::Small } else { Self::Large }
    }

    /// The most memory that the profile has for an instance, in bytes.
    pub fn memory(self) -> u64 {
        match self {
            Self::Small => 16 << 20,
            Self::Large => 256 << 20,
        }
    }
}

/// The two engines and their clock.
#[derive(Clone)]
pub struct Engines {
    small: Engine,
    large: Engine,
    /// The clock stops with the last clone.
    _clock: Arc<()>,
}

impl Engines {
    /// Makes the engines and starts their clock.
    ///
    /// # Errors
    /// The system refuses the address space; says how to raise the limit.
    pub fn start() -> wasmtime::Result<Self> {
        let small = Engine::new(&config(Profile::Small))?;
        let large = Engine::new(&config(Profile::Large))?;
        let alive = Arc::new(());
        let watch = Arc::downgrade(&alive);
        let clocks = [small.weak(), large.weak()];
        std::thread::Builder::new().name("epoch".into()).spawn(move || {
            while watch.strong_count() > 0 {
                std::thread::sleep(TICK);
                for engine in clocks.iter().filter_map(wasmtime::EngineWeak::upgrade) {
                    engine.increment_epoch();
                }
            }
        })?;
        Ok(Self { small, large, _clock: alive })
    }

    /// The engine of a profile.
    pub fn of(&self, profile: Profile) -> &Engine {
        match profile {
            Profile::Small => &self.small,
            Profile::Large => &self.large,
        }
    }
}

/// What both engines and the maker of snapshots have in common.
pub(super) fn base() -> Config {
    let mut config = Config::new();
    // The contract is synchronous; the machinery for component-model async costs 9 to 16 µs an instance.
    config.concurrency_support(false).epoch_interruption(true).wasm_backtrace_max_frames(None);
    config
}

fn config(profile: Profile) -> Config {
    let (instances, entries) = match profile {
        Profile::Small => (SMALL, 4_000),
        Profile::Large => (LARGE, PLACES as usize),
    };
    let mut pool = PoolingAllocationConfig::new();
    pool.total_memories(instances)
        .total_core_instances(instances * 4)
        .total_component_instances(instances)
        .total_tables(instances * 2)
        .total_stacks(instances)
        .max_memory_size(usize::try_from(profile.memory()).unwrap_or(usize::MAX))
        .table_elements(entries)
        .max_core_instances_per_component(64)
        .max_tables_per_component(64)
        .max_memories_per_component(16)
        .max_unused_warm_slots(256)
        // What a call touched is reset by page table scan instead of by zeroing all of it.
        .linear_memory_keep_resident(1 << 20)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(64 << 10)
        .pagemap_scan(Enabled::Auto);
    let mut config = base();
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    config
}
