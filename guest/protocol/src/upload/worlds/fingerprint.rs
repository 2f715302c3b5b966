//! What tells the states of small worlds apart.

use core::fmt::Write as _;
use core::hash::Hasher as _;
use std::hash::DefaultHasher;

use super::{Connection, Small, Upload};
use crate::upload::checkpoint::Checkpoint;

impl Small {
    /// Tells states apart.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hashing = Hashing(DefaultHasher::new());
        let Upload { phase, owners, ledger, bodies, step, checkpoint, waits, .. } = &self.upload;
        let Upload { is_working, is_begun, is_starved, is_unwanted, wake, .. } = &self.upload;
        let checkpoint = checkpoint.as_ref().map(Checkpoint::outline);
        let flags = (is_working, is_begun, is_starved, is_unwanted, wake, self.is_gone);
        let machine = (phase, owners, ledger.outline(), bodies, step, checkpoint, waits, flags);
        let work = self.work.as_ref().map(core::mem::discriminant);
        let seen = (work, self.now, &self.written, &self.kept, self.told, &self.keep);
        let _ = write!(hashing, "{machine:?}{seen:?}");
        for connection in &self.connections {
            let Connection { session, run, body, grant, is_faulted, commits } = connection;
            let grant = grant.as_ref().map(|grant| (grant.at, grant.length, grant.prefix.length()));
            let _ = write!(hashing, "{:?}", (session, run, body, grant, is_faulted, commits));
        }
        hashing.0.finish()
    }
}

struct Hashing(DefaultHasher);

impl core::fmt::Write for Hashing {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}
