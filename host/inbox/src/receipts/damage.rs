//! What of a damaged log is no frame is set aside, for whoever wants to know what happened to it.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::BorrowedFd;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::log::Log;

/// Longest end of a log that a crash leaves. Bytes: a batch of 512 entries, each with the longest name. What is
/// longer is damage.
pub(super) const TORN_BYTES_MAX: u64 = 512 * 4 * 1024;

/// Most files with damage that are kept in an inbox; what is damaged after that is not set aside. A disk that
/// damages the log more often than that has other things to tell.
const ASIDE_FILES_MAX: u32 = 16;

/// Copies these parts of a log to a file beside it, where there are not enough of those already, and says so.
///
/// # Errors
/// The disk may be full. Then the log is to be left as it is.
pub(super) fn set_aside(log: &Log, dir: BorrowedFd<'_>, parts: &[Range<u64>]) -> io::Result<()> {
    let bytes: u64 = parts.iter().map(|part| part.end - part.start).sum();
    let words = "the receipt log is damaged: the damaged entries are lost, all others count. Files of lost entries \
                 become second copies if they are sent again. Check the disk";
    for number in 1..=ASIDE_FILES_MAX {
        let name = format!("receipts.damaged-{number}");
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        match rustix::fs::openat(dir, &name, flags, Mode::from_raw_mode(0o600)) {
            Ok(file) => {
                let mut file = File::from(file);
                parts.iter().try_for_each(|part| log.copy_to(&mut file, part.clone()))?;
                tracing::warn!(bytes, set_aside_in = name, "{words}");
                return Ok(());
            }
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    tracing::warn!(bytes, "{words}");
    Ok(())
}
