//! What an upload holds of the quota.

use std::net::IpAddr;
use std::sync::Arc;

use sandport_protocol::Refusal;

use super::Usage;
use super::account::Amount;
use crate::Identity;
use crate::network::network;

/// A part of the quota that an upload holds until its file has a name, or until this is dropped.
pub(crate) struct Reservation {
    usage: Arc<Usage>,
    /// In whose share it is, where shares are counted.
    owner: Option<Identity>,
    /// Where it counts, where that matters.
    place: Option<IpAddr>,
    amount: Amount,
    /// Who gets it where the file gets no name.
    returns_to: Option<Box<dyn FnOnce(Self) + Send + Sync>>,
}

impl Usage {
    /// Reserves room for a file of `bytes` that `sender` sends.
    ///
    /// # Errors
    ///
    /// `quota-exceeded`; `insufficient-space`, while what is stored is being counted.
    pub(crate) fn reserve(
        self: &Arc<Self>,
        sender: &Identity,
        bytes: u64,
    ) -> Result<Reservation, Refusal> {
        let (owner, amount) = (self.owner_of(sender), Amount::file(bytes));
        self.add(owner.as_ref(), amount)?;
        Ok(Reservation::new(self, owner, amount))
    }

    /// Takes up an upload that waited in the data file `name`, and reserves room for all of its `bytes`.
    ///
    /// # Errors
    ///
    /// `quota-exceeded`; then it waits on.
    pub(crate) fn reserve_waiting(
        self: &Arc<Self>,
        sender: &Identity,
        name: &str,
        bytes: u64,
    ) -> Result<Reservation, Refusal> {
        let waited = self.account().stop_waiting(name);
        let reserved = self.reserve(sender, bytes);
        if let (Err(_), Some(waited)) = (&reserved, waited) {
            self.account().wait(name.to_owned(), waited);
        }
        reserved
    }

    /// Reserves room for directories that are about to be made. Each is counted when it is there
    /// ([`Making::made`](super::Making::made)), and then the reservation is given up.
    ///
    /// # Errors
    ///
    /// As of [`Self::reserve`].
    pub(crate) fn reserve_directories(
        self: &Arc<Self>,
        count: u64,
    ) -> Result<Reservation, Refusal> {
        let amount = Amount { bytes: 0, files: count };
        self.add(None, amount)?;
        Ok(Reservation::new(self, None, amount))
    }
}

impl Reservation {
    fn new(usage: &Arc<Usage>, owner: Option<Identity>, amount: Amount) -> Self {
        Self { usage: Arc::clone(usage), owner, place: None, amount, returns_to: None }
    }

    /// The same, which counts at this place too.
    ///
    /// # Errors
    ///
    /// `too-many`: as much is under way from there as may be. `quota-exceeded`: it alone is more.
    pub(crate) fn count_at(
        reservation: Option<Self>,
        place: Option<IpAddr>,
    ) -> Result<Option<Self>, Refusal> {
        let Some(mut counted) = reservation else { return Ok(None) };
        if counted.usage.most_of_place.is_some() && place.is_some() {
            let place = place.map(network);
            counted.usage.add_at(place, counted.amount.bytes)?;
            counted.place = place;
        }
        Ok(Some(counted))
    }

    /// Where it counts.
    pub(crate) fn place(&self) -> Option<IpAddr> {
        self.place
    }

    /// The same; where it is given up before it is settled, `owner` gets it back.
    pub(crate) fn returning_to(self, owner: impl FnOnce(Self) + Send + Sync + 'static) -> Self {
        let mut lent = self;
        lent.returns_to = Some(Box::new(owner));
        lent
    }

    /// Makes sure that it is for `bytes` at least.
    ///
    /// # Errors
    ///
    /// `quota-exceeded`; then it is as it was.
    pub(crate) fn grow(&mut self, bytes: u64) -> Result<(), Refusal> {
        let more = bytes.saturating_sub(self.amount.bytes);
        if more > 0 {
            self.usage.add_at(self.place, more)?;
            let added = self.usage.add(self.owner.as_ref(), Amount { bytes: more, files: 0 });
            if added.is_err() {
                self.usage.account().remove_at(self.place, more);
                return added;
            }
            self.amount.bytes = bytes;
        }
        Ok(())
    }

    /// The file is about to get its name. It is followed by [`Reservation::settle`] or
    /// [`Reservation::not_published`].
    pub(crate) fn publishing(&self, inode: u64) {
        self.usage.account().publishing.insert(inode);
    }

    /// It did not.
    pub(crate) fn not_published(&self, inode: u64) {
        self.usage.account().publishing.remove(&inode);
    }

    /// The file has its name and is of `bytes`. [`Usage::recorded`] follows.
    pub(crate) fn settle(mut self, inode: u64, bytes: u64) {
        let owner = self.owner.take();
        let mut account = self.usage.account();
        account.publishing.remove(&inode);
        account.reserved.remove(owner.as_ref(), self.amount);
        account.remove_at(self.place.take(), self.amount.bytes);
        account.store(owner.as_ref(), Amount::file(bytes), inode);
        if let Some(owner) = owner {
            account.unrecorded.insert(inode, owner);
        }
        drop(account);
        (self.amount, self.returns_to) = (Amount::default(), None);
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let (owner, amount) = (self.owner.take(), std::mem::take(&mut self.amount));
        let place = self.place.take();
        match self.returns_to.take() {
            Some(give_back) => {
                let usage = Arc::clone(&self.usage);
                give_back(Self { usage, owner, place, amount, returns_to: None });
            }
            None => {
                let mut account = self.usage.account();
                account.reserved.remove(owner.as_ref(), amount);
                account.remove_at(place, amount.bytes);
            }
        }
    }
}
