//! What wit-bindgen makes of the WIT package.

#![allow(missing_docs, reason = "generated; documented in wit/")]

wit_bindgen::generate!({
    path: "../../../wit",
    world: "sandbox",
    generate_all,
});
