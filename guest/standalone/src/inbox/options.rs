//! The settings of an inbox, and what it needs beside its directory.

use sandport_protocol::inbox::Conflict;
use sandport_protocol::{EntryName, Millis};

/// What a receipt promises.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The file survives a power cut.
    #[default]
    Commit,
    /// The file is visible, and may be lost in a power cut.
    None,
}

/// The settings of an inbox.
#[derive(Clone, Debug)]
pub struct Options {
    /// What happens to a file whose name is taken.
    pub conflict: Conflict,
    /// What a receipt promises.
    pub durability: Durability,
    /// The largest file in bytes; `None`: no limit but the disk.
    pub max_file_size: Option<u64>,
    /// The name of files that come without one; `None`: one is made up of time and chance.
    pub classic_name: Option<EntryName>,
    /// Most bytes of an upload that can be resumed that a crash may cost.
    pub watermark_bytes: u64,
    /// Longest time between two watermarks while bytes come. Milliseconds.
    pub watermark_interval_ms: Millis,
    /// After how long an upload is removed that nobody resumes, in seconds; `None`: never.
    pub partial_expiry_s: Option<u64>,
}

impl Default for Options {
    /// As `sandport serve` without options.
    fn default() -> Self {
        Self {
            conflict: Conflict::default(),
            durability: Durability::default(),
            max_file_size: None,
            classic_name: None,
            watermark_bytes: 64 * 1024 * 1024,
            watermark_interval_ms: 2_000,
            partial_expiry_s: Some(7 * 24 * 3_600),
        }
    }
}

/// What an inbox needs of the world beside its directory.
#[derive(Clone, Copy, Debug)]
pub struct Ambient {
    /// Random numbers.
    pub chance: fn() -> u64,
    /// Milliseconds since any fixed moment, never going back.
    pub now: fn() -> Millis,
    /// Seconds since 1970, as the system is set.
    pub wall_s: fn() -> u64,
}
