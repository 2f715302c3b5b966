//! What a sender has kept beside its upload, and is told again: names and values that mean nothing here.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::{Refusal, RefusalCode};

/// Longest name. Bytes.
pub const METADATA_NAME_BYTES_MAX: usize = 64;

/// Longest value. Bytes: a path fits, and a content type with all of its parameters.
pub const METADATA_VALUE_BYTES_MAX: usize = 1_024;

/// Longest names and values together. Bytes. It is written with the first entry of a journal, and is in memory for as
/// long as somebody is at the upload.
pub const METADATA_BYTES_MAX: usize = 4 * 1_024;

/// Most pairs. Each takes some fifty bytes of memory, however short.
pub const METADATA_PAIRS_MAX: usize = 64;

/// Names with their values, in the order in which they were given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata(Vec<(String, Vec<u8>)>);

impl Metadata {
    /// Takes pairs, if they are not too many and not too long.
    ///
    /// # Errors
    /// `too-large`, in words about the bound that is met.
    pub fn new(pairs: Vec<(String, Vec<u8>)>) -> Result<Self, Refusal> {
        let too_large = |words| Err(Refusal::new(RefusalCode::TooLarge, words));
        if pairs.len() > METADATA_PAIRS_MAX {
            return too_large(format!(
                "an upload has {METADATA_PAIRS_MAX} pairs of metadata at most"
            ));
        }
        if pairs.iter().any(|(name, _)| name.len() > METADATA_NAME_BYTES_MAX) {
            return too_large(format!(
                "a name in the metadata of an upload has {METADATA_NAME_BYTES_MAX} bytes at most"
            ));
        }
        if pairs.iter().any(|(_, value)| value.len() > METADATA_VALUE_BYTES_MAX) {
            return too_large(format!(
                "a value in the metadata of an upload has {METADATA_VALUE_BYTES_MAX} bytes at most"
            ));
        }
        let bytes: usize = pairs.iter().map(|(name, value)| name.len() + value.len()).sum();
        if bytes > METADATA_BYTES_MAX {
            return too_large(format!(
                "the metadata of an upload has {METADATA_BYTES_MAX} bytes at most"
            ));
        }
        Ok(Self(pairs))
    }

    /// The pairs.
    pub fn pairs(&self) -> &[(String, Vec<u8>)] {
        &self.0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
