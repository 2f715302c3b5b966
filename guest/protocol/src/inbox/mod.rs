//! The rules that every inbox keeps, whatever its files lie on: what it is called on the disk, which
//! name a file gets, what is written down of it, and what senders are told.
//!
//! Nothing here touches a disk. The native inbox (`host/engine/src/inbox`) and that of the standalone
//! component (`guest/standalone/src/inbox`) ask the same questions here, and one suite tests both.

mod arrival;
mod choice;
mod claims;
#[cfg(feature = "std")]
mod compaction;
mod failure;
mod in_order;
#[cfg(feature = "std")]
mod index;
mod jump_resistant_clock;
mod log_reader;
mod made_up;
mod receipt_log;
#[cfg(feature = "suite")]
pub mod suite;

pub use arrival::{Body, check_digest};
pub use choice::{Chosen, Conflict, Occupant, choose_name};
pub use claims::{Claims, split_digests};
#[cfg(feature = "std")]
pub use compaction::{COMPACT_ENTRIES_MIN, Compaction, is_compaction_due};
pub use failure::Failure;
pub use in_order::InOrder;
#[cfg(feature = "std")]
pub use index::{Index, Known};
pub use jump_resistant_clock::{JumpResistantClock, Reading};
pub use log_reader::{LogItem, LogReader};
pub use made_up::made_up_name;
pub use receipt_log::{
    LOG_HEAD_BYTES, LOG_PAYLOAD_BYTES_MAX, LogEntry, LoggedFile, Record, Session, push_frame,
};

use alloc::borrow::ToOwned;
use alloc::format;

use crate::{Digest, EntryName, Offer, Receipt, Refusal, RefusalCode};

/// The layout of the reserved directory that this version writes, and the highest that it reads.
pub const LAYOUT_VERSION: u32 = 1;

/// The file beneath [`RESERVED_NAME`](crate::RESERVED_NAME) that holds it. A directory that has it there is
/// an inbox.
pub const LAYOUT_FILE: &str = "layout";

/// Longest layout file that is read. Bytes. A number and a line end; more is not ours.
pub const LAYOUT_BYTES_MAX: usize = 64;

/// How often a name is chosen anew because someone outside took it between the choice and the use, or
/// removed the directory. Whoever wins that race a hundred times does it on purpose.
pub const RACES_MAX: usize = 100;

/// Whether `record` is of a file that `offer` may be about.
///
/// An offer that says neither size nor digest fits nothing: there is nothing to tell by.
pub fn fits(offer: &Offer, record: &Record) -> bool {
    (offer.size.is_some() || offer.digest.is_some())
        && offer.size.is_none_or(|size| size == record.size)
        && offer.digest.is_none_or(|digest| *digest.as_bytes() == record.digest)
}

/// The receipt for a stored file.
pub fn receipt(name: &EntryName, record: &Record) -> Receipt {
    Receipt {
        name: name.as_str().to_owned(),
        size: record.size,
        digest: Digest::Blake3(record.digest),
        proof: None,
    }
}

/// The receipt for a directory.
pub fn directory_receipt(name: &EntryName) -> Receipt {
    Receipt {
        name: name.as_str().to_owned(),
        size: 0,
        digest: Digest::Blake3(*blake3::hash(b"").as_bytes()),
        proof: None,
    }
}

/// The refusal of a file with more bytes than the inbox takes.
pub fn too_large(max_file_size: Option<u64>) -> Refusal {
    match max_file_size {
        Some(most) => {
            let words = format!("the inbox takes files of up to {most} bytes");
            Refusal::new(RefusalCode::TooLarge, words)
        }
        None => RefusalCode::TooLarge.into(),
    }
}

/// The refusal where the conflict rule is to refuse.
pub fn taken() -> Refusal {
    Refusal::new(RefusalCode::Exists, "the name is taken")
}

/// The refusal where the conflict rule is to replace, and another sender's file has the name.
pub fn taken_by_other() -> Refusal {
    Refusal::new(RefusalCode::Exists, "a file of another sender has the name")
}

/// The refusal where the conflict rule is to replace, and a file has the name that is called differently: names
/// are case-insensitive there.
pub fn taken_by_other_name() -> Refusal {
    let words = "a file has the name whose own name differs in upper and lower case";
    Refusal::new(RefusalCode::Exists, words)
}

/// The refusal where a directory has the name of a file.
pub fn taken_by_directory() -> Refusal {
    Refusal::new(RefusalCode::Exists, "a directory has the name")
}

/// The refusal of who lost [`RACES_MAX`] races for a name.
pub fn taken_again() -> Refusal {
    Refusal::new(RefusalCode::Exists, "the name was taken again and again")
}

/// The refusal where a part of the path is no directory and none can be made of it.
pub fn no_directory() -> Refusal {
    Refusal::new(RefusalCode::Exists, "a part of the path is something else than a directory")
}

/// The refusal of a directory that comes without a name.
pub fn directory_without_name() -> Refusal {
    Refusal::new(RefusalCode::NameInvalid, "a directory needs a name")
}
