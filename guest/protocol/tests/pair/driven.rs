//! A native sender whose answers are written by hand.

use bytes::Bytes;
use sandport_protocol::sender::{EndReason, Event, Sender, SenderOutput};
use sandport_protocol::wire::{
    Accepted, FrameDecoder, PREFACE, ReceiverMessage, SenderMessage, Welcome,
};
use sandport_protocol::{Digest, Extent, Receipt};

use super::inbox::digest_of;
use super::script::file_offer;

pub const STALL_MS: u64 = 60_000;

pub fn welcome() -> Welcome {
    Welcome {
        version: 1,
        agent: "script/1".into(),
        max_file_size: None,
        max_uploads_ahead: 2,
        max_bytes_ahead: 10,
        idle_timeout_ms: 60_000,
        challenge: vec![1; 32],
    }
}

/// A sender with its outputs and events taken.
pub struct Driven {
    pub sender: Sender,
    pub sent: Vec<u8>,
    pub payloads: Vec<(u64, u64, u64)>,
    pub shut_down: bool,
    pub events: Vec<Event>,
}

impl Driven {
    pub fn new() -> Self {
        let sender = Sender::new("sender/1".into(), STALL_MS, 0);
        let mut driven =
            Self { sender, sent: vec![], payloads: vec![], shut_down: false, events: vec![] };
        driven.drain();
        driven
    }

    pub fn welcomed() -> Self {
        let mut driven = Self::new();
        driven.receive(&PREFACE);
        driven.answer(&ReceiverMessage::Welcome(welcome()));
        assert!(matches!(driven.events.remove(0), Event::Welcomed(_)));
        driven
    }

    pub fn receive(&mut self, bytes: &[u8]) {
        self.receive_at(0, bytes);
    }

    pub fn receive_at(&mut self, now: u64, bytes: &[u8]) {
        self.sender.handle_input(now, Bytes::copy_from_slice(bytes));
        self.drain();
    }

    pub fn answer(&mut self, message: &ReceiverMessage) {
        self.receive(&message.encode_frame().unwrap());
    }

    pub fn offer(&mut self, size: impl Into<Option<u64>>) -> u64 {
        let id = self.sender.offer(file_offer("a", size.into())).unwrap();
        self.drain();
        id
    }

    pub fn accept(&mut self, id: u64, missing: Vec<Extent>) {
        self.answer(&ReceiverMessage::Accepted(Accepted { id, missing }));
    }

    pub fn drain(&mut self) {
        while let Some(output) = self.sender.poll_output() {
            match output {
                SenderOutput::Send(bytes) => self.sent.extend_from_slice(&bytes),
                SenderOutput::Payload { id, offset, length } => {
                    self.payloads.push((id, offset, length))
                }
                SenderOutput::Shutdown => self.shut_down = true,
                other => panic!("{other:?}"),
            }
        }
        while let Some(event) = self.sender.poll_event() {
            self.events.push(event);
        }
    }

    pub fn last_message(&self) -> SenderMessage {
        let mut rest = Bytes::copy_from_slice(&self.sent[PREFACE.len()..]);
        let mut frames = FrameDecoder::default();
        let mut last = None;
        while let Some(frame) = frames.next(&mut rest).unwrap() {
            last = Some(SenderMessage::decode(&frame).unwrap());
        }
        last.unwrap()
    }

    pub fn ended(&self) -> Option<&Result<(), EndReason>> {
        match self.events.last() {
            Some(Event::Ended(result)) => Some(result),
            _ => None,
        }
    }

    pub fn assert_malformed(&self, what: &str) {
        assert!(matches!(self.ended(), Some(Err(EndReason::Malformed(_)))), "{what}");
        assert!(!self.sender.can_offer(), "{what}");
        assert_eq!(self.sender.poll_timeout(), None, "{what}");
    }
}

pub fn all(length: impl Into<Option<u64>>) -> Vec<Extent> {
    vec![Extent { offset: 0, length: length.into() }]
}

pub fn receipt(content: &[u8]) -> Receipt {
    Receipt {
        name: "a".into(),
        size: content.len() as u64,
        digest: digest_of(content),
        proof: None,
    }
}

pub fn digest() -> Digest {
    digest_of(b"hello")
}
