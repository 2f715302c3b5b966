//! The inbox: where received files are staged, verified, made durable, and given their names.
//!
//! It implements the interface `inbox` of the WIT package on a directory of a local file system, and
//! enforces all policy about it: what it is told by a receiver it checks. It knows nothing of
//! sandboxes and connections.
//!
//! ```
//! use sandport_inbox::{Extent, Identity, Inbox, InboxOptions, Offer, OfferResponse};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! let inbox = Inbox::open(&directory.path().join("inbox"), InboxOptions::default())?;
//! let offer = Offer::of_file(Some("report.pdf".to_owned()), Some(5));
//! let OfferResponse::Accepted(upload) = inbox.offer(&Identity::ANONYMOUS, &offer).await? else {
//!     return Err("it is here already".into());
//! };
//! upload.body(Extent { offset: 0, length: Some(5) })?.write(b"hello");
//! // The file is whole, has its name, and survives a power cut.
//! let receipt = upload.commit(5, None).await?;
//! assert_eq!(receipt.name, "report.pdf");
//! # Ok(())
//! # }
//! ```
//!
//! Staging and hashing happen in the caller's thread ([`Body::write`]). Unless the durability is
//! [`Durability::None`], files are synced and published in one thread of the inbox, which takes whatever
//! commits are queued as a batch; [`CommitHandle`] tells the outcome. What uploads that can be resumed have
//! so far is made durable by others, and others still copy what cannot be moved to its directory, and remove what
//! nobody needs.
//!
//! Every struct with public fields is `#[non_exhaustive]`, and so is every enum but [`OfferResponse`], each case of
//! which has to be answered: match others with `_`. Options are made by `default()`, and set field by field.

#![forbid(unsafe_code)]
// `clippy.toml` refuses what the library never does; its tests may print and start processes.
#![cfg_attr(test, allow(clippy::disallowed_macros, clippy::disallowed_types))]

mod accepted_offer;
mod admission;
mod any;
mod body;
mod boot;
mod capabilities;
mod claim;
mod commit;
mod comparing;
mod comparison;
mod completion;
mod copiers;
mod directories;
mod disk;
mod error;
mod expiry;
mod finishing;
mod health;
mod identity;
mod inbox;
mod kept;
mod layout;
mod loss;
mod lost_times;
pub mod maintenance;
mod memory;
mod meter;
mod modes;
mod names;
mod network;
mod notes;
mod offer_options;
mod offer_response;
mod offers;
mod options;
mod partial_files;
mod placement;
mod pool;
mod publish;
mod reading;
mod receipts;
mod recent;
mod recognition;
mod removal;
mod removed_journals;
mod reread;
mod resumable;
mod room;
mod runtime;
mod shared;
mod space;
mod stage;
mod storage;
mod sums;
mod threads;
mod transient;
mod tree;
mod twice;
mod unnamed;
mod unpublished;
mod upload;
mod usage;
mod whereabouts;

pub use any::AnyInbox;
pub use body::Body;
pub use capabilities::Limitation;
pub use comparison::Comparison;
pub use completion::CommitHandle;
pub use error::{InboxError, InboxErrorKind};
pub use finishing::Finishing;
pub use identity::{Identity, IdentityError};
pub use inbox::Inbox;
pub use memory::{MemoryAccount, memory_of};
pub use meter::Meter;
pub use offer_options::OfferOptions;
pub use offer_response::OfferResponse;
pub use options::{Durability, InboxOptions, Records};
pub use resumable::{KEY_BYTES_MAX, UploadStatus};
pub use sandport_protocol::inbox::Conflict;
pub use sandport_protocol::{
    Algorithm, ContentDigest, Digest, EntryKind, EntryName, Extent, Metadata, NameError, Offer,
    Receipt, Refusal, RefusalCode, Resume, ResumeMode,
};
pub use storage::{Announced, Arrived, Directories, Found, Incoming, Lookup, Publishing, Storage};
pub use upload::{Upload, UploadWatch};
pub use usage::Quota;

use shared::Core;

#[cfg(test)]
mod tests;
