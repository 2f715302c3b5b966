//! Modification times that a file system does not keep.

use std::sync::{Mutex, PoisonError};

use rustix::io::Errno;

/// Modification times that could not be kept, of which the operator hears once for each reason.
#[derive(Default)]
pub(super) struct LostTimes(Mutex<Vec<Errno>>);

impl LostTimes {
    pub(super) fn notice(&self, errno: Errno) {
        let mut noticed = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if noticed.contains(&errno) {
            return;
        }
        noticed.push(errno);
        drop(noticed);
        tracing::warn!(
            error = %errno,
            "the file system does not keep the modification times that senders give: files are stored \
             with the time of their arrival (this is said once)"
        );
    }

    /// For which reasons times were lost.
    #[cfg(test)]
    pub(super) fn reasons(&self) -> Vec<Errno> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
