//! One file on its way in, and how it gets its name.

use std::rc::Rc;

use blake3::Hasher;
use sandport_protocol::inbox::{
    Arrival, Body, Chosen, Conflict, Occupant, RACES_MAX, Record, check_digest, choose_name,
    receipt, taken_again, taken_by_folder,
};
use sandport_protocol::{Digest, EntryName, Extent, Offer, Receipt, Refusal, RefusalCode};

use super::Core;
use super::files::{DiskError, File, Folder, Kind, Trouble};

/// How much of a file is read in one go where it has to be hashed once more. Bytes.
const READ_BYTES: usize = 256 * 1024;

/// One file on its way in. Dropping it discards what was staged.
pub struct Upload<F: Folder> {
    core: Rc<Core<F>>,
    name: EntryName,
    digest: Option<Digest>,
    modified_ns: Option<i64>,
    arrival: Arrival,
    body: Option<Body>,
    /// `None`: nobody can ask for this file by its name, so nobody needs its digest.
    hasher: Option<Box<Hasher>>,
    /// Made with the first byte.
    staged: Option<Staged<F>>,
    fault: Option<Refusal>,
}

/// A published file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its name.
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// `None`: it came without a name, and was not hashed.
    pub digest: Option<Digest>,
}

impl Published {
    /// The receipt for it.
    pub fn receipt(self) -> Receipt {
        // Who sends without a name speaks a dialect without receipts: nobody reads this digest.
        let digest = self.digest.unwrap_or(Digest::Blake3([0; 32]));
        Receipt { name: self.name, size: self.size, digest, proof: None }
    }
}

/// A file in staging. Dropping it removes it.
struct Staged<F: Folder> {
    core: Rc<Core<F>>,
    name: String,
    file: F::File,
    moved: bool,
}

impl<F: Folder> Upload<F> {
    pub(super) fn new(core: &Rc<Core<F>>, name: EntryName, offer: &Offer, made_up: bool) -> Self {
        let unhashed = made_up && offer.digest.is_none();
        Self {
            core: Rc::clone(core),
            name,
            digest: offer.digest,
            modified_ns: offer.modified_ns,
            arrival: Arrival::new(offer.size, core.options.size_max),
            body: None,
            hasher: (!unhashed).then(Box::default),
            staged: None,
            fault: None,
        }
    }

    /// The name under which it will be published, if that is free.
    pub fn name(&self) -> &EntryName {
        &self.name
    }

    /// What is not here yet, in ascending order. Empty: all of it is.
    pub fn missing(&self) -> Vec<Extent> {
        self.arrival.missing()
    }

