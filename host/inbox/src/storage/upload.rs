//! One file on its way into somebody's storage: the account of what arrives, and its digest.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandport_protocol::inbox::{Body, InOrder};
use sandport_protocol::{Digest, EntryName, Extent, Refusal, RefusalCode};
use tokio::sync::SetOnce;

use super::ending::{Complete, end};
use super::{Announced, Arrived, Incoming};
use crate::completion::CommitHandle;

/// One file on its way in. Dropping it discards it.
pub(crate) struct StorageUpload(Arc<Shared>);

struct Shared {
    name: EntryName,
    fault: Arc<SetOnce<Refusal>>,
    /// `None` once the upload has ended.
    receiving: Mutex<Option<Receiving>>,
}

/// What has arrived.
struct Receiving {
    incoming: Box<dyn Incoming>,
    upload: InOrder,
}

impl StorageUpload {
    pub(super) fn new(
        announced: Announced,
        digest: Option<Digest>,
        max_file_size: Option<u64>,
        incoming: Box<dyn Incoming>,
    ) -> Self {
        let upload = InOrder::new(announced.size, digest, max_file_size);
        let receiving = Receiving { incoming, upload };
        Self(Arc::new(Shared {
            name: announced.name,
            fault: Arc::new(SetOnce::new()),
            receiving: Mutex::new(Some(receiving)),
        }))
    }

    pub(crate) fn name(&self) -> &str {
        self.0.name.as_str()
    }

    pub(crate) fn missing(&self) -> Vec<Extent> {
        self.0.receiving().as_ref().map_or_else(Vec::new, |receiving| receiving.upload.missing())
    }

    pub(crate) fn fault(&self) -> &Arc<SetOnce<Refusal>> {
        &self.0.fault
    }

    /// # Errors
    /// As of [`Upload::body`].
    pub(crate) fn body(&self, extent: Extent) -> Result<StorageBody, Refusal> {
        if let Some(fault) = self.0.fault.get() {
            return Err(fault.clone());
        }
        let mut guard = self.0.receiving();
        let receiving = guard.as_mut().ok_or(RefusalCode::InvalidState)?;
        let body = receiving.upload.begin(extent)?;
        Ok(StorageBody { shared: Arc::clone(&self.0), body })
    }

    pub(crate) fn commit(self, size: u64, digest: Option<Digest>) -> CommitHandle {
        let complete = self.0.finish(size, digest);
        end(complete)
    }

    /// Discards it, and says why.
    pub(crate) fn refuse(self, refusal: Refusal) -> CommitHandle {
        drop(self);
        end(Err(refusal))
    }
}

impl Drop for StorageUpload {
    fn drop(&mut self) {
        // A body may outlive the upload; what came does not.
        drop(self.0.receiving().take());
    }
}

/// A sink for the bytes of one extent.
pub(crate) struct StorageBody {
    shared: Arc<Shared>,
    body: Body,
}

impl StorageBody {
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let mut guard = self.shared.receiving();
        let Some(Receiving { incoming, upload }) = guard.as_mut() else { return };
        if let Err(fault) = upload.take(self.body, bytes, |_, bytes| incoming.write(bytes)) {
            // The upload cannot be committed any more.
            drop(guard.take());
            drop(guard);
            // The first fault stays.
            let _ = self.shared.fault.set(fault);
        }
    }
}

impl Drop for StorageBody {
    fn drop(&mut self) {
        if let Some(receiving) = self.shared.receiving().as_mut() {
            receiving.upload.end(self.body);
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
        let Receiving { incoming, upload } =
            self.receiving().take().ok_or(RefusalCode::InvalidState)?;
        let digest = upload.finish(size, digest)?.ok_or(RefusalCode::InvalidState)?;
        Ok(Complete { incoming, file: Arrived { size, digest } })
    }
}
