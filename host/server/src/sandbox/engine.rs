//! The wasmtime engine: its configuration, its pool of instances, and its epochs.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use wasmtime::{
    CacheConfig, Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig,
    WasmBacktraceDetails, WasmFeatures,
};

use super::mode::Mode;

/// How often guests that compute are interrupted to be charged and to let others run. Short against
/// what a person notices, long against the cost of a switch (microseconds).
pub(super) const EPOCH_TICK: Duration = Duration::from_millis(10);

/// How long the epoch ticks on when no guest runs any more. Connections that come one after the other
/// then wake no thread each; an idle server stops waking up after it.
const TICK_ON: Duration = Duration::from_secs(1);

/// Stack of one guest call with the host functions below it, in bytes. Address space only, until it is
/// used. Twice wasmtime's limit on the guest's own part.
const ASYNC_STACK_BYTES: usize = 1024 * 1024;

/// Instances whose memory stays mapped between connections.
const WARM_SLOTS: u32 = 64;

/// What an instance of a [`Pool::Warm`] keeps of its linear memory when it ends, in bytes: only pages that it wrote to
/// are kept, and they are cleared. The default receiver writes to a hundred kilobytes or so for a request.
const WARM_MEMORY_BYTES: usize = 128 * 1024;

/// What it keeps of its stack, in bytes; the host's part of a call is the most of it.
const WARM_STACK_BYTES: usize = 16 * 1024;

/// What it keeps of each table, in bytes.
const WARM_TABLE_BYTES: usize = 4 * 1024;

/// Core instances in the pool for each component instance. It is a counter without memory behind it,
/// and what it refuses only the pool does, and no inspection: so it is beyond anything that is composed. A
/// component of an interpreter and its adapters takes a handful.
const CORE_INSTANCES_PER_COMPONENT: u32 = 1_000;

/// Bookkeeping of one component instance, or of a core instance in it, in bytes: functions, resources and their
/// tables, outside the guest's memory. It is allocated as it is needed; half a million functions fit.
const COMPONENT_INSTANCE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Elements of one table: 20,000 functions are an interpreter with a large standard library.
pub(super) const TABLE_ELEMENTS_MAX: usize = 100_000;

/// Address space for linear memories, in bytes. With 4 GiB behind each memory wasmtime needs no bounds
/// checks; beyond this sum (half of what 47 bits address) each memory gets only what it may use.
const ADDRESS_SPACE_BYTES_MAX: u64 = 1 << 46;

/// Address space of one memory that needs no bounds checks, with its guards. Bytes.
const UNCHECKED_MEMORY_BYTES: u64 = (1 << 32) + (1 << 26);

/// What one instance of a receiver may use.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct SandboxLimits {
    /// Linear memory of one instance, in bytes. 64 MiB: the default receiver takes less than one,
    /// an interpreter with its library some twenty.
    pub max_memory_bytes: usize,
    /// Processor time that the receiver of a connection may use in one go, without any payload arriving. The
    /// default receiver uses microseconds.
    pub compute_burst: Duration,
    /// Processor time that each MiB which arrives adds again, up to the burst. A MiB of the smallest files
    /// takes the default receiver a tenth of a second, as measured on a busy machine: half a second leaves room
    /// for a slower one.
    pub compute_per_mib: Duration,
    /// Processor time that the host may use in host calls for one connection in one go. Not counted for a
    /// resident instance, whose own time includes it.
    pub host_burst: Duration,
    /// Processor time of the host that each MiB which arrives adds again, up to the burst. A MiB of the smallest
    /// files is about ten thousand, each with some tens of microseconds of system calls; ten seconds
    /// leave room for a slow machine. So this only tells traffic from none.
    pub host_per_mib: Duration,
    /// Compute time that each second of waiting adds again, up to the burst. None for an instance that
    /// lives as long as its connection; a resident one lives for months.
    pub compute_per_second_waited: Duration,
    /// Resources (streams, uploads, pollables, commits) that one instance may hold.
    pub max_resources: usize,
    /// What one call of the host may bring of lists and strings, in bytes. Elsewhere than in the instance's own
    /// memory nothing bounds them, and no call can be interrupted. A write has a MiB at most.
    pub max_call_bytes: usize,
}

/// Linear memory of a resident instance, in bytes: half a megabyte for each of a thousand connections.
const RESIDENT_MEMORY_BYTES_MAX: usize = 512 * 1024 * 1024;

/// What a resident instance may compute without any traffic: a fifth of the time, four parts of which it
/// waits.
const RESIDENT_COMPUTE_PER_SECOND_WAITED: Duration = Duration::from_millis(250);

