//! Names for uploads that come without one.

use rustix::rand::{GetRandomFlags, getrandom};
use sandport_protocol::EntryName;

/// A name that is not in use: the time, so that a person finds it, and chance, so that two of the same
/// second differ. `upload-20261123T125300Z-1f0c9a3e`.
///
/// `None`: the system has no random numbers.
pub(super) fn made_up_name() -> Option<EntryName> {
    let mut random = [0; 4];
    if getrandom(&mut random, GetRandomFlags::empty()) != Ok(random.len()) {
        return None;
    }
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    EntryName::parse(&format!("upload-{now}-{:08x}", u32::from_be_bytes(random))).ok()
}
