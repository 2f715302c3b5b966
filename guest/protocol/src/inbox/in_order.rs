//! An upload whose bytes come in ascending order and end with its connection: what every inbox counts, hashes and
//! checks of it, wherever the bytes lie.

use alloc::boxed::Box;
use alloc::vec::Vec;

use blake3::Hasher;

use super::arrival::{Arrival, Body, check_digest};
use crate::{Digest, Extent, Refusal};

/// The account of one upload without a resume key.
///
/// Bytes do not stay here: [`take`](Self::take) has them written where they lie. What goes wrong is the fault of
/// the upload. It stays, and from then on bytes are swallowed.
///
/// ```
/// use sandport_protocol::inbox::InOrder;
/// use sandport_protocol::{Digest, Extent};
///
/// let mut upload = InOrder::new(Some(5), None, None);
/// let mut file = Vec::new();
/// let body = upload.begin(Extent { offset: 0, length: None })?;
/// upload.take(body, b"hello", |at, bytes| {
///     assert_eq!(at, 0);
///     file.extend_from_slice(bytes);
///     Ok(())
/// })?;
/// let digest = Digest::Blake3(*blake3::hash(b"hello").as_bytes());
/// assert_eq!(upload.finish(5, Some(digest))?, Some(digest));
/// # Ok::<(), sandport_protocol::Refusal>(())
/// ```
#[derive(Clone, Debug)]
pub struct InOrder {
    arrival: Arrival,
    hash: Hash,
    /// What the offer said.
    digest: Option<Digest>,
    fault: Option<Refusal>,
}

/// What is known of the digest.
#[derive(Clone, Debug)]
enum Hash {
    /// Nobody needs it.
    None,
    Empty,
    /// The content came in one piece, as that of small files does: no state to carry along.
    Whole(blake3::Hash),
    Running(Box<Hasher>),
}

impl InOrder {
    /// Nothing of a file of `size` bytes and this `digest`, where they are known, in an inbox that takes
    /// `max_file_size`. It takes no room before its first byte.
    pub fn new(size: Option<u64>, digest: Option<Digest>, max_file_size: Option<u64>) -> Self {
        Self { arrival: Arrival::new(size, max_file_size), hash: Hash::Empty, digest, fault: None }
    }

    /// The same for a file of which nobody can ask for the digest: it is not hashed, unless the offer had one.
    pub fn unhashed(size: Option<u64>, digest: Option<Digest>, max_file_size: Option<u64>) -> Self {
        let hash = if digest.is_none() { Hash::None } else { Hash::Empty };
        Self { hash, ..Self::new(size, digest, max_file_size) }
    }

    /// How many bytes are here.
    pub fn bytes(&self) -> u64 {
        self.arrival.bytes()
    }

    /// What is not here yet, in ascending order. Empty: all of it is.
    pub fn missing(&self) -> Vec<Extent> {
        self.arrival.missing()
    }

    /// The fault, if it has one.
    pub fn fault(&self) -> Option<&Refusal> {
        self.fault.as_ref()
    }

    /// Begins an extent.
    ///
    /// # Errors
    /// The fault. `offset-mismatch`: the extent does not begin where the last one ended, goes beyond the announced
    /// size, or nothing is missing there. `invalid-state`: an earlier body still has room.
    pub fn begin(&mut self, extent: Extent) -> Result<Body, Refusal> {
        self.check_fault()?;
        self.arrival.begin(extent)
    }

    /// Ends a body, wherever it is.
    pub fn end(&mut self, body: Body) {
        self.arrival.end(body);
    }

