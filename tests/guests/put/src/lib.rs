//! A receiver such as somebody else would write: its own protocol, and the whole of std.
//!
//! A client sends `PUT name`, a line end, and the content, and shuts its side down. The answer is
//! `stored NAME SIZE` or `refused CODE`, and a line end.

// The bindings that wit-bindgen generates need unsafe.
#![allow(unsafe_code)]

/// What wit-bindgen makes of the WIT package.
#[allow(missing_docs, reason = "generated; documented in wit/")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit",
        world: "sandbox",
        generate_all,
    });
}

mod put;

use bindings::exports::sandport::upload::receiver::{Guest, InputStream, OutputStream};
use bindings::sandport::upload::types::{Peer, Refusal};

struct Component;

impl Guest for Component {
    fn serve(_peer: Peer, input: InputStream, output: OutputStream) -> Result<(), Refusal> {
        put::serve(&input, &output, Vec::new())
    }
}

bindings::export!(Component with_types_in bindings);
