//! The quota of a simulated inbox: the real account, over a directory with nothing in it.

use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};

use sandport_protocol::Refusal;
use tempfile::TempDir;

use crate::Identity;
use crate::partial_files::data_name;
use crate::receipts::Receipts;
use crate::recognition::Recognition;
use crate::resumable::Id;
use crate::usage::{self, Reservation, Usage};

/// The account of one run of a server.
pub(super) struct Quota(Arc<Usage>);

impl Quota {
    /// With room for `max_bytes`.
    pub(super) fn new(max_bytes: u64) -> Self {
        static DIRECTORY: OnceLock<TempDir> = OnceLock::new();
        let directory = DIRECTORY.get_or_init(|| tempfile::tempdir().unwrap()).path();
        let root = std::fs::File::open(directory).unwrap();
        let receipts = Arc::new(Receipts::in_memory(Recognition::of(root.as_fd(), Some(true))));
        let whole = usage::Quota::new(Some(max_bytes), None);
        // Shares are counted, and none is ever used up: so it can be asked what waits.
        let share = usage::Quota::new(Some(u64::MAX / 2), None);
        let most = usage::Most { quota: whole, share, of_place: None };
        let usage = Usage::open(directory, most, &receipts, root.as_fd());
        let usage = usage.unwrap();
        // So that no refusal begins another count, which would end when it likes.
        usage.count_now();
        Self(usage)
    }

    pub(super) fn reserve(&self, who: &Identity, bytes: u64) -> Result<Reservation, Refusal> {
        self.0.reserve(who, bytes)
    }

    pub(super) fn take_up(
        &self,
        who: &Identity,
        id: Id,
        bytes: u64,
    ) -> Result<Reservation, Refusal> {
        self.0.reserve_waiting(who, &data_name(id), bytes)
    }

    pub(super) fn parked(&self, who: &Identity, id: Id, bytes: u64) {
        self.0.waits(who, data_name(id), bytes);
    }

    pub(super) fn removed(&self, id: Id) {
        self.0.removed_waiting(&data_name(id));
    }

    /// How many bytes and files are reserved, and how many files wait.
    pub(super) fn totals(&self) -> [u64; 3] {
        let [_, _, bytes, files, _, waiting] = self.0.share(&Identity::ANONYMOUS);
        [bytes, files, waiting]
    }
}
