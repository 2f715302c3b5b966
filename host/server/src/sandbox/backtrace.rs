//! Where a guest trapped: the wasm functions that were running.

use tracing::Level;
use wasmtime::{FrameInfo, WasmBacktrace};

use super::output::LOGGED_CHARS_MAX;
use crate::net::Peer;
use sandport_protocol::text::sanitize;

/// Writes the frames of a trap into the log, innermost first. Functions have names where the component was
/// not stripped of them; offsets are those of the component's file.
pub(super) fn log(peer: Option<&Peer>, error: &wasmtime::Error) {
    if !tracing::enabled!(target: "receiver", Level::DEBUG) {
        return;
    }
    let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() else { return };
    let peer = peer.map(tracing::field::display);
    for (depth, frame) in backtrace.frames().iter().enumerate() {
        let line = sanitize(&describe(frame), LOGGED_CHARS_MAX);
        tracing::debug!(target: "receiver", peer, "trapped in {depth}: {line}");
    }
}

fn describe(frame: &FrameInfo) -> String {
    let function = match frame.func_name() {
        Some(name) => name.to_owned(),
        None => format!("function {}", frame.func_index()),
    };
    match frame.module_offset() {
        Some(offset) => format!("{function} at {offset:#x}"),
        None => function,
    }
}

/// The root of a trap, in one line.
pub(super) fn reason(error: &wasmtime::Error) -> String {
    error.root_cause().to_string()
}
