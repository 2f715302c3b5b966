//! What does not change in the life of an upload.

use crate::Millis;

/// What does not change in the life of an upload.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long the file will be; `None`: not known. Bytes.
    pub size: Option<u64>,
    /// Longest file that is taken; `None`: of any length. Bytes.
    pub max_file_size: Option<u64>,
    /// Whether the sender chose the name. Where it did not, the journal tells it what came of the upload, and is
    /// written before the file gets its name.
    pub is_named: bool,
    /// Most bytes that may be here and are not kept. Bytes.
    pub step_bytes: u64,
    /// Longest time between two watermarks while bytes come. Milliseconds.
    pub interval_ms: Millis,
    /// The boot of the system that entries of the journal count for, where watermarks are not synced; `None`: they
    /// are, and outlive a power cut.
    pub boot: Option<u64>,
    /// Whether what came is synced when the last session has left. It always is without `boot`.
    pub syncs_at_last: bool,
    /// Whether it is kept from its beginning, however little of it is here: somebody was told its key, and may
    /// come with it later. What is not known is how long the file will be; its sender has the bytes all the same.
    pub keeps_empty: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            size: None,
            max_file_size: None,
            is_named: true,
            step_bytes: 64 * 1024 * 1024,
            interval_ms: 2_000,
            boot: None,
            syncs_at_last: true,
            keeps_empty: false,
        }
    }
}
