//! The bytes of every message, pinned. They were written down from the prose in `wit/wire.wit`, not
//! taken from this crate.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod vectors;

use bytes::Bytes;
use sandport_protocol::wire::{
    DecodeError, FrameDecoder, FrameError, PREFACE, PrefaceMatcher, ReceiverMessage, SenderMessage,
};
use sandport_protocol::{FRAME_BYTES_MAX, Refusal, RefusalCode};

/// Frames of a sender, each its length and its message, in hexadecimal.
const SENDER: [(&str, &str); 15] = [
    ("hello", "0c0001c801076167656e742f31"),
    ("goodbye", "0701100103776879"),
    ("goodbye without words", "03010000"),
    ("authenticate with a proof", "09020003616e6e02ff00"),
    ("authenticate with a token", "08020105746f6b656e"),
    (
        "offer of a file",
        "390300010a6469722fc3a42e7478740001ac02010020000102030405060708090a0b0c0d\
      0e0f101112131415161718191a1b1c1d1e1f01030100",
    ),
    ("offer of a directory", "0d03808001010164010000000000"),
    ("offer without anything", "09030100000000000000"),
    (
        "offer that takes over",
        "2f0302010161000101000000012007070707070707070707070707070707070707070707\
      070707070707070707070000",
    ),
    (
        "offer that joins",
        "300302010161000101000000012007070707070707070707070707070707070707070707\
      07070707070707070707ac0201",
    ),
    (
        "offer that restarts",
        "380302010161000101000000012007070707070707070707070707070707070707070707\
      07070707070707070707ffffffffffffffffff0102",
    ),
    ("data", "0e047f8001ffffffffffffffffff01"),
    (
        "finish",
        "2705038080040020000102030405060708090a0b0c0d0e0f101112131415161718191a1b\
      1c1d1e1f",
    ),
    ("cancel", "0906030b0104676f6e65"),
    ("keep-alive", "0107"),
];

/// Frames of a receiver.
const RECEIVER: [(&str, &str); 13] = [
    (
        "welcome",
        "3f0001076167656e742f3201ffffffffffffffffff01800880808008e0d4032007070707\
      07070707070707070707070707070707070707070707070707070707",
    ),
    ("welcome without a limit", "080001000000000000"),
    ("goodbye", "0d01070109736c6f7720646f776e"),
    ("authenticated", "06020103616e6e"),
    ("authenticated as nobody", "020200"),
    ("accepted", "0a0305020001e807802000"),
    ("accepted with nothing missing", "03030500"),
    (
        "already-stored",
        "2e040003612d3180010020000102030405060708090a0b0c0d0e0f101112131415161718\
      191a1b1c1d1e1f01020102",
    ),
    ("digest-first", "0305ac02"),
    ("refused", "080602030103626164"),
    (
        "stored",
        "2807090164000020000102030405060708090a0b0c0d0e0f101112131415161718191a1b\
      1c1d1e1f00",
    ),
    ("progress", "0708018080808010"),
    ("keep-alive", "0109"),
];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Bytes {
    let digit = |place: usize| u8::from_str_radix(&text[place..place + 2], 16).unwrap();
    (0..text.len()).step_by(2).map(digit).collect()
}

/// The one message in a frame.
fn unframe(frame: &Bytes) -> Bytes {
    let mut rest = frame.clone();
    let message = FrameDecoder::default().next(&mut rest).unwrap().unwrap();
    assert!(rest.is_empty());
    message
}

#[test]
fn the_preface_is_what_the_specification_says() {
    assert_eq!(hex(&PREFACE), "895350540d0a1a0a");
}

#[test]
fn messages_of_the_sender_have_their_bytes() {
    let messages = vectors::sender_messages();
    assert_eq!(messages.len(), SENDER.len());
    for ((name, message), (vector, bytes)) in messages.iter().zip(SENDER) {
        assert_eq!(*name, vector);
        assert_eq!(hex(&message.encode_frame().unwrap()), bytes, "{name}");
        assert_eq!(&SenderMessage::decode(&unframe(&unhex(bytes))).unwrap(), message, "{name}");
    }
}

#[test]
fn messages_of_the_receiver_have_their_bytes() {
    let messages = vectors::receiver_messages();
    assert_eq!(messages.len(), RECEIVER.len());
    for ((name, message), (vector, bytes)) in messages.iter().zip(RECEIVER) {
        assert_eq!(*name, vector);
        assert_eq!(hex(&message.encode_frame().unwrap()), bytes, "{name}");
        assert_eq!(&ReceiverMessage::decode(&unframe(&unhex(bytes))).unwrap(), message, "{name}");
    }
}

