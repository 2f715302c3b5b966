//! Where the files of a server go.

use std::sync::Arc;
use std::time::Duration;

use sandport_protocol::inbox::Claims;
use sandport_protocol::{Offer, Refusal, RefusalCode};

use super::storage::{Answer, Storage, StorageInbox};
use super::{Inbox, InboxError, OfferOptions, OfferResponse, Upload, UploadStatus};
use crate::Identity;

/// Where the files of a server go: an [`Inbox`], or a [`Storage`] of its owner's. Cloning gives another handle to the
/// same one.
#[derive(Clone)]
pub struct AnyInbox(Kind);

#[derive(Clone)]
enum Kind {
    Directory(Inbox),
    Storage(Arc<StorageInbox>),
}

impl From<Inbox> for AnyInbox {
    fn from(inbox: Inbox) -> Self {
        Self(Kind::Directory(inbox))
    }
}

impl AnyInbox {
    /// One over a storage, which takes files of up to `max_file_size` bytes.
    pub fn over(storage: Box<dyn Storage>, max_file_size: Option<u64>) -> Self {
        Self(Kind::Storage(Arc::new(StorageInbox::new(storage, max_file_size))))
    }

    /// As [`Inbox::offer_with`](crate::Inbox::offer_with). What is in a storage ends with its connection.
    pub async fn offer(
        &self,
        sender: &Identity,
        offer: &Offer,
        options: &OfferOptions,
    ) -> Result<OfferResponse, Refusal> {
        match &self.0 {
            Kind::Directory(inbox) => inbox.offer_with(sender, offer, options).await,
            Kind::Storage(_) if options.new_key || options.existing => {
                let words = "uploads into this storage end with their connections";
                Err(Refusal::new(RefusalCode::InvalidState, words))
            }
            Kind::Storage(inbox) => {
                let claims = options.claims();
                response(inbox.offer(sender, offer, &claims)?, claims)
            }
        }
    }

    /// As [`Inbox::look`].
    pub async fn look(
        &self,
        sender: &Identity,
        key: &[u8],
        settles: bool,
    ) -> Result<UploadStatus, Refusal> {
        match &self.0 {
            Kind::Directory(inbox) => inbox.look(sender, key, settles).await,
            Kind::Storage(_) => Err(RefusalCode::InvalidState.into()),
        }
    }

    /// As [`Inbox::abandon`].
    pub async fn abandon(&self, sender: &Identity, key: &[u8]) -> Result<(), Refusal> {
        match &self.0 {
            Kind::Directory(inbox) => inbox.abandon(sender, key).await,
            Kind::Storage(_) => Err(RefusalCode::InvalidState.into()),
        }
    }

    /// Whether it matters [where](OfferOptions::place) what is under way counts.
    pub fn counts_places(&self) -> bool {
        match &self.0 {
            Kind::Directory(inbox) => inbox.options().max_place_bytes.is_some(),
            Kind::Storage(_) => false,
        }
    }

    /// How long an upload is kept that nobody holds.
    pub fn expires_after(&self) -> Option<Duration> {
        match &self.0 {
            Kind::Directory(inbox) => inbox.options().partial_expiry,
            Kind::Storage(_) => None,
        }
    }

    /// As [`Inbox::loss`]; a storage tells its owner by itself.
    pub fn loss(&self) -> Option<InboxError> {
        match &self.0 {
            Kind::Directory(inbox) => inbox.loss(),
            Kind::Storage(_) => None,
        }
    }

    /// As [`Inbox::lost`].
    pub async fn lost(&self) -> InboxError {
        match &self.0 {
            Kind::Directory(inbox) => inbox.lost().await,
            Kind::Storage(_) => std::future::pending().await,
        }
    }

    /// Whether `refusal` says no more than that the whole inbox is lost.
    pub fn is_of_loss(&self, refusal: &Refusal) -> bool {
        match &self.0 {
            Kind::Directory(inbox) => inbox.is_of_loss(refusal),
            Kind::Storage(_) => false,
        }
    }
}

/// What a storage answers, where that is to be found out of the file.
pub(super) fn response(answer: Answer, claims: Claims) -> Result<OfferResponse, Refusal> {
    Ok(match answer {
        Answer::Stored(receipt) => OfferResponse::Stored(receipt),
        Answer::DigestFirst => OfferResponse::DigestFirst,
        Answer::Accepted(upload) => {
            OfferResponse::Accepted(Upload::stored(upload).expecting(claims)?)
        }
    })
}
