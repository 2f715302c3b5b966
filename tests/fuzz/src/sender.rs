//! What a server says to a sender of the native dialect.

use bytes::Bytes;
use sandport_protocol::sender::{Event, Sender, SenderOutput};
use sandport_protocol::wire::{
    Accepted, FrameDecoder, PREFACE, Progress, ReceiverMessage, Refused, Stored, Welcome,
};
use sandport_protocol::{Digest, Extent, Millis, Offer, Receipt, RefusalCode};

use crate::cutting::{choice, pieces};

const STALL_MS: Millis = 60_000;

/// How many files are sent.
const FILES: u64 = 3;

/// How many bytes each of them has.
const SIZE: u64 = 100;

fn digest() -> Digest {
    Digest::Blake3([7; 32])
}

fn welcome() -> ReceiverMessage {
    ReceiverMessage::Welcome(Welcome {
        version: 1,
        agent: "server/1".into(),
        max_file_size: None,
        max_uploads_ahead: 4,
        max_bytes_ahead: 1_000,
        idle_timeout_ms: 60_000,
        challenge: vec![1; 32],
    })
}

/// A sender, its program, and what both came to.
struct End {
    sender: Sender,
    events: Vec<Event>,
    offered: u64,
    sent: u64,
    is_shut_down: bool,
}

impl End {
    fn new() -> Self {
        let sender = Sender::new("sender/1".into(), STALL_MS, 0);
        let mut end = Self { sender, events: vec![], offered: 0, sent: 0, is_shut_down: false };
        end.settle();
        end
    }

    fn receive(&mut self, bytes: &[u8]) {
        self.sender.handle_input(0, Bytes::copy_from_slice(bytes));
        self.settle();
    }

    /// Carries out what it wants, and does what a program does at each event.
    fn settle(&mut self) {
        loop {
            while let Some(output) = self.sender.poll_output() {
                assert!(!self.is_shut_down, "an output after the shutdown: {output:?}");
                match output {
                    SenderOutput::Send(bytes) => self.sent += bytes.len() as u64,
                    SenderOutput::Payload { id, offset, length } => {
                        assert!(id < FILES && offset + length <= SIZE, "{offset} {length}");
                        self.sent += length;
                    }
                    SenderOutput::Shutdown => self.is_shut_down = true,
                    other => panic!("an output that no driver knows: {other:?}"),
                }
            }
            let Some(event) = self.sender.poll_event() else { return };
            let is_over = matches!(self.events.last(), Some(Event::Ended(_)));
            assert!(!is_over, "{event:?} after the end");
            match &event {
                Event::Welcomed(_) => {
                    while self.sender.can_offer() && self.offered < FILES {
                        let name = format!("file-{}", self.offered);
                        let id = self.sender.offer(Offer::of_file(Some(name), Some(SIZE)));
                        assert_eq!(id, Ok(self.offered));
                        self.offered += 1;
                    }
                }
                Event::Accepted { id, missing } => {
                    assert!(*id < FILES, "an upload that nobody has offered: {id}");
                    for extent in missing {
                        let end = extent.length.map_or(SIZE, |length| extent.offset + length);
                        assert!(end <= SIZE, "{extent:?} of {SIZE} bytes");
                        let _ = self.sender.data(*id, extent.offset, end - extent.offset);
                    }
                    let _ = self.sender.finish(*id, SIZE, digest());
                }
                Event::DigestFirst { id } => drop(self.sender.offer_digest(*id, digest())),
                Event::AlreadyStored { id, .. }
                | Event::Stored { id, .. }
                | Event::Refused { id, .. }
                | Event::Progress { id, .. } => assert!(*id < FILES),
                _ => {}
            }
            self.events.push(event);
        }
    }
}

/// Frames, and what is none behind them.
fn frames(said: &[u8]) -> Vec<Vec<u8>> {
    let (mut decoder, mut rest) = (FrameDecoder::default(), Bytes::copy_from_slice(said));
    let mut frames = vec![];
    loop {
        let before = rest.clone();
        match decoder.next(&mut rest) {
            Ok(Some(_)) => frames.push(before[..before.len() - rest.len()].to_vec()),
            _ => {
                frames.push(before.to_vec());
                return frames;
            }
        }
    }
}

/// Lets a server say anything.
pub(crate) fn run(data: &[u8]) {
    let (choice, rest) = choice(data);
    let mut said = vec![PREFACE.to_vec()];
    if choice & 1 == 0 {
        said.push(welcome().encode_frame().unwrap());
    }
    said.extend(frames(rest));
    let (mut whole, mut cut) = (End::new(), End::new());
    // The program answers each frame before the next comes: what a server may say depends on that.
    for frame in said {
        whole.receive(&frame);
        pieces(&frame).iter().for_each(|piece| cut.receive(piece));
        assert_eq!(cut.events, whole.events);
        assert_eq!(cut.is_shut_down, whole.is_shut_down);
    }
    if choice & 2 > 0 {
        whole.sender.handle_eof(0);
        whole.settle();
        assert!(matches!(whole.events.last(), Some(Event::Ended(_))), "it goes on after the end");
        assert_eq!(whole.sender.poll_timeout(), None);
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let receipt = Receipt { name: "file-0".into(), size: SIZE, digest: digest(), proof: None };
    let accepted = |id, offset, length| {
        ReceiverMessage::Accepted(Accepted { id, missing: vec![Extent { offset, length }] })
    };
    let conversations: [&[ReceiverMessage]; 4] = [
        &[
            accepted(0, 0, Some(SIZE)),
            ReceiverMessage::Progress(Progress { id: 0, durable: 50 }),
            ReceiverMessage::Stored(Stored { id: 0, receipt: receipt.clone() }),
            accepted(1, 20, None),
            ReceiverMessage::KeepAlive,
        ],
        &[
            ReceiverMessage::DigestFirst(0),
            ReceiverMessage::AlreadyStored(Stored { id: 0, receipt }),
            ReceiverMessage::Refused(Refused { id: 1, refusal: RefusalCode::Exists.into() }),
        ],
        &[ReceiverMessage::Goodbye(RefusalCode::TooMany.into())],
        &[accepted(2, 0, None), accepted(2, 0, None)],
    ];
    let mut seeds: Vec<Vec<u8>> = conversations
        .iter()
        .map(|said| {
            let frames = said.iter().flat_map(|message| message.encode_frame().unwrap());
            [2].into_iter().chain(frames).collect()
        })
        .collect();
    seeds.push([vec![1], welcome().encode_frame().unwrap()].concat());
    seeds
}