/// A message has one encoding: what decodes is what would have been written.
#[test]
fn a_message_with_any_byte_changed_is_another_message_or_none() {
    for (name, bytes) in SENDER.into_iter().chain(RECEIVER) {
        let message = unframe(&unhex(bytes));
        for place in 0..message.len() {
            for value in 0..=u8::MAX {
                let mut changed = message.to_vec();
                changed[place] = value;
                if let Ok(decoded) = SenderMessage::decode(&changed) {
                    let frame = decoded.encode_frame().unwrap();
                    assert_eq!(unframe(&frame.into()), changed, "{name}");
                }
                if let Ok(decoded) = ReceiverMessage::decode(&changed) {
                    let frame = decoded.encode_frame().unwrap();
                    assert_eq!(unframe(&frame.into()), changed, "{name}");
                }
            }
        }
    }
}

#[test]
fn a_message_that_is_cut_or_followed_by_a_byte_does_not_decode() {
    let malformed = Err(DecodeError::Malformed);
    for (name, bytes) in SENDER {
        let message = unframe(&unhex(bytes));
        let longer = [message.as_ref(), &[0]].concat();
        assert_eq!(SenderMessage::decode(&longer), malformed, "{name}");
        for end in 0..message.len() {
            assert_eq!(SenderMessage::decode(&message[..end]), malformed, "{name} up to {end}");
        }
    }
    let malformed = Err(DecodeError::Malformed);
    for (name, bytes) in RECEIVER {
        let message = unframe(&unhex(bytes));
        let longer = [message.as_ref(), &[0]].concat();
        assert_eq!(ReceiverMessage::decode(&longer), malformed, "{name}");
        for end in 0..message.len() {
            assert_eq!(ReceiverMessage::decode(&message[..end]), malformed, "{name} up to {end}");
        }
    }
}

/// Each number of these messages, made one byte longer without another value.
#[test]
fn overlong_numbers_do_not_decode() {
    let overlong: [&[u8]; 8] = [
        &[0x87, 0x00],                         // the case
        &[4, 0x81, 0x00, 0, 0],                // a u64
        &[4, 1, 0, 0xff, 0x80, 0x00],          // a u64 of two bytes
        &[0, 0x81, 0x00, 1, 0],                // a u32
        &[0, 1, 1, 0x81, 0x00, b'a'],          // the length of a string
        &[1, 0x80, 0x00, 0],                   // the case of an enum
        &[3, 0, 0, 0, 0, 0, 1, 0x81, 0x00, 0], // an s64
        &[2, 0, 0, 0x81, 0x00, 1],             // the length of a list
    ];
    for bytes in overlong {
        assert_eq!(SenderMessage::decode(bytes), Err(DecodeError::Malformed), "{bytes:?}");
    }
}

/// The same on 32 and on 64 bit: lengths are `u32`.
#[test]
fn lengths_beyond_32_bits_do_not_decode() {
    let length = [0xff, 0xff, 0xff, 0xff, 0x1f];
    let long = [&[0, 1, 1][..], &length, b"agent"].concat();
    assert_eq!(SenderMessage::decode(&long), Err(DecodeError::Malformed));
    let wraps = [&[0, 1, 1][..], &[0x85, 0x80, 0x80, 0x80, 0x10], b"agent"].concat();
    assert_eq!(SenderMessage::decode(&wraps), Err(DecodeError::Malformed));
    let u32_overflow = [0, 0xff, 0xff, 0xff, 0xff, 0x1f, 1, 0];
    assert_eq!(SenderMessage::decode(&u32_overflow), Err(DecodeError::Malformed));
    let most = [0, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 0];
    assert!(SenderMessage::decode(&most).is_ok());
}

#[test]
fn flags_other_than_0_and_1_do_not_decode() {
    for bytes in [
        [3, 0, 0, 0, 0, 0, 0, 2, 0],
        [3, 0, 2, 0, 0, 0, 0, 0, 0],
        [3, 0, 0, 2, 0, 0, 0, 0, 0],
        [3, 0, 0, 0, 0, 0, 0, 0, 2],
    ] {
        assert_eq!(SenderMessage::decode(&bytes), Err(DecodeError::Malformed), "{bytes:?}");
    }
}

#[test]
fn a_resume_key_has_32_bytes() {
    let offer = |length: u8| {
        let key = vec![7; length.into()];
        [&[3, 0, 0, 0, 0, 0, 0, 0, 1, length][..], &key, &[0, 0]].concat()
    };
    assert!(SenderMessage::decode(&offer(32)).is_ok());
    for length in [0, 31, 33, 64] {
        assert_eq!(SenderMessage::decode(&offer(length)), Err(DecodeError::Malformed));
    }
}