/// What each MiB adds for a resident instance. It hashes what arrives, it may be interpreted, and its
/// end costs all of its connections: so this only tells traffic from none.
const RESIDENT_COMPUTE_PER_MIB: Duration = Duration::from_secs(1);

/// Resources of a resident instance for each connection that it may serve: socket, streams, pollables,
/// open files.
const RESIDENT_RESOURCES_PER_CONNECTION: usize = 64;

impl SandboxLimits {
    /// The limits for a mode that may serve so many connections at once.
    pub fn of_mode(mode: Mode, max_connections: u32) -> Self {
        let each = Self::default();
        match mode {
            Mode::PerConnection => each,
            Mode::Resident => Self {
                max_memory_bytes: RESIDENT_MEMORY_BYTES_MAX,
                compute_per_second_waited: RESIDENT_COMPUTE_PER_SECOND_WAITED,
                compute_per_mib: RESIDENT_COMPUTE_PER_MIB,
                max_resources: each.max_resources
                    + RESIDENT_RESOURCES_PER_CONNECTION.saturating_mul(max_connections as usize),
                ..each
            },
        }
    }
}

impl Default for SandboxLimits {
    fn default() -> Self {
        Self {
            max_memory_bytes: 64 * 1024 * 1024,
            compute_burst: Duration::from_secs(5),
            compute_per_mib: Duration::from_millis(500),
            compute_per_second_waited: Duration::ZERO,
            host_burst: Duration::from_secs(5),
            host_per_mib: Duration::from_secs(10),
            // Four for each upload that may be open at once, and a few for the connection.
            max_resources: 4 * 1_024 + 256,
            max_call_bytes: 4 * 1024 * 1024,
        }
    }
}

/// Where compiled components are kept between starts.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Cache {
    /// Nowhere: compile at each start.
    #[default]
    Off,
    /// In this folder, an absolute path. Whoever can write to it can run code as this process.
    Folder(PathBuf),
}

/// What a component needs of the pool, for each instance.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Needs {
    pub(super) memories: u32,
    pub(super) tables: u32,
}

/// An engine to look at components with: without a pool, which would refuse what it has no room for.
pub(super) fn scratch_engine(cache: &Cache) -> wasmtime::Result<Engine> {
    let mut config = common(cache)?;
    config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
    Engine::new(&config)
}

/// What becomes of the memory of an instance that has ended. Pages that are given back have to be taken again, one
/// fault for each, which is a third of what a small request costs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Pool {
    /// It is cleared and kept for the next instance, in every slot that was ever used: such a pool is small.
    Warm,
    /// It goes back to the system: a burst of connections would stay resident for good.
    Cold,
}

