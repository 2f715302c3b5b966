//! The connection of this instance, as the driver of the protocol crate sees it, and how it waits.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use sandport_protocol::driver::{
    Answer, Asked, Driver, EndOfInput, On, Shell, Spliced, Step, Wait,
};
use sandport_protocol::receiver::{LogLevel, Receiver};
use sandport_protocol::{
    Credential, Digest, Extent, Identity, LARGE_DATA_BYTES, Offer, Receipt, Refusal, RefusalCode,
};

use crate::bindings::sandport::upload::inbox::Commitment;
use crate::bindings::sandport::upload::{gate, inbox, log, types};
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::io::poll::{Pollable, poll};
use crate::bindings::wasi::io::streams::{InputStream, OutputStream};
use crate::convert;
use crate::outgoing::Outgoing;

/// Most bytes to ask of one splice. The host moves as much of it as it likes to in one step; this
/// only has to be larger than any sensible step.
const SPLICE_BYTES_MAX: u64 = 16 * 1024 * 1024;

const NS_PER_MS: u64 = 1_000_000;

/// Serves one connection: `receiver.serve` of the WIT package.
pub(crate) fn serve(input: &InputStream, output: &OutputStream) -> Result<(), types::Refusal> {
    let machine = Receiver::new(
        convert::limits(gate::get_limits()),
        gate::challenge(),
        String::from(concat!("sandport-receiver/", env!("CARGO_PKG_VERSION"))),
        now_ms(),
    );
    let mut link = Link { input, outgoing: Outgoing::new(output) };
    let mut waiting = Waiting {
        // Subscribed once: a pollable can be polled any number of times.
        input_ready: input.subscribe(),
        timer: None,
    };
    let mut driver = Driver::new(machine);
    let outcome = loop {
        match driver.step(&mut link) {
            Step::Again => {}
            Step::Wait(wait) => {
                if waiting.wait(wait, &mut driver, &link) {
                    driver.hear_news(&mut link);
                }
            }
            Step::Closed(outcome) => break outcome,
        }
    };
    // Gives the disk back before the peer is waited for. The host ends a connection whose peer does
    // not read.
    driver.drop_uploads();
    link.outgoing.drain();
    outcome.map_err(convert::refusal)
}

struct Link<'a> {
    input: &'a InputStream,
    outgoing: Outgoing<'a>,
}

/// An open upload. The stream is declared first, so it is dropped first.
struct Live {
    body: Option<OutputStream>,
    /// A small file instead of a body, as long as it may come in one piece.
    held: Option<Held>,
    /// Why there is no body where there should be one.
    failed: Option<Refusal>,
    /// Where it can be resumed: there is something to hear of it then without a word of the sender's.
    news: Option<News>,
    upload: inbox::Upload,
}

struct News {
    ready: Pollable,
    /// What was last said to be durable. Bytes.
    durable: u64,
}

/// The content of a small file, which mostly comes in one piece with its header: then it is stored with
/// one call. What does not is staged as it comes.
struct Held {
    extent: Extent,
    /// All of it, or nothing so far.
    bytes: Bytes,
}

/// A commit.
enum Commit {
    Pending(PendingCommit),
    /// It ended at once.
    Ended(Option<Result<Receipt, Refusal>>),
}

/// A commit under way. The pollable is declared first, so it is dropped first.
struct PendingCommit {
    /// Subscribed when it is first waited for: many have their outcome before.
    ready: Option<Pollable>,
    committing: inbox::Committing,
}

/// An offer that the inbox considers. The pollable is declared first, so it is dropped first.
struct Opening {
    /// Subscribed when it is first waited for: most have their answer before.
    ready: Option<Pollable>,
    opening: inbox::Opening,
    is_resumable: bool,
    size: Option<u64>,
}

