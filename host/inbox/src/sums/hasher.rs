//! One digest that is being computed, of any algorithm.

use md5::Md5;
use sandport_protocol::{Algorithm, ContentDigest, Refusal, RefusalCode};
use sha1::Sha1;
use sha2::digest::Digest as _;
use sha2::{Sha256, Sha512};

/// The hash of some bytes. Cloning it costs two kilobytes at most.
#[derive(Clone)]
pub(crate) enum Hasher {
    /// It is large.
    Blake3(Box<blake3::Hasher>),
    Sha256(Sha256),
    Sha512(Sha512),
    Sha1(Sha1),
    Md5(Md5),
    Crc32(crc32fast::Hasher),
}

impl Hasher {
    /// Of no bytes so far.
    ///
    /// # Errors
    /// `unsupported-version`: nothing here computes that.
    pub(crate) fn new(algorithm: Algorithm) -> Result<Self, Refusal> {
        Ok(match algorithm {
            Algorithm::Blake3 => Self::Blake3(Box::default()),
            Algorithm::Sha256 => Self::Sha256(Sha256::new()),
            Algorithm::Sha512 => Self::Sha512(Sha512::new()),
            Algorithm::Sha1 => Self::Sha1(Sha1::new()),
            Algorithm::Md5 => Self::Md5(Md5::new()),
            Algorithm::Crc32 => Self::Crc32(crc32fast::Hasher::new()),
            _ => {
                let words = "the inbox computes no digests of that kind";
                return Err(Refusal::new(RefusalCode::UnsupportedVersion, words));
            }
        })
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(hasher) => drop(hasher.update(bytes)),
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Sha512(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Crc32(hasher) => hasher.update(bytes),
        }
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        match self {
            Self::Blake3(_) => Algorithm::Blake3,
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha512(_) => Algorithm::Sha512,
            Self::Sha1(_) => Algorithm::Sha1,
            Self::Md5(_) => Algorithm::Md5,
            Self::Crc32(_) => Algorithm::Crc32,
        }
    }

    /// The digest of all bytes so far.
    pub(crate) fn digest(self) -> ContentDigest {
        let algorithm = self.algorithm();
        let value = match self {
            Self::Blake3(hasher) => hasher.finalize().as_bytes().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
            Self::Sha512(hasher) => hasher.finalize().to_vec(),
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Md5(hasher) => hasher.finalize().to_vec(),
            // The most significant byte first, as the WIT package says.
            Self::Crc32(hasher) => hasher.finalize().to_be_bytes().to_vec(),
        };
        ContentDigest { algorithm, value }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn hex(algorithm: Algorithm, pieces: &[&[u8]]) -> String {
        let mut hasher = Hasher::new(algorithm).unwrap();
        pieces.iter().for_each(|piece| hasher.update(piece));
        assert_eq!(hasher.algorithm(), algorithm);
        let digest = hasher.digest();
        assert_eq!(digest.value.len(), algorithm.digest_bytes());
        digest.to_string()
    }

    /// Of `abc`, from the documents that define the algorithms; CRC-32 of `123456789`, its check value.
    #[test]
    fn each_algorithm_gives_the_values_of_its_document() {
        for (algorithm, text, expected) in [
            (
                Algorithm::Blake3,
                "abc",
                "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85",
            ),
            (
                Algorithm::Sha256,
                "abc",
                "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            ),
            (
                Algorithm::Sha512,
                "abc",
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
                 2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
            ),
            (Algorithm::Sha1, "abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Algorithm::Md5, "abc", "900150983cd24fb0d6963f7d28e17f72"),
            (Algorithm::Crc32, "123456789", "cbf43926"),
        ] {
            assert_eq!(hex(algorithm, &[text.as_bytes()]), expected, "{algorithm:?}");
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(hex(algorithm, &bytes), expected, "{algorithm:?} byte by byte");
        }
    }
}
