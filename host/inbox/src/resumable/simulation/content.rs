//! What senders send: files whose bytes tell which version of a file they are of, and where in it.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use blake3::hazmat::HasherExt;
use sandport_protocol::Digest;
use sandport_protocol::journal::{GROUP_BYTES, Tail, group_hasher};

/// How long the longest is. Bytes.
pub(super) const LONGEST: u64 = 3 * 1024 * 1024 + 70_000;

/// How far versions are apart in the bytes that they are taken of. So an upload of one version consists of a part of
/// that version, as long as some of these, and one of the version that is so many later.
pub(super) const SHIFT: usize = 419_431;

/// How many versions there are.
pub(super) const VERSIONS: u64 = 8;

/// A version of a file.
pub(super) type Version = u64;

/// The bytes of a version.
pub(super) fn content(version: Version) -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = BYTES.get_or_init(|| {
        let length = LONGEST as usize + SHIFT * VERSIONS as usize;
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            bytes.extend_from_slice(&state.to_le_bytes());
        }
        bytes
    });
    &bytes[(version % VERSIONS) as usize * SHIFT..][..LONGEST as usize]
}

/// The digest of the first `size` bytes of a version.
pub(super) fn digest(version: Version, size: u64) -> Digest {
    let version = version % VERSIONS;
    thread_local! {
        static KNOWN: RefCell<HashMap<(Version, u64), Digest>> = RefCell::default();
    }
    let hash = || {
        let bytes = &content(version)[..size as usize];
        Digest::Blake3(*blake3::hash(bytes).as_bytes())
    };
    KNOWN.with_borrow_mut(|known| *known.entry((version, size)).or_insert_with(hash))
}

/// Of which version each byte of a file is. Bytes that are not in it are lost.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces(BTreeMap<u64, (u64, Version)>);

impl Pieces {
    /// Puts bytes in the place of what was there.
    pub(super) fn write(&mut self, start: u64, end: u64, version: Version) {
        self.lose(start, end);
        if start < end {
            self.0.insert(start, (end, version));
        }
    }

    /// Loses what was there.
    pub(super) fn lose(&mut self, start: u64, end: u64) {
        let touched: Vec<_> = self.0.range(..end).filter(|(_, piece)| piece.0 > start).collect();
        let touched: Vec<_> = touched.into_iter().map(|(&from, &piece)| (from, piece)).collect();
        for (from, (to, version)) in touched {
            self.0.remove(&from);
            if from < start {
                self.0.insert(from, (start, version));
            }
            if to > end {
                self.0.insert(end, (to, version));
            }
        }
    }

    /// The version that all of these bytes are of; `None`: some are lost, or of another.
    pub(super) fn version(&self, start: u64, end: u64) -> Option<Version> {
        let (mut at, mut found) = (start, None);
        while at < end {
            let (_, &(to, version)) = self.0.range(..=at).next_back().filter(|it| it.1.0 > at)?;
            if found.is_some_and(|found| found != version) {
                return None;
            }
            (at, found) = (to, Some(version));
        }
        found
    }

    /// The hash of the first bytes of a group, where they are those that a journal speaks of.
    pub(super) fn find(&self, tail: &Tail) -> Option<blake3::Hasher> {
        let (mut at, mut hasher) = (tail.group * GROUP_BYTES, group_hasher(tail.group));
        let tail_end = at + tail.length;
        while at < tail_end {
            let (_, &(end, version)) =
                self.0.range(..=at).next_back().filter(|piece| piece.1.0 > at)?;
            let end = end.min(tail_end);
            hasher.update(&content(version)[at as usize..end as usize]);
            at = end;
        }
        (hasher.finalize_non_root() == tail.value).then_some(hasher)
    }

    /// Whether none of these bytes is lost.
    pub(super) fn has(&self, start: u64, end: u64) -> bool {
        let mut at = start;
        while at < end {
            match self.0.range(..=at).next_back() {
                Some((_, &(to, _))) if to > at => at = to,
                _ => return false,
            }
        }
        true
    }

    /// Whether any of these bytes is there.
    pub(super) fn touches(&self, start: u64, end: u64) -> bool {
        start < end && self.0.range(..end).next_back().is_some_and(|(_, &(to, _))| to > start)
    }

    pub(super) fn end(&self) -> u64 {
        self.0.last_key_value().map_or(0, |(_, &(end, _))| end)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (u64, u64, Version)> + '_ {
        self.0.iter().map(|(&start, &(end, version))| (start, end, version))
    }
}
