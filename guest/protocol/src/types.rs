//! What the dialects, the receivers and the inboxes all talk about: the types of the interface `wire` of the
//! WIT package, field by field. The encoding on the wire follows from the order of fields and variants;
//! `wit/wire.wit` specifies it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

/// Why something was refused. The one list of codes: on the wire, in logs, in JSON, in metrics.
///
/// `wit/types.wit` says when each occurs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
#[allow(missing_docs, reason = "documented in wit/types.wit, the one place for it")]
pub enum RefusalCode {
    Malformed,
    UnsupportedVersion,
    NotPermitted,
    NameInvalid,
    Exists,
    TooLarge,
    QuotaExceeded,
    TooMany,
    OffsetMismatch,
    DigestMismatch,
    Locked,
    Cancelled,
    Timeout,
    InsufficientSpace,
    Io,
    InvalidState,
    Other,
}

impl RefusalCode {
    /// Every code, in the order of the WIT enum.
    pub const ALL: [Self; 17] = [
        Self::Malformed,
        Self::UnsupportedVersion,
        Self::NotPermitted,
        Self::NameInvalid,
        Self::Exists,
        Self::TooLarge,
        Self::QuotaExceeded,
        Self::TooMany,
        Self::OffsetMismatch,
        Self::DigestMismatch,
        Self::Locked,
        Self::Cancelled,
        Self::Timeout,
        Self::InsufficientSpace,
        Self::Io,
        Self::InvalidState,
        Self::Other,
    ];

    /// The stable spelling, as in WIT: `name-invalid`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnsupportedVersion => "unsupported-version",
            Self::NotPermitted => "not-permitted",
            Self::NameInvalid => "name-invalid",
            Self::Exists => "exists",
            Self::TooLarge => "too-large",
            Self::QuotaExceeded => "quota-exceeded",
            Self::TooMany => "too-many",
            Self::OffsetMismatch => "offset-mismatch",
            Self::DigestMismatch => "digest-mismatch",
            Self::Locked => "locked",
            Self::Cancelled => "cancelled",
            Self::Timeout => "timeout",
            Self::InsufficientSpace => "insufficient-space",
            Self::Io => "io",
            Self::InvalidState => "invalid-state",
            Self::Other => "other",
        }
    }

    /// Whether the same command may succeed later, though nobody changes a setting: what is full may be
    /// emptied, and what is in use given up. Senders try these again, and no others.
    pub const fn is_temporary(self) -> bool {
        matches!(
            self,
            Self::TooMany
                | Self::Locked
                | Self::Cancelled
                | Self::Timeout
                | Self::InsufficientSpace
                | Self::Io
        )
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refusal: the condition, and words for a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub struct Refusal {
    /// The condition.
    pub code: RefusalCode,
    /// One line for a person. It may come from the other side: sanitize it before showing it.
    pub detail: Option<String>,
}

impl Refusal {
    /// A refusal with words.
    pub fn new(code: RefusalCode, detail: impl Into<String>) -> Self {
        Self { code, detail: Some(detail.into()) }
    }
}

impl From<RefusalCode> for Refusal {
    fn from(code: RefusalCode) -> Self {
        Self { code, detail: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => write!(f, "{}: {detail}", self.code),
            None => write!(f, "{}", self.code),
        }
    }
}

/// Length of a BLAKE3 digest in bytes.
pub const BLAKE3_BYTES: usize = 32;

/// A digest over the whole content of a file.
///
/// On the wire a digest is a list of bytes; one with another length than [`BLAKE3_BYTES`] does not
/// decode.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Digest {
    /// BLAKE3 with its default output length.
    Blake3(#[serde(with = "bytes_32")] [u8; BLAKE3_BYTES]),
}

impl Digest {
    /// The bytes of the digest.
    pub const fn as_bytes(&self) -> &[u8; BLAKE3_BYTES] {
        match self {
            Self::Blake3(bytes) => bytes,
        }
    }
}

impl fmt::Display for Digest {
    /// Lower-case hexadecimal, without the name of the function.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "blake3:{self}")
    }
}

