//! What wit-bindgen makes of the WIT of WASI.

#![allow(missing_docs, reason = "generated; documented in wasi/")]

wit_bindgen::generate!({
    path: "wasi",
    world: "imports",
    generate_all,
});
