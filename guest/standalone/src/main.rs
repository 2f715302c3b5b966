//! The standalone component: `wasmtime run -S inherit-network --dir ./inbox::/inbox
//! sandport-standalone.wasm`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sandport_standalone::run()
}
