//! Whether what is offered may come: what is here already, what its path leads to, and what the quota has room for.

use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::fs::Stat;
use sandport_protocol::inbox::{self as rules, taken, taken_by_other, taken_by_other_name};
use sandport_protocol::{EntryName, Offer, Refusal};

use super::receipts::Record;
use super::recognition::Seen;
use super::usage::Reservation;
use super::{Conflict, Core, OfferResponse, tree};
use crate::Identity;

/// From which announced size on the path of an offer is checked before its bytes are sent. Bytes. It
/// is checked when the file is published in any case; for a small file, that is early enough.
pub(super) const PATH_CHECK_BYTES_MIN: u64 = 64 * 1024;

impl Core {
    /// Room in the quota, where there is one.
    pub(super) fn reserve(
        &self,
        sender: &Identity,
        size: Option<u64>,
    ) -> Result<Option<Reservation>, Refusal> {
        self.usage.as_ref().map(|usage| usage.reserve(sender, size.unwrap_or(0))).transpose()
    }

    /// The same, where a count is waited for and no thread waits.
    pub(super) async fn reserve_soon(
        &self,
        sender: &Identity,
        size: Option<u64>,
    ) -> Result<Option<Reservation>, Refusal> {
        let Some(usage) = &self.usage else { return Ok(None) };
        usage.counted(|| self.reserve(sender, size)).await
    }

    /// The answer to an offer of a file that this sender has stored before and that is still as it was.
    pub(super) fn already_here(
        self: &Arc<Self>,
        sender: &Identity,
        name: &EntryName,
        offer: &Offer,
    ) -> Option<OfferResponse> {
        let fits = |record: &Record| rules::fits(offer, record);
        let root = self.layout.root.as_fd();
        let found = self.receipts.find(root, sender, name, fits)?;
        Some(match offer.digest {
            Some(_) if found.is_certain => {
                OfferResponse::Stored(rules::receipt(&found.name, &found.record))
            }
            Some(_) => OfferResponse::Comparing(self.begin_comparing(found)),
            None => OfferResponse::DigestFirst,
        })
    }

    /// Refuses what needs more new directories at `path` than the quota allows.
    pub(super) async fn check_new_directories(&self, path: Option<&str>) -> Result<(), Refusal> {
        let Some(usage) = &self.usage else { return Ok(()) };
        let missing = tree::missing(self.layout.root.as_fd(), path)
            .map_err(|obstacle| self.refusal_of_path(obstacle))?;
        match missing {
            0 => Ok(()),
            // Given back at once: it is asked again when they are made.
            missing => usage.counted(|| usage.reserve_directories(missing).map(drop)).await,
        }
    }

    /// Refuses early what could not be published under its name.
    pub(super) fn check_path(
        &self,
        sender: &Identity,
        name: &EntryName,
        size: Option<u64>,
    ) -> Result<(), Refusal> {
        let refuse = self.options.conflict == Conflict::Refuse;
        if !refuse && size.is_some_and(|size| size < PATH_CHECK_BYTES_MIN) {
            return Ok(());
        }
        let failed = |obstacle| self.refusal_of_path(obstacle);
        match tree::look_up(self.layout.root.as_fd(), name).map_err(failed)? {
            Some(_) if refuse => Err(taken()),
            Some(stat) if self.is_other_name(name, &stat).map_err(failed)? => {
                Err(taken_by_other_name())
            }
            Some(stat) if self.is_foreign(sender, name, &stat) => Err(taken_by_other()),
            _ => self.check_directory(name, size),
        }
    }

    /// Whether what has the name is a file that is not to be replaced by this sender: another has sent it.
    pub(super) fn is_foreign(&self, sender: &Identity, name: &EntryName, stat: &Stat) -> bool {
        self.options.conflict == Conflict::Replace
            && self.owner(name, stat).is_some_and(|owner| owner != *sender)
    }

    /// Whose the file with this status is that has the name; `None`: there is no record of it as it is.
    pub(super) fn owner(&self, name: &EntryName, stat: &Stat) -> Option<Identity> {
        self.receipts.owner(name.as_str(), &Seen::from(stat))
    }
}
