//! The harness of the end-to-end tests.
//!
//! Tests start the real `sandport` binary on a port that the system chooses, read its ready line, wait
//! for what it reports, and look at what lies in the inbox. Nothing sleeps for a guessed time: each
//! wait is for an event, a line or the end of a connection, has a deadline ([`mod@deadline`]), and says what it
//! waited for when that passes.
//!
//! Variables, with absolute paths:
//!
//! - `SANDPORT_TEST_BINARY=FILE` tests that binary and builds none.
//! - `SANDPORT_TEST_RECEIVER=FILE.wasm` runs all servers of the tests with another build of the
//!   receiver.
//! - `SANDPORT_TEST_EXAMPLES=DIRECTORY` takes the examples of `guest/examples` from there and builds none.
//! - `SANDPORT_TEST_STANDALONE=FILE.wasm` runs another build of the standalone component.
//! - `SANDPORT_TEST_WASMTIME=FILE` runs it with that `wasmtime`, and not with `src/bin/stock.rs`.
//! - `SANDPORT_TEST_HTTP_CLIENTS=DIRECTORY` has clients of HTTP from npm and PyPI, as lane `http-clients` installs them.
//! - `SANDPORT_TEST_PYTHON=FILE` runs the native client in Python with it; it has the package `blake3`.
//! - `SANDPORT_TEST_SEED=N` repeats a run with the seed that a failed test printed.
//! - `SANDPORT_TEST_WITHOUT_NAMESPACES=1` leaves out the tests that mount something, where the machine
//!   allows no user namespaces.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a harness fails by panicking")]

pub mod artifacts;
pub mod clients;
pub mod components;
pub mod connection;
pub mod deadline;
pub mod embedded;
pub mod events;
pub mod files;
mod gate;
pub mod http;
pub mod http_clients;
pub mod http_peers;
pub mod middlebox;
pub mod misbehaving;
pub mod namespace;
pub mod native;
pub mod peer;
pub mod process;
pub mod random;
pub mod send;
pub mod server;
pub mod tls;
pub mod transcript;
pub mod tus;

pub use connection::Connection;
pub use embedded::Embedded;
pub use http::Http;
pub use middlebox::{Fate, Middlebox};
pub use native::Native;
pub use random::Random;
pub use send::{Sent, send};
pub use server::{Server, Setup};
