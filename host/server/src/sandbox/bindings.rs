//! What `bindgen!` makes of the WIT package.

#![allow(missing_docs, unreachable_pub, reason = "generated; documented in wit/")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "sandbox",
    imports: {
        // None of them waits, so none is async.
        default: trappable,
    },
    exports: { default: async },
    with: {
        "wasi:io": wasmtime_wasi_io::bindings::wasi::io,
        "wasi:clocks": wasmtime_wasi::p2::bindings::clocks,
        "sandport:upload/gate.authenticating": super::host::AuthenticatingHandle,
        "sandport:upload/inbox.opening": super::host::OpeningHandle,
        "sandport:upload/inbox.looking": super::host::LookingHandle,
        "sandport:upload/inbox.abandoning": super::host::AbandoningHandle,
        "sandport:upload/inbox.upload": super::host::UploadHandle,
        "sandport:upload/inbox.body": super::host::BodyHandle,
        "sandport:upload/inbox.finishing": super::host::FinishingHandle,
        "sandport:upload/inbox.committing": super::host::CommittingHandle,
    },
});