/// A credential that is being checked. The pollable is declared first, so it is dropped first.
enum Authenticating {
    Asked {
        ready: Option<Pollable>,
        authenticating: gate::Authenticating,
    },
    /// Of a kind that this program does not know.
    Unknown,
}

impl Live {
    /// Whether it is so small that it should come in one piece.
    fn may_be_held(&self, extent: Extent) -> bool {
        extent.offset == 0
            && extent.length.is_some_and(|length| length < LARGE_DATA_BYTES)
            && self.news.is_none()
    }

    /// Opens the body that it did without, and writes what was held.
    fn let_go(&mut self) {
        let Some(Held { extent, bytes }) = self.held.take() else { return };
        match self.begin(extent) {
            Ok(()) => {
                if let Some(body) = &self.body {
                    write_all(body, &bytes);
                }
            }
            Err(refusal) => self.failed = Some(refusal),
        }
    }

    /// Opens a body. Its stream is all that is kept of it.
    fn begin(&mut self, extent: Extent) -> Result<(), Refusal> {
        let body =
            self.upload.body(convert::extent(extent), None).map_err(convert::from_refusal)?;
        self.body = body.sink().ok();
        Ok(())
    }
}

fn pending_commit(committing: inbox::Committing) -> Commit {
    Commit::Pending(PendingCommit { ready: None, committing })
}

fn ended(outcome: Result<types::Receipt, types::Refusal>) -> Result<Receipt, Refusal> {
    outcome.map_err(convert::from_refusal).and_then(convert::from_receipt)
}

impl<'a> Shell for Link<'a> {
    type Upload = Live;
    type Commit = Commit;
    type Opening = Opening;
    type Authenticating = Authenticating;

    fn now(&mut self) -> u64 {
        now_ms()
    }

    fn read(&mut self, max: usize) -> Result<Bytes, EndOfInput> {
        self.input.read(max as u64).map(Bytes::from).map_err(|_| EndOfInput)
    }

    fn skip(&mut self, max: u64) -> Result<u64, EndOfInput> {
        self.input.skip(max).map_err(|_| EndOfInput)
    }

    fn send(&mut self, bytes: &[u8]) {
        self.outgoing.push(bytes);
    }

    fn unsent(&self) -> usize {
        self.outgoing.len()
    }

    fn flush(&mut self) -> usize {
        self.outgoing.flush();
        self.outgoing.len()
    }

    fn open(&mut self, offer: Offer) -> Opening {
        let (is_resumable, size) = (offer.resume.is_some(), offer.size);
        let opening = inbox::open(&convert::offer(offer));
        Opening { ready: None, opening, is_resumable, size }
    }

    fn opened(&mut self, opening: &mut Opening) -> Option<Result<Answer<Live>, Refusal>> {
        Some(match opening.opening.take()? {
            Ok(inbox::Answer::Stored(receipt)) => {
                convert::from_receipt(receipt).map(Answer::Stored)
            }
            Ok(inbox::Answer::DigestFirst) => Ok(Answer::DigestFirst),
            Ok(inbox::Answer::Accepted(upload)) => {
                let (missing, news) = if opening.is_resumable {
                    let news = News { ready: upload.subscribe(), durable: 0 };
                    (convert::from_extents(upload.missing()), Some(news))
                } else if opening.size == Some(0) {
                    (Vec::new(), None)
                } else {
                    (vec![Extent { offset: 0, length: opening.size }], None)
                };
                let live = Live { body: None, held: None, failed: None, news, upload };
                Ok(Answer::Accepted(live, missing))
            }
            Err(refusal) => Err(convert::from_refusal(refusal)),
        })
    }

    fn body(&mut self, live: &mut Live, extent: Extent) -> Result<(), Refusal> {
        live.let_go();
        live.body = None;
        if live.may_be_held(extent) {
            live.held = Some(Held { extent, bytes: Bytes::new() });
            return Ok(());
        }
        live.begin(extent)
    }

    fn has_news(&self, live: &Live) -> bool {
        live.news.is_some()
    }

