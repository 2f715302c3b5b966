//! The journal of an upload that can be resumed: what an inbox writes beside the staged bytes, so that
//! it can go on after a cut, a kill or a reboot without reading them again.
//!
//! The content is cut into chunk groups of [`GROUP_BYTES`]. Each group is a subtree of BLAKE3's tree,
//! so its chaining value alone is enough to compute the digest of the whole ([`Tree`]), whichever
//! order the groups came in. The journal records the chaining values of the groups whose bytes are
//! kept ([`Kept`]), and of at most one group that is begun, its [`Tail`]: that one is read again.
//!
//! ## Format
//!
//! The file begins with [`MAGIC`], seven bytes, and one byte with the version, [`VERSION`]. Then follow
//! frames with nothing in between:
//!
//! | bytes | content |
//! |---|---|
//! | 4 | length of the payload, little-endian, from 1 to [`PAYLOAD_BYTES_MAX`] |
//! | 16 | check: the first bytes of BLAKE3 over the check before it and the payload |
//! | length | the payload: an [`Entry`], encoded as messages on the wire are |
//!
//! The check before the first is the [`JournalId`] of the upload. So a journal counts for one upload
//! alone, and no frame can be left out, doubled or moved.
//!
//! The first entry is [`Entry::Begun`]. Then come [`Entry::Kept`], and where there is more to be known of the upload,
//! [`Entry::Noted`] and [`Entry::Sized`]. An entry is appended when the
//! bytes that it speaks of are in the data file, and (unless it names a boot) durable there.
//!
//! Before what entries with a boot speak of is made durable, an entry with a boot and nothing else is appended, and
//! after it one without a boot. Where that is missing, a write may have failed of which the system told a server that
//! is gone: the bytes are to be compared with their chaining values.
//!
//! A server that syncs what it tells to be durable says once more, without a boot, what it finds that entries with this
//! boot alone speak of, after it has synced that ([`Recovered::to_say_again`]).
//!
//! ## Recovery
//!
//! The first frame that is cut short, does not match its check, does not decode, or speaks of bytes
//! beyond the size of the file ends the journal: it is cut there, and what was appended behind it is
//! sent again. An entry of a kind that this version does not know, and that matches its check, is skipped. An entry
//! that names another boot of the system than this one says nothing. What is said twice holds as it was said first: an
//! inbox takes no byte a second time while it has it.

mod codec;
mod id;
mod ranges;
mod recovery;
mod tree;

pub use codec::{
    BEGINNING_BYTES_MAX, Begun, Entry, JournalError, JournalId, Kept, MAGIC, Notes,
    PAYLOAD_BYTES_MAX, Tail, VERSION, Writer,
};
pub use id::ResumableId;
pub use ranges::Ranges;
pub use recovery::{Inspected, Recovered, Recovery, beginning, inspect, recover};
pub use tree::{ChainingValue, Tree, group_hasher};

/// Size of a chunk group in bytes.
///
/// It is what a resumed upload reads or sends again at most, and what one chaining value (32 bytes)
/// stands for: 20 GiB have a journal of 700 KB. Smaller files have no journal at all. It is a power of
/// two of BLAKE3's chunks of 1,024 bytes, and as much as senders and the host move in one step, so that
/// most steps complete a group.
pub const GROUP_BYTES: u64 = 1024 * 1024;

/// Most groups whose chaining values go into one entry: 32 KiB of them.
pub const GROUPS_PER_ENTRY_MAX: usize = 1_024;
