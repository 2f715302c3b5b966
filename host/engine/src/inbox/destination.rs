//! Where the files of a server go.

use std::sync::Arc;
use std::time::Duration;

use sandport_protocol::{Offer, Refusal};

use super::storage::StorageInbox;
use super::{Inbox, InboxError, Verdict};
use crate::Identity;

/// Where the files of a server go: into a folder, or into a storage of its owner's.
pub(crate) enum Destination {
    Folder(Inbox),
    Storage(Arc<StorageInbox>),
}

impl Destination {
    /// As [`Inbox::open_as`].
    pub(crate) async fn open_as(
        &self,
        sender: &Identity,
        offer: &Offer,
    ) -> Result<Verdict, Refusal> {
        match self {
            Self::Folder(inbox) => inbox.open_as(sender, offer).await,
            Self::Storage(inbox) => inbox.open_as(sender, offer),
        }
    }

    /// How long an upload is kept that nobody holds.
    pub(crate) fn expires_after(&self) -> Option<Duration> {
        match self {
            Self::Folder(inbox) => inbox.options().partial_expiry,
            Self::Storage(_) => None,
        }
    }

    /// As [`Inbox::loss`]; a storage tells its owner by itself.
    pub(crate) fn loss(&self) -> Option<InboxError> {
        match self {
            Self::Folder(inbox) => inbox.loss(),
            Self::Storage(_) => None,
        }
    }

    /// As [`Inbox::lost`].
    pub(crate) async fn lost(&self) -> InboxError {
        match self {
            Self::Folder(inbox) => inbox.lost().await,
            Self::Storage(_) => std::future::pending().await,
        }
    }

    /// Whether `refusal` says no more than that the whole inbox is lost.
    pub(crate) fn is_of_loss(&self, refusal: &Refusal) -> bool {
        match self {
            Self::Folder(inbox) => inbox.is_of_loss(refusal),
            Self::Storage(_) => false,
        }
    }
}
