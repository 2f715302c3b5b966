//! What files have in them here: zeros, and the hashes of those.

use std::cell::RefCell;
use std::collections::HashMap;

use sandport_protocol::Digest;
use sandport_protocol::journal::{ChainingValue, GROUP_BYTES, group_hasher};

/// This boot of the system.
pub(crate) const BOOT: u64 = 77;

thread_local! {
    static DIGESTS: RefCell<HashMap<u64, Digest>> = RefCell::default();
    static VALUES: RefCell<HashMap<(u64, u64), ChainingValue>> = RefCell::default();
    static ZEROS: Vec<u8> = vec![0; GROUP_BYTES as usize];
}

/// Calls with so many zeros, a group at most.
pub(crate) fn with_zeros<T>(length: u64, what: impl FnOnce(&[u8]) -> T) -> T {
    ZEROS.with(|zeros| what(&zeros[..length.min(GROUP_BYTES) as usize]))
}

/// The digest of so many zeros.
pub(crate) fn digest(length: u64) -> Digest {
    DIGESTS.with_borrow_mut(|known| {
        *known.entry(length).or_insert_with(|| {
            let (mut hasher, mut left) = (blake3::Hasher::new(), length);
            while left > 0 {
                with_zeros(left, |zeros| hasher.update(zeros));
                left -= left.min(GROUP_BYTES);
            }
            Digest::Blake3(*hasher.finalize().as_bytes())
        })
    })
}

/// A hasher that has taken in so many zeros of a group.
pub(crate) fn hasher(group: u64, length: u64) -> blake3::Hasher {
    let mut hasher = group_hasher(group);
    with_zeros(length, |zeros| hasher.update(zeros));
    hasher
}

/// The chaining value of so many zeros of a group.
pub(crate) fn value(group: u64, length: u64) -> ChainingValue {
    use blake3::hazmat::HasherExt as _;
    VALUES.with_borrow_mut(|known| {
        *known.entry((group, length)).or_insert_with(|| hasher(group, length).finalize_non_root())
    })
}
