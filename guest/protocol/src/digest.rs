//! Digests of every kind that the contract knows. The native dialect has BLAKE3 alone: [`Digest`].

use alloc::vec::Vec;
use core::fmt;

use crate::Digest;

/// What computes a digest: `types.algorithm` of the WIT package.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Algorithm {
    /// BLAKE3 with its default output length.
    Blake3,
    /// SHA-256 (FIPS 180-4).
    Sha256,
    /// SHA-512 (FIPS 180-4).
    Sha512,
    /// SHA-1 (FIPS 180-4). It shows damage, and no longer intent.
    Sha1,
    /// MD5 (RFC 1321). It shows damage, and no longer intent.
    Md5,
    /// CRC-32 of IEEE 802.3, as in gzip (RFC 1952), the most significant byte first.
    Crc32,
}

impl Algorithm {
    /// Every algorithm, in the order of the WIT enum.
    pub const ALL: [Self; 6] =
        [Self::Blake3, Self::Sha256, Self::Sha512, Self::Sha1, Self::Md5, Self::Crc32];

    /// How many bytes a digest has.
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::Blake3 | Self::Sha256 => 32,
            Self::Sha512 => 64,
            Self::Sha1 => 20,
            Self::Md5 => 16,
            Self::Crc32 => 4,
        }
    }

    /// The name for a person: `SHA-256`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blake3 => "BLAKE3",
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
            Self::Sha1 => "SHA-1",
            Self::Md5 => "MD5",
            Self::Crc32 => "CRC-32",
        }
    }
}

/// A digest of any kind: `types.digest` of the WIT package.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ContentDigest {
    /// How it is computed.
    pub algorithm: Algorithm,
    /// As many bytes as the algorithm gives; whoever takes it in refuses another number.
    pub value: Vec<u8>,
}

impl From<Digest> for ContentDigest {
    fn from(digest: Digest) -> Self {
        Self { algorithm: Algorithm::Blake3, value: digest.as_bytes().to_vec() }
    }
}

impl fmt::Display for ContentDigest {
    /// Lower-case hexadecimal, without the name of the function.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for ContentDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{self}", self.algorithm.name())
    }
}
