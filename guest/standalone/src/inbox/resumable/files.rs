//! The data and the journal of one upload.

use std::rc::Rc;

use sandport_protocol::journal::{Begun, Entry, GROUP_BYTES, Kept, ResumableId, Writer};
use sandport_protocol::upload::{Done, Held};
use sandport_protocol::{Digest, Refusal, RefusalCode};

use super::facts::Facts;
use super::names::{Name, Part};
use super::volume::Volume;
use crate::inbox::files::{Directory, DiskError, File};

/// The files of an upload that is open.
pub(super) struct Files<F: Directory> {
    volume: Rc<Volume<F>>,
    id: ResumableId,
    name: Name,
    data: Option<F::File>,
    journal: Option<F::File>,
    /// `None`: nothing is written yet.
    writer: Option<Writer>,
    /// Where the next frame goes.
    end: u64,
    /// Whether something may lie there of an append that has failed.
    is_torn: bool,
    /// What was written by another run is not what its journal says.
    is_damaged: bool,
    begun_s: i64,
}

impl<F: Directory> Files<F> {
    /// Of an upload of which nothing is there. It takes no room before its first byte.
    pub(super) fn begin(volume: &Rc<Volume<F>>, id: ResumableId) -> Self {
        Self {
            volume: Rc::clone(volume),
            id,
            name: volume.own(id),
            data: None,
            journal: None,
            writer: None,
            end: 0,
            is_torn: false,
            is_damaged: false,
            begun_s: i64::try_from((volume.wall_s)()).unwrap_or(i64::MAX),
        }
    }

    /// Of one that was found, with a journal that was read up to its end.
    pub(super) fn found(
        volume: &Rc<Volume<F>>,
        id: ResumableId,
        data: F::File,
        journal: F::File,
        (writer, end): (Writer, u64),
    ) -> Self {
        let (data, journal, writer) = (Some(data), Some(journal), Some(writer));
        // What lies behind the end fails its check.
        Self { data, journal, writer, end, is_torn: true, ..Self::begin(volume, id) }
    }

    pub(super) fn name(&self) -> Name {
        self.name
    }

    /// Whether this run has written all that there is.
    pub(super) fn is_made_here(&self) -> bool {
        self.volume.made_here.borrow().contains(&self.name)
    }

    /// Writes bytes to their place.
    pub(super) fn write(&mut self, at: u64, bytes: &[u8]) -> Result<(), Refusal> {
        if at.is_multiple_of(GROUP_BYTES) && self.data.is_some() {
            // Now and then: what another server has published by now is not to be written to.
            self.check_ours()?;
        }
        let written = self.open().and_then(|data| data.write(bytes, at));
        written.map_err(|error| error.refusal("write a file"))
    }

    /// Reads up to `most` bytes.
    pub(super) fn read(&mut self, at: u64, most: usize) -> Result<Vec<u8>, Refusal> {
        let read = self.open().and_then(|data| data.read(at, most));
        read.map_err(|error| error.refusal("read a partial file"))
    }

    /// The data, made if there is none.
    fn open(&mut self) -> Result<&mut F::File, DiskError> {
        let data = match self.data.take() {
            Some(data) => data,
            None => {
                let data = self.volume.create(&self.name.data())?;
                self.volume.names.add(self.name, Part::Data);
                self.volume.made_here.borrow_mut().insert(self.name);
                data
            }
        };
        Ok(self.data.insert(data))
    }

    /// Whether the files still have their names: another server may have taken them over.
    fn check_ours(&self) -> Result<(), Refusal> {
        let look = self.volume.directory.look(&self.name.data());
        match look.map_err(|error| error.refusal("look at a partial file"))? {
            Some(_) => Ok(()),
            None => {
                let words = "the inbox lost a partial file: another server may have the directory";
                Err(Refusal::new(RefusalCode::Io, words))
            }
        }
    }

    /// As [`Work::Checkpoint`](sandport_protocol::upload::Work::Checkpoint).
    pub(super) fn keep(
        &mut self,
        facts: &Facts,
        held: Option<&Held>,
        entries: Vec<Kept>,
        is_synced: bool,
    ) -> Done {
        if let Some(held) = held
            && let Err(refusal) = self.write(held.at, &held.bytes)
        {
            return Done::Unwritten(refusal);
        }
        if self.data.is_some()
            && let Err(refusal) = self.check_ours()
        {
            return Done::Unsynced(refusal);
        }
        let is_synced = is_synced && self.volume.is_durable;
        let says_something = !entries.is_empty() || self.writer.is_some();
        if is_synced
            && says_something
            && let Some(data) = &mut self.data
            && let Err(error) = data.sync()
        {
            return Done::Unsynced(error.refusal("make a partial file durable"));
        }
        match self.append(facts, entries, is_synced) {
            Ok(()) => Done::Checkpointed,
            Err(error) => Done::Unwritten(error.refusal("write the journal of a partial file")),
        }
    }

