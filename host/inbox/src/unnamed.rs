//! Names for uploads that come without one.

use rustix::rand::{GetRandomFlags, getrandom};
use sandport_protocol::EntryName;
use sandport_protocol::inbox;

/// A name that is not in use. `None`: the system has no random numbers, or no time.
pub(super) fn made_up_name() -> Option<EntryName> {
    let mut random = [0; 4];
    if getrandom(&mut random, GetRandomFlags::empty()) != Ok(random.len()) {
        return None;
    }
    let now_s = std::time::SystemTime::UNIX_EPOCH.elapsed().ok()?.as_secs();
    inbox::made_up_name(now_s, u32::from_be_bytes(random))
}
