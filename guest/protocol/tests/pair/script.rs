//! Sessions written by hand: bytes of a native sender, and what a receiver answered.

use bytes::Bytes;
use sandport_protocol::wire::{
    Cancel, Data, Finish, FrameDecoder, Hello, NumberedOffer, PREFACE, ReceiverMessage,
    SenderMessage, VERSION,
};
use sandport_protocol::{Limits, Millis, Offer, Refusal, RefusalCode, UploadId};

use super::inbox::digest_of;
use super::play;
use super::receiver_end::ReceiverEnd;

/// When hand-written sessions begin.
pub const START: Millis = 5_000;

/// The bytes of a native sender, one message after another.
#[derive(Clone, Default)]
pub struct Script(pub Vec<u8>);

impl Script {
    /// Preface and hello.
    pub fn hello() -> Self {
        let hello = Hello { version_min: VERSION, version_max: VERSION, agent: "script/1".into() };
        Self(PREFACE.to_vec()).message(&SenderMessage::Hello(hello))
    }

    pub fn message(self, message: &SenderMessage) -> Self {
        let frame = message.encode_frame().unwrap();
        self.raw(&frame)
    }

    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    pub fn offer(self, id: UploadId, name: &str, size: impl Into<Option<u64>>) -> Self {
        let offer = file_offer(name, size.into());
        self.message(&SenderMessage::Offer(NumberedOffer { id, offer }))
    }

    pub fn data(self, id: UploadId, offset: u64, payload: &[u8]) -> Self {
        let length = payload.len() as u64;
        self.message(&SenderMessage::Data(Data { id, offset, length })).raw(payload)
    }

    pub fn finish(self, id: UploadId, content: &[u8]) -> Self {
        let (size, digest) = (content.len() as u64, digest_of(content));
        self.message(&SenderMessage::Finish(Finish { id, size, digest }))
    }

    pub fn cancel(self, id: UploadId) -> Self {
        let reason = RefusalCode::Cancelled.into();
        self.message(&SenderMessage::Cancel(Cancel { id, reason }))
    }

    /// A whole upload.
    pub fn file(self, id: UploadId, name: &str, content: &[u8]) -> Self {
        self.offer(id, name, content.len() as u64).data(id, 0, content).finish(id, content)
    }

    /// A message that nobody knows, an upload of no offer, one that is cancelled, one with a gap, and one without a
    /// size: numbers 3 to 6.
    pub fn unusual_uploads(self) -> Self {
        self.raw(&[11, 3, 3, 1, 2, 0xc3, 0x28, 0, 0, 0, 0, 0])
            .data(3, 0, b"skipped")
            .finish(3, b"skipped")
            .offer(4, "given up", 9)
            .data(4, 0, b"given")
            .cancel(4)
            .offer(5, "gap", 9)
            .data(5, 1, b"gap")
            .finish(5, b"gap")
            .offer(6, "pipe", None)
            .data(6, 0, &[7; 70])
            .data(6, 70, &[8; 9])
            .finish(6, &[[7; 70].as_slice(), &[8; 9]].concat())
    }

    /// What a receiver makes of it, all in one piece and then the end of the connection.
    pub fn play(self) -> ReceiverEnd {
        self.play_with(receiver())
    }

    pub fn play_with(self, receiver: ReceiverEnd) -> ReceiverEnd {
        play(receiver, START, &[(START, self.0)], Some(START))
    }

    /// The same without an end of the connection.
    pub fn play_open(self, receiver: ReceiverEnd) -> ReceiverEnd {
        play(receiver, START, &[(START, self.0)], None)
    }
}

pub fn receiver() -> ReceiverEnd {
    ReceiverEnd::new(Limits::default(), START)
}

pub fn file_offer(name: &str, size: Option<u64>) -> Offer {
    Offer::of_file(Some(name.into()), size)
}

/// The messages that a receiver sent.
pub fn messages(sent: &[u8]) -> Vec<ReceiverMessage> {
    let mut rest = Bytes::copy_from_slice(sent);
    if rest.is_empty() {
        return vec![];
    }
    assert_eq!(rest.split_to(PREFACE.len()), PREFACE.as_slice());
    let mut frames = FrameDecoder::default();
    let mut messages = vec![];
    while let Some(frame) = frames.next(&mut rest).unwrap() {
        messages.push(ReceiverMessage::decode(&frame).unwrap());
    }
    assert!(frames.is_between_frames(), "a message that is not whole");
    messages
}

/// What a receiver said of one upload.
pub fn about(receiver: &ReceiverEnd, upload: UploadId) -> Vec<String> {
    let name = |message: ReceiverMessage| {
        let (id, text) = match message {
            ReceiverMessage::Accepted(accepted) => (accepted.id, "accepted".into()),
            ReceiverMessage::AlreadyStored(stored) => (stored.id, "already-stored".into()),
            ReceiverMessage::DigestFirst(id) => (id, "digest-first".into()),
            ReceiverMessage::Refused(refused) => (refused.id, refused.refusal.code.to_string()),
            ReceiverMessage::Stored(stored) => {
                (stored.id, format!("stored {}", stored.receipt.name))
            }
            ReceiverMessage::Progress(progress) => (progress.id, "progress".into()),
            _ => return None,
        };
        (id == upload).then_some(text)
    };
    messages(&receiver.sent).into_iter().filter_map(name).collect()
}

/// The goodbye that a receiver said, which is its last message.
pub fn goodbye(receiver: &ReceiverEnd) -> Option<Refusal> {
    let all = messages(&receiver.sent);
    let goodbye = match all.last()? {
        ReceiverMessage::Goodbye(refusal) => Some(refusal.clone()),
        _ => None,
    };
    let goodbyes =
        all.iter().filter(|message| matches!(message, ReceiverMessage::Goodbye(_))).count();
    assert_eq!(goodbyes, usize::from(goodbye.is_some()), "something follows a goodbye");
    goodbye
}
