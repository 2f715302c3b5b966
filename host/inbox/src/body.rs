//! A body of an upload: a sink for the bytes of one extent, wherever they go.

use std::fmt;

use sandport_protocol::{ContentDigest, Digest, Refusal};

use super::resumable::{RangeWriter, not_checked};
use super::storage::StorageBody;
use super::sums::Feed;
use super::transient::TransientBody;

/// A sink for the bytes of one extent.
///
/// It never fails: what goes wrong is latched in the upload as its fault, and from then on the bytes
/// are swallowed.
///
/// An upload that can be resumed takes as much as [`InboxOptions`](super::InboxOptions) allows to be lost
/// by a crash, and no more before that is kept. One whose size is not known waits while it finds no room in the quota
/// and what is stored is being counted. [`room`](Self::room) says how much there is, [`has_room`](Self::has_room)
/// waits, and [`reserve`](Self::reserve) takes it.
pub struct Body {
    kind: BodyKind,
    /// Where it began, and what computes the digests besides BLAKE3.
    feed: Option<(u64, Feed)>,
}

/// What takes the bytes of a body, by the kind of its upload.
pub(super) enum BodyKind {
    Transient(TransientBody),
    Resumable(RangeWriter),
    Stored(StorageBody),
}

impl Body {
    /// `feed`: where it began, and what computes the digests besides BLAKE3.
    pub(super) fn new(kind: BodyKind, feed: Option<(u64, Feed)>) -> Self {
        Self { kind, feed }
    }

    /// Hashes and stages `bytes`. Writes synchronously, and does not wait for room.
    pub fn write(&mut self, bytes: &[u8]) {
        // What it swallows is of an upload that nobody can commit any more.
        if let Some((_, feed)) = &mut self.feed {
            feed.take(bytes);
        }
        match &mut self.kind {
            BodyKind::Transient(body) => body.write(bytes),
            BodyKind::Resumable(writer) => writer.write(bytes),
            BodyKind::Stored(body) => body.write(bytes),
        }
    }

    /// Ends it. `expected`: what the bytes of one that [is to be checked](super::Upload::body_checked) should hash to;
    /// if they do, they are here. Dropping a body ends it too, and nothing of one that is to be checked is here then.
    ///
    /// # Errors
    ///
    /// `digest-mismatch`: they do not. Nothing of them is here, and the upload goes on. `too-large`: more came than may
    /// be checked at once. `invalid-state`: there is no digest and there should be one, or the other way round. The
    /// fault of the upload.
    pub fn finish(self, expected: Option<Digest>) -> Result<(), Refusal> {
        self.finish_with(expected.map(ContentDigest::from))
    }

    /// The same for a body that is checked by any algorithm.
    ///
    /// # Errors
    ///
    /// As of [`Self::finish`]. `unsupported-version`: the digest is of another algorithm than the body was begun with.
    pub fn finish_with(self, expected: Option<ContentDigest>) -> Result<(), Refusal> {
        match self.kind {
            BodyKind::Resumable(writer) => writer.finish(expected)?,
            BodyKind::Transient(_) | BodyKind::Stored(_) if expected.is_some() => {
                return Err(not_checked());
            }
            BodyKind::Transient(_) | BodyKind::Stored(_) => {}
        }
        if let Some((start, feed)) = self.feed {
            feed.accept(start);
        }
        Ok(())
    }

    /// Whether its bytes are hashed by slower algorithms too: a large write takes longer than others on its thread
    /// would like to wait.
    pub fn is_slow(&self) -> bool {
        self.feed.is_some()
    }

    /// How many bytes there is room for. Other bodies of the upload may take it first.
    pub fn room(&self) -> usize {
        match &self.kind {
            BodyKind::Resumable(writer) => writer.room(),
            BodyKind::Transient(body) if !body.has_room() => 0,
            BodyKind::Transient(_) | BodyKind::Stored(_) => usize::MAX,
        }
    }

    /// Returns once there is room.
    pub async fn has_room(&self) {
        match &self.kind {
            BodyKind::Resumable(writer) => writer.has_room().await,
            BodyKind::Transient(body) => body.room().await,
            BodyKind::Stored(_) => {}
        }
    }

    /// Takes room for the next write, up to `most` bytes; how many. What that write does not need, others
    /// get.
    pub fn reserve(&mut self, most: usize) -> usize {
        match &mut self.kind {
            BodyKind::Resumable(writer) => writer.reserve(most),
            BodyKind::Transient(body) => body.reserve(most),
            BodyKind::Stored(_) => most,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").finish_non_exhaustive()
    }
}