    fn has_body(&self, live: &Live) -> bool {
        live.body.is_some() || live.held.is_some()
    }

    fn write(&mut self, live: &mut Live, mut bytes: Bytes) -> Bytes {
        if let Some(held) = &mut live.held {
            if held.bytes.is_empty() && held.extent.length == Some(bytes.len() as u64) {
                held.bytes = bytes;
                return Bytes::new();
            }
            live.let_go();
        }
        if let Some(body) = &live.body {
            // A body swallows what it cannot take, so an error is of a host that breaks the contract; the
            // commit will say what is missing.
            while !bytes.is_empty()
                && let Ok(room) = body.check_write()
            {
                if room == 0 {
                    return bytes;
                }
                let now = bytes.split_to(bytes.len().min(room as usize));
                if body.write(&now).is_err() {
                    break;
                }
            }
        }
        Bytes::new()
    }

    fn splice(&mut self, live: &mut Live, max: u64) -> Result<Spliced, EndOfInput> {
        live.let_go();
        let Some(body) = &live.body else {
            return self.skip(max).map(Spliced::Bytes);
        };
        match body.splice(self.input, max.min(SPLICE_BYTES_MAX)) {
            Ok(0) if matches!(body.check_write(), Ok(0)) => Ok(Spliced::NoRoom),
            Ok(0) => Ok(Spliced::NoInput),
            Ok(count) => Ok(Spliced::Bytes(count)),
            Err(_) => Err(EndOfInput),
        }
    }

    fn fault(&mut self, live: &mut Live) -> Option<Refusal> {
        live.failed.clone().or_else(|| live.upload.fault().map(convert::from_refusal))
    }

    fn progress(&mut self, live: &mut Live) -> Option<u64> {
        let news = live.news.as_mut()?;
        let durable = live.upload.durable();
        (durable > news.durable).then(|| {
            news.durable = durable;
            durable
        })
    }

    fn commit(&mut self, mut live: Live, size: u64, digest: Option<Digest>) -> Commit {
        let digests: Vec<types::Digest> = digest.into_iter().map(convert::digest).collect();
        if let Some(held) = live
            .held
            .take_if(|held| held.extent.length == Some(size) && held.bytes.len() as u64 == size)
        {
            return match inbox::Upload::store(live.upload, &held.bytes, &digests) {
                Commitment::Ended(outcome) => Commit::Ended(Some(ended(outcome))),
                Commitment::Committing(committing) => pending_commit(committing),
            };
        }
        live.let_go();
        let Live { body, news, upload, failed, .. } = live;
        drop((body, news));
        if let Some(refusal) = failed {
            inbox::Upload::discard(upload, Some(&convert::refusal(refusal.clone())));
            return Commit::Ended(Some(Err(refusal)));
        }
        pending_commit(inbox::Upload::commit(upload, size, &digests))
    }

    fn outcome(&mut self, commit: &mut Commit) -> Option<Result<Receipt, Refusal>> {
        match commit {
            Commit::Pending(commit) => commit.committing.take().map(ended),
            Commit::Ended(outcome) => outcome.take(),
        }
    }

    fn discard(&mut self, live: Live, reason: Option<Refusal>) {
        drop((live.body, live.news));
        let reason = reason.map(convert::refusal);
        inbox::Upload::discard(live.upload, reason.as_ref());
    }

    fn authenticate(&mut self, credential: Credential) -> Authenticating {
        match convert::credential(credential) {
            Some(credential) => Authenticating::Asked {
                ready: None,
                authenticating: gate::authenticate(&credential),
            },
            None => Authenticating::Unknown,
        }
    }

    fn authenticated(
        &mut self,
        authenticating: &mut Authenticating,
    ) -> Option<Result<Identity, Refusal>> {
        match authenticating {
            Authenticating::Asked { authenticating, .. } => authenticating
                .take()
                .map(|outcome| outcome.map(convert::from_identity).map_err(convert::from_refusal)),
            Authenticating::Unknown => Some(Err(RefusalCode::NotPermitted.into())),
        }
    }

