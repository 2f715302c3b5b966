//! What `sandport-server` parses outside of the sandbox, without all that it brings: its own files.
#![allow(dead_code, unreachable_pub, reason = "the server uses the rest")]

#[path = "../../../host/server/src/net/proxy_header/header.rs"]
pub(crate) mod header;
#[path = "../../../host/server/src/net/origin.rs"]
pub(crate) mod origin;
#[path = "../../../host/server/src/net/range.rs"]
pub(crate) mod range;
