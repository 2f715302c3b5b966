//! Whose memory it is that uploads take.

use std::fmt;
use std::sync::Arc;

use sandport_protocol::{EntryKind, Offer, upload};

/// What an upload takes of memory that ends with its connection: it counts and hashes. Bytes: 3,123 in the inbox, as
/// measured, and what a server knows of it.
const TRANSIENT_BYTES: u64 = 4_096;

/// The same of one that can be resumed: its machine, a session and a body, 2,655 as measured, and one group that is begun.
const RESUMABLE_BYTES: u64 = 5_120;

/// The same of a directory that is made, and of what is answered at once. Bytes.
const OTHER_BYTES: u64 = 512;

/// The account of those whose uploads take memory. It only counts: what is to be refused where too much is held, those
/// who open uploads decide.
pub trait MemoryAccount: Send + Sync {
    /// So many bytes more are held.
    fn hold(&self, bytes: u64);

    /// So many bytes are free again.
    fn release(&self, bytes: u64);

    /// Whether more is held than may be: an upload takes no more pieces then than it needs.
    fn is_full(&self) -> bool;

    /// A piece of an upload was refused for that.
    fn handle_refusal(&self) {}
}

/// What an upload takes of memory while it is open, whatever comes of it, but for pieces of it that are
/// [begun](crate::Upload::hold_memory). Bytes. `has_key`: its key is one that the inbox has made, or makes for it.
pub fn memory_of(offer: &Offer, has_key: bool) -> u64 {
    match offer.kind {
        EntryKind::File if has_key || upload::resumable(offer).is_some() => RESUMABLE_BYTES,
        EntryKind::File => TRANSIENT_BYTES,
        _ => OTHER_BYTES,
    }
}

/// What is held on somebody's account, until this is dropped.
#[derive(Default)]
pub(crate) struct Held {
    account: Option<Arc<dyn MemoryAccount>>,
    bytes: u64,
}

impl Held {
    /// From now on it is on this account.
    pub(crate) fn move_to(&mut self, account: Arc<dyn MemoryAccount>) {
        account.hold(self.bytes);
        if let Some(before) = self.account.replace(account) {
            before.release(self.bytes);
        }
    }

    /// So much is held now.
    pub(crate) fn set(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        if bytes == self.bytes {
            return;
        }
        if let Some(account) = &self.account {
            match bytes.checked_sub(self.bytes) {
                Some(more) => account.hold(more),
                None => account.release(self.bytes - bytes),
            }
        }
        self.bytes = bytes;
    }

    pub(crate) fn is_full(&self) -> bool {
        self.account.as_ref().is_some_and(|account| account.is_full())
    }

    /// A piece of an upload was refused for that.
    pub(crate) fn handle_refusal(&self) {
        if let Some(account) = &self.account {
            account.handle_refusal();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.set(0);
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