    fn log(&mut self, level: LogLevel, message: &str) {
        log::emit(convert::level(level), message);
    }
}

/// What is polled whatever happens.
struct Waiting {
    input_ready: Pollable,
    timer: Option<Timer>,
}

struct Timer {
    at_ms: u64,
    ready: Pollable,
}

impl Waiting {
    /// Waits; whether that was for news of uploads too.
    fn wait<'a>(&mut self, wait: Wait, driver: &mut Driver<Link<'a>>, link: &Link<'a>) -> bool {
        if let Some(at_ms) = wait.until {
            // A timer that fires too early only wakes the loop once for nothing. So an old one is
            // kept while the deadline moves away, as it does with every byte.
            if self.timer.as_ref().is_none_or(|timer| timer.at_ms > at_ms) {
                let ready = monotonic_clock::subscribe_instant(at_ms.saturating_mul(NS_PER_MS));
                self.timer = Some(Timer { at_ms, ready });
            }
        } else {
            self.timer = None;
        }
        let body_ready = match wait.on {
            On::Body(id) => {
                driver.upload(id).and_then(|live| live.body.as_ref()).map(OutputStream::subscribe)
            }
            _ => None,
        };
        if let Some(Commit::Pending(commit)) = driver.oldest_commit_mut() {
            commit.ready.get_or_insert_with(|| commit.committing.subscribe());
        }
        match driver.asked_mut() {
            Some(Asked::Opening(_, asked)) => {
                asked.ready.get_or_insert_with(|| asked.opening.subscribe());
            }
            Some(Asked::Authenticating(Authenticating::Asked { ready, authenticating })) => {
                ready.get_or_insert_with(|| authenticating.subscribe());
            }
            Some(Asked::Authenticating(Authenticating::Unknown)) | None => {}
        }
        let mut ready: Vec<&Pollable> = Vec::with_capacity(6);
        ready.extend(self.timer.as_ref().map(|timer| &timer.ready));
        ready.extend(body_ready.as_ref());
        ready.extend(link.outgoing.waits_for());
        if let Some(Commit::Pending(commit)) = driver.oldest_commit() {
            ready.extend(commit.ready.as_ref());
        }
        match driver.asked() {
            Some(Asked::Opening(_, asked)) => ready.extend(asked.ready.as_ref()),
            Some(Asked::Authenticating(Authenticating::Asked { ready: asked, .. })) => {
                ready.extend(asked.as_ref());
            }
            Some(Asked::Authenticating(Authenticating::Unknown)) | None => {}
        }
        let before = ready.len();
        let news = driver.uploads().filter_map(|live| live.news.as_ref());
        ready.extend(news.map(|news| &news.ready));
        let hears_news = ready.len() > before;
        if matches!(wait.on, On::Input) {
            ready.push(&self.input_ready);
        }
        // An empty list would trap. It could only come from a machine that waits for nothing.
        if !ready.is_empty() {
            poll(&ready);
        }
        if self.timer.as_ref().is_some_and(|timer| timer.at_ms <= now_ms()) {
            self.timer = None;
        }
        hears_news
    }
}

/// Writes the beginning of a small file that was held. The host takes it as fast as the disk does.
fn write_all(body: &OutputStream, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match body.check_write() {
            Ok(0) => body.subscribe().block(),
            Ok(room) => {
                let (now, later) = bytes.split_at(bytes.len().min(room as usize));
                if body.write(now).is_err() {
                    return;
                }
                bytes = later;
            }
            // A body swallows what it cannot take, so this is a host that breaks the contract; the
            // commit will say what is missing.
            Err(_) => return,
        }
    }
}

fn now_ms() -> u64 {
    monotonic_clock::now() / NS_PER_MS
}
