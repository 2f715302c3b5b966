//! What receivers ask of an inbox beyond one offer: uploads with keys that the inbox makes, looking, and giving up.

use std::net::IpAddr;
use std::os::fd::AsFd;

use rustix::rand::{GetRandomFlags, getrandom};
use sandport_protocol::inbox::{self as rules, Claims};
use sandport_protocol::{
    Algorithm, ContentDigest, EntryKind, EntryName, Metadata, Offer, RESUME_KEY_BYTES, Receipt,
    Refusal, RefusalCode, Resume, ResumeMode,
};

use super::Inbox;
use super::inbox::Handle;
use super::receipts::Record;
use super::resumable::{UploadStatus, id_of};
use crate::Identity;

/// What is wanted of an upload beyond its offer. Default: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OfferOptions {
    /// Whether the inbox makes a key for it: [`Upload::key`](super::Upload::key). Then it is kept from its beginning,
    /// also empty and also where it is small, until it ends or [expires](super::InboxOptions::partial_expiry).
    pub new_key: bool,
    /// Whether it is there already. Where not, none is begun.
    pub existing: bool,
    /// Where its sender is, as far as is known. Of uploads with keys that the inbox makes, and of which nothing came,
    /// those of the address that has the most give way first.
    pub address: Option<IpAddr>,
    /// Where what is under way counts, by [`InboxOptions::max_place_bytes`](super::InboxOptions::max_place_bytes): an address,
    /// or all of an IPv6 network; `None`: nowhere, as for one that many senders share.
    pub place: Option<IpAddr>,
    /// What is kept beside it, where it is begun and can be resumed.
    pub metadata: Metadata,
    /// Digests that the file has to have, besides the one of BLAKE3 that the offer may have. The file of an offer that
    /// has one is [accepted](super::OfferResponse::Accepted) also where it is here already, and checked as it comes.
    pub digests: Vec<ContentDigest>,
    /// Algorithms whose digests are wanted: [`CommitHandle::digests`](super::CommitHandle::digests). Computing them may
    /// cost another reading of the file that came; of one that is here already they are not told.
    pub want: Vec<Algorithm>,
}

impl OfferOptions {
    /// What is to be found out of the file besides BLAKE3.
    pub(crate) fn claims(&self) -> Claims {
        Claims::new(&self.digests, &self.want)
    }

    /// The key of a new upload, where the inbox is to make one.
    ///
    /// # Errors
    /// `invalid-state`: the options contradict each other, or the offer. `io`: the system has no random numbers.
    pub(super) fn make_key(&self, offer: &Offer) -> Result<Option<Resume>, Refusal> {
        let contradicts = |words| Err(Refusal::new(RefusalCode::InvalidState, words));
        if self.existing && (self.new_key || offer.resume.is_none()) {
            return contradicts("an upload that is there already has a key");
        }
        if !self.new_key {
            return Ok(None);
        }
        if offer.resume.is_some() {
            return contradicts("an upload that has a key gets no other");
        }
        if offer.kind != EntryKind::File {
            return contradicts("only a file gets a key");
        }
        let mut key = [0; RESUME_KEY_BYTES];
        if getrandom(&mut key, GetRandomFlags::empty()) != Ok(key.len()) {
            return Err(Refusal::new(RefusalCode::Io, "the inbox could not make up a key"));
        }
        Ok(Some(Resume { key, epoch: 0, mode: ResumeMode::TakeOver }))
    }
}

impl Inbox {
    /// How far the upload is that `sender` has under `key`, or how it has ended a short while ago. It makes nothing,
    /// and holds nothing afterwards.
    ///
    /// `settles`: whoever holds it loses it first, with `locked`, and the answer comes when it is certain what they
    /// have brought; one that is being published is waited for.
    ///
    /// # Errors
    /// `invalid-state`: there is no such upload, or it is somebody else's: nothing tells these apart. `malformed`: the
    /// key is longer than [`KEY_BYTES_MAX`](super::KEY_BYTES_MAX). `io` and the like.
    pub async fn look(
        &self,
        sender: &Identity,
        key: &[u8],
        settles: bool,
    ) -> Result<UploadStatus, Refusal> {
        self.check_health()?;
        let id = id_of(sender, key)?;
        let Handle { core, registry, .. } = &*self.handle;
        let receipt = |name: &EntryName| -> Option<Receipt> {
            let any = |_: &Record| true;
            let found = core.receipts.find(core.layout.root.as_fd(), sender, name, any)?;
            found.is_certain.then(|| rules::receipt(&found.name, &found.record))
        };
        registry.status(id, settles, receipt).await
    }

    /// Ends the upload that `sender` has under `key`, whoever holds it: they are told that it is `cancelled`. Removes
    /// what is here of it, and forgets the key. A file that was published stays; one that is being published is
    /// waited for.
    ///
    /// # Errors
    /// As of [`Self::look`].
    pub async fn abandon(&self, sender: &Identity, key: &[u8]) -> Result<(), Refusal> {
        self.check_health()?;
        let id = id_of(sender, key)?;
        self.handle.registry.abandon(id).await
    }
}