/// The engine that runs a component with these needs.
pub(super) fn engine(
    cache: &Cache,
    limits: &SandboxLimits,
    max_connections: u32,
    needs: Needs,
    kept: Pool,
) -> wasmtime::Result<Engine> {
    let connections = max_connections.max(1);
    let memories = connections.saturating_mul(needs.memories);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(connections)
        .total_core_instances(connections.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_memories(memories)
        .total_tables(connections.saturating_mul(needs.tables))
        .total_stacks(connections)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(needs.memories)
        .max_tables_per_component(needs.tables)
        // What one instance may have, one module of it may: an inspection knows of no other limit.
        .max_memories_per_module(needs.memories)
        .max_tables_per_module(needs.tables)
        .max_component_instance_size(COMPONENT_INSTANCE_BYTES_MAX)
        .max_core_instance_size(COMPONENT_INSTANCE_BYTES_MAX)
        .max_memory_size(limits.max_memory_bytes)
        .max_unused_warm_slots(WARM_SLOTS);
    match kept {
        Pool::Warm => pool
            .linear_memory_keep_resident(WARM_MEMORY_BYTES)
            .table_keep_resident(WARM_TABLE_BYTES)
            .async_stack_keep_resident(WARM_STACK_BYTES)
            // Where the kernel tells which pages were written to (Linux 6.7), no other one is cleared.
            .pagemap_scan(Enabled::Auto),
        Pool::Cold => {
            pool.linear_memory_keep_resident(0).table_keep_resident(0).async_stack_keep_resident(0)
        }
    };
    pool.table_elements(TABLE_ELEMENTS_MAX);

    let mut config = common(cache)?;
    config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    if u64::from(memories).saturating_mul(UNCHECKED_MEMORY_BYTES) > ADDRESS_SPACE_BYTES_MAX {
        config.memory_reservation(limits.max_memory_bytes as u64);
    }
    Engine::new(&config)
}

/// What of WebAssembly no toolchain for WASI 0.2 needs. Each proposal is more of the compiler that a component
/// could find a fault in; threads, and the component model's own concurrency, would also compute without
/// being charged. Several memories in one module stay: the code between two components that are composed
/// needs them.
const PROPOSALS_OFF: WasmFeatures = WasmFeatures::THREADS
    .union(WasmFeatures::SHARED_EVERYTHING_THREADS)
    .union(WasmFeatures::MEMORY64)
    .union(WasmFeatures::GC)
    .union(WasmFeatures::FUNCTION_REFERENCES)
    .union(WasmFeatures::EXCEPTIONS)
    .union(WasmFeatures::LEGACY_EXCEPTIONS)
    .union(WasmFeatures::STACK_SWITCHING)
    .union(WasmFeatures::TAIL_CALL)
    .union(WasmFeatures::RELAXED_SIMD)
    .union(WasmFeatures::WIDE_ARITHMETIC)
    .union(WasmFeatures::CUSTOM_PAGE_SIZES)
    .union(WasmFeatures::CM_ASYNC)
    .union(WasmFeatures::CM_ASYNC_STACKFUL)
    .union(WasmFeatures::CM_MORE_ASYNC_BUILTINS)
    .union(WasmFeatures::CM_THREADING)
    .union(WasmFeatures::CM_ERROR_CONTEXT)
    .union(WasmFeatures::CM_GC)
    .union(WasmFeatures::CM64);

fn common(cache: &Cache) -> wasmtime::Result<Config> {
    let mut config = Config::new();
    config
        .wasm_features(PROPOSALS_OFF, false)
        // It would be the environment that decides.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .epoch_interruption(true)
        // Stacks hold what guests worked on. They are cleared, and given back, like memories.
        .async_stack_zeroing(true)
        .async_stack_size(ASYNC_STACK_BYTES)
        // WASI 0.2 needs none of the component model's own concurrency, which costs at each call.
        .concurrency_support(false);
    if let Cache::Folder(folder) = cache {
        let mut settings = CacheConfig::new();
        settings.with_directory(folder);
        config.cache(Some(wasmtime::Cache::new(settings)?));
    }
    Ok(config)
}

/// Ticks the epoch of the engines while guests run, on a thread of its own: tasks of the runtime would not
/// run while guests keep all of its threads busy.
pub(super) struct Ticker {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    /// Guests that run.
    running: AtomicUsize,
    /// Whether the thread waits for a guest, or is about to. Whoever makes `running` 1 looks at it
    /// after that, and the thread looks at `running` after setting it: one of them sees the other.
    asleep: AtomicBool,
    ended: Mutex<bool>,
    changed: Condvar,
}

impl Ticker {
    /// Ticks all of these.
    pub(super) fn start(engines: Vec<Engine>) -> std::io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let seen = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("sandport-epoch".into())
            .spawn(move || seen.tick(&engines))?;
        Ok(Self { shared })
    }

    /// Keeps the epoch ticking until the guard is dropped.
    pub(super) fn tick(&self) -> Ticking<'_> {
        let shared = &self.shared;
        if shared.running.fetch_add(1, Ordering::SeqCst) == 0
            && shared.asleep.load(Ordering::SeqCst)
        {
            drop(shared.lock());
            shared.changed.notify_one();
        }
        Ticking { shared }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        *self.shared.lock() = true;
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn tick(&self, engines: &[Engine]) {
        let mut idle = Duration::ZERO;
        loop {
            if self.running.load(Ordering::SeqCst) > 0 {
                idle = Duration::ZERO;
            } else if idle >= TICK_ON {
                self.wait_for_work();
                idle = Duration::ZERO;
            }
            if *self.lock() {
                return;
            }
            #[expect(clippy::disallowed_methods, reason = "the tick is a time")]
            std::thread::sleep(EPOCH_TICK);
            engines.iter().for_each(Engine::increment_epoch);
            idle += EPOCH_TICK;
        }
    }

    /// Waits until a guest runs, or the end.
    #[expect(clippy::disallowed_methods, reason = "the end of the engine ends it")]
    fn wait_for_work(&self) {
        let ended = self.lock();
        self.asleep.store(true, Ordering::SeqCst);
        let idle = |ended: &mut bool| self.running.load(Ordering::SeqCst) == 0 && !*ended;
        let ended = self.changed.wait_while(ended, idle).unwrap_or_else(PoisonError::into_inner);
        self.asleep.store(false, Ordering::SeqCst);
        drop(ended);
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A guest runs.
pub(super) struct Ticking<'a> {
    shared: &'a Shared,
}

impl Drop for Ticking<'_> {
    fn drop(&mut self) {
        self.shared.running.fetch_sub(1, Ordering::SeqCst);
    }
}
