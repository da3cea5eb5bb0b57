//! The one engine that all plugins run on.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use wasmtime::component::Linker;
use wasmtime::{Cache, CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::account::Accounts;
use super::capabilities;
use super::compiler::Compiler;
use super::limits::TICK;
use super::state::GuestState;
use super::witness::Watch;
use crate::config::{PluginLimits, PluginLimitsTable};

/// How many instances may live at once. One is one open call.
const INSTANCES: u32 = 10_000;

/// Stack for what the host does within a guest call.
const HOST_STACK_BYTES: usize = 512 << 10;

/// The engine, what it links plugins against, and the clock that interrupts them.
pub struct Runtime {
    pub(super) engine: Engine,
    pub(super) linker: Linker<GuestState>,
    pub(super) compiler: Compiler,
    pub(super) accounts: Accounts,
    pub(super) watch: Option<Arc<dyn Watch>>,
    limits: RwLock<Arc<PluginLimitsTable>>,
    /// What the pool was made for.
    pool_table_elements: usize,
    _ticker: Ticker,
}

impl Runtime {
    /// Sets the engine up, with every plugin under the default limits.
    ///
    /// # Errors
    /// The host's processor or kernel can't do what wasmtime needs.
    pub fn new(cache: Option<PathBuf>) -> wasmtime::Result<Self> {
        Self::with_limits(cache, PluginLimitsTable::default())
    }

    /// Sets the engine up. Compiled code is kept in `cache`, by its content and the compiler's own fingerprint.
    ///
    /// # Errors
    /// The host's processor or kernel can't do what wasmtime needs.
    pub fn with_limits(cache: Option<PathBuf>, limits: PluginLimitsTable) -> wasmtime::Result<Self> {
        let cache = cache.and_then(|folder| match open_cache(folder.clone()) {
            Ok(cache) => Some(cache),
            Err(error) => {
                tracing::warn!("plugins are compiled anew at every start: {} can't be used: {error}", folder.display());
                None
            }
        });
        let stack = limits.stack_bytes;
        let pool_table_elements = limits.most().table_elements.max(PluginLimits::default().table_elements);
        let pool = pooling(INSTANCES, pool_table_elements);
        let engine = match Engine::new(&config(cache.clone(), pool, stack)) {
            Ok(engine) => engine,
            // Every instance of the pool reserves address space; some machines give little of it.
            Err(error) => {
                tracing::warn!("no address space for {INSTANCES} plugin instances ({error}); making each on demand");
                let mut config = config(cache, InstanceAllocationStrategy::OnDemand, stack);
                config.memory_reservation(0).memory_guard_size(0).memory_reservation_for_growth(1 << 20);
                Engine::new(&config)?
            }
        };
        let mut linker = Linker::new(&engine);
        capabilities::link(&mut linker)?;
        let ticker = Ticker::start(engine.clone())?;
        let (accounts, limits) = (Accounts::default(), RwLock::new(Arc::new(limits)));
        Ok(Self {
            engine,
            linker,
            compiler: Compiler::new()?,
            accounts,
            watch: None,
            limits,
            pool_table_elements,
            _ticker: ticker,
        })
    }

    /// What plugins that are loaded now may use.
    pub fn limits(&self) -> Arc<PluginLimitsTable> {
        Arc::clone(&self.limits.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Sets what plugins that are loaded from now on may use; of those that are loaded already
    /// [`Plugin::with_limits`](super::Plugin::with_limits) makes anew. The engine keeps the stack that it has.
    pub fn set_limits(&self, limits: PluginLimitsTable) {
        *self.limits.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(limits);
    }

    /// `limits`, as far as the pool goes, which was made at start.
    pub(super) fn within_pool(&self, limits: PluginLimits) -> PluginLimits {
        let table_elements = limits.table_elements.min(self.pool_table_elements);
        PluginLimits { table_elements, ..limits }
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
fn config(cache: Option<Cache>, allocation: InstanceAllocationStrategy, stack_bytes: usize) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .epoch_interruption(true)
        .memory_init_cow(true)
        // The host's own functions run on the same stack.
        .async_stack_size(stack_bytes + HOST_STACK_BYTES)
        .max_wasm_stack(stack_bytes)
        .allocation_strategy(allocation)
        .cache(cache);
    config
}

/// An instance's memory is a slot of one big mapping, its contents a copy-on-write image of the module's, so that making
/// one costs microseconds.
fn pooling(instances: u32, table_elements: usize) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        // Only counted. A component of Rust has a few, one of Python dozens.
        .total_core_instances(instances * 100)
        .total_memories(instances)
        .total_tables(instances * 2)
        .total_stacks(instances)
        // The most that the configuration can ask for; what a plugin has is counted in its store.
        .max_core_instances_per_component(1000)
        .max_memories_per_component(16)
        .max_tables_per_component(256)
        .table_elements(table_elements)
        // All that there is: a slot reserves as much anyway.
        .max_memory_size(1 << 32)
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
