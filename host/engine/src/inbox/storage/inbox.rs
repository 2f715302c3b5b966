//! An inbox over somebody's [`Storage`]: verdicts on offers, and how uploads end.

use std::fmt;
use std::sync::Arc;

use sandport_protocol::inbox::{Claims, folder_receipt, folder_without_name, too_large};
use sandport_protocol::{EntryKind, EntryName, Offer, Receipt, Refusal, RefusalCode};

use super::{Announced, Arrived, Found, Incoming, Storage, StorageUpload};
use crate::Identity;
use crate::inbox::commit::{Pending, Ticket};
use crate::inbox::{Upload, Verdict, unnamed};

/// An inbox whose files go into a [`Storage`].
pub(crate) struct StorageInbox {
    storage: Box<dyn Storage>,
    size_max: Option<u64>,
}

impl StorageInbox {
    pub(crate) fn new(storage: Box<dyn Storage>, size_max: Option<u64>) -> Self {
        Self { storage, size_max }
    }

    /// As [`Inbox::open_as`](crate::inbox::Inbox::open_as), with `claims` of digests that the offer does not have.
    pub(crate) fn open_with(
        self: &Arc<Self>,
        sender: &Identity,
        offer: &Offer,
        claims: Claims,
    ) -> Result<Verdict, Refusal> {
        match offer.kind {
            EntryKind::File => self.open_file(sender, offer, claims),
            EntryKind::Directory => self.open_folder(sender, offer),
            _ => Err(Refusal::new(RefusalCode::Other, "an inbox takes files and folders")),
        }
    }

    fn open_file(
        self: &Arc<Self>,
        sender: &Identity,
        offer: &Offer,
        claims: Claims,
    ) -> Result<Verdict, Refusal> {
        let name = match &offer.name {
            Some(name) => EntryName::parse(name)?,
            None => unnamed::made_up_name().ok_or(RefusalCode::Io)?,
        };
        // A storage cannot be asked for more of a file than its BLAKE3.
        if claims.is_empty()
            && let Some(Found { name, file }) = self.already_here(sender, &name, offer)
        {
            return Ok(match offer.digest {
                Some(_) => Verdict::Stored(receipt(&name, file)),
                None => Verdict::DigestFirst,
            });
        }
        if let (Some(size), Some(most)) = (offer.size, self.size_max)
            && size > most
        {
            return Err(too_large(self.size_max));
        }
        let announced = Announced {
            identity: sender.clone(),
            name,
            size: offer.size,
            modified_ns: offer.modified_ns,
            executable: offer.executable,
        };
        let incoming = self.storage.begin(&announced)?;
        let upload = StorageUpload::new(announced, offer.digest, self.size_max, incoming);
        Ok(Verdict::Accepted(Upload::stored(upload).expecting(claims)?))
    }

    pub(super) fn already_here(
        &self,
        sender: &Identity,
        name: &EntryName,
        offer: &Offer,
    ) -> Option<Found> {
        let nameable = offer.name.is_some() && (offer.size.is_some() || offer.digest.is_some());
        let lookup = self.storage.lookup().filter(|_| nameable)?;
        lookup.find(sender, name, offer.size, offer.digest)
    }

    fn open_folder(&self, sender: &Identity, offer: &Offer) -> Result<Verdict, Refusal> {
        let name = EntryName::parse(offer.name.as_ref().ok_or_else(folder_without_name)?)?;
        let Some(folders) = self.storage.folders() else {
            let words = "empty folders are not kept here";
            return Err(Refusal::new(RefusalCode::Other, words));
        };
        folders.make(sender, &name)?;
        Ok(Verdict::Stored(folder_receipt(&name)))
    }

    /// Publishes what is complete, or says why it is not.
    pub(super) fn end(complete: Result<Complete, Refusal>) -> Pending {
        let (ticket, pending) = Ticket::new();
        tokio::spawn(async move {
            let outcome = match complete {
                Ok(Complete { incoming, file }) => {
                    incoming.publish(file).await.map(|name| receipt(&name, file))
                }
                Err(refusal) => Err(refusal),
            };
            ticket.resolve(outcome);
        });
        pending
    }
}

/// A file that is to be published.
pub(super) struct Complete {
    pub(super) incoming: Box<dyn Incoming>,
    pub(super) file: Arrived,
}

fn receipt(name: &EntryName, file: Arrived) -> Receipt {
    Receipt { name: name.as_str().to_owned(), size: file.size, digest: file.digest, proof: None }
}

impl fmt::Debug for StorageInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageInbox").field("size_max", &self.size_max).finish_non_exhaustive()
    }
}
