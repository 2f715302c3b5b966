//! Digests of other algorithms than BLAKE3: which of them a file has to have, and which its receipt is to have.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::vec::Vec;

use crate::{Algorithm, BLAKE3_BYTES, ContentDigest, Digest, Refusal, RefusalCode};

/// The digests of an offer or of a commit: the one of BLAKE3, which every inbox computes, and the others.
///
/// # Errors
/// `malformed`: a digest has another length than those of its algorithm; or two are of the same.
pub fn split_digests(
    digests: impl IntoIterator<Item = ContentDigest>,
) -> Result<(Option<Digest>, Vec<ContentDigest>), Refusal> {
    let malformed = |words| Err(Refusal::new(RefusalCode::Malformed, words));
    let (mut blake3, mut others) = (None, Vec::<ContentDigest>::new());
    for digest in digests {
        let ContentDigest { algorithm, value } = &digest;
        if value.len() != algorithm.digest_bytes() {
            let (name, bytes) = (algorithm.name(), algorithm.digest_bytes());
            return malformed(format!("a {name} digest has {bytes} bytes"));
        }
        let known = match <[u8; BLAKE3_BYTES]>::try_from(value.as_slice()) {
            Ok(bytes) if *algorithm == Algorithm::Blake3 => {
                blake3.replace(Digest::Blake3(bytes)).is_some()
            }
            _ => {
                let known = others.iter().any(|other| other.algorithm == *algorithm);
                others.push(digest);
                known
            }
        };
        if known {
            return malformed("a digest of each algorithm comes once".into());
        }
    }
    Ok((blake3, others))
}

/// What is claimed of the digests of a file, and which are wanted. By default nothing: then none is computed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Claims {
    algorithms: BTreeSet<Algorithm>,
    claimed: Vec<ContentDigest>,
}

impl Claims {
    /// Those of an offer. A receipt has BLAKE3 in any case, so to want it is to want nothing.
    pub fn new(claimed: &[ContentDigest], want: &[Algorithm]) -> Self {
        let wanted = want.iter().copied().filter(|algorithm| *algorithm != Algorithm::Blake3);
        let mut claims = Self { algorithms: wanted.collect(), claimed: Vec::new() };
        claims.add(claimed);
        claims
    }

    /// These are claimed too: of the same file, so where two of one algorithm differ, none can hold.
    pub fn add(&mut self, claimed: &[ContentDigest]) {
        self.algorithms.extend(claimed.iter().map(|digest| digest.algorithm));
        self.claimed.extend_from_slice(claimed);
    }

    /// Those of two connections that carry one file.
    pub fn join(&mut self, other: Self) {
        self.algorithms.extend(other.algorithms);
        self.claimed.extend(other.claimed);
    }

    /// Whether nothing is to be computed.
    pub fn is_empty(&self) -> bool {
        self.algorithms.is_empty()
    }

    /// What is to be computed: each once, in the order of the WIT enum. Receipts have them in this order.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> + '_ {
        self.algorithms.iter().copied()
    }

    /// Whether `algorithm` is among what is to be computed.
    pub fn include(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Whether a file holds what was claimed of it, which has these digests.
    ///
    /// # Errors
    /// `digest-mismatch`, also for a claim of an algorithm that is not among them.
    pub fn check(&self, computed: &[ContentDigest]) -> Result<(), Refusal> {
        match self.claimed.iter().find(|claimed| !computed.contains(claimed)) {
            None => Ok(()),
            Some(claimed) => {
                let name = claimed.algorithm.name();
                let words = format!("what arrived has another {name} digest");
                Err(Refusal::new(RefusalCode::DigestMismatch, words))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn digest(algorithm: Algorithm, byte: u8) -> ContentDigest {
        ContentDigest { algorithm, value: vec![byte; algorithm.digest_bytes()] }
    }

    #[test]
    fn the_digest_of_blake3_is_told_from_the_others() {
        let all: Vec<_> = Algorithm::ALL.into_iter().map(|it| digest(it, 7)).collect();
        let split = split_digests(all.clone());
        assert_eq!(split, Ok((Some(Digest::Blake3([7; 32])), all[1..].to_vec())));
        assert_eq!(split_digests([]), Ok((None, vec![])));
    }

    #[test]
    fn a_digest_of_wrong_length_or_given_twice_is_malformed() {
        let code = |digests: Vec<ContentDigest>| split_digests(digests).map_err(|it| it.code);
        for algorithm in Algorithm::ALL {
            for bytes in [0, algorithm.digest_bytes() - 1, algorithm.digest_bytes() + 1] {
                let wrong = ContentDigest { algorithm, value: vec![0; bytes] };
                assert_eq!(code(vec![wrong]), Err(RefusalCode::Malformed), "{algorithm:?} {bytes}");
            }
            let twice = vec![digest(algorithm, 1), digest(algorithm, 1)];
            assert_eq!(code(twice), Err(RefusalCode::Malformed), "{algorithm:?}");
        }
    }

    #[test]
    fn what_is_claimed_or_wanted_is_computed_once_and_nothing_else() {
        use Algorithm::{Blake3, Crc32, Md5, Sha1, Sha256};
        assert!(Claims::new(&[], &[]).is_empty() && Claims::new(&[], &[Blake3]).is_empty());
        let mut claims = Claims::new(&[digest(Sha1, 1)], &[Crc32, Sha256, Crc32]);
        claims.add(&[digest(Sha256, 2)]);
        claims.join(Claims::new(&[], &[Md5]));
        assert_eq!(claims.algorithms().collect::<Vec<_>>(), [Sha256, Sha1, Md5, Crc32]);
        assert!(claims.include(Md5) && !claims.include(Blake3));
    }

    #[test]
    fn each_claim_has_to_hold() {
        use Algorithm::{Sha1, Sha256};
        let mut claims = Claims::new(&[digest(Sha1, 1)], &[Sha256]);
        let computed = [digest(Sha256, 2), digest(Sha1, 1)];
        assert_eq!(claims.check(&computed), Ok(()));
        claims.add(&[digest(Sha256, 2)]);
        assert_eq!(claims.check(&computed), Ok(()));
        let code = |claims: &Claims, computed| claims.check(computed).map_err(|it| it.code);
        assert_eq!(code(&claims, &computed[..1]), Err(RefusalCode::DigestMismatch));
        claims.add(&[digest(Sha1, 3)]);
        assert_eq!(code(&claims, &computed), Err(RefusalCode::DigestMismatch));
    }
}
