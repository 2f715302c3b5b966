//! Where the files of a server go.

use std::sync::Arc;

use sandport_protocol::{Offer, Refusal};

use super::storage::StorageInbox;
use super::{Inbox, Verdict};

/// Where the files of a server go: into a folder, or into a storage of its owner's.
pub(crate) enum Destination {
    Folder(Inbox),
    Storage(Arc<StorageInbox>),
}

impl Destination {
    /// As [`Inbox::open`].
    pub(crate) fn open(&self, offer: &Offer) -> Result<Verdict, Refusal> {
        match self {
            Self::Folder(inbox) => inbox.open(offer),
            Self::Storage(inbox) => inbox.open(offer),
        }
    }
}