    /// Begins a body, and ends an earlier one.
    ///
    /// # Errors
    /// `offset-mismatch`: the extent does not begin where the last one ended, goes beyond the
    /// announced size, or nothing is missing there. The fault of the upload.
    pub fn body(&mut self, extent: Extent) -> Result<(), Refusal> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        self.end_body();
        self.body = Some(self.arrival.begin(extent)?);
        Ok(())
    }

    /// Ends the body, if there is one.
    pub fn end_body(&mut self) {
        if let Some(body) = self.body.take() {
            self.arrival.end(body);
        }
    }

    /// Whether there is a body to write into.
    pub fn has_body(&self) -> bool {
        self.body.is_some()
    }

    /// The fault of its bodies, if they have one.
    pub fn fault(&self) -> Option<&Refusal> {
        self.fault.as_ref()
    }

    /// Hashes and stages `bytes`. It never fails: what goes wrong is the fault of the upload, and from
    /// then on bytes are swallowed.
    pub fn write(&mut self, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let offset = self.arrival.bytes();
        let length = bytes.len() as u64;
        let Some(file) = self.file_for(length) else { return };
        if let Err(error) = file.write(bytes, offset) {
            return self.fail(error.refusal("write a file"));
        }
        if let Some(hasher) = &mut self.hasher {
            hasher.update(bytes);
        }
        if let Some(body) = self.body {
            self.arrival.add(body, length);
        }
    }

    /// The staged file, for `length` more bytes. `None`: the upload has a fault, and they are not wanted.
    fn file_for(&mut self, length: u64) -> Option<&mut F::File> {
        if self.fault.is_some() {
            return None;
        }
        let allowed = match self.body {
            Some(body) => self.arrival.check(body, length),
            None => Err(RefusalCode::InvalidState.into()),
        };
        if let Err(refusal) = allowed {
            self.fail(refusal);
            return None;
        }
        if self.staged.is_none() {
            match Staged::create(&self.core) {
                Ok(staged) => self.staged = Some(staged),
                Err(error) => {
                    self.fail(error.refusal("write a file"));
                    return None;
                }
            }
        }
        self.staged.as_mut().map(|staged| &mut staged.file)
    }

    /// Gives it a fault, unless it has one.
    fn fail(&mut self, refusal: Refusal) {
        self.fault.get_or_insert(refusal);
        // It cannot be committed any more, so the disk gets its room back now.
        self.staged = None;
    }

    /// Ends the upload: checks `size` and `digest` (and what the offer said of them) against what
    /// arrived, and publishes the file.
    ///
    /// # Errors
    /// The fault; `digest-mismatch`; `exists`; `insufficient-space`; `io`.
    pub fn commit(mut self, size: u64, digest: Option<Digest>) -> Result<Published, Refusal> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        self.end_body();
        self.arrival.check_size(size)?;
        let failed = |error: DiskError| error.refusal("finish a file");
        let mut staged = match self.staged.take() {
            Some(staged) => staged,
            // An empty file had no first byte to be made with.
            None => Staged::create(&self.core).map_err(failed)?,
        };
        let computed = match (&self.hasher, digest) {
            (Some(hasher), _) => Some(Digest::Blake3(*hasher.finalize().as_bytes())),
            (None, Some(_)) => Some(staged.hash().map_err(failed)?),
            (None, None) => None,
        };
        if let Some(computed) = computed {
            check_digest(computed, [digest, self.digest].into_iter().flatten())?;
        }
        if let Some(modified_ns) = self.modified_ns {
            // A file system that cannot keep the time keeps the content all the same.
            let _ = staged.file.set_modified(modified_ns);
        }
        if self.core.durable() {
            staged.file.sync().map_err(|error| error.refusal("make a file durable"))?;
        }
        self.publish(&mut staged, size, computed)
    }

    /// Chooses a name, writes it down, and gives it to the file: in this order, so that no file is
    /// there without its record.
    fn publish(
        &self,
        staged: &mut Staged<F>,
        size: u64,
        digest: Option<Digest>,
    ) -> Result<Published, Refusal> {
        let core = &self.core;
        let look = core.staging.look(&staged.name);
        let look = look.map_err(|error| error.refusal("finish a file"))?;
        let record = digest.zip(look).map(|(digest, look)| look.record(*digest.as_bytes()));
        for _ in 0..RACES_MAX {
            let folder = core.folder(self.name.parent())?;
            let (number, name) = match self.choose(&folder, record.as_ref())? {
                Chosen::Name { number, name } => (number, name),
                Chosen::Same((name, record)) => {
                    let receipt = receipt(&name, &record);
                    let digest = Some(receipt.digest);
                    return Ok(Published { name: receipt.name, size: receipt.size, digest });
                }
                Chosen::Refused(refusal) => return Err(refusal),
            };
            if let Some(record) = record {
                let written = core.receipts.intend(&self.name, number, record);
                written.map_err(|error| error.refusal("write a receipt"))?;
            }
            match staged.place(&folder, name.leaf()) {
                Ok(()) => {}
                Err(error) => {
                    if record.is_some() {
                        core.receipts.take_back(&name);
                    }
                    match error.trouble {
                        Trouble::IsFolder => return Err(taken_by_folder()),
                        // Someone outside took the name, or the folder was removed.
                        Trouble::Exists | Trouble::NotFound => continue,
                        _ => return Err(error.refusal_of_name("publish a file")),
                    }
                }
            }
            if core.durable() {
                folder.sync().map_err(|error| error.refusal("make a folder durable"))?;
            }
            if let Some(record) = record {
                core.receipts.publish(&self.name, number, &name, record);
            }
            return Ok(Published { name: name.as_str().to_owned(), size, digest });
        }
        Err(taken_again())
    }

    fn choose(
        &self,
        folder: &F,
        record: Option<&Record>,
    ) -> Result<Chosen<(EntryName, Record)>, Refusal> {
        let look = |name: &EntryName| {
            Ok(match folder.look(name.leaf())? {
                None => Occupant::None,
                Some(look) if look.kind == Kind::Folder => Occupant::Folder,
                Some(_) => Occupant::Other,
            })
        };
        let same = || {
            let record = record?;
            let same = |other: &Record| other.digest == record.digest && other.size == record.size;
            self.core.vouched(&self.name, same)
        };
        choose_name(self.core.options.conflict, &self.name, look, same)
            .map_err(|error: DiskError| error.refusal_of_name("open a folder"))
    }
}

impl<F: Folder> Staged<F> {
    fn create(core: &Rc<Core<F>>) -> Result<Self, DiskError> {
        let name = core.staged_name();
        let file = core.staging.create(&name)?;
        Ok(Self { core: Rc::clone(core), name, file, moved: false })
    }

    fn hash(&mut self) -> Result<Digest, DiskError> {
        let mut hasher = Hasher::new();
        let mut offset = 0;
        loop {
            let bytes = self.file.read(offset, READ_BYTES)?;
            if bytes.is_empty() {
                return Ok(Digest::Blake3(*hasher.finalize().as_bytes()));
            }
            hasher.update(&bytes);
            offset += bytes.len() as u64;
        }
    }

    /// Gives the file its name.
    fn place(&mut self, folder: &F, leaf: &str) -> Result<(), DiskError> {
        let staging = &self.core.staging;
        if self.core.options.conflict != Conflict::Replace {
            match staging.link(&self.name, folder, leaf) {
                // The runtime has no links, or the file system: Linux calls that not permitted. The name was free a moment ago, and this is as near as
                // one comes to not replacing anything.
                Err(error) if error.trouble == Trouble::Unsupported || error.may_not_write() => {}
                // The first name goes when this is dropped.
                linked => return linked,
            }
        }
        staging.rename(&self.name, folder, leaf)?;
        self.moved = true;
        Ok(())
    }
}

impl<F: Folder> Drop for Staged<F> {
    fn drop(&mut self) {
        if !self.moved {
            // What cannot be removed now, the next start removes.
            let _ = self.core.staging.remove(&self.name);
        }
    }
}