#[test]
fn a_name_not_in_utf8_gives_its_number_if_the_rest_is_right() {
    let named = Err(DecodeError::NameNotUtf8 { id: 300 });
    assert_eq!(SenderMessage::decode(&[3, 0xac, 2, 1, 1, 0xff, 0, 0, 0, 0, 0, 0]), named);
    let malformed = Err(DecodeError::Malformed);
    for bytes in [
        &[3, 0xac, 2, 1, 1, 0xff, 0, 0, 0, 0, 0, 0, 0][..],
        &[3, 0xac, 2, 1, 1, 0xff, 0, 0, 0, 0, 0],
        &[3, 0xac, 2, 1, 1, 0xff, 9, 0, 0, 0, 0, 0],
        &[3, 0x81, 0, 1, 1, 0xff, 0, 0, 0, 0, 0, 0],
        &[3, 0xac, 2, 1, 0x81, 0, 0xff, 0, 0, 0, 0, 0, 0],
    ] {
        assert_eq!(SenderMessage::decode(bytes), malformed, "{bytes:?}");
    }
}

#[test]
fn frames_have_from_1_to_65536_bytes_and_the_shortest_length() {
    let rows: [(&[u8], Result<usize, FrameError>); 9] = [
        (&[1], Ok(1)),
        (&[0x7f], Ok(127)),
        (&[0x80, 1], Ok(128)),
        (&[0x80, 0x80, 4], Ok(FRAME_BYTES_MAX)),
        (&[0x81, 0x80, 4], Err(FrameError::TooLong)),
        (&[0x80, 0x80, 0x80], Err(FrameError::TooLong)),
        (&[0], Err(FrameError::Empty)),
        (&[0x80, 0], Err(FrameError::Overlong)),
        (&[0x81, 0x80, 0], Err(FrameError::Overlong)),
    ];
    for (length, expected) in rows {
        let mut frame: Bytes = [length, &[5; FRAME_BYTES_MAX]].concat().into();
        let found = FrameDecoder::default().next(&mut frame);
        assert_eq!(found.map(|message| message.unwrap().len()), expected, "{length:?}");
    }
}

#[test]
fn frames_come_out_of_any_pieces() {
    let stream: Vec<u8> = SENDER.iter().flat_map(|(_, bytes)| unhex(bytes)).collect();
    for size in [1, 2, 3, 7, 50, stream.len()] {
        let mut frames = FrameDecoder::default();
        let mut found = vec![];
        for piece in stream.chunks(size) {
            let mut piece = Bytes::copy_from_slice(piece);
            while let Some(message) = frames.next(&mut piece).unwrap() {
                found.push(SenderMessage::decode(&message).unwrap());
            }
            assert!(piece.is_empty());
        }
        assert!(frames.is_between_frames());
        let messages: Vec<_> =
            vectors::sender_messages().into_iter().map(|(_, message)| message).collect();
        assert_eq!(found, messages, "pieces of {size}");
    }
}

#[test]
fn what_is_missing_of_a_frame_is_known_once_its_length_is() {
    let mut frames = FrameDecoder::default();
    assert_eq!(frames.next(&mut Bytes::from_static(&[0xac])), Ok(None));
    assert_eq!((frames.is_between_frames(), frames.missing()), (false, 0));
    assert_eq!(frames.next(&mut Bytes::from_static(&[2, 1, 2])), Ok(None));
    assert_eq!(frames.missing(), 298);
}

#[test]
fn the_preface_matches_in_any_pieces_and_nothing_else_does() {
    for size in 1..=PREFACE.len() {
        let mut matcher = PrefaceMatcher::default();
        let mut found = None;
        for piece in PREFACE.chunks(size) {
            assert_eq!(found, None);
            found = matcher.advance(&mut Bytes::copy_from_slice(piece));
        }
        assert_eq!(found, Some(true));
    }
    for place in 0..PREFACE.len() {
        let mut other = PREFACE;
        other[place] ^= 1;
        let mut matcher = PrefaceMatcher::default();
        assert_eq!(matcher.advance(&mut Bytes::copy_from_slice(&other)), Some(false));
    }
    let mut with_more: Bytes = [PREFACE.as_slice(), b"more"].concat().into();
    assert_eq!(PrefaceMatcher::default().advance(&mut with_more), Some(true));
    assert_eq!(with_more, "more");
}

#[test]
fn a_message_longer_than_a_frame_is_not_written() {
    let refusal = |bytes| Refusal::new(RefusalCode::Other, "x".repeat(bytes));
    // The case, the code, the flag and the length of three bytes.
    let fits = FRAME_BYTES_MAX - 6;
    let frame = SenderMessage::Goodbye(refusal(fits)).encode_frame().unwrap();
    assert_eq!(unframe(&frame.into()).len(), FRAME_BYTES_MAX);
    assert!(SenderMessage::Goodbye(refusal(fits + 1)).encode_frame().is_err());
}
