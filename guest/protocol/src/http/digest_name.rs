//! How fields call the algorithms of digests (RFC 9530).

use crate::Algorithm;

/// The names: of the IANA registry, and `blake3`, which is not in it.
const NAMES: [(&str, Algorithm); 5] = [
    ("blake3", Algorithm::Blake3),
    ("sha-256", Algorithm::Sha256),
    ("sha-512", Algorithm::Sha512),
    ("sha", Algorithm::Sha1),
    ("md5", Algorithm::Md5),
];

/// The name of an algorithm. `None`: it has none in fields.
pub(crate) fn of(algorithm: Algorithm) -> Option<&'static str> {
    NAMES.iter().find(|(_, one)| *one == algorithm).map(|(name, _)| *name)
}

/// The algorithm of a name. `None`: this program does not know it.
pub(crate) fn algorithm(name: &str) -> Option<Algorithm> {
    NAMES.iter().find(|(one, _)| *one == name).map(|(_, algorithm)| *algorithm)
}
