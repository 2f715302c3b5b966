//! Telling this boot of the system from others.

/// A number for this boot of the system; 0: the system does not tell.
pub(super) fn boot() -> u64 {
    std::fs::read("/proc/sys/kernel/random/boot_id").map_or(0, |id| {
        let digest = blake3::hash(&id);
        digest.as_bytes()[..8].iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
    })
}
