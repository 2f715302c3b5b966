//! The server: accepts connections and runs a fresh WebAssembly sandbox for each; nothing that a peer sends is parsed
//! anywhere else.
//!
//! - [`Server`] and [`ServerBuilder`] run a receiver for each connection, [`ResidentServer`] one that listens itself.
//! - [`net`] has addresses to listen on, and who may stand in front of the server.
//! - [`inspect`] says what a receiver imports, and whether it would run.
//!
//! Files go to a [`sandport_inbox`], or to a [`Storage`](sandport_inbox::Storage) of the caller's.
//!
//! The library never prints, reads the environment, installs a signal handler, or binds a port that
//! it was not given.
//!
//! Every struct with public fields is `#[non_exhaustive]`, and so is every enum but [`AnyServer`], each case of which
//! has to be run: match others with `_`. Settings are made by `default()`, and set field by field.
#![forbid(unsafe_code)]
// `clippy.toml` refuses what the library never does; its tests may print and start processes.
#![cfg_attr(test, allow(clippy::disallowed_macros, clippy::disallowed_types))]

mod accept;
mod budget;
mod builder;
mod connection;
mod descriptors;
mod doors;
mod error_kind;
mod event;
mod limits;
mod linger;
pub mod net;
mod phase;
mod proxied;
mod resident;
mod sandbox;
mod server;
mod serving;
mod tls;

pub use sandport_protocol::{Digest, Fingerprint, Limits, Receipt, Refusal, RefusalCode};

pub use budget::{Budgets, BudgetsError, Limit};
pub use builder::{AnyServer, BuildError, ServerBuilder};
pub use descriptors::{Descriptors, TooFewDescriptors, WantedConnections};
pub use error_kind::ServerErrorKind;
pub use event::{Claim, Events, ServerEvent};
pub use resident::{ResidentError, ResidentServer};
pub use sandbox::{
    Cache, ComponentError, Import, Inspection, Mode, ReceiverSource, SandboxLimits, inspect,
};
pub use server::{LimitsMet, Server};
pub use tls::{Tls, TlsError, TlsRule};
