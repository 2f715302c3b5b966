//! Digests that are computed as the bytes of a file come.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sandport_protocol::inbox::Claims;
use sandport_protocol::{ContentDigest, Refusal};

use super::Hasher;

/// The digests of one upload that somebody has asked for.
pub(crate) struct Sums(Mutex<State>);

struct State {
    claims: Claims,
    /// `None`: the bytes do not come in order, or the upload has ended.
    line: Option<Line>,
}

/// The first bytes of a file, as far as they came in order.
#[derive(Clone)]
struct Line {
    bytes: u64,
    hashers: Vec<Hasher>,
}

impl Line {
    fn take(&mut self, bytes: &[u8]) {
        self.hashers.iter_mut().for_each(|hasher| hasher.update(bytes));
        self.bytes += bytes.len() as u64;
    }
}

/// What is to be done for the digests of an upload that ends.
pub(crate) enum Due {
    /// They are these.
    Known(Claims, Vec<ContentDigest>),
    /// The file has to be read.
    Read(Claims),
}

impl Sums {
    /// Of an upload of which no byte has come over this connection.
    ///
    /// # Errors
    /// `unsupported-version`: one of the algorithms is not computed here.
    pub(crate) fn new(claims: Claims) -> Result<Arc<Self>, Refusal> {
        let hashers = claims.algorithms().map(Hasher::new).collect::<Result<_, _>>()?;
        let line = Some(Line { bytes: 0, hashers });
        Ok(Arc::new(Self(Mutex::new(State { claims, line }))))
    }

    /// For a body whose first byte belongs to `offset`. `is_checked`: its bytes count only if it is
    /// [accepted](Feed::accept).
    pub(crate) fn feed(self: &Arc<Self>, offset: u64, is_checked: bool) -> Feed {
        let apart = is_checked.then(|| {
            let state = self.state();
            state.line.as_ref().filter(|line| line.bytes == offset).cloned()
        });
        Feed { sums: Arc::clone(self), offset, apart }
    }

    /// The upload ends with `size` bytes, and these are claimed besides. Nothing that comes later counts.
    pub(crate) fn end(&self, size: u64, claimed: &[ContentDigest]) -> Due {
        let mut state = self.state();
        let (mut claims, line) = (std::mem::take(&mut state.claims), state.line.take());
        drop(state);
        let known = claimed.iter().all(|digest| claims.include(digest.algorithm));
        claims.add(claimed);
        match line {
            Some(line) if known && line.bytes == size => {
                let digests = line.hashers.into_iter().map(Hasher::digest).collect();
                Due::Known(claims, digests)
            }
            _ => Due::Read(claims),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What takes the bytes of one body in.
pub(crate) struct Feed {
    sums: Arc<Sums>,
    /// Where the next byte belongs.
    offset: u64,
    /// Of a body that is checked: all up to there, if it goes on where the line ends.
    apart: Option<Option<Line>>,
}

impl Feed {
    /// The next bytes of the body.
    pub(crate) fn take(&mut self, bytes: &[u8]) {
        let offset = self.offset;
        self.offset = offset.saturating_add(bytes.len() as u64);
        match &mut self.apart {
            Some(line) => {
                if let Some(line) = line {
                    line.take(bytes);
                }
            }
            None => {
                let mut state = self.sums.state();
                match &mut state.line {
                    Some(line) if line.bytes == offset => line.take(bytes),
                    // A file that is read once more costs less than to keep what came out of order.
                    line => *line = None,
                }
            }
        }
    }

    /// What the body has brought counts from now on, which began at `start`.
    pub(crate) fn accept(self, start: u64) {
        let Some(apart) = self.apart else { return };
        let mut state = self.sums.state();
        state.line = match (&state.line, apart) {
            (Some(line), Some(apart)) if line.bytes == start => Some(apart),
            _ => None,
        };
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use sandport_protocol::Algorithm::{self, Crc32, Sha256};

    use super::*;

    fn sums(want: &[Algorithm]) -> Arc<Sums> {
        Sums::new(Claims::new(&[], want)).unwrap()
    }

    fn digest(algorithm: Algorithm, bytes: &[u8]) -> ContentDigest {
        let mut hasher = Hasher::new(algorithm).unwrap();
        hasher.update(bytes);
        hasher.digest()
    }

    /// The digests, where they are known.
    fn known(due: Due) -> Option<Vec<ContentDigest>> {
        match due {
            Due::Known(_, digests) => Some(digests),
            Due::Read(_) => None,
        }
    }

    #[test]
    fn bytes_that_come_in_order_are_hashed_as_they_come() {
        let sums = sums(&[Crc32, Sha256]);
        let mut first = sums.feed(0, false);
        first.take(b"he");
        first.take(b"l");
        sums.feed(3, false).take(b"lo");
        let expected = vec![digest(Sha256, b"hello"), digest(Crc32, b"hello")];
        assert_eq!(known(sums.end(5, &[])), Some(expected));
        // The end has come.
        first.take(b"more");
        assert!(known(sums.end(5, &[])).is_none());
    }

    #[test]
    fn a_file_is_read_again_where_bytes_came_out_of_order() {
        let out_of_order = sums(&[Sha256]);
        out_of_order.feed(3, false).take(b"lo");
        out_of_order.feed(0, false).take(b"hel");
        assert!(known(out_of_order.end(5, &[])).is_none());
        let partly = sums(&[Sha256]);
        partly.feed(0, false).take(b"hel");
        assert!(known(partly.end(5, &[])).is_none());
    }

    #[test]
    fn a_digest_not_asked_for_before_the_bytes_is_not_known() {
        let sums = sums(&[Sha256]);
        sums.feed(0, false).take(b"hello");
        let Due::Read(claims) = sums.end(5, &[digest(Crc32, b"hello")]) else { panic!("known") };
        assert!(claims.include(Sha256) && claims.include(Crc32));
    }

    #[test]
    fn a_checked_body_counts_when_it_is_accepted_and_not_before() {
        let sums = sums(&[Sha256]);
        sums.feed(0, false).take(b"hel");
        let mut wrong = sums.feed(3, true);
        wrong.take(b"p!");
        drop(wrong);
        let mut right = sums.feed(3, true);
        right.take(b"l");
        right.take(b"o");
        right.accept(3);
        assert_eq!(known(sums.end(5, &[])), Some(vec![digest(Sha256, b"hello")]));
    }

    #[test]
    fn checked_bodies_that_overtake_each_other_have_the_file_read() {
        let sums = sums(&[Sha256]);
        let mut second = sums.feed(3, true);
        second.take(b"lo");
        let mut first = sums.feed(0, true);
        first.take(b"hel");
        second.accept(3);
        first.accept(0);
        assert!(known(sums.end(5, &[])).is_none());
    }
}