/// `list<u8>` of one fixed length. serde writes `[u8; 32]` as a tuple, without its length.
mod bytes_32 {
    use super::BLAKE3_BYTES;
    use alloc::vec::Vec;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::{Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(
        bytes: &[u8; BLAKE3_BYTES],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        bytes.as_slice().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; BLAKE3_BYTES], D::Error> {
        let bytes = Vec::<u8>::deserialize(deserializer)?;
        bytes.try_into().map_err(|_| D::Error::custom("a digest or a resume key has 32 bytes"))
    }
}

/// A range of bytes of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// The first byte, from 0.
    pub offset: u64,
    /// How many bytes; `None` is up to the end, wherever that will be.
    pub length: Option<u64>,
}

/// What kind of directory entry an upload makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum EntryKind {
    /// A regular file.
    File,
    /// A directory: no size, no digest, no body.
    Directory,
}

/// Length of a resume key in bytes. As a BLAKE3 digest's: nobody guesses it.
pub const RESUME_KEY_BYTES: usize = 32;

/// What becomes of what an inbox has under a resume key already.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ResumeMode {
    /// Go on where it ended; another connection that holds the upload loses it.
    TakeOver,
    /// Carry extents beside the connections that hold it.
    Join,
    /// Discard it and begin anew.
    Restart,
}

/// Identifies a resumable upload.
///
/// On the wire the key is a list of bytes; one with another length than [`RESUME_KEY_BYTES`] does not
/// decode.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resume {
    /// A secret of the sender's, made up for this upload alone.
    #[serde(with = "bytes_32")]
    pub key: [u8; RESUME_KEY_BYTES],
    /// Which run of the sender this is: of two, the later one has the higher number and gets the
    /// upload.
    #[serde(rename = "run")]
    pub epoch: u64,
    /// What becomes of what is there already.
    pub mode: ResumeMode,
}

impl fmt::Debug for Resume {
    /// Without the key: whoever reads a log could go on with the upload.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resume")
            .field("epoch", &self.epoch)
            .field("mode", &self.mode)
            .finish_non_exhaustive()
    }
}

/// What a sender says of a file before it sends it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// A relative path with `/` between its parts, not yet checked; `None`: the inbox makes one up.
    pub name: Option<String>,
    /// File or directory.
    pub kind: EntryKind,
    /// Size in bytes; `None`: not known yet.
    pub size: Option<u64>,
    /// Digest of the content, where the sender has it already.
    pub digest: Option<Digest>,
    /// Modification time in nanoseconds since 1970-01-01T00:00:00Z.
    pub modified_ns: Option<i64>,
    /// Whether the sender's file is executable.
    pub executable: bool,
    /// How it can be resumed; `None`: not at all.
    pub resume: Option<Resume>,
}

impl Offer {
    /// An offer of a file that says nothing else of it.
    pub const fn of_file(name: Option<String>, size: Option<u64>) -> Self {
        Self {
            name,
            kind: EntryKind::File,
            size,
            digest: None,
            modified_ns: None,
            executable: false,
            resume: None,
        }
    }
}

/// Says that a file is whole, verified, durable, and visible under its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// The name under which it was published.
    pub name: String,
    /// Size in bytes; 0 for a directory.
    pub size: u64,
    /// The digest that the host computed.
    pub digest: Digest,
    /// A proof by the host, for senders that have authenticated.
    pub proof: Option<Vec<u8>>,
}

/// Who the sender is, as far as the host is convinced: `identity` of the WIT package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename = "Identity")]
pub struct Authenticated {
    /// The name that the operator gave it; `None`: anonymous.
    pub name: Option<String>,
}

/// What a sender shows to prove who it is: `gate.credential` of the WIT package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Credential {
    /// The name of an identity, and a proof over the challenge of this connection.
    Proof((String, Vec<u8>)),
    /// A token that is itself the secret.
    Bearer(String),
}
