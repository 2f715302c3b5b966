//! What belongs to one run of a resident component.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use wasmtime::component::ResourceTable;
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::sandbox::budget::Budget;
use crate::sandbox::engine::SandboxLimits;
use crate::sandbox::state::{self, Bounded, Bounds};
use crate::sandbox::stopwatch::Stopwatch;

/// The data of the store: everything that the host functions of one run work on.
pub(in crate::sandbox) struct State {
    pub(super) table: ResourceTable,
    wasi: WasiCtx,
    bounds: Bounds,
    /// Bytes that arrived on its connections.
    pub(super) arrived: Arc<AtomicU64>,
}

impl State {
    /// A store with its limits in force, to be used on this thread alone; `stopwatch` measures the run.
    pub(in crate::sandbox) fn store(
        engine: &Engine,
        wasi: WasiCtx,
        limits: &SandboxLimits,
        stopwatch: &Arc<Stopwatch>,
    ) -> Store<Self> {
        let arrived = Arc::new(AtomicU64::new(0));
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.max_resources);
        let budget = Budget::of_thread(limits, Arc::clone(stopwatch), Arc::clone(&arrived));
        let bounds = Bounds::new(limits, budget);
        let mut store = Store::new(engine, Self { table, wasi, bounds, arrived });
        state::confine(&mut store, limits);
        store
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl Bounded for State {
    fn bounds(&mut self) -> &mut Bounds {
        &mut self.bounds
    }
}
