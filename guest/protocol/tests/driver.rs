//! A receiver with its driver, over an inbox that takes nothing for a while.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod pair;

use std::collections::VecDeque;

use bytes::Bytes;
use pair::inbox::digest_of;
use pair::receiver_end::CHALLENGE;
use pair::script::{START, Script};
use sandport_protocol::driver::{
    Answer, Asked, Driver, EndOfInput, Host, On, Question, Reply, Spliced, Step, Wait,
};
use sandport_protocol::receiver::{Committed, LogLevel, Receiver, Wishes};
use sandport_protocol::wire::{FrameDecoder, PREFACE, ReceiverMessage, SenderMessage};
use sandport_protocol::{
    Algorithm, Authenticated, ContentDigest, Credential, Extent, Limits, Millis, Offer, Receipt,
    Refusal, RefusalCode,
};

/// A connection, and the one upload that comes on it.
struct Bench {
    now: Millis,
    incoming: VecDeque<u8>,
    sent: Vec<u8>,
    /// How many bytes the upload takes now.
    room: usize,
    content: Vec<u8>,
    fault: Option<Refusal>,
    /// Whether the inbox is still considering the offer.
    considers: bool,
}

impl Bench {
    fn take(&mut self, max: usize) -> Vec<u8> {
        let count = max.min(self.incoming.len());
        self.incoming.drain(..count).collect()
    }

    /// What was answered, after the preface.
    fn answers(&self) -> Vec<ReceiverMessage> {
        let mut rest = Bytes::copy_from_slice(self.sent.get(PREFACE.len()..).unwrap_or_default());
        let mut frames = FrameDecoder::default();
        std::iter::from_fn(|| frames.next(&mut rest).unwrap())
            .map(|frame| ReceiverMessage::decode(&frame).unwrap())
            .collect()
    }
}

impl Host for Bench {
    type Upload = ();
    type Commit = Option<Receipt>;
    type Opening = Option<u64>;
    type Asking = std::convert::Infallible;
    type Authenticating = ();

    fn now(&mut self) -> Millis {
        self.now
    }

    fn read(&mut self, max: usize) -> Result<Bytes, EndOfInput> {
        Ok(self.take(max).into())
    }

    fn skip(&mut self, max: u64) -> Result<u64, EndOfInput> {
        Ok(self.take(max as usize).len() as u64)
    }

    fn send(&mut self, bytes: &[u8]) {
        self.sent.extend_from_slice(bytes);
    }

    fn unsent(&self) -> usize {
        0
    }

    fn flush(&mut self) -> usize {
        0
    }

    fn open(&mut self, offer: Offer, _: Wishes) -> Option<u64> {
        offer.size
    }

    fn opened(&mut self, size: &mut Option<u64>) -> Option<Result<Answer<()>, Refusal>> {
        let missing = vec![Extent { offset: 0, length: *size }];
        (!self.considers).then_some(Ok(Answer::Accepted((), missing)))
    }

    fn ask(&mut self, question: Question<'_, ()>) -> Self::Asking {
        panic!("the native dialect asks {question:?}")
    }

    fn replied(&mut self, asking: &mut Self::Asking) -> Option<Reply> {
        match *asking {}
    }

    fn set_size(&mut self, (): &mut (), size: u64) -> Result<(), Refusal> {
        panic!("the native dialect says {size} late")
    }

    fn body(&mut self, _: &mut (), _: Extent, _: Option<Algorithm>) -> Result<(), Refusal> {
        Ok(())
    }

    fn write(&mut self, _: &mut (), mut bytes: Bytes) -> Bytes {
        if self.fault.is_some() {
            return Bytes::new();
        }
        let now = bytes.split_to(self.room.min(bytes.len()));
        self.room -= now.len();
        self.content.extend_from_slice(&now);
        bytes
    }

    fn splice(&mut self, _: &mut (), max: u64) -> Result<Spliced, EndOfInput> {
        if self.room == 0 {
            return Ok(Spliced::NoRoom);
        }
        let bytes = self.take(self.room.min(max as usize));
        self.room -= bytes.len();
        self.content.extend_from_slice(&bytes);
        Ok(Spliced::Bytes(bytes.len() as u64))
    }

    fn has_news(&self, _: &()) -> bool {
        true
    }

    fn has_body(&self, _: &()) -> bool {
        true
    }

    fn fault(&mut self, _: &mut ()) -> Option<Refusal> {
        self.fault.clone()
    }

    fn progress(&mut self, _: &mut ()) -> Option<u64> {
        None
    }

    fn commit(&mut self, (): (), size: u64, digests: Vec<ContentDigest>) -> Option<Receipt> {
        assert_eq!(size, self.content.len() as u64);
        assert_eq!(digests, [digest_of(&self.content).into()]);
        Some(Receipt { name: "a".into(), size, digest: digest_of(&self.content), proof: None })
    }

    fn outcome(&mut self, commit: &mut Option<Receipt>) -> Option<Result<Committed, Refusal>> {
        commit.take().map(|receipt| Ok(receipt.into()))
    }

    fn discard(&mut self, _: (), _: Option<Refusal>) {}

    fn forwarded(&mut self, _: &str) {}

    fn authenticate(&mut self, _: Credential) {}

    fn authenticated(&mut self, (): &mut ()) -> Option<Result<Authenticated, Refusal>> {
        (!self.considers).then_some(Err(RefusalCode::NotPermitted.into()))
    }

