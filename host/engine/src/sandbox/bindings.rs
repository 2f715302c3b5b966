//! What `bindgen!` makes of the WIT package.

#![allow(missing_docs, unreachable_pub, reason = "generated; documented in wit/")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "sandbox",
    imports: {
        // A directory is on the disk when it answers.
        "sandport:upload/inbox.open": async | trappable,
        // It waits for a write that is under way.
        "sandport:upload/inbox.[static]upload.commit": async | trappable,
        default: trappable,
    },
    exports: { default: async },
    with: {
        "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "sandport:upload/inbox.upload": super::host::UploadHandle,
        "sandport:upload/inbox.pending": super::host::PendingHandle,
    },
});
