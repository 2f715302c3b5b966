//! A resident component: one instance that listens and serves all connections itself.
//!
//! What it is given, and how it is told, is the contract in `wit/RESIDENT.md`. [`ResidentSandbox::run`]
//! is one run of it; starting it again is left to the caller.

mod accept;
mod grants;
mod output;
mod state;

use std::path::Path;
use std::pin::pin;
use std::sync::Arc;

use wasmtime::Engine;
use wasmtime::component::{Component, Linker};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::{FsPerms, I32Exit, WasiCtx};

use super::backtrace;
use super::engine::{SandboxLimits, Ticker};
use super::error::ComponentError;
use super::stopwatch::Stopwatch;

pub(crate) use grants::Grants;
pub(crate) use output::{Heard, Output};
pub(super) use state::State;

/// The name of the component's one preopened directory.
pub(crate) const INBOX: &str = "/inbox";

/// A compiled resident component.
pub(crate) struct ResidentSandbox {
    pre: CommandPre<State>,
    limits: SandboxLimits,
    ticker: Ticker,
}

/// How a run ended. The words are for the operator.
#[derive(Debug)]
pub(crate) enum RunEnd {
    /// It returned or exited, and how.
    Exited(String),
    /// It trapped or went over its budget, and why.
    Trapped(String),
}

impl ResidentSandbox {
    pub(super) fn new(
        engine: &Engine,
        component: &Component,
        limits: SandboxLimits,
        ticker: Ticker,
    ) -> Result<Self, ComponentError> {
        Ok(Self { pre: link(engine, component)?, limits, ticker })
    }

    /// Runs a fresh instance to its end, with these arguments after the name of the program.
    ///
    /// It may block the thread in system calls: give it one of its own. Dropping the future ends the
    /// run, at the next tick at the latest.
    ///
    /// # Errors
    /// Where the directory of the inbox cannot be opened.
    pub(crate) async fn run(
        &self,
        arguments: &[String],
        inbox: &Path,
        grants: &Arc<Grants>,
        output: &Output,
    ) -> std::io::Result<RunEnd> {
        let mut context = WasiCtx::builder();
        context
            .arg("receiver")
            .args(arguments)
            .stdout(output.stdout())
            .stderr(output.stderr())
            .allow_tcp(true)
            .socket_addr_check(grants.check())
            // It has a thread of its own. A hop to another for each read and write of a file costs
            // most of the throughput.
            .allow_blocking_current_thread(true)
            .preopened_dir(inbox, INBOX, FsPerms::ReadWrite)
            .map_err(std::io::Error::other)?;
        let ended = self.run_with(context.build()).await;
        output.finish();
        Ok(ended)
    }

    async fn run_with(&self, wasi: WasiCtx) -> RunEnd {
        let stopwatch = Arc::new(Stopwatch::start());
        let mut store = State::store(self.pre.engine(), wasi, &self.limits, &stopwatch);
        let mut running = pin!(stopwatch.measure(async {
            let command = self.pre.instantiate_async(&mut store).await?;
            command.wasi_cli_run().call_run(&mut store).await
        }));
        // The epoch ticks while the guest computes, and rests while it waits.
        let ended = std::future::poll_fn(|context| {
            let _ticking = self.ticker.tick();
            running.as_mut().poll(context)
        });
        match ended.await {
            Ok(Ok(())) => RunEnd::Exited(String::from("it returned")),
            Ok(Err(())) => RunEnd::Exited(String::from("it failed")),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(code)) => RunEnd::Exited(format!("it exited with code {code}")),
                None => {
                    backtrace::log(None, &error);
                    RunEnd::Trapped(backtrace::reason(&error))
                }
            },
        }
    }
}

/// Links a component that runs resident.
pub(super) fn link(
    engine: &Engine,
    component: &Component,
) -> Result<CommandPre<State>, ComponentError> {
    let mut linker = Linker::new(engine);
    // wasmtime's own implementations. What they give is decided by the context of each run.
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).map_err(ComponentError::of_engine)?;
    accept::count_arrivals(&mut linker).map_err(ComponentError::of_engine)?;
    linker
        .instantiate_pre(component)
        .and_then(CommandPre::new)
        .map_err(|error| ComponentError::Import(format!("{error:#}")))
}
