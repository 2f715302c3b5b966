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

    /// What the empty string hashes to: for who has nothing else to hash.
    pub const fn digest_of_nothing(self) -> &'static [u8] {
        match self {
            Self::Blake3 => &[
                0xaf, 0x13, 0x49, 0xb9, 0xf5, 0xf9, 0xa1, 0xa6, 0xa0, 0x40, 0x4d, 0xea, 0x36, 0xdc,
                0xc9, 0x49, 0x9b, 0xcb, 0x25, 0xc9, 0xad, 0xc1, 0x12, 0xb7, 0xcc, 0x9a, 0x93, 0xca,
                0xe4, 0x1f, 0x32, 0x62,
            ],
            Self::Sha256 => &[
                0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f,
                0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b,
                0x78, 0x52, 0xb8, 0x55,
            ],
            Self::Sha512 => &[
                0xcf, 0x83, 0xe1, 0x35, 0x7e, 0xef, 0xb8, 0xbd, 0xf1, 0x54, 0x28, 0x50, 0xd6, 0x6d,
                0x80, 0x07, 0xd6, 0x20, 0xe4, 0x05, 0x0b, 0x57, 0x15, 0xdc, 0x83, 0xf4, 0xa9, 0x21,
                0xd3, 0x6c, 0xe9, 0xce, 0x47, 0xd0, 0xd1, 0x3c, 0x5d, 0x85, 0xf2, 0xb0, 0xff, 0x83,
                0x18, 0xd2, 0x87, 0x7e, 0xec, 0x2f, 0x63, 0xb9, 0x31, 0xbd, 0x47, 0x41, 0x7a, 0x81,
                0xa5, 0x38, 0x32, 0x7a, 0xf9, 0x27, 0xda, 0x3e,
            ],
            Self::Sha1 => &[
                0xda, 0x39, 0xa3, 0xee, 0x5e, 0x6b, 0x4b, 0x0d, 0x32, 0x55, 0xbf, 0xef, 0x95, 0x60,
                0x18, 0x90, 0xaf, 0xd8, 0x07, 0x09,
            ],
            Self::Md5 => &[
                0xd4, 0x1d, 0x8c, 0xd9, 0x8f, 0x00, 0xb2, 0x04, 0xe9, 0x80, 0x09, 0x98, 0xec, 0xf8,
                0x42, 0x7e,
            ],
            Self::Crc32 => &[0; 4],
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_of_nothing_are_as_long_as_digests() {
        for algorithm in Algorithm::ALL {
            let digest = algorithm.digest_of_nothing();
            assert_eq!(digest.len(), algorithm.digest_bytes(), "{algorithm:?}");
        }
        assert_eq!(Algorithm::Blake3.digest_of_nothing(), blake3::hash(b"").as_bytes());
    }
}
