//! What belongs to one instance.

use std::sync::Arc;

use wasmtime::component::{Resource, ResourceTable};
use wasmtime::{Store, StoreLimits, StoreLimitsBuilder, UpdateDeadline};
use wasmtime_wasi::clocks::{WasiClocksCtx, WasiClocksCtxView};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use super::bindings::sandport::upload::types::Peer;
use super::budget::Budget;
use super::connection::Connection;
use super::engine::SandboxLimits;
use super::host::LogGate;
use super::streams::{ConnectionInput, ConnectionOutput};

/// The data of a store: everything that the host functions of one connection work on.
pub(super) struct State {
    pub(super) table: ResourceTable,
    pub(super) connection: Arc<Connection>,
    /// Uploads that the guest holds.
    pub(super) uploads: usize,
    pub(super) challenge: Option<[u8; 32]>,
    pub(super) log: LogGate,
    clocks: WasiClocksCtx,
    /// For receivers that import more of WASI than the world lists. Without any power.
    stand_in: Option<WasiCtx>,
    bounds: Bounds,
}

/// Memory and compute time of one instance.
pub(super) struct Bounds {
    memory: StoreLimits,
    budget: Budget,
}

impl Bounds {
    pub(super) fn new(limits: &SandboxLimits, budget: Budget) -> Self {
        Self {
            memory: StoreLimitsBuilder::new()
                .memory_size(limits.memory_bytes_max)
                // A guest that is told "no" most often dies of something less clear.
                .trap_on_grow_failure(true)
                .build(),
            budget,
        }
    }
}

/// The data of a store that has bounds.
pub(super) trait Bounded: Send + 'static {
    fn bounds(&mut self) -> &mut Bounds;
}

impl Bounded for State {
    fn bounds(&mut self) -> &mut Bounds {
        &mut self.bounds
    }
}

impl State {
    pub(super) fn new(connection: Arc<Connection>, limits: &SandboxLimits) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.resources_max);
        Self {
            table,
            uploads: 0,
            challenge: None,
            log: LogGate::default(),
            clocks: WasiClocksCtx::default(),
            stand_in: None,
            bounds: Bounds::new(limits, Budget::new(limits, Arc::clone(&connection.arrived))),
            connection,
        }
    }

    /// The arguments of `receiver.serve`.
    pub(super) fn arguments(
        &mut self,
    ) -> wasmtime::Result<(Peer, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let peer =
            Peer { address: self.connection.peer.address.as_ref().to_owned(), encrypted: false };
        let input: DynInputStream = Box::new(ConnectionInput(Arc::clone(&self.connection)));
        let output: DynOutputStream = Box::new(ConnectionOutput(Arc::clone(&self.connection)));
        Ok((peer, self.table.push(input)?, self.table.push(output)?))
    }

    pub(super) fn clocks(&mut self) -> WasiClocksCtxView<'_> {
        WasiClocksCtxView { ctx: &mut self.clocks, table: &mut self.table }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: self.stand_in.get_or_insert_with(|| WasiCtx::builder().build()),
            table: &mut self.table,
        }
    }
}

/// Puts the limits in force: memory, what a call of the host may bring, and compute time.
pub(super) fn confine<T: Bounded>(store: &mut Store<T>, limits: &SandboxLimits) {
    store.set_hostcall_fuel(limits.call_bytes_max);
    store.limiter(|state| &mut state.bounds().memory);
    store
        .call_hook(|mut context, hook| Ok(context.data_mut().bounds().budget.handle_hook(hook)?));
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut context| {
        context.data_mut().bounds().budget.handle_tick()?;
        Ok(UpdateDeadline::Yield(1))
    });
}
