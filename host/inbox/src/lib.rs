//! The inbox: where received files are staged, verified, made durable, and given their names.
//!
//! It implements the interface `inbox` of the WIT package on a folder of a local file system, and
//! enforces all policy about it: what it is told by a receiver it checks. It knows nothing of
//! sandboxes and connections.
//!
//! Staging and hashing happen in the caller's thread ([`Body::write`]). Unless the durability is
//! [`Durability::None`], files are synced and published in one thread of the inbox, which takes whatever
//! commits are queued as a batch; [`Pending`] tells the outcome. What uploads that can be resumed have
//! so far is made durable by others, and others still copy what cannot be moved to its folder, and remove what nobody
//! needs.

#![forbid(unsafe_code)]
// `clippy.toml` refuses what the library never does; its tests may print and start processes.
#![cfg_attr(test, allow(clippy::disallowed_macros, clippy::disallowed_types))]

mod admission;
mod any;
mod body;
mod boot;
mod capabilities;
pub mod care;
mod claim;
mod commit;
mod comparing;
mod comparison;
mod copiers;
mod disk;
mod error;
mod expiry;
mod finishing;
mod folders;
mod health;
mod identity;
mod inbox;
mod latch;
mod layout;
mod loss;
mod lost_times;
mod meter;
mod modes;
mod names;
mod notes;
mod offers;
mod options;
mod partial;
mod partial_files;
mod placement;
mod plan;
mod pool;
mod publish;
mod reading;
mod receipts;
mod recent;
mod recognition;
mod removal;
mod removed_journals;
mod reread;
mod room;
mod runtime;
mod shared;
mod space;
mod stage;
mod storage;
mod sums;
mod threads;
mod ticket;
mod transient;
mod tree;
mod twice;
mod unnamed;
mod unpublished;
mod upload;
mod usage;
mod verdict;
mod whereabouts;
mod wishes;

pub use any::AnyInbox;
pub use body::Body;
pub use capabilities::Limitation;
pub use comparison::Comparison;
pub use error::InboxError;
pub use finishing::Finishing;
pub use identity::{Identity, IdentityError};
pub use inbox::Inbox;
pub use meter::Meter;
pub use options::{Durability, InboxOptions, Records};
pub use partial::{KEY_BYTES_MAX, Status};
pub use sandport_protocol::inbox::Conflict;
pub use storage::{Announced, Arrived, Folders, Found, Incoming, Lookup, Publishing, Storage};
pub use ticket::Pending;
pub use upload::{Upload, UploadWatch};
pub use usage::Quota;
pub use verdict::Verdict;
pub use wishes::Wishes;

use shared::Core;

#[cfg(test)]
mod tests;
