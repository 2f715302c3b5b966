//! The Sandport upload protocols as state machines without I/O.
//!
//! Nothing in this crate owns a socket, a file, a clock or a thread. Bytes and a clock reading go in
//! through `handle_*`; what to do comes out through `poll_*`, and what is wanted from the connection
//! next through `want`. The WIT package in `wit/` specifies the behaviour.
#![cfg_attr(not(feature = "std"), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

#[cfg(feature = "std")]
mod address;
mod conflict;
mod deceptive;
mod dialect;
mod digest;
mod extents;
mod fingerprint;
mod http;
mod limits;
mod metadata;
mod name;
mod sorted;
mod types;

pub mod driver;
pub mod inbox;
pub mod journal;
pub mod options;
pub mod receiver;
pub mod report;
pub mod sender;
pub mod text;
pub mod upload;
pub mod wire;

#[cfg(feature = "std")]
pub use address::{Address, AddressError};
pub use conflict::{CONFLICT_NUMBER_MAX, free_number};
pub use dialect::Dialect;
pub use digest::{Algorithm, ContentDigest};
pub use fingerprint::{FINGERPRINT_BYTES, Fingerprint, FingerprintError};
pub use limits::*;
pub use metadata::{
    METADATA_BYTES_MAX, METADATA_NAME_BYTES_MAX, METADATA_PAIRS_MAX, METADATA_VALUE_BYTES_MAX,
    Metadata,
};
pub use name::{
    CONFLICT_SUFFIX_BYTES_MAX, EntryName, NAME_BYTES_MAX, NAME_DEPTH_MAX, NameError,
    OFFERED_NAME_BYTES_MAX, PART_BYTES_MAX, RESERVED_NAME,
};
pub use types::*;

/// A clock reading: milliseconds since any fixed moment, never going back.
pub type Millis = u64;

/// The number of an upload within its connection. The native dialect's sender counts it up from 0; a
/// classic connection has one upload, 0.
pub type UploadId = u64;
