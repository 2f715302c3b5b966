//! Receiving uploaded files from people you do not trust.
//!
//! - [`server`] accepts connections and runs a fresh WebAssembly sandbox for each; nothing that a
//!   peer sends is parsed anywhere else.
//! - [`inbox`] owns the disk: names, staging, durability, receipts.
//! - [`sender`] sends files, in the native dialect and in the classic one.
//! - [`net`] has addresses and listeners.
//!
//! The library never prints, reads the environment, installs a signal handler, or binds a port that
//! it was not given.
#![forbid(unsafe_code)]
// `clippy.toml` refuses what the library never does; its tests may print and start processes.
#![cfg_attr(test, allow(clippy::disallowed_macros, clippy::disallowed_types))]

mod event;
mod identity;
pub mod inbox;
#[cfg(test)]
mod namespace;
pub mod net;
#[cfg(test)]
mod patience;
mod sandbox;
pub mod sender;
pub mod server;
pub use sandport_protocol::text;

pub use identity::Identity;
pub use sandbox::{
    Cache, ComponentError, Import, Inspection, Mode, ReceiverSource, SandboxLimits, inspect,
};
pub use sandport_protocol as protocol;
pub use server::Server;
