//! Free space: what cannot fit is refused early, and a floor is kept.

use sandport_protocol::{Refusal, RefusalCode};

use super::Core;

/// From which announced size on it is compared with the free space at once. Bytes. Under it the
/// question costs more than finding out, where no floor is to be kept.
const CHECK_BYTES_MIN: u64 = 1024 * 1024;

/// How much of an upload is written between two looks at the floor. Bytes. A look costs a microsecond,
/// and so much at most goes under the floor for each upload that is under way.
pub(super) const FLOOR_STEP_BYTES: u64 = 1024 * 1024;

impl Core {
    /// Refuses what cannot fit on the disk as it is now. What other uploads are still to send is not
    /// deducted: a stranger who announces much and sends nothing should not keep others out.
    pub(super) fn check_space(&self, size: Option<u64>) -> Result<(), Refusal> {
        let size = size.unwrap_or(0);
        let floor = self.options.free_min;
        if floor == 0 && size < CHECK_BYTES_MIN {
            return Ok(());
        }
        let Some(available) = self.available() else { return Ok(()) };
        if size > available {
            let words = "the file does not fit on the disk of the inbox";
            return Err(Refusal::new(RefusalCode::InsufficientSpace, words));
        }
        if floor > 0 && available - size < floor {
            return Err(under_the_floor(floor));
        }
        Ok(())
    }

    /// Refuses the next bytes of an upload where they would go under the floor.
    pub(super) fn check_floor(&self) -> Result<(), Refusal> {
        let floor = self.options.free_min;
        match self.available() {
            Some(available) if available < floor => Err(under_the_floor(floor)),
            _ => Ok(()),
        }
    }

    /// Bytes that may still be written; `None`: there is no limit, or it cannot be told.
    fn available(&self) -> Option<u64> {
        let space = rustix::fs::fstatvfs(&self.layout.staging).ok()?;
        // A file system without blocks has no limit: tmpfs, where none was set.
        (space.f_blocks > 0).then(|| space.f_bavail.saturating_mul(space.f_frsize))
    }
}

fn under_the_floor(floor: u64) -> Refusal {
    let words = format!("the inbox keeps {floor} bytes of its disk free");
    Refusal::new(RefusalCode::InsufficientSpace, words)
}
