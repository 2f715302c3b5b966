//! What an upload is.

use sandport_protocol::EntryName;
use sandport_protocol::journal::ResumableId;

/// What an upload is.
pub(super) struct Facts {
    pub(super) id: ResumableId,
    /// What it was offered as, or the name that was made up.
    pub(super) name: EntryName,
    /// Whether the sender chose the name.
    pub(super) is_named: bool,
    /// How long the file will be; `None`: not known. Bytes.
    pub(super) size: Option<u64>,
}
