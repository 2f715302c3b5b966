//! One file on its way into somebody's storage: the account of what arrives, and its digest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use blake3::Hasher;
use sandport_protocol::inbox::{Arrival, Body, check_digest};
use sandport_protocol::{Digest, EntryName, Extent, Refusal, RefusalCode};

use super::inbox::{Complete, StorageInbox};
use super::{Announced, Arrived, Incoming};
use crate::inbox::commit::Pending;
use crate::inbox::latch::Latch;

/// One file on its way in. Dropping it discards it.
pub(in crate::inbox) struct StorageUpload(Arc<Shared>);

struct Shared {
    name: EntryName,
    /// What the offer said.
    digest: Option<Digest>,
    fault: Arc<Latch<Refusal>>,
    /// `None` once the upload has ended.
    receiving: Mutex<Option<Receiving>>,
}

/// What has arrived.
struct Receiving {
    incoming: Box<dyn Incoming>,
    arrival: Arrival,
    hasher: Box<Hasher>,
}

impl StorageUpload {
    pub(super) fn new(
        announced: Announced,
        digest: Option<Digest>,
        size_max: Option<u64>,
        incoming: Box<dyn Incoming>,
    ) -> Self {
        let receiving = Receiving {
            incoming,
            arrival: Arrival::new(announced.size, size_max),
            hasher: Box::new(Hasher::new()),
        };
        Self(Arc::new(Shared {
            name: announced.name,
            digest,
            fault: Arc::new(Latch::new()),
            receiving: Mutex::new(Some(receiving)),
        }))
    }

    pub(in crate::inbox) fn name(&self) -> &str {
        self.0.name.as_str()
    }

    pub(in crate::inbox) fn missing(&self) -> Vec<Extent> {
        self.0.receiving().as_ref().map_or_else(Vec::new, |receiving| receiving.arrival.missing())
    }

    pub(in crate::inbox) fn fault(&self) -> &Arc<Latch<Refusal>> {
        &self.0.fault
    }

    /// # Errors
    /// As of [`Upload::body`].
    pub(in crate::inbox) fn body(&self, extent: Extent) -> Result<StorageBody, Refusal> {
        if let Some(fault) = self.0.fault.get() {
            return Err(fault.clone());
        }
        let mut guard = self.0.receiving();
        let receiving = guard.as_mut().ok_or(RefusalCode::InvalidState)?;
        let body = receiving.arrival.begin(extent)?;
        Ok(StorageBody { shared: Arc::clone(&self.0), body })
    }

    pub(in crate::inbox) fn commit(self, size: u64, digest: Option<Digest>) -> Pending {
        let complete = self.0.finish(size, digest);
        StorageInbox::end(complete)
    }
}

impl Drop for StorageUpload {
    fn drop(&mut self) {
        // A body may outlive the upload; what came does not.
        drop(self.0.receiving().take());
    }
}

/// A sink for the bytes of one extent.
pub(in crate::inbox) struct StorageBody {
    shared: Arc<Shared>,
    body: Body,
}

impl StorageBody {
    pub(in crate::inbox) fn write(&mut self, bytes: &[u8]) {
        let mut guard = self.shared.receiving();
        let Some(receiving) = guard.as_mut() else { return };
        if let Err(fault) = receiving.take(self.body, bytes) {
            // The upload cannot be committed any more.
            drop(guard.take());
            drop(guard);
            self.shared.fault.set(fault);
        }
    }
}

impl Drop for StorageBody {
    fn drop(&mut self) {
        if let Some(receiving) = self.shared.receiving().as_mut() {
            receiving.arrival.end(self.body);
        }
    }
}

impl Shared {
    fn receiving(&self) -> MutexGuard<'_, Option<Receiving>> {
        self.receiving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Checks what arrived.
    fn finish(&self, size: u64, digest: Option<Digest>) -> Result<Complete, Refusal> {
        if let Some(fault) = self.fault.get() {
            return Err(fault.clone());
        }
        let receiving = self.receiving().take().ok_or(RefusalCode::InvalidState)?;
        receiving.arrival.check_size(size)?;
        let computed = Digest::Blake3(*receiving.hasher.finalize().as_bytes());
        check_digest(computed, [digest, self.digest].into_iter().flatten())?;
        Ok(Complete { incoming: receiving.incoming, file: Arrived { size, digest: computed } })
    }
}

impl Receiving {
    fn take(&mut self, body: Body, bytes: &[u8]) -> Result<(), Refusal> {
        let length = bytes.len() as u64;
        self.arrival.check(body, length)?;
        self.incoming.write(bytes)?;
        self.hasher.update(bytes);
        self.arrival.add(body, length);
        Ok(())
    }
}
