//! What belongs to one instance.

use std::sync::Arc;

use wasmtime::component::{Resource, ResourceTable};
use wasmtime::{CallHook, Store, UpdateDeadline};
use wasmtime_wasi::clocks::{WasiClocksCtx, WasiClocksCtxView};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_io::streams::{DynInputStream, DynOutputStream};

use super::bindings::sandport::upload::types::Peer;
use super::budget::{Budget, Time};
use super::connection::Connection;
use super::engine::SandboxLimits;
use super::memory::MemoryBudget;
use super::output::{Console, Pipe, Stream};
use super::stopwatch::Stopwatch;
use super::streams::{ConnectionInput, ConnectionOutput};

/// Random bytes that one call may ask for. More than any key; 64 MiB, wasmtime's own limit, keep a thread for
/// 200 ms, and others wait for it.
const RANDOM_BYTES_MAX: u64 = 1024 * 1024;

/// The data of a store: everything that the host functions of one connection work on.
pub(super) struct State {
    pub(super) table: ResourceTable,
    pub(super) connection: Arc<Connection>,
    /// Whether another instance has served the connection before.
    continued: bool,
    /// Uploads that the guest holds, or has offered without an answer yet.
    pub(super) uploads: usize,
    /// What the guest has asked the gate and the inbox: an address comes once, then a credential, and first both.
    pub(super) asked: Asked,
    pub(super) challenge: Option<[u8; 32]>,
    pub(super) console: Arc<Console>,
    clocks: WasiClocksCtx,
    /// For receivers that import more of WASI than the world lists: see [`stand_in`]. It is made when a guest
    /// first uses it.
    stand_in: Option<WasiCtx>,
    bounds: Bounds,
}

/// What a guest has asked for.
#[derive(Default)]
pub(super) struct Asked {
    /// The gate, to believe an address.
    pub(super) forwarded: bool,
    /// The gate, to accept a credential.
    pub(super) credential: bool,
    /// The inbox, for anything.
    pub(super) inbox: bool,
}

/// Memory and compute time of one instance.
pub(super) struct Bounds {
    memory: MemoryBudget,
    budget: Budget,
}

impl Bounds {
    pub(super) fn new(limits: &SandboxLimits, budget: Budget) -> Self {
        Self { memory: MemoryBudget::new(limits.max_memory_bytes), budget }
    }
}

/// The data of a store that has bounds.
pub(super) trait Bounded: Send + 'static {
    fn bounds(&mut self) -> &mut Bounds;

    /// The guest calls the host.
    fn handle_call(&mut self) {}

    /// So much time was used: who shares it out is told.
    fn handle_used(&mut self, _time: Time) {}

    /// The connection that has to wait, since it has used more than its part.
    fn paused(&self) -> Option<Arc<Connection>> {
        None
    }
}

impl Bounded for State {
    fn bounds(&mut self) -> &mut Bounds {
        &mut self.bounds
    }

    fn handle_call(&mut self) {
        self.connection.replay.handle_call();
    }

    fn handle_used(&mut self, time: Time) {
        self.connection.handle_used(time);
    }

    fn paused(&self) -> Option<Arc<Connection>> {
        self.connection.is_paused().then(|| Arc::clone(&self.connection))
    }
}