    fn log(&mut self, _: LogLevel, _: &str) {}
}

/// A file is being sent to an inbox that has room for so much of it.
fn begin(content: &[u8], room: usize) -> (Driver<Bench>, Bench) {
    let limits = Limits::default();
    let machine = Receiver::new(limits, CHALLENGE.to_vec(), "receiver/1".into(), START);
    let incoming = Script::hello().file(0, "a", content).0.into();
    let bench = Bench {
        now: START,
        incoming,
        sent: vec![],
        room,
        content: vec![],
        fault: None,
        considers: false,
    };
    (Driver::new(machine), bench)
}

fn drive(driver: &mut Driver<Bench>, bench: &mut Bench) -> Wait {
    loop {
        match driver.step(bench) {
            Step::Again => {}
            Step::Wait(wait) => return wait,
            over @ (Step::Closed(_) | Step::Next { .. }) => panic!("{over:?}"),
        }
    }
}

/// Lets the disk take its time. No wait may come to the end of the connection.
fn wait_for_the_disk(driver: &mut Driver<Bench>, bench: &mut Bench) -> usize {
    wait_for(On::Body(0), driver, bench)
}

/// How many keep-alives were sent while nothing but this was waited for.
fn wait_for(on: On, driver: &mut Driver<Bench>, bench: &mut Bench) -> usize {
    let until = bench.now + 5 * u64::from(Limits::default().idle_timeout_ms);
    drive(driver, bench);
    let before = bench.answers().len();
    while bench.now < until {
        let wait = drive(driver, bench);
        assert_eq!(wait.on, on);
        bench.now = wait.until.expect("a keep-alive");
    }
    let answers = bench.answers().split_off(before);
    assert!(answers.iter().all(|answer| *answer == ReceiverMessage::KeepAlive), "{answers:?}");
    answers.len()
}

fn content(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

#[test]
fn a_sender_that_waits_for_the_disk_is_not_idle() {
    // What comes along with the header finds no room, then what is spliced, then both.
    let content = content(300_000);
    for room in [0, 10, 64 * 1024, 200_000] {
        let (mut driver, mut bench) = begin(&content, room);
        let alive = wait_for_the_disk(&mut driver, &mut bench);
        assert!(alive > 5, "{alive}");
        assert_eq!(bench.content, content[..room]);
        bench.room = 1_000;
        wait_for_the_disk(&mut driver, &mut bench);
        assert_eq!(bench.content, content[..room + 1_000]);
        bench.room = usize::MAX;
        assert_eq!(drive(&mut driver, &mut bench).on, On::Input);
        assert_eq!(bench.content, content);
        let stored = bench.answers().pop().unwrap();
        assert!(matches!(stored, ReceiverMessage::Stored(_)), "{stored:?}");
    }
}

#[test]
fn a_small_file_is_committed_when_all_of_it_is_written() {
    let content = content(5_000);
    let (mut driver, mut bench) = begin(&content, 0);
    wait_for_the_disk(&mut driver, &mut bench);
    bench.room = usize::MAX;
    drive(&mut driver, &mut bench);
    let stored = bench.answers().pop().unwrap();
    assert!(matches!(stored, ReceiverMessage::Stored(_)), "{stored:?}");
}

#[test]
fn a_fault_while_it_waits_is_told_and_the_connection_goes_on() {
    for (length, room) in [(5_000, 0), (300_000, 0), (300_000, 100_000)] {
        let (mut driver, mut bench) = begin(&content(length), room);
        assert_eq!(drive(&mut driver, &mut bench).on, On::Body(0));
        bench.fault = Some(RefusalCode::Io.into());
        driver.hear_news(&mut bench);
        assert_eq!(drive(&mut driver, &mut bench).on, On::Input);
        assert!(bench.incoming.is_empty());
        let refused = |answer: &ReceiverMessage| matches!(answer, ReceiverMessage::Refused(_));
        assert!(bench.answers().iter().any(refused));
    }
}

#[test]
fn a_sender_hears_a_sign_of_life_while_its_offer_is_considered() {
    let content = content(300_000);
    let (mut driver, mut bench) = begin(&content, usize::MAX);
    bench.considers = true;
    let alive = wait_for(On::Nothing, &mut driver, &mut bench);
    assert!(alive > 5, "{alive}");
    assert!(matches!(driver.asked(), Some(Asked::Opening(0, _))));
    assert!(bench.content.is_empty());
    bench.considers = false;
    assert_eq!(drive(&mut driver, &mut bench).on, On::Input);
    assert_eq!(bench.content, content);
    let stored = bench.answers().pop().unwrap();
    assert!(matches!(stored, ReceiverMessage::Stored(_)), "{stored:?}");
}

#[test]
fn a_sender_hears_a_sign_of_life_during_a_credential_check() {
    let (mut driver, mut bench) = begin(b"", 0);
    let credential = Credential::Bearer("token".into());
    bench.incoming = Script::hello().message(&SenderMessage::Authenticate(credential)).0.into();
    bench.considers = true;
    assert!(wait_for(On::Nothing, &mut driver, &mut bench) > 5);
    bench.considers = false;
    while driver.step(&mut bench) != Step::Closed(Err(RefusalCode::NotPermitted.into())) {}
    let goodbye = bench.answers().pop().unwrap();
    assert_eq!(goodbye, ReceiverMessage::Goodbye(RefusalCode::NotPermitted.into()));
}