    /// Appends entries. Where that fails, none of them counts, and the next ones overwrite what was written of them.
    fn append(
        &mut self,
        facts: &Facts,
        entries: Vec<Kept>,
        is_synced: bool,
    ) -> Result<(), DiskError> {
        let (mut writer, mut bytes) = match &self.writer {
            Some(writer) => (writer.clone(), Vec::new()),
            None => Writer::begin(self.id.journal(), self.begun(facts)),
        };
        entries.into_iter().for_each(|entry| writer.push(&mut bytes, &Entry::Kept(entry)));
        if bytes.is_empty() {
            return Ok(());
        }
        let mut journal = match self.journal.take() {
            Some(journal) => journal,
            None => {
                let journal = self.volume.create(&self.name.journal())?;
                self.volume.names.add(self.name, Part::Journal);
                journal
            }
        };
        self.is_torn = true;
        let written = journal.write(&bytes, self.end);
        let written = written.and_then(|()| if is_synced { journal.sync() } else { Ok(()) });
        self.journal = Some(journal);
        written?;
        if is_synced && self.writer.is_none() {
            // The entries of both files.
            self.volume.directory.sync()?;
        }
        self.is_torn = false;
        self.writer = Some(writer);
        self.end += bytes.len() as u64;
        Ok(())
    }

    fn begun(&self, facts: &Facts) -> Begun {
        Begun {
            name: facts.name.as_str().to_owned(),
            size: facts.size,
            identity: None,
            begun_s: self.begun_s,
        }
    }

    /// The digest of a file of at most a chunk group.
    pub(super) fn hash(&mut self, size: u64) -> Result<Digest, Refusal> {
        let length = usize::try_from(size.min(GROUP_BYTES)).unwrap_or(0);
        let content = if length > 0 { self.read(0, length)? } else { Vec::new() };
        if content.len() != length {
            return Err(Refusal::new(RefusalCode::Io, "the inbox lost bytes of a partial file"));
        }
        Ok(Digest::Blake3(*blake3::hash(&content).as_bytes()))
    }

    /// Makes the file ready to be published: as long as it is to be, with its time.
    ///
    /// # Errors
    /// `io` and the like.
    pub(super) fn finish(&mut self, size: u64, modified_ns: Option<i64>) -> Result<(), Refusal> {
        if self.data.is_some() {
            self.check_ours()?;
        }
        // An empty stream had no first byte to be made with; and a run that was killed may have written more than
        // it kept.
        let finished = self.open().and_then(|data| data.truncate(size).map(|()| data));
        let data = finished.map_err(|error| error.refusal("finish a file"))?;
        if let Some(modified_ns) = modified_ns {
            // A file system that cannot keep the time keeps the content all the same.
            let _ = data.set_modified(modified_ns);
        }
        Ok(())
    }

    /// Makes the content durable, where that is promised.
    ///
    /// # Errors
    /// `io` and the like: nothing since the last watermark is to be relied on.
    pub(super) fn sync(&mut self) -> Result<(), Refusal> {
        match &mut self.data {
            Some(data) if self.volume.is_durable => {
                data.sync().map_err(|error| error.refusal("make a file durable"))
            }
            _ => Ok(()),
        }
    }

    /// The file has its name: nothing of the upload is needed any more, but what tells the sender of a stream.
    pub(super) fn published(&mut self, is_named: bool) {
        if is_named {
            return self.remove();
        }
        self.close();
        self.volume.remove_part(self.name, Part::Data);
        self.volume.made_here.borrow_mut().remove(&self.name);
        self.volume.remove_others(self.id);
    }

    /// Removes everything.
    pub(super) fn remove(&mut self) {
        self.close();
        self.volume.remove_all(self.id);
    }

    /// Nobody is to go on with it.
    pub(super) fn is_damaged(&mut self) {
        self.is_damaged = true;
    }

    /// Closes it, so that it can be resumed.
    pub(super) fn park(&mut self) {
        // Without a journal the data says nothing.
        if self.writer.is_none() || self.is_damaged {
            if self.data.is_some() || self.journal.is_some() {
                self.remove();
            }
            return;
        }
        if self.is_torn
            && let Some(journal) = &mut self.journal
        {
            // What is left there would count, and speak of bytes that do not.
            let _ = journal.truncate(self.end);
        }
        self.close();
    }

    fn close(&mut self) {
        (self.data, self.journal) = (None, None);
    }
}
