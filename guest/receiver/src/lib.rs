//! The Sandport receiver component: the world `sandport:upload/sandbox` around the protocol crate.
//!
//! Bindings, conversion and the driving loop only; all behaviour is in `sandport-protocol`. There is
//! no std in it: what std drags in (environment, files, exit, stdio) would be imports that the world
//! does not have.
#![cfg_attr(target_family = "wasm", no_std)]
// The bindings that wit-bindgen generates need unsafe, and so does `cabi_realloc`.
#![allow(unsafe_code)]

extern crate alloc;

mod bindings;
mod clock;
mod convert;
mod driver;
mod host_impl;
mod open_upload;
mod outgoing;
mod pending;

#[cfg(target_family = "wasm")]
mod runtime {
    //! What std would bring along: an allocator and a panic handler.

    #[global_allocator]
    static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

    /// The canonical ABI's allocator. On `wasm32-wasip2` wit-bindgen leaves it to wasi-libc, which
    /// nothing here links; elsewhere wit-bindgen brings its own.
    ///
    /// # Safety
    /// The host calls it as the canonical ABI says: `old_ptr` is null or came from here with
    /// `old_len` and `align`; `align` is a power of two; `new_len` is what it will write.
    #[cfg(target_env = "p2")]
    #[unsafe(no_mangle)]
    unsafe extern "C" fn cabi_realloc(
        old_ptr: *mut u8,
        old_len: usize,
        align: usize,
        new_len: usize,
    ) -> *mut u8 {
        use alloc::alloc::{Layout, alloc, realloc};
        let (Ok(old), Ok(new)) =
            (Layout::from_size_align(old_len, align), Layout::from_size_align(new_len, align))
        else {
            core::arch::wasm32::unreachable()
        };
        let ptr = match (old_len, new_len) {
            (_, 0) => align as *mut u8,
            // SAFETY: `new` has a size above 0.
            (0, _) => unsafe { alloc(new) },
            // SAFETY: the caller's contract, and `new_len` was checked against `align` above.
            (..) => unsafe { realloc(old_ptr, old, new_len) },
        };
        if ptr.is_null() { core::arch::wasm32::unreachable() } else { ptr }
    }

    /// A panic becomes a trap, which ends this connection and no other.
    #[panic_handler]
    fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
        use crate::bindings::sandport::upload::log;
        log::emit(log::Level::Error, &alloc::format!("{info}"));
        core::arch::wasm32::unreachable()
    }
}

struct Component;

impl bindings::exports::sandport::upload::receiver::Guest for Component {
    fn serve(
        peer: bindings::sandport::upload::types::Peer,
        input: bindings::exports::sandport::upload::receiver::InputStream,
        output: bindings::exports::sandport::upload::receiver::OutputStream,
    ) -> Result<
        bindings::exports::sandport::upload::receiver::Ending,
        bindings::sandport::upload::types::Refusal,
    > {
        driver::serve(&peer, &input, &output)
    }
}

bindings::export!(Component with_types_in bindings);
