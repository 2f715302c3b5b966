//! What a server keeps in the inbox's own directory for itself, beside uploads and receipts.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use sandport_protocol::RESERVED_NAME;

use super::Inbox;
use super::disk::Step;
use super::error::{InboxError, failed};

/// The server's own certificate and its key, in PEM.
const TLS: &str = "tls.pem";

/// Where it is written first; one that a crash left is overwritten.
const NEW_TLS: &str = "tls.pem.new";

/// Longest file that is read. Bytes. A key and a certificate of an elliptic curve take 1 KiB; more is not ours.
const TLS_BYTES_MAX: u64 = 64 * 1024;

impl Inbox {
    /// The certificate, with its key, that a server of this inbox has made for itself; where there is none, that
    /// of `make` is kept from now on. Only this user can read the file.
    ///
    /// # Errors
    /// [`InboxError`]: it cannot be read or written. Blocks for as long as the disk takes.
    pub fn tls_identity<E: From<InboxError>>(
        &self,
        make: impl FnOnce() -> Result<String, E>,
    ) -> Result<String, E> {
        let core = &self.handle.core;
        let (state, state_path) = (&core.layout.state, core.dir.join(RESERVED_NAME));
        let path = state_path.join(TLS);
        if let Some(kept) = read(state, &path)? {
            return Ok(kept);
        }
        let made = make()?;
        self.keep(&path, made.as_bytes())?;
        Ok(made)
    }

    /// Writes the file in one step, as seen after a crash.
    fn keep(&self, path: &Path, bytes: &[u8]) -> Result<(), InboxError> {
        let core = &self.handle.core;
        let (disk, state) = (&core.disk, &core.layout.state);
        let cannot_write = |errno| failed("write", path, errno);
        // A file that somebody else has made would have his mode.
        match rustix::fs::unlinkat(state, NEW_TLS, rustix::fs::AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(errno) => return Err(cannot_write(errno)),
        }
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = rustix::fs::openat(state, NEW_TLS, flags, Mode::from_raw_mode(0o600))
            .map_err(cannot_write)?;
        disk.write(Step::WriteLayout, &file, bytes, 0).map_err(cannot_write)?;
        let cannot_sync = |errno| failed("sync", path, errno);
        disk.sync(Step::SyncLayout, &file).map_err(cannot_sync)?;
        rustix::fs::renameat(state, NEW_TLS, state, TLS).map_err(cannot_write)?;
        disk.sync(Step::SyncLayout, state).map_err(cannot_sync)
    }
}

/// What is kept; `None`: nothing is.
fn read(state: &OwnedFd, path: &Path) -> Result<Option<String>, InboxError> {
    // Not waiting for the other end of a pipe that somebody put there.
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match rustix::fs::openat(state, TLS, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(errno) => return Err(failed("open", path, errno)),
    };
    let mut text = String::new();
    let read = file.take(TLS_BYTES_MAX).read_to_string(&mut text);
    read.map_err(|source| InboxError::Io { doing: "read", path: path.to_path_buf(), source })?;
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;

    use crate::{Inbox, InboxError, InboxOptions};

    #[test]
    fn what_was_made_once_is_found_again_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path().join("inbox");
        let open = || Inbox::open(&dir, InboxOptions::default()).unwrap();
        let identity = |inbox: &Inbox, text: &str| {
            inbox.tls_identity(|| Ok::<_, InboxError>(text.to_owned())).unwrap()
        };
        let inbox = open();
        assert_eq!(identity(&inbox, "first"), "first");
        assert_eq!(identity(&inbox, "second"), "first");
        drop(inbox);
        assert_eq!(identity(&open(), "third"), "first");
        let kept = std::fs::metadata(dir.join(".sandport/tls.pem")).unwrap();
        assert_eq!(kept.permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn what_a_crash_left_half_written_is_written_anew() {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path().join("inbox");
        let inbox = Inbox::open(&dir, InboxOptions::default()).unwrap();
        std::fs::write(dir.join(".sandport/tls.pem.new"), "half").unwrap();
        let made = inbox.tls_identity(|| Ok::<_, InboxError>(String::from("whole"))).unwrap();
        assert_eq!(made, "whole");
        assert_eq!(std::fs::read_to_string(dir.join(".sandport/tls.pem")).unwrap(), "whole");
        assert!(!dir.join(".sandport/tls.pem.new").exists());
    }
}
