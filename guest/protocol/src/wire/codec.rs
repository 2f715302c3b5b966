//! Messages to bytes and back: serde with postcard, made strict.

use alloc::string::String;
use alloc::vec::Vec;

use postcard::ser_flavors::Flavor;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{ReceiverMessage, SenderMessage};
use crate::{Digest, EntryKind, FRAME_BYTES_MAX, Resume, UploadId};

/// The number of [`SenderMessage::Offer`] among the cases of its variant.
const OFFER_CASE: u8 = 3;

/// Longest frame header in bytes: [`FRAME_BYTES_MAX`] has three groups of seven bits.
const FRAME_HEADER_BYTES_MAX: usize = 3;

/// A message that is longer than [`FRAME_BYTES_MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the message is longer than a frame")]
pub struct MessageTooLong;

/// Why the bytes of a frame are no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The bytes are no value of the message type, or not in its one encoding.
    #[error("the message does not decode")]
    Malformed,
    /// A well-formed offer whose name is not UTF-8. It costs that offer alone.
    #[error("the name in the offer is not UTF-8")]
    NameNotUtf8 {
        /// The number of the upload.
        id: UploadId,
    },
}

impl SenderMessage {
    /// Reads the content of one frame.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes).ok_or_else(|| match bytes.split_first() {
            Some((&OFFER_CASE, offer)) => match decode::<RawNumberedOffer>(offer) {
                // Otherwise well-formed, so it is the name that did not decode.
                Some(RawNumberedOffer { id, offer: RawOffer { name: Some(_), .. } }) => {
                    DecodeError::NameNotUtf8 { id }
                }
                _ => DecodeError::Malformed,
            },
            _ => DecodeError::Malformed,
        })
    }

    /// Writes the message as a frame, its length first.
    ///
    /// # Errors
    /// [`MessageTooLong`].
    pub fn encode_frame(&self) -> Result<Vec<u8>, MessageTooLong> {
        encode_frame(self)
    }
}

impl ReceiverMessage {
    /// Reads the content of one frame.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        decode(bytes).ok_or(DecodeError::Malformed)
    }

    /// Writes the message as a frame, its length first.
    ///
    /// # Errors
    /// [`MessageTooLong`].
    pub fn encode_frame(&self) -> Result<Vec<u8>, MessageTooLong> {
        encode_frame(self)
    }
}

/// [`super::NumberedOffer`] with a name that may hold any bytes. A string and a list of bytes are
/// encoded alike.
#[derive(Serialize, Deserialize)]
struct RawNumberedOffer {
    id: UploadId,
    offer: RawOffer,
}

/// [`crate::Offer`] with a name that may hold any bytes.
#[derive(Serialize, Deserialize)]
struct RawOffer {
    name: Option<Vec<u8>>,
    kind: EntryKind,
    size: Option<u64>,
    digest: Option<Digest>,
    modified_ns: Option<i64>,
    executable: bool,
    resume: Option<Resume>,
}

/// Accepts the one encoding of a value and no other.
///
/// postcard reads numbers that are longer than they need to be, and up to another length where
/// `usize` has another size. Writing the value again and comparing finds each of them, and bytes
/// left over.
fn decode<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let value = postcard::from_bytes(bytes).ok()?;
    match postcard::serialize_with_flavor(&value, Comparison { rest: bytes }) {
        Ok(true) => Some(value),
        _ => None,
    }
}

fn encode_frame<T: Serialize>(message: &T) -> Result<Vec<u8>, MessageTooLong> {
    let length = postcard::serialize_with_flavor(message, Length { bytes: 0 })
        .map_err(|_| MessageTooLong)?;
    if length > FRAME_BYTES_MAX {
        return Err(MessageTooLong);
    }
    let mut frame = Vec::with_capacity(FRAME_HEADER_BYTES_MAX + length);
    let mut header = length;
    while header >= 0x80 {
        frame.push((header & 0x7f) as u8 | 0x80);
        header >>= 7;
    }
    frame.push(header as u8);
    postcard::to_extend(message, frame).map_err(|_| MessageTooLong)
}

/// Compares what is written with bytes that are there already.
struct Comparison<'a> {
    rest: &'a [u8],
}

impl Flavor for Comparison<'_> {
    /// Whether all was equal and nothing is left.
    type Output = bool;

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.try_extend(&[byte])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.rest = self.rest.strip_prefix(bytes).ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<bool> {
        Ok(self.rest.is_empty())
    }
}

/// Counts what is written.
struct Length {
    bytes: usize,
}

impl Flavor for Length {
    type Output = usize;

    fn try_push(&mut self, _byte: u8) -> postcard::Result<()> {
        self.try_extend(&[0])
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.bytes =
            self.bytes.checked_add(bytes.len()).ok_or(postcard::Error::SerializeBufferFull)?;
        Ok(())
    }

    fn finalize(self) -> postcard::Result<usize> {
        Ok(self.bytes)
    }
}

/// Cuts a text that a program or a person wrote to at most `max` bytes, between characters, so that
/// the message around it fits its frame.
pub(crate) fn cut(mut text: String, max: usize) -> String {
    if text.len() > max {
        let mut end = max;
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
    text
}
