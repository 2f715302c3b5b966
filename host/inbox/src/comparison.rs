//! Reading stored files to find out whether they still are what was stored: on file systems where inode numbers
//! and times do not tell.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use rustix::fs::{Mode, OFlags};
use tokio::sync::SetOnce;

use super::Core;
use super::receipts::Candidate;
use super::recognition::Seen;
use super::tree;

/// How much is read in one go. Bytes.
const READ_BYTES: usize = 1024 * 1024;

/// Most files that wait to be compared. Each has a thread, and one of them reads; who comes after that waits for
/// one of these, and asks again.
const COMPARISONS_MAX: usize = 16;

/// A stored file that is being read, to be compared with its record. Dropping it does not end that: what comes of
/// it is remembered.
#[derive(Clone)]
pub struct Comparison(Arc<SetOnce<()>>);

/// Those that are under way, by the names of the files.
#[derive(Default)]
pub(super) struct Comparisons {
    under_way: Mutex<HashMap<String, Comparison>>,
    /// Held by the one that reads.
    reading: Arc<Mutex<()>>,
}

impl Comparison {
    /// Compares the file, unless somebody does that already.
    pub(super) fn begin(core: &Arc<Core>, candidate: Candidate) -> Self {
        let mut under_way =
            core.comparisons.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        let name = candidate.name.as_str();
        if let Some(comparison) = under_way.get(name) {
            return comparison.clone();
        }
        if under_way.len() >= COMPARISONS_MAX
            && let Some(other) = under_way.values().next()
        {
            return other.clone();
        }
        let comparison = Self(Arc::new(SetOnce::new()));
        let told = Told {
            core: Arc::downgrade(core),
            name: name.to_owned(),
            comparison: comparison.clone(),
        };
        under_way.insert(name.to_owned(), comparison.clone());
        drop(under_way);
        let (weak, reading) = (Arc::downgrade(core), Arc::clone(&core.comparisons.reading));
        let thread = std::thread::Builder::new().name("sandport-compare".to_owned());
        let started = thread.spawn(move || {
            let told = told;
            let _one = reading.lock().unwrap_or_else(PoisonError::into_inner);
            compare(&weak, &candidate);
            drop(told);
        });
        if let Err(error) = started {
            // What waits is woken, and offers again.
            tracing::warn!(%error, "could not start to compare a stored file");
        }
        comparison
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

/// Wakes who waits when it is dropped, whatever happened to the thread.
struct Told {
    core: Weak<Core>,
    name: String,
    comparison: Comparison,
}

impl Drop for Told {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade() {
            let under_way = &core.comparisons.under_way;
            under_way.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
        }
        // Nobody else sets it.
        let _ = self.comparison.0.set(());
    }
}

/// Compares a file without keeping the inbox open meanwhile.
fn compare(core: &Weak<Core>, candidate: &Candidate) {
    let root = core.upgrade().and_then(|core| core.layout.root.try_clone().ok());
    let seen = root.and_then(|root| read(root.as_fd(), candidate));
    if let Some(core) = core.upgrade() {
        core.receipts.compared(candidate, seen.as_ref());
    }
}

impl Core {
    /// Whether the file that has the name of `candidate` is the one of its record, found out by reading it.
    pub(super) fn compare(&self, candidate: &Candidate) -> bool {
        let seen = read(self.layout.root.as_fd(), candidate);
        self.receipts.compared(candidate, seen.as_ref());
        seen.is_some()
    }
}

/// What the file looks like, if its content is that of the record.
fn read(root: BorrowedFd<'_>, candidate: &Candidate) -> Option<Seen> {
    let name = &candidate.name;
    let folder = tree::open_folder(root, name.parent()).ok()??;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = rustix::fs::openat(&folder, name.leaf(), flags, Mode::empty()).ok()?;
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