    /// Takes bytes of a body in: `keep` writes them to this offset. Where there is a fault already they are swallowed.
    ///
    /// # Errors
    /// The fault that this has caused, once: `too-large`; `offset-mismatch`, for more than was announced; that of
    /// `keep`.
    pub fn take(
        &mut self,
        body: Body,
        bytes: &[u8],
        keep: impl FnOnce(u64, &[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if bytes.is_empty() || self.fault.is_some() {
            return Ok(());
        }
        let (offset, length) = (self.arrival.bytes(), bytes.len() as u64);
        let kept = self.arrival.check(body, length).and_then(|()| keep(offset, bytes));
        match kept {
            Ok(()) => {
                self.hash.update(bytes, offset == 0 && self.arrival.size() == Some(length));
                self.arrival.add(body, length);
                Ok(())
            }
            Err(fault) => {
                self.fault = Some(fault.clone());
                Err(fault)
            }
        }
    }

    /// Whether what arrived is a file of `size` bytes and of the `digest`, and what the offer said. Its digest;
    /// `None`: it was not hashed, and what is said of its digest here has to be compared with what is read again.
    ///
    /// # Errors
    /// The fault. `digest-mismatch`.
    pub fn finish(&self, size: u64, digest: Option<Digest>) -> Result<Option<Digest>, Refusal> {
        self.check_fault()?;
        self.arrival.check_size(size)?;
        let computed = match &self.hash {
            Hash::None => return Ok(None),
            Hash::Empty => blake3::hash(b""),
            Hash::Whole(hash) => *hash,
            Hash::Running(hasher) => hasher.finalize(),
        };
        let computed = Digest::Blake3(*computed.as_bytes());
        check_digest(computed, [digest, self.digest].into_iter().flatten())?;
        Ok(Some(computed))
    }

    fn check_fault(&self) -> Result<(), Refusal> {
        self.fault.clone().map_or(Ok(()), Err)
    }
}

impl Hash {
    /// Takes the next bytes in; `is_whole`: no others come.
    fn update(&mut self, bytes: &[u8], is_whole: bool) {
        match self {
            Self::None => {}
            // One shot costs no hasher; for large pieces it would lose nothing, either.
            _ if is_whole => *self = Self::Whole(blake3::hash(bytes)),
            Self::Running(hasher) => drop(hasher.update(bytes)),
            Self::Empty | Self::Whole(_) => {
                let mut hasher = Box::new(Hasher::new());
                hasher.update(bytes);
                *self = Self::Running(hasher);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RefusalCode;

    const ALL: Extent = Extent { offset: 0, length: None };

    fn digest(content: &[u8]) -> Digest {
        Digest::Blake3(*blake3::hash(content).as_bytes())
    }

    fn kept(_: u64, _: &[u8]) -> Result<(), Refusal> {
        Ok(())
    }

    #[test]
    fn the_digest_is_that_of_the_bytes_in_however_many_pieces() {
        let content: Vec<u8> = (0..3_000_u32).flat_map(u32::to_le_bytes).collect();
        for piece in [1, 1_000, content.len()] {
            for size in [None, Some(content.len() as u64)] {
                let mut upload = InOrder::new(size, None, None);
                let body = upload.begin(ALL).unwrap_or_else(|refusal| unreachable!("{refusal}"));
                let mut expected = 0;
                for bytes in content.chunks(piece) {
                    let keep = |at, bytes: &[u8]| {
                        assert_eq!(at, expected);
                        expected += bytes.len() as u64;
                        Ok(())
                    };
                    assert_eq!(upload.take(body, bytes, keep), Ok(()));
                }
                let said = upload.finish(content.len() as u64, Some(digest(&content)));
                assert_eq!(said, Ok(Some(digest(&content))), "{piece} {size:?}");
            }
        }
        assert_eq!(InOrder::new(None, None, None).finish(0, None), Ok(Some(digest(b""))));
    }

    #[test]
    fn a_fault_is_told_once_and_stays_and_what_follows_is_swallowed() {
        let mut upload = InOrder::new(None, None, Some(9));
        let Ok(body) = upload.begin(ALL) else { unreachable!() };
        let full = Refusal::from(RefusalCode::InsufficientSpace);
        assert_eq!(upload.take(body, b"hello", |_, _| Err(full.clone())), Err(full.clone()));
        let unasked = |_, _: &[u8]| unreachable!("it is not written");
        assert_eq!(upload.take(body, b"more", unasked), Ok(()));
        assert_eq!(upload.take(body, b"more than there may be", unasked), Ok(()));
        assert_eq!((upload.fault(), upload.bytes()), (Some(&full), 0));
        assert_eq!(upload.begin(ALL), Err(full.clone()));
        assert_eq!(upload.finish(0, None), Err(full));
    }

    #[test]
    fn what_is_not_hashed_is_counted_and_says_so() {
        let mut upload = InOrder::unhashed(Some(5), None, None);
        let Ok(body) = upload.begin(ALL) else { unreachable!() };
        assert_eq!(upload.take(body, b"hello", kept), Ok(()));
        assert_eq!(upload.finish(5, Some(digest(b"HELLO"))), Ok(None));
        assert_eq!(
            upload.finish(4, None).map_err(|refusal| refusal.code),
            Err(RefusalCode::DigestMismatch)
        );
        // An offer that says the digest has it compared.
        let mut upload = InOrder::unhashed(Some(5), Some(digest(b"HELLO")), None);
        let Ok(body) = upload.begin(ALL) else { unreachable!() };
        assert_eq!(upload.take(body, b"hello", kept), Ok(()));
        assert_eq!(
            upload.finish(5, None).map_err(|refusal| refusal.code),
            Err(RefusalCode::DigestMismatch)
        );
    }
}
