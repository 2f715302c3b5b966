//! What the uploads of an inbox share.

use std::cell::Cell;

use sandport_protocol::inbox::{Record, made_up_name};
use sandport_protocol::{EntryName, Refusal, RefusalCode};

use super::files::Directory;
use super::options::{Ambient, Durability, Options};
use super::receipts::Receipts;
use super::tree;

/// What uploads share.
pub(super) struct Core<F: Directory> {
    pub(super) root: F,
    pub(super) staging: F,
    pub(super) options: Options,
    pub(super) receipts: Receipts<F>,
    pub(super) ambient: Ambient,
    /// Tells the staged files of this run from those of another that should not be there.
    run: u64,
    staged_count: Cell<u64>,
}

impl<F: Directory> Core<F> {
    /// Of a run that has this number.
    pub(super) fn new(
        root: F,
        staging: F,
        options: Options,
        receipts: Receipts<F>,
        ambient: Ambient,
        run: u64,
    ) -> Self {
        Self { root, staging, options, receipts, ambient, run, staged_count: Cell::new(0) }
    }

    pub(super) fn durable(&self) -> bool {
        self.options.durability == Durability::Commit
    }

    /// The directory at `path` (`None`: the inbox itself), made if it is missing, and durably.
    pub(super) fn directory(&self, path: Option<&str>) -> Result<F, Refusal> {
        tree::make(&self.root, path, self.durable())
            .map_err(|error| error.refusal_of_name("open a directory"))
    }

    pub(super) fn make_up_name(&self) -> Result<EntryName, Refusal> {
        let Ambient { chance, wall_s, .. } = self.ambient;
        // The upper half: as good as any.
        made_up_name(wall_s(), (chance() >> 32) as u32)
            .ok_or_else(|| Refusal::new(RefusalCode::Io, "the inbox could not make up a name"))
    }

    /// What was published for `offered`, fits, is on the disk as it was published, and will be there
    /// after a power cut.
    pub(super) fn vouched(
        &self,
        offered: &EntryName,
        fits: impl Fn(&Record) -> bool,
    ) -> Option<(EntryName, Record)> {
        self.receipts.find(&self.root, offered, fits)
    }

    pub(super) fn staged_name(&self) -> String {
        let number = self.staged_count.get();
        self.staged_count.set(number + 1);
        format!("{:016x}-{number:x}", self.run)
    }
}
