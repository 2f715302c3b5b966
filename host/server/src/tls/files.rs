//! The files that a certificate comes from, and whether they have changed.

use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::TlsError;
use super::certificate::Certificate;

/// How long what was seen of the files counts. Handshakes look at them, and not a clock: nobody else minds.
const LOOK_AFTER: Duration = Duration::from_secs(2);

/// Longest file that is read. Bytes. A chain of certificates takes a few KiB.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The files, and what was seen of them last.
#[derive(Debug)]
pub(super) struct Files {
    paths: Paths,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Clone, Debug)]
struct Paths {
    certificate: PathBuf,
    key: PathBuf,
}

#[derive(Debug)]
struct Seen {
    stamps: Stamps,
    looked: Instant,
}

/// What tells whether the two files are the same: `None`: it cannot be told.
type Stamps = [Option<Stamp>; 2];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    inode: u64,
    size: u64,
    modified: (i64, i64),
}

/// What a look at the files comes to.
#[derive(Debug)]
pub(super) enum Reread {
    /// They are as they were when they were last read, or were looked at just now.
    Same,
    Changed(Box<Certificate>),
    /// They have changed, and cannot be used. It is told once for each change.
    Failed(TlsError),
}

impl Files {
    /// Reads them for the first time.
    pub(super) fn read(certificate: &Path, key: &Path) -> Result<(Self, Certificate), TlsError> {
        let paths = Paths { certificate: certificate.to_owned(), key: key.to_owned() };
        // Before they are read: what is written meanwhile is a change.
        let stamps = paths.stamps();
        let first = paths.load()?;
        let seen = Arc::new(Mutex::new(Seen { stamps, looked: Instant::now() }));
        Ok((Self { paths, seen }, first))
    }

    /// Looks at them, on a thread that may wait for the disk, and reads them where they have changed.
    pub(super) async fn reread(&self) -> Reread {
        {
            let mut seen = lock(&self.seen);
            if seen.looked.elapsed() < LOOK_AFTER {
                return Reread::Same;
            }
            // Handshakes that come meanwhile do not wait.
            seen.looked = Instant::now();
        }
        let (paths, seen) = (self.paths.clone(), Arc::clone(&self.seen));
        let (told, reread) = oneshot::channel();
        let look = move || drop(told.send(look(&paths, &seen)));
        let thread = std::thread::Builder::new().name(String::from("sandport-tls"));
        if let Err(error) = thread.spawn(look) {
            tracing::debug!(%error, "no thread to look at the certificate: the next handshake tries again");
            return Reread::Same;
        }
        reread.await.unwrap_or(Reread::Same)
    }
}

fn look(paths: &Paths, seen: &Mutex<Seen>) -> Reread {
    let stamps = paths.stamps();
    if lock(seen).stamps == stamps {
        return Reread::Same;
    }
    let loaded = paths.load();
    lock(seen).stamps = stamps;
    match loaded {
        Ok(certificate) => Reread::Changed(Box::new(certificate)),
        Err(error) => Reread::Failed(error),
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Paths {
    fn load(&self) -> Result<Certificate, TlsError> {
        Certificate::from_pem(&read(&self.certificate)?, &read(&self.key)?)
    }

    fn stamps(&self) -> Stamps {
        [&self.certificate, &self.key].map(|path| path.metadata().ok().map(Stamp::from))
    }
}

impl From<Metadata> for Stamp {
    fn from(metadata: Metadata) -> Self {
        let modified = (metadata.mtime(), metadata.mtime_nsec());
        Self { inode: metadata.ino(), size: metadata.len(), modified }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source: io::Error| TlsError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    let size = file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(failed)?;
    if size as u64 > FILE_BYTES_MAX {
        return Err(failed(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::self_signed;
    use super::*;

    #[test]
    fn files_are_read_again_where_they_have_changed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("both.pem");
        std::fs::write(&path, self_signed::make().unwrap()).unwrap();
        let (files, first) = Files::read(&path, &path).unwrap();
        let look = || look(&files.paths, &files.seen);
        assert!(matches!(look(), Reread::Same));
        std::fs::write(&path, "nothing of the kind").unwrap();
        assert!(matches!(look(), Reread::Failed(TlsError::NoCertificate)));
        assert!(matches!(look(), Reread::Same), "it is told once");
        std::fs::remove_file(&path).unwrap();
        assert!(matches!(look(), Reread::Failed(TlsError::Read { .. })));
        std::fs::write(&path, self_signed::make().unwrap()).unwrap();
        let Reread::Changed(second) = look() else { panic!("it has changed") };
        assert_ne!(second.fingerprint, first.fingerprint);
    }
}
