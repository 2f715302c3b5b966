//! The settings of an inbox.

use std::time::Duration;

use sandport_protocol::inbox::Conflict;

use super::Quota;

/// What a receipt promises, and what is promised of an upload that can be resumed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// A stored file survives a power cut, and so does what a sender was told to be durable of an
    /// upload under way.
    #[default]
    Full,
    /// A stored file survives a power cut. Of an upload under way, what was said to be durable survives
    /// the end of the server; after a power cut it is sent again from its beginning.
    Commit,
    /// A stored file is visible; the system writes it to the disk when it likes. Uploads under way
    /// survive the end of the server.
    None,
}

impl Durability {
    /// Whether files are synced before they are published.
    pub(super) fn syncs_commits(self) -> bool {
        self != Self::None
    }
}

/// Where the inbox keeps what it stored: name, size and digest of each file, and how to recognise it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Records {
    /// In the log `.sandport/receipts`. A sender who did not hear a receipt gets it after a restart
    /// too, and files can be compared with what was received: [`verify()`](super::maintenance::verify()).
    #[default]
    Log,
    /// In memory, until the server ends. A log of earlier runs is neither read nor written.
    Memory,
}

/// How much of an upload may be here that is not kept. Bytes. So much is sent twice
/// at most after a cut of the power or of the server. A sync of so much takes a disk of 200 MB/s a third
/// of a second.
const WATERMARK_BYTES: u64 = 64 * 1024 * 1024;

/// How long after the first byte behind it. On a slow connection that is what is sent twice.
const WATERMARK_INTERVAL: Duration = Duration::from_secs(2);

/// How many files on their way an inbox has open, where nobody says otherwise. Half of the usual limit of a
/// process, 1,024.
const FILES_OPEN_MAX: usize = 512;

/// The settings of an inbox.
///
/// ```
/// use sandport_inbox::{Durability, InboxOptions, Quota};
///
/// let mut options = InboxOptions::default();
/// options.max_file_size = Some(4 << 30);
/// options.quota = Quota::new(Some(100 << 30), None);
/// options.durability = Durability::Commit;
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct InboxOptions {
    /// What happens to a file whose name is taken.
    pub conflict: Conflict,
    /// What a receipt promises.
    pub durability: Durability,
    /// After how many bytes of a resumable upload the watermark is moved, at the
    /// latest. Bytes.
    pub watermark_bytes: u64,
    /// After how long, at the latest.
    pub watermark_interval: Duration,
    /// Where it is kept what was stored.
    pub records: Records,
    /// The largest file in bytes; `None`: no limit but the disk.
    pub max_file_size: Option<u64>,
    /// How much the inbox may hold.
    pub quota: Quota,
    /// How much of it may be each identity's, the anonymous one's included: what it has sent and is still there
    /// as it came, as far as the [records](Records) know, with its uploads under way and those that wait.
    pub identity_quota: Quota,
    /// How many bytes of uploads that are under way, or wait to be resumed, may come from one
    /// [address](super::OfferOptions::place), or IPv6 network; `None`: no limit. What is under way counts with the size that
    /// it announced. Those that waited when the inbox was opened count nowhere, since where they came from is not kept.
    pub max_place_bytes: Option<u64>,
    /// How much of the disk is left free. Bytes. What would go under it is refused; uploads that are
    /// under way may do so by a megabyte each.
    pub min_free: u64,
    /// How long an upload that can be resumed is kept after something of it has arrived last; `None`:
    /// for ever. A jump of the system's clock does not count.
    pub partial_expiry: Option<Duration>,
    /// Whether a file that the sender says is executable becomes executable.
    pub allow_executable: bool,
    /// How many descriptors may be open at once for files on their way and for directories that they go to.
    /// With more files, some are closed between two writes, which costs microseconds each; running out of
    /// descriptors would cost connections. Uploads that can be resumed share
    /// them too: one of few bytes has no file, and one that nobody is at no descriptor.
    pub max_open_files: usize,
    /// The name of files that come without one; `None`: one is made up of time and chance.
    pub classic_name: Option<String>,
}

impl Default for InboxOptions {
    fn default() -> Self {
        Self {
            conflict: Conflict::default(),
            durability: Durability::default(),
            watermark_bytes: WATERMARK_BYTES,
            watermark_interval: WATERMARK_INTERVAL,
            records: Records::default(),
            max_file_size: None,
            quota: Quota::default(),
            identity_quota: Quota::default(),
            max_place_bytes: None,
            min_free: 0,
            partial_expiry: None,
            allow_executable: false,
            max_open_files: FILES_OPEN_MAX,
            classic_name: None,
        }
    }
}

impl InboxOptions {
    /// Most files whose descriptors are kept between two writes, or until their commit is synced.
    pub(super) fn max_kept_files(&self) -> usize {
        self.max_open_files / 2
    }

    /// Most directories that a batch of commits keeps open. A batch whose files lie in more opens some of them
    /// again.
    pub(super) fn max_kept_directories(&self) -> usize {
        (self.max_open_files / 8).max(1)
    }
}
