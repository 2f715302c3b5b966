//! Runs a command component as `wasmtime run` does, with the WASI of the wasmtime-wasi crate as it is:
//! nothing of Sandport is in it.
//!
//! It takes the arguments of `wasmtime run` that the tests use, so that `SANDPORT_TEST_WASMTIME=FILE`
//! can put the real program in its place (lane `stock` of `.ci/run`). Building that one, or its library,
//! along with the tests would give wasmtime features that the tested server is not built with.
#![allow(missing_docs, reason = "a program of the tests")]

use std::path::PathBuf;

use clap::Parser;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Cache, CacheConfig, Config, Engine, Error, Result, Store};
use wasmtime_wasi::p2::bindings::Command;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};

#[derive(Parser)]
enum Program {
    /// Runs a component
    Run(Run),
}

#[derive(Parser)]
struct Run {
    /// `inherit-network`, or nothing
    #[arg(short = 'S')]
    wasi: Vec<String>,
    /// A directory, `HOST::GUEST`
    #[arg(long)]
    dir: Vec<String>,
    /// A variable, `NAME=VALUE`
    #[arg(long)]
    env: Vec<String>,
    /// The component
    file: PathBuf,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let Program::Run(run) = Program::parse();
    let mut config = Config::new();
    // As `wasmtime run` does: hundreds of starts of one component compile it once.
    let mut cache = CacheConfig::new();
    cache.with_directory(sandport_tests::artifacts::cache_dir());
    config.cache(Some(Cache::new(cache)?));
    let engine = Engine::new(&config)?;
    let component = Component::from_file(&engine, &run.file)?;
    let mut linker = Linker::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;

    let mut wasi = WasiCtxBuilder::new();
    wasi.inherit_stdio().allow_blocking_current_thread(true);
    wasi.arg(run.file.to_string_lossy());
    wasi.args(&run.arguments);
    if run.wasi.iter().any(|it| it == "inherit-network") {
        wasi.allow_tcp(true).allow_udp(true).inherit_network();
    }
    for variable in &run.env {
        let (name, value) = variable.split_once('=').ok_or_else(|| Error::msg("NAME=VALUE"))?;
        wasi.env(name, value);
    }
    for directory in &run.dir {
        let (host, guest) = directory.split_once("::").ok_or_else(|| Error::msg("HOST::GUEST"))?;
        wasi.preopened_dir(host, guest, FsPerms::ReadWrite)?;
    }
    let host = Host { wasi: wasi.build(), table: ResourceTable::new() };
    let mut store = Store::new(&engine, host);
    let command = Command::instantiate_async(&mut store, &component, &linker).await?;
    match command.wasi_cli_run().call_run(&mut store).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(())) => std::process::exit(1),
        Err(error) => match error.downcast_ref::<wasmtime_wasi::I32Exit>() {
            Some(exit) => std::process::exit(exit.0),
            None => Err(error),
        },
    }
}
