//! An inbox over somebody's [`Storage`]: answers to offers, and how uploads end.

use std::fmt;
use std::sync::Arc;

use sandport_protocol::inbox::{Claims, directory_receipt, directory_without_name, too_large};
use sandport_protocol::{EntryKind, EntryName, Offer, Receipt, Refusal, RefusalCode};

use super::ending::receipt;
use super::{Announced, Found, Storage, StorageUpload};
use crate::Identity;
use crate::unnamed;

/// An inbox whose files go into a [`Storage`].
pub(crate) struct StorageInbox {
    storage: Box<dyn Storage>,
    max_file_size: Option<u64>,
}

/// The answer to an offer: as of [`OfferResponse`](crate::OfferResponse).
pub(crate) enum Answer {
    Stored(Receipt),
    DigestFirst,
    Accepted(StorageUpload),
}

impl StorageInbox {
    pub(crate) fn new(storage: Box<dyn Storage>, max_file_size: Option<u64>) -> Self {
        Self { storage, max_file_size }
    }

    /// As [`Inbox::offer_with`](crate::Inbox::offer_with), but that there are no keys. `claims`: what is to be
    /// found out of the file besides BLAKE3.
    pub(crate) fn offer(
        self: &Arc<Self>,
        sender: &Identity,
        offer: &Offer,
        claims: &Claims,
    ) -> Result<Answer, Refusal> {
        match offer.kind {
            EntryKind::File => self.open_file(sender, offer, claims),
            EntryKind::Directory => self.open_directory(sender, offer),
            _ => Err(Refusal::new(RefusalCode::Other, "an inbox takes files and directories")),
        }
    }

    fn open_file(
        self: &Arc<Self>,
        sender: &Identity,
        offer: &Offer,
        claims: &Claims,
    ) -> Result<Answer, Refusal> {
        let name = match &offer.name {
            Some(name) => EntryName::parse(name)?,
            None => unnamed::made_up_name().ok_or(RefusalCode::Io)?,
        };
        // A storage cannot be asked for more of a file than its BLAKE3.
        if claims.is_empty()
            && let Some(Found { name, file }) = self.already_here(sender, &name, offer)
        {
            return Ok(match offer.digest {
                Some(_) => Answer::Stored(receipt(&name, file)),
                None => Answer::DigestFirst,
            });
        }
        if let (Some(size), Some(most)) = (offer.size, self.max_file_size)
            && size > most
        {
            return Err(too_large(self.max_file_size));
        }
        let announced = Announced {
            identity: sender.clone(),
            name,
            size: offer.size,
            modified_ns: offer.modified_ns,
            executable: offer.executable,
        };
        let incoming = self.storage.begin(&announced)?;
        let upload = StorageUpload::new(announced, offer.digest, self.max_file_size, incoming);
        Ok(Answer::Accepted(upload))
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

    fn open_directory(&self, sender: &Identity, offer: &Offer) -> Result<Answer, Refusal> {
        let name = EntryName::parse(offer.name.as_ref().ok_or_else(directory_without_name)?)?;
        let Some(directories) = self.storage.directories() else {
            let words = "empty directories are not kept here";
            return Err(Refusal::new(RefusalCode::Other, words));
        };
        directories.make(sender, &name)?;
        Ok(Answer::Stored(directory_receipt(&name)))
    }
}

impl fmt::Debug for StorageInbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageInbox")
            .field("max_file_size", &self.max_file_size)
            .finish_non_exhaustive()
    }
}
