//! Frames and messages of the native dialect.

use bytes::Bytes;
use sandport_protocol::FRAME_BYTES_MAX;
use sandport_protocol::wire::{
    DecodeError, FrameDecoder, FrameError, ReceiverMessage, SenderMessage,
};

use crate::cutting::pieces;
use crate::vectors;

/// What a decoder finds.
#[derive(Debug, PartialEq)]
struct Found {
    frames: Vec<Bytes>,
    error: Option<FrameError>,
    is_between_frames: bool,
}

fn read(pieces: &[Vec<u8>]) -> Found {
    let mut decoder = FrameDecoder::default();
    let (mut frames, mut error) = (vec![], None);
    'pieces: for piece in pieces {
        let mut rest = Bytes::copy_from_slice(piece);
        loop {
            match decoder.next(&mut rest) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(broken) => {
                    error = Some(broken);
                    break 'pieces;
                }
            }
        }
        assert!(rest.is_empty(), "what came is used up");
        assert!(decoder.missing() <= FRAME_BYTES_MAX);
    }
    Found { frames, error, is_between_frames: decoder.is_between_frames() }
}

pub(crate) fn run(data: &[u8]) {
    let whole = read(&[data.to_vec()]);
    let cut = read(&pieces(data));
    assert_eq!((&cut.frames, cut.error), (&whole.frames, whole.error));
    if whole.error.is_none() {
        assert_eq!(cut.is_between_frames, whole.is_between_frames);
    }
    let bytes: usize = whole.frames.iter().map(|frame| 1 + frame.len()).sum();
    assert!(bytes <= data.len(), "frames have {bytes} bytes of {}", data.len());
    for frame in &whole.frames {
        assert!((1..=FRAME_BYTES_MAX).contains(&frame.len()));
        match SenderMessage::decode(frame) {
            Ok(message) => is_written_as_it_was_read(frame, &message.encode_frame().unwrap()),
            Err(DecodeError::NameNotUtf8 { .. }) => {
                assert!(std::str::from_utf8(frame).is_err());
            }
            Err(_) => {}
        }
        if let Ok(message) = ReceiverMessage::decode(frame) {
            is_written_as_it_was_read(frame, &message.encode_frame().unwrap());
        }
    }
}

/// A message has one encoding.
fn is_written_as_it_was_read(frame: &Bytes, written: &[u8]) {
    let found = read(&[written.to_vec()]);
    assert_eq!(found.frames, std::slice::from_ref(frame));
    assert!(found.error.is_none() && found.is_between_frames);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let of_senders = vectors::sender_messages();
    let of_receivers = vectors::receiver_messages();
    let sent = of_senders.iter().map(|(_, message)| message.encode_frame().unwrap());
    let received = of_receivers.iter().map(|(_, message)| message.encode_frame().unwrap());
    sent.chain(received).collect()
}
