//! A file on its way in that ends with its connection.

use std::rc::Rc;

use blake3::Hasher;
use sandport_protocol::inbox::{Body, InOrder, check_digest};
use sandport_protocol::{Digest, EntryName, Extent, Refusal};

use super::accepted_offer::AcceptedOffer;
use super::files::{Directory, DiskError, File};
use super::publish::{Published, Source};
use super::state::Core;

/// How much of a file is read in one go where it has to be hashed once more. Bytes.
const READ_BYTES: usize = 256 * 1024;

/// One file on its way in. Dropping it discards what was staged.
pub(super) struct Transient<F: Directory> {
    core: Rc<Core<F>>,
    name: EntryName,
    modified_ns: Option<i64>,
    upload: InOrder,
    body: Option<Body>,
    /// Made with the first byte.
    staged: Option<Staged<F>>,
}

/// A file in staging. Dropping it removes it.
struct Staged<F: Directory> {
    core: Rc<Core<F>>,
    name: String,
    file: F::File,
    is_moved: bool,
}

impl<F: Directory> Transient<F> {
    pub(super) fn new(core: &Rc<Core<F>>, accepted: AcceptedOffer) -> Self {
        let AcceptedOffer { name, is_made_up, size, digest, modified_ns } = accepted;
        let max_file_size = core.options.max_file_size;
        let upload = match is_made_up {
            // Nobody can ask for this file by its name, so nobody needs its digest.
            true => InOrder::unhashed(size, digest, max_file_size),
            false => InOrder::new(size, digest, max_file_size),
        };
        Self { core: Rc::clone(core), name, modified_ns, upload, body: None, staged: None }
    }

    pub(super) fn name(&self) -> &EntryName {
        &self.name
    }

    pub(super) fn missing(&self) -> Vec<Extent> {
        self.upload.missing()
    }

    pub(super) fn body(&mut self, extent: Extent) -> Result<(), Refusal> {
        self.end_body();
        self.body = Some(self.upload.begin(extent)?);
        Ok(())
    }

    pub(super) fn end_body(&mut self) {
        if let Some(body) = self.body.take() {
            self.upload.end(body);
        }
    }

    pub(super) fn has_body(&self) -> bool {
        self.body.is_some()
    }

    pub(super) fn fault(&self) -> Option<&Refusal> {
        self.upload.fault()
    }

    /// Hashes and stages `bytes`. What goes wrong is the fault of the upload.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let Some(body) = self.body else { return };
        let (core, staged) = (&self.core, &mut self.staged);
        let keep = |offset, bytes: &[u8]| {
            let write = || {
                let staged = match staged {
                    Some(staged) => staged,
                    none => none.insert(Staged::create(core)?),
                };
                staged.file.write(bytes, offset)
            };
            write().map_err(|error: DiskError| error.refusal("write a file"))
        };
        if self.upload.take(body, bytes, keep).is_err() {
            // It cannot be committed any more, so the disk gets its room back now.
            self.staged = None;
        }
    }

    /// Checks what arrived, and publishes the file.
    pub(super) fn commit(
        mut self,
        size: u64,
        digest: Option<Digest>,
    ) -> Result<Published, Refusal> {
        self.end_body();
        let hashed = self.upload.finish(size, digest)?;
        let failed = |error: DiskError| error.refusal("finish a file");
        let mut staged = match self.staged.take() {
            Some(staged) => staged,
            // An empty file had no first byte to be made with.
            None => Staged::create(&self.core).map_err(failed)?,
        };
        let digest = match (hashed, digest) {
            (None, Some(claimed)) => {
                let computed = staged.hash().map_err(failed)?;
                check_digest(computed, [claimed])?;
                Some(computed)
            }
            (hashed, _) => hashed,
        };
        if let Some(modified_ns) = self.modified_ns {
            // A file system that cannot keep the time keeps the content all the same.
            let _ = staged.file.set_modified(modified_ns);
        }
        if self.core.durable() {
            staged.file.sync().map_err(|error| error.refusal("make a file durable"))?;
        }
        let (directory, name) = (&self.core.staging, staged.name.as_str());
        let source = Source { directory, name, offered: &self.name, size, digest };
        let placed = self.core.publish(&source)?;
        staged.is_moved = placed.is_moved;
        Ok(placed.published)
    }
}

impl<F: Directory> Staged<F> {
    fn create(core: &Rc<Core<F>>) -> Result<Self, DiskError> {
        let name = core.staged_name();
        let file = core.staging.create(&name)?;
        Ok(Self { core: Rc::clone(core), name, file, is_moved: false })
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
}

impl<F: Directory> Drop for Staged<F> {
    fn drop(&mut self) {
        if !self.is_moved {
            // What cannot be removed now, the next start removes.
            let _ = self.core.staging.remove(&self.name);
        }
    }
}
