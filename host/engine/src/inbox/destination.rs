//! Where the files of a server go.

use std::sync::Arc;
use std::time::Duration;

use sandport_protocol::inbox::Claims;
use sandport_protocol::{Offer, Refusal, RefusalCode};

use super::storage::{Answer, StorageInbox};
use super::{Inbox, InboxError, Status, Upload, Verdict, Wishes};
use crate::Identity;

/// Where the files of a server go: into a folder, or into a storage of its owner's.
pub(crate) enum Destination {
    Folder(Inbox),
    Storage(Arc<StorageInbox>),
}

impl Destination {
    /// As [`Inbox::open_with`]. What is in a storage ends with its connection.
    pub(crate) async fn open(
        &self,
        sender: &Identity,
        offer: &Offer,
        wishes: &Wishes,
    ) -> Result<Verdict, Refusal> {
        match self {
            Self::Folder(inbox) => inbox.open_with(sender, offer, wishes).await,
            Self::Storage(_) if wishes.new_key || wishes.existing => {
                let words = "uploads into this storage end with their connections";
                Err(Refusal::new(RefusalCode::InvalidState, words))
            }
            Self::Storage(inbox) => {
                let claims = wishes.claims();
                verdict(inbox.open_as(sender, offer, &claims)?, claims)
            }
        }
    }

    /// As [`Inbox::look`].
    pub(crate) async fn look(
        &self,
        sender: &Identity,
        key: &[u8],
        settles: bool,
    ) -> Result<Status, Refusal> {
        match self {
            Self::Folder(inbox) => inbox.look(sender, key, settles).await,
            Self::Storage(_) => Err(RefusalCode::InvalidState.into()),
        }
    }

    /// As [`Inbox::abandon`].
    pub(crate) async fn abandon(&self, sender: &Identity, key: &[u8]) -> Result<(), Refusal> {
        match self {
            Self::Folder(inbox) => inbox.abandon(sender, key).await,
            Self::Storage(_) => Err(RefusalCode::InvalidState.into()),
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

/// What a storage answers, where that is to be found out of the file.
pub(super) fn verdict(answer: Answer, claims: Claims) -> Result<Verdict, Refusal> {
    Ok(match answer {
        Answer::Stored(receipt) => Verdict::Stored(receipt),
        Answer::DigestFirst => Verdict::DigestFirst,
        Answer::Accepted(upload) => Verdict::Accepted(Upload::stored(upload).expecting(claims)?),
    })
}
