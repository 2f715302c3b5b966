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
        "sandport:upload/gate.authenticating": super::handles::AuthenticatingHandle,
        "sandport:upload/inbox.opening": super::handles::OpeningHandle,
        "sandport:upload/inbox.looking": super::handles::LookingHandle,
        "sandport:upload/inbox.abandoning": super::handles::AbandoningHandle,
        "sandport:upload/inbox.upload": super::handles::UploadHandle,
        "sandport:upload/inbox.body": super::handles::BodyHandle,
        "sandport:upload/inbox.finishing": super::handles::FinishingHandle,
        "sandport:upload/inbox.committing": super::handles::CommittingHandle,
    },
});
