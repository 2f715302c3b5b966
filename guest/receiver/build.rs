//! Link settings of the component.

/// Shadow stack of the guest in bytes. The linker's default of 1 MiB would be part of the linear
/// memory of every connection; the protocol machines recurse nowhere and keep their buffers on the
/// heap.
const STACK_BYTES: u32 = 64 * 1024;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").as_deref() == Ok("wasm") {
        println!("cargo::rustc-link-arg-cdylib=-zstack-size={STACK_BYTES}");
        // `memcmp` and `bcmp`, which core needs and without std nobody else brings. They import
        // nothing.
        println!("cargo::rustc-link-arg-cdylib=-lc");
    }
}
