//! What a receiver finds behind its imports.

use wasmtime::Engine;
use wasmtime::component::{Component, HasSelf, Linker};
use wasmtime_wasi::clocks::WasiClocks;
use wasmtime_wasi::p2::bindings::clocks::monotonic_clock;

use super::bindings::SandboxPre;
use super::bindings::sandport::upload;
use super::error::ComponentError;
use super::state::State;

/// Links a component that is run for each connection, before any connection needs it.
pub(super) fn link(
    engine: &Engine,
    component: &Component,
) -> Result<SandboxPre<State>, ComponentError> {
    linker(engine)
        .map_err(ComponentError::of_engine)?
        .instantiate_pre(component)
        .and_then(SandboxPre::new)
        .map_err(|error| ComponentError::Import(format!("{error:#}")))
}

fn linker(engine: &Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    // Other people's receivers import what their language's runtime drags in. They get wasmtime's own
    // implementations with an empty context: see `State::stand_in`. The default receiver never uses it.
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    // The clock is in the world, and every receiver uses it: it does not need that context.
    linker.allow_shadowing(true);
    monotonic_clock::add_to_linker::<State, WasiClocks>(&mut linker, State::clocks)?;
    linker.allow_shadowing(false);
    upload::types::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    upload::inbox::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    upload::gate::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    upload::log::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
    Ok(linker)
}
