//! Starting a component once, before anybody depends on it.

use wasmtime::component::{Component, Linker};
use wasmtime::{Engine, Trap};
use wasmtime_wasi::{I32Exit, WasiCtx};

use super::budget::BudgetExhausted;
use super::component::ComponentError;
use super::engine::{SandboxLimits, Ticker};
use super::resident::State;

/// Instantiates the component without any power, and within its limits, and drops the instance.
///
/// # Errors
/// [`ComponentError::Start`], where its start traps, exits or does not come to an end.
pub(super) fn start(
    engine: &Engine,
    component: &Component,
    limits: &SandboxLimits,
) -> Result<(), ComponentError> {
    // A thread of its own: the caller may be inside of a runtime, and in a hurry to serve others.
    let outcome = std::thread::scope(|scope| {
        std::thread::Builder::new()
            .name("sandport-trial".into())
            .spawn_scoped(scope, || instantiate(engine, component, limits))
            .map_err(ComponentError::Thread)
            .map(std::thread::ScopedJoinHandle::join)
    })?;
    // A panic is a fault of this program, and no reason to refuse the component.
    outcome.unwrap_or(Ok(()))
}

fn instantiate(
    engine: &Engine,
    component: &Component,
    limits: &SandboxLimits,
) -> Result<(), ComponentError> {
    let ticker = Ticker::start(engine.clone()).map_err(ComponentError::Thread)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(ComponentError::Thread)?;
    let started = runtime.block_on(async {
        let mut linker = Linker::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        // There is no connection to ask for anything.
        linker.define_unknown_imports_as_traps(component)?;
        let mut store = State::store(engine, WasiCtx::builder().build(), limits);
        let _ticking = ticker.tick();
        linker.instantiate_async(&mut store, component).await.map(drop)
    });
    match started {
        Err(error) if is_its_own(&error) => Err(ComponentError::Start(super::reason(&error))),
        // Whatever else is in the way is in the way here alone.
        _ => Ok(()),
    }
}

/// Whether the component brought this upon itself. That there was nobody to ask did not.
fn is_its_own(error: &wasmtime::Error) -> bool {
    error.is::<Trap>() || error.is::<I32Exit>() || error.is::<BudgetExhausted>()
}