impl State {
    /// For an instance that `stopwatch` measures.
    pub(super) fn new(
        connection: Arc<Connection>,
        limits: &SandboxLimits,
        stopwatch: &Arc<Stopwatch>,
        console: &Arc<Console>,
    ) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(limits.max_resources);
        let arrived = Arc::clone(&connection.arrived);
        let elsewhere = connection.elsewhere.clone();
        let mut budget = Budget::new(limits, Arc::clone(stopwatch), arrived, elsewhere);
        let accounts = connection.take_accounts();
        let continued = accounts.is_some();
        if let Some(accounts) = accounts {
            budget.go_on(accounts);
        }
        Self {
            table,
            continued,
            uploads: 0,
            asked: Asked::default(),
            challenge: None,
            console: Arc::clone(console),
            clocks: WasiClocksCtx::default(),
            stand_in: None,
            bounds: Bounds::new(limits, budget),
            connection,
        }
    }

    /// The arguments of `receiver.serve`.
    pub(super) fn arguments(
        &mut self,
    ) -> wasmtime::Result<(Peer, Resource<DynInputStream>, Resource<DynOutputStream>)> {
        let session = self.connection.stream.session();
        let peer = Peer {
            address: self.connection.sender.next_hop().address.as_ref().to_owned(),
            encrypted: session.is_some(),
            alpn: session.and_then(|session| session.protocol.clone()),
            binding: session.and_then(|session| session.binding.clone()),
            continued: self.continued,
            trusted_proxy: self.connection.sender.is_trusted_proxy(),
        };
        let input: DynInputStream = Box::new(ConnectionInput(Arc::clone(&self.connection)));
        let output: DynOutputStream = Box::new(ConnectionOutput(Arc::clone(&self.connection)));
        Ok((peer, self.table.push(input)?, self.table.push(output)?))
    }

    /// It serves from now on: what it grows by is on the account of the connection.
    pub(super) fn charge_memory(&mut self) {
        self.bounds.memory.charge(self.connection.memory());
    }

    /// Ends the instance, after which another one serves the connection, and leaves it what may be computed still.
    ///
    /// # Errors
    /// It has computed more than the connection may use.
    pub(super) fn leave_accounts(self) -> wasmtime::Result<()> {
        let Self { connection, bounds, .. } = self;
        let (accounts, time) = bounds.budget.end()?;
        if let Some(time) = time {
            connection.handle_used(time);
        }
        connection.keep_accounts(accounts);
        Ok(())
    }

    pub(super) fn clocks(&mut self) -> WasiClocksCtxView<'_> {
        WasiClocksCtxView { ctx: &mut self.clocks, table: &mut self.table }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: self.stand_in.get_or_insert_with(|| stand_in(&self.console)),
            table: &mut self.table,
        }
    }
}

/// A context of WASI without any power: no environment, no arguments, no preopened directory, no network.
/// Output goes to the log; `exit` is a trap.
fn stand_in(console: &Arc<Console>) -> WasiCtx {
    WasiCtx::builder()
        .max_random_size(RANDOM_BYTES_MAX)
        .stdout(Pipe::new(console, Stream::Stdout))
        .stderr(Pipe::new(console, Stream::Stderr))
        .build()
}

/// Puts the limits in force: memory, what a call of the host may bring, and compute time.
pub(super) fn confine<T: Bounded>(store: &mut Store<T>, limits: &SandboxLimits) {
    store.set_hostcall_fuel(limits.max_call_bytes);
    // What a guest holds, and lends to a call: all of it once. A poll of one pollable a hundred thousand times
    // would keep a thread for a tenth of a second.
    store.set_max_component_handles(limits.max_resources.saturating_mul(2));
    store.limiter(|state| &mut state.bounds().memory);
    store.call_hook(|mut context, hook| {
        let state = context.data_mut();
        if matches!(hook, CallHook::CallingHost) {
            state.handle_call();
        }
        state.bounds().budget.handle_hook(hook)?;
        tell_used(state);
        Ok(())
    });
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut context| {
        let state = context.data_mut();
        state.bounds().budget.handle_tick()?;
        tell_used(state);
        Ok(match state.paused() {
            None => UpdateDeadline::Yield(1),
            Some(connection) => {
                UpdateDeadline::YieldCustom(1, Box::pin(async move { connection.pause().await }))
            }
        })
    });
}

fn tell_used(state: &mut impl Bounded) {
    if let Some(time) = state.bounds().budget.take_used() {
        state.handle_used(time);
    }
}
