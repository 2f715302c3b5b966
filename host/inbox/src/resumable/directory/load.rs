//! Finding what is there of an upload that nobody has open.

use blake3::hazmat::HasherExt;
use rustix::fs::OFlags;
use sandport_protocol::journal::{Begun, Entry, GROUP_BYTES, Kept, Recovery, group_hasher};
use sandport_protocol::upload::Found;
use sandport_protocol::{EntryName, Refusal};

use super::PartialsDirectory;
use super::files::{self, Data, open_regular};
use super::journal::Journal;
use super::upload::{Files, size_of};
use crate::Durability;
use crate::partial_files::{data_name, journal_name};
use crate::resumable::Id;
use crate::resumable::volume::Loaded;

/// How much of a journal is read at a time. Bytes.
const JOURNAL_PIECE_BYTES: usize = 1024 * 1024;

impl PartialsDirectory {
    /// As of [`Volume::load`](crate::resumable::volume::Volume::load).
    pub(super) fn find(&self, id: Id) -> Result<Option<Loaded>, Refusal> {
        let core = &self.core;
        let failed = |errno| core.refusal("read a partial file", errno);
        let journal = open_regular(core, &journal_name(id), OFlags::RDWR).map_err(failed)?;
        let Some(journal) = journal else {
            return Ok(files::is_orphan(core, id).then_some(Loaded::Unusable));
        };
        let data = open_regular(core, &data_name(id), OFlags::RDWR).map_err(failed)?;
        if let Some(data) = &data
            && !files::lock_shared(data).map_err(failed)?
        {
            return Ok(None);
        }
        let data_bytes = match &data {
            Some(data) => size_of(data).map_err(failed)?,
            None => 0,
        };
        let journal_bytes = size_of(&journal).map_err(failed)?;
        let mut recovery = Recovery::new(id.journal(), core.boot, data_bytes);
        let mut offset = 0;
        while offset < journal_bytes {
            let length = (journal_bytes - offset).min(JOURNAL_PIECE_BYTES as u64);
            let mut piece = vec![0; usize::try_from(length).unwrap_or(0)];
            core.disk.read(&journal, &mut piece, offset).map_err(failed)?;
            if !recovery.push(&piece) {
                break;
            }
            offset += length;
        }
        let recovered = match recovery.finish() {
            Ok(recovered) => recovered,
            Err(error) => {
                tracing::warn!(%id, %error, "a partial file cannot be resumed");
                return Ok(Some(Loaded::Unusable));
            }
        };
        let Ok(name) = EntryName::parse(&recovered.begun.name) else {
            return Ok(Some(Loaded::Unusable));
        };
        let Some(data) = data else {
            return Ok(Some(Loaded::Published(name)));
        };
        if recovered.end < journal_bytes {
            let torn = journal_bytes - recovered.end;
            tracing::warn!(%id, bytes = torn, "cut a torn end off the journal of a partial file");
            // What is left there fails its check in any case.
            let _ = core.disk.cut(&journal, recovered.end);
        }
        // What a server heard that is gone by now, nobody hears again.
        if recovered.is_being_synced
            && !files::are_there(core, &data, &recovered).map_err(failed)?
        {
            tracing::warn!(%id, "what was kept of a partial file is not there");
            return Ok(Some(Loaded::Unusable));
        }
        let mut tail = None;
        if let Some(found) = recovered.tail {
            let start = found.group * GROUP_BYTES;
            let mut content = vec![0; usize::try_from(found.length).unwrap_or(0)];
            core.disk.read(&data, &mut content, start).map_err(failed)?;
            let mut hasher = group_hasher(found.group);
            hasher.update(&content);
            if hasher.finalize_non_root() == found.value {
                tail = Some((found.group, found.length, hasher));
            } else {
                tracing::warn!(%id, "the last bytes of a partial file are not what was kept");
            }
        }
        // What holds for this boot alone; and a write that failed after the last server had gone is told now, or never.
        let to_say_again = match core.options.durability {
            Durability::Full => recovered.to_say_again(),
            Durability::Commit | Durability::None => Vec::new(),
        };
        let is_to_be_synced = !to_say_again.is_empty()
            || (recovered.is_of_boot && core.options.durability != Durability::None);
        let is_being_synced = recovered.is_being_synced;
        let found = Found { tree: recovered.tree, whole: recovered.kept, tail };
        let journal = Journal::found(recovered.writer, recovered.end, recovered.is_of_boot);
        let (size, notes) = (recovered.begun.size, recovered.notes);
        let files = self.files(id, Data::found(core, data), journal);
        if is_to_be_synced && !files.settle(&recovered.begun, is_being_synced, to_say_again)? {
            return Ok(Some(Loaded::Unusable));
        }
        // Nothing of it waits to be written.
        files.data().close_clean_if_many(core);
        Ok(Some(Loaded::ResumableUpload { name, size, notes, found, blob: files }))
    }
}

impl Files {
    /// Makes durable what an earlier server has said to be here and has not synced, and says `again` what of it is to
    /// hold after a power cut; `false`: it is lost.
    ///
    /// # Errors
    /// Those of writing the journal: what is to hold is not believed before it does.
    fn settle(
        &self,
        begun: &Begun,
        is_being_synced: bool,
        again: Vec<Kept>,
    ) -> Result<bool, Refusal> {
        let failed = |errno| self.core.refusal("write the journal of a partial file", errno);
        if !is_being_synced {
            self.say(begun, Kept::syncing(self.core.boot)).map_err(failed)?;
        }
        if let Err(errno) = self.sync() {
            tracing::warn!(id = %self.id, error = %errno, "what was kept of a partial file is lost");
            return Ok(false);
        }
        let is_said = !again.is_empty();
        let entries = if is_said { again } else { vec![Kept::synced()] };
        let entries = entries.into_iter().map(Entry::Kept);
        let said = self.journal().append(&self.core, self.id, || begun.clone(), entries, is_said);
        match said {
            Err(errno) if is_said => Err(failed(errno)),
            // It is looked at once more the next time.
            _ => Ok(true),
        }
    }
}
