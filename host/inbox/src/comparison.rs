//! Reading stored files to find out whether they still are what was stored: on file systems where inode numbers
//! and times do not tell.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex};

use rustix::fs::{Mode, OFlags};
use tokio::sync::SetOnce;

use super::receipts::Candidate;
use super::recognition::Seen;
use super::tree;

/// How much is read in one go. Bytes.
const READ_BYTES: usize = 1024 * 1024;

/// Most files that wait to be compared. Each has a thread, and one of them reads; who comes after that waits for
/// one of these, and asks again.
pub(super) const COMPARISONS_MAX: usize = 16;

/// A stored file that is being read, to be compared with its record. Dropping it does not end that: what comes of
/// it is remembered.
#[derive(Clone)]
pub struct Comparison(Arc<SetOnce<()>>);

/// Those that are under way, by the names of the files.
#[derive(Default)]
pub(super) struct Comparisons {
    pub(super) under_way: Mutex<HashMap<String, Comparison>>,
    /// Held by the one that reads.
    pub(super) reading: Arc<Mutex<()>>,
}

impl Comparison {
    pub(super) fn new() -> Self {
        Self(Arc::new(SetOnce::new()))
    }

    /// It is known, or will not be: whoever waits is woken.
    pub(super) fn is_over(&self) {
        // Nobody else sets it.
        let _ = self.0.set(());
    }

    /// Returns once it is known whether the file is the one: then the same offer gets another answer.
    pub async fn ready(&self) {
        self.0.wait().await;
    }
}

impl fmt::Debug for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Comparison").finish_non_exhaustive()
    }
}

/// What the file looks like, if its content is that of the record.
pub(super) fn read(root: BorrowedFd<'_>, candidate: &Candidate) -> Option<Seen> {
    let name = &candidate.name;
    let directory = tree::open_directory(root, name.parent()).ok()??;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&directory, name.leaf(), flags, Mode::empty()).ok()?;
    let before = Seen::from(&rustix::fs::fstat(&file).ok()?);
    if before.record(candidate.record.digest).size != candidate.record.size {
        return None;
    }
    let mut file = File::from(file);
    let digest = digest_of(&mut file).ok()?;
    let after = Seen::from(&rustix::fs::fstat(&file).ok()?);
    (digest == candidate.record.digest && before == after).then_some(after)
}

/// The digest of what is left to be read of a file.
pub(super) fn digest_of(file: &mut File) -> io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(*hasher.finalize().as_bytes()),
            Ok(count) => drop(hasher.update(&buffer[..count])),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
