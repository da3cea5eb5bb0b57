//! The one engine that all plugins run on.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use wasmtime::component::{HasSelf, Linker};
use wasmtime::{Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::bindings::v0_1;
use super::limits::{DEFAULT, TICK};
use super::state::GuestState;
use super::witness::Watch;

/// How many instances may live at once. One is one open call.
const INSTANCES: u32 = 10_000;

/// The engine, what it links plugins against, and the clock that interrupts them.
pub struct Runtime {
    pub(super) engine: Engine,
    pub(super) linker: Linker<GuestState>,
    pub(super) watch: Option<Arc<dyn Watch>>,
    _ticker: Ticker,
}

impl Runtime {
    /// Sets the engine up. Compiled code is kept in `cache`, by its content and the compiler's own fingerprint.
    ///
    /// # Errors
    /// The host's processor or kernel can't do what wasmtime needs.
    pub fn new(cache: Option<PathBuf>) -> wasmtime::Result<Self> {
        let cache = cache.and_then(|folder| match open_cache(folder.clone()) {
            Ok(cache) => Some(cache),
            Err(error) => {
                tracing::warn!("plugins are compiled anew at every start: {} can't be used: {error}", folder.display());
                None
            }
        });
        let engine = match Engine::new(&config(cache.clone(), pooling(INSTANCES))) {
            Ok(engine) => engine,
            // Every instance of the pool reserves address space; some machines give little of it.
            Err(error) => {
                tracing::warn!("no address space for {INSTANCES} plugin instances ({error}); making each on demand");
                let mut config = config(cache, InstanceAllocationStrategy::OnDemand);
                config.memory_reservation(0).memory_guard_size(0).memory_reservation_for_growth(1 << 20);
                Engine::new(&config)?
            }
        };
        let mut linker = Linker::new(&engine);
        v0_1::ai_api::plugin::log::add_to_linker::<_, HasSelf<_>>(&mut linker, |state| state)?;
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        let ticker = Ticker::start(engine.clone())?;
        Ok(Self { engine, linker, watch: None, _ticker: ticker })
    }

    /// Lets `watch` look on at every exchange of the plugins that are loaded from now on.
    #[must_use]
    pub fn watched_by(self, watch: Arc<dyn Watch>) -> Self {
        Self { watch: Some(watch), ..self }
    }
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}

fn open_cache(folder: PathBuf) -> wasmtime::Result<Cache> {
    let mut config = CacheConfig::new();
    config.with_directory(folder);
    Cache::new(config)
}

/// Epochs rather than fuel to interrupt guests: they cost next to nothing.
fn config(cache: Option<Cache>, allocation: InstanceAllocationStrategy) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .memory_init_cow(true)
        .async_stack_size(1 << 20)
        .max_wasm_stack(512 << 10)
        .allocation_strategy(allocation)
        .cache(cache);
    config
}

/// An instance's memory is a slot of one big mapping, its contents a copy-on-write image of the module's, so that making
/// one costs microseconds.
fn pooling(instances: u32) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        .total_core_instances(instances * 8)
        .total_memories(instances)
        .total_tables(instances * 2)
        .total_stacks(instances)
        .max_core_instances_per_component(64)
        .max_memories_per_component(4)
        .max_tables_per_component(8)
        .table_elements(100_000)
        .max_memory_size(DEFAULT.memory_bytes)
        // Pages that a call dirtied are reset in place, which is cheaper than to give them back and fault them in; what
        // a large call dirtied beyond that is given back.
        .linear_memory_keep_resident(256 << 10)
        .pagemap_scan(Enabled::Auto)
        .table_keep_resident(64 << 10)
        .async_stack_keep_resident(32 << 10)
        .max_unused_warm_slots(100);
    InstanceAllocationStrategy::Pooling(pool)
}

/// Advances the epoch until it is dropped.
struct Ticker {
    alive: Arc<()>,
}

impl Ticker {
    fn start(engine: Engine) -> std::io::Result<Self> {
        let alive = Arc::new(());
        let watched = Arc::downgrade(&alive);
        std::thread::Builder::new().name("epoch".to_owned()).spawn(move || {
            while watched.strong_count() > 0 {
                std::thread::sleep(TICK);
                engine.increment_epoch();
            }
        })?;
        Ok(Self { alive })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        // The thread sees that nobody holds it any more at its next tick.
        debug_assert_eq!(Arc::strong_count(&self.alive), 1, "only the ticker holds its thread");
    }
}

/// How many ticks are in `time`, at least one.
pub(super) fn ticks(time: Duration) -> u32 {
    u32::try_from(time.as_millis() / TICK.as_millis()).unwrap_or(u32::MAX).max(1)
}
