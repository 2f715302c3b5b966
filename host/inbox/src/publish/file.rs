//! A file of a batch.

use std::sync::Arc;

use sandport_protocol::EntryName;

use super::copy::Way;
use crate::Identity;
use crate::receipts::Record;
use crate::space::Room;
use crate::stage::StagedFile;
use crate::usage::Reservation;

/// A file that is whole and verified.
pub(crate) struct FileWork {
    pub(crate) identity: Identity,
    /// What the sender called it.
    pub(crate) name: EntryName,
    /// Its part of the quota, where there is one. Where it gets no name, given back first: what is staged may be gone
    /// on with.
    pub(crate) reservation: Option<Reservation>,
    pub(crate) staged: StagedFile,
    pub(crate) record: Record,
    /// What is claimed of the disk for a copy of it, until it is published.
    pub(crate) claim: Option<Arc<dyn Room>>,
    pub(crate) way: Way,
    /// How many copies were made of it.
    pub(crate) copies: u32,
    /// Whether what is staged is durable.
    pub(crate) is_synced: bool,
}

impl FileWork {
    pub(crate) fn new(
        identity: Identity,
        name: EntryName,
        staged: StagedFile,
        record: Record,
        reservation: Option<Reservation>,
    ) -> Box<Self> {
        let (claim, way, copies, is_synced) = (None, Way::Move, 0, false);
        Box::new(Self {
            identity,
            name,
            staged,
            record,
            reservation,
            claim,
            way,
            copies,
            is_synced,
        })
    }
}
