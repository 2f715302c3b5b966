//! What senders have sent, read from their bytes.

use std::collections::BTreeMap;

use bytes::Bytes;
use sandport_protocol::wire::{FrameDecoder, PREFACE, SenderMessage};

/// Checks that all payload of a connection is of the files, whole or not: `contents` has what each was when it
/// was offered. How many bytes there are of them.
#[track_caller]
pub(super) fn expect_bytes_of(contents: &BTreeMap<&str, &[u8]>, heard: &[u8]) -> usize {
    let mut rest = Bytes::copy_from_slice(heard.get(PREFACE.len()..).unwrap_or_default());
    let mut frames = FrameDecoder::default();
    let mut names = BTreeMap::new();
    let mut total = 0;
    while let Some(message) = frames.next(&mut rest).unwrap() {
        match SenderMessage::decode(&message).unwrap() {
            SenderMessage::Offer(offered) => {
                names.insert(offered.id, offered.offer.name.unwrap());
            }
            SenderMessage::Data(data) => {
                let length = usize::try_from(data.length).unwrap().min(rest.len());
                let payload = rest.split_to(length);
                let (name, start) = (&names[&data.id], usize::try_from(data.offset).unwrap());
                let content = contents[name.as_str()];
                assert!(
                    content.get(start..start + length) == Some(&payload[..]),
                    "what was sent of {name} from {start} on is not what it has there"
                );
                total += length;
            }
            _ => {}
        }
    }
    total
}
