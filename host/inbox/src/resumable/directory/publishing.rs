//! Making the file of an upload ready to be published.

use std::os::fd::AsFd;
use std::sync::Arc;

use sandport_protocol::{Digest, Refusal};

use super::upload::{Files, size_of};
use crate::partial_files::data_name;
use crate::publish::{FileWork, is_large, sync_ahead};
use crate::receipts::{self, Record};
use crate::resumable::volume::Facts;
use crate::space::Room;
use crate::stage::{PublishEnd, StagedFile};
use crate::usage::Reservation;

impl Files {
    /// Refuses what could not be published under its name. The upload stays then, and who commits it again and again
    /// would have all of it read each time.
    pub(super) fn check_name(
        &self,
        facts: &Facts,
        size: u64,
        digest: Digest,
    ) -> Result<(), Refusal> {
        let core = &self.core;
        let is_it =
            |record: &Record| record.size == size && Digest::Blake3(record.digest) == digest;
        let root = core.layout.root.as_fd();
        match core.receipts.find(root, &facts.identity, &facts.name, is_it) {
            // It is here already.
            Some(_) => Ok(()),
            None => core.check_path(&facts.identity, &facts.name, Some(size)),
        }
    }

    /// Makes the file ready to be published.
    pub(super) fn file_work(
        &self,
        facts: &Facts,
        (size, digest): (u64, Digest),
        (modified_ns, executable): (Option<i64>, bool),
        reservation: Option<Reservation>,
        claim: Option<Arc<dyn Room>>,
        end: Box<dyn PublishEnd>,
    ) -> Result<Box<FileWork>, Refusal> {
        let core = &self.core;
        let failed = |errno| core.refusal("finish a file", errno);
        // An empty stream had no first byte to be made with.
        let data = self.open_data()?;
        // A server that was killed may have written more of a stream than it kept.
        if size_of(&data).map_err(failed)? != size {
            core.disk.cut(&data, size).map_err(failed)?;
        }
        let (was_closed, failures_before) = {
            let data = self.data();
            (data.was_closed(), data.failures_before())
        };
        let (data, name) = ((!was_closed).then_some(data), data_name(self.id));
        let mut staged = StagedFile::of_partial(core, name, data, failures_before, end);
        let executable = executable && core.options.allow_executable;
        let stat = staged.finish(modified_ns, executable).map_err(failed)?;
        let record = receipts::describe(*digest.as_bytes(), &stat);
        let reservation = match reservation {
            // It was given to an earlier commit, which failed.
            None => core.reserve(&facts.identity, Some(size))?,
            reservation => reservation,
        };
        let (identity, name) = (facts.identity.clone(), facts.name.clone());
        let mut file = FileWork::new(identity, name, staged, record, reservation);
        // The connection that brought the last of it gives it up now.
        file.claim = claim;
        if is_large(core, &file) {
            sync_ahead(core, &mut file)?;
        }
        Ok(file)
    }
}
