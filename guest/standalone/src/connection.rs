//! One connection: the streams that `accept` gave, and its part of the inbox, as the driver sees them.

use std::rc::Rc;

use bytes::Bytes;
use sandport_protocol::driver::{
    Answer, Driver, EndOfInput, Host, On, Question, Reply, Spliced, Step, Wait,
};
use sandport_protocol::receiver::{Committed, LogLevel, Receiver, Wishes};
use sandport_protocol::text::sanitize;
use sandport_protocol::{
    Algorithm, Authenticated, ContentDigest, Credential, Digest, Extent, Limits, Millis, Offer,
    READ_BYTES_MAX, Refusal, RefusalCode,
};

use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::io::poll::Pollable;
use crate::bindings::wasi::io::streams::{InputStream, OutputStream};
use crate::bindings::wasi::random::random::get_random_bytes;
use crate::bindings::wasi::sockets::tcp::{ShutdownType, TcpSocket};
use crate::committing::{Committing, Orphans};
use crate::disk::WasiDirectory;
use crate::inbox::{Inbox, OfferResponse, Upload};
use crate::network::Accepted;
use crate::report::{Event, Form};

/// Most steps of one connection before the others have their turn. A step moves 64 KiB at most: a
/// millisecond or two of a sender that never pauses.
const STEPS_MAX: usize = 16;

/// How long, and for how many bytes, a connection that is over is read on, so that its peer gets the
/// last answer and not a reset. Milliseconds; bytes. As in the native host.
const LINGER_MS: Millis = 2_000;
const LINGER_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// How many bytes a welcome's challenge has.
const CHALLENGE_BYTES: u64 = 32;

/// Longest line that a machine's log message makes. Characters.
const LOG_CHARS_MAX: usize = 512;

const NS_PER_MS: u64 = 1_000_000;

/// What all connections share.
pub(crate) struct Shared {
    pub(crate) inbox: Inbox<WasiDirectory>,
    pub(crate) limits: Limits,
    pub(crate) form: Form,
    pub(crate) orphans: Rc<Orphans>,
}

/// A connection that is being served.
pub(crate) struct Connection {
    driver: Driver<HostImpl>,
    host: HostImpl,
    phase: Phase,
}

enum Phase {
    Serving(Wait),
    /// What is unsent goes first, until then.
    Flushing(Millis),
    /// The peer is read on, until then.
    Lingering {
        until: Millis,
        left: u64,
    },
    Over,
}

/// The host of one connection. What belongs to a stream is declared before it, and dropped before it.
struct HostImpl {
    shared: Rc<Shared>,
    input_ready: Pollable,
    output_ready: Pollable,
    input: InputStream,
    output: OutputStream,
    socket: TcpSocket,
    peer: Rc<str>,
    unsent: Vec<u8>,
    /// The peer takes nothing any more. The end of its input will tell the machine.
    broken: bool,
}

/// What a pass over a connection came to.
pub(crate) enum Turn {
    /// It has more to do at once.
    Again,
    /// It waits: see [`Connection::wait`].
    Waits,
    /// It is over.
    Over,
}

impl Connection {
    pub(crate) fn new(shared: &Rc<Shared>, accepted: Accepted) -> Self {
        let Accepted { input, output, socket, peer } = accepted;
        let agent = concat!("sandport-standalone/", env!("CARGO_PKG_VERSION")).to_owned();
        let now = now_ms();
        let machine =
            Receiver::new(shared.limits.clone(), get_random_bytes(CHALLENGE_BYTES), agent, now);
        let host = HostImpl {
            shared: Rc::clone(shared),
            // Subscribed once: a pollable can be polled any number of times.
            input_ready: input.subscribe(),
            output_ready: output.subscribe(),
            input,
            output,
            socket,
            peer: peer.into(),
            unsent: Vec::new(),
            broken: false,
        };
        let wait = Wait { on: On::Input, until: Some(now) };
        Self { driver: Driver::new(machine), host, phase: Phase::Serving(wait) }
    }

    /// Does what there is to do, but not for too long.
    pub(crate) fn turn(&mut self) -> Turn {
        for _ in 0..STEPS_MAX {
            match &mut self.phase {
                Phase::Serving(_) => match self.driver.step(&mut self.host) {
                    Step::Again => {}
                    Step::Wait(wait) => {
                        self.phase = Phase::Serving(wait);
                        return Turn::Waits;
                    }
                    Step::Next { .. } => {
                        let words = "a dialect of one request after another is not served here";
                        self.end(Err(Refusal::new(RefusalCode::Other, words)));
                    }
                    Step::Closed(outcome) => self.end(outcome),
                },
                Phase::Flushing(until) => {
                    if self.host.flush() > 0 && now_ms() < *until {
                        return Turn::Waits;
                    }
                    let shut = self.host.socket.shutdown(ShutdownType::Send);
                    self.phase = match shut {
                        Ok(()) if !self.host.broken => Phase::Lingering {
                            until: now_ms().saturating_add(LINGER_MS),
                            left: LINGER_BYTES_MAX,
                        },
                        // Nobody is there to linger for.
                        _ => Phase::Over,
                    };
                }
                Phase::Lingering { until, left } => match self.host.input.skip(*left) {
                    Ok(0) if now_ms() < *until => return Turn::Waits,
                    Ok(count) if count > 0 && count < *left && now_ms() < *until => *left -= count,
                    _ => self.phase = Phase::Over,
                },
                Phase::Over => return Turn::Over,
            }
        }
        Turn::Again
    }

    /// The machine is through with it.
    fn end(&mut self, outcome: Result<(), Refusal>) {
        // Gives the disk back before the peer is waited for.
        self.driver.drop_uploads();
        if let Err(refusal) = outcome {
            self.host.tell(&Event::ConnectionRefused { peer: &self.host.peer, refusal: &refusal });
        }
        let idle = Millis::from(self.host.shared.limits.idle_timeout_ms);
        self.phase = Phase::Flushing(now_ms().saturating_add(idle));
    }

    /// Whether something has happened to its uploads without a word of its peer's.
    pub(crate) fn has_news(&self) -> bool {
        self.driver.uploads().any(|offered| offered.upload.has_news())
            || self.driver.oldest_commit().is_some_and(Committing::is_ready)
    }

    /// Whether it waits until an upload takes more.
    pub(crate) fn is_waiting_for_room(&self) -> bool {
        matches!(self.phase, Phase::Serving(Wait { on: On::Body(_), .. }))
    }

    /// Takes notice of that. What follows is for its next turn.
    pub(crate) fn hear_news(&mut self) {
        self.driver.hear_news(&mut self.host);
    }

    /// Adds what it waits for; the moment until which it does.
    pub(crate) fn wait<'a>(&'a self, ready: &mut Vec<&'a Pollable>) -> Option<Millis> {
        match &self.phase {
            Phase::Serving(wait) => {
                match wait.on {
                    On::Input => ready.push(&self.host.input_ready),
                    // Room in a body is news.
                    On::Body(_) | On::Nothing => {}
                }
                if !self.host.unsent.is_empty() {
                    ready.push(&self.host.output_ready);
                }
                wait.until
            }
            Phase::Flushing(until) => {
                ready.push(&self.host.output_ready);
                Some(*until)
            }
            Phase::Lingering { until, .. } => {
                ready.push(&self.host.input_ready);
                Some(*until)
            }
            Phase::Over => None,
        }
    }
}

/// An upload, and the name under which it was offered.
struct Offered {
    upload: Upload<WasiDirectory>,
    name: Option<String>,
}

impl HostImpl {
    fn tell(&self, event: &Event<'_>) {
        self.shared.form.tell(event);
    }

    fn refused(&self, name: Option<&str>, refusal: &Refusal) {
        self.tell(&Event::UploadRefused { peer: &self.peer, name, refusal });
    }
}

impl Host for HostImpl {
    type Upload = Offered;
    type Commit = Committing;
    /// One instance has nobody to leave an offer to: it has its answer when it is made.
    type Opening = Option<Result<Answer<Offered>, Refusal>>;
    type Asking = Option<Reply>;
    type Authenticating = ();

    fn now(&mut self) -> Millis {
        now_ms()
    }

    fn read(&mut self, max: usize) -> Result<Bytes, EndOfInput> {
        self.input.read(max as u64).map(Bytes::from).map_err(|_| EndOfInput)
    }

    fn skip(&mut self, max: u64) -> Result<u64, EndOfInput> {
        self.input.skip(max).map_err(|_| EndOfInput)
    }

    fn send(&mut self, bytes: &[u8]) {
        if !self.broken {
            self.unsent.extend_from_slice(bytes);
        }
    }

    fn unsent(&self) -> usize {
        self.unsent.len()
    }

    fn flush(&mut self) -> usize {
        let mut sent = 0;
        while sent < self.unsent.len() && !self.broken {
            match self.output.check_write() {
                Ok(0) => break,
                Ok(room) => {
                    let room = usize::try_from(room).unwrap_or(usize::MAX);
                    let end = self.unsent.len().min(sent.saturating_add(room));
                    self.broken = self.output.write(&self.unsent[sent..end]).is_err();
                    sent = end;
                }
                Err(_) => self.broken = true,
            }
        }
        if self.broken {
            self.unsent = Vec::new();
        } else {
            self.unsent.drain(..sent);
        }
        self.unsent.len()
    }

    fn open(&mut self, offer: Offer, wishes: Wishes) -> Self::Opening {
        if wishes != Wishes::default() {
            return Some(Err(not_here()));
        }
        let response = self.shared.inbox.answer(&offer);
        Some(match response {
            Ok(OfferResponse::Stored(receipt)) => Ok(Answer::Stored(receipt)),
            Ok(OfferResponse::DigestFirst) => Ok(Answer::DigestFirst),
            Ok(OfferResponse::Accepted(upload)) => {
                let missing = upload.missing();
                Ok(Answer::Accepted(Offered { upload, name: offer.name }, missing))
            }
            Err(refusal) => {
                self.refused(offer.name.as_deref(), &refusal);
                Err(refusal)
            }
        })
    }

    fn opened(&mut self, opening: &mut Self::Opening) -> Option<Result<Answer<Offered>, Refusal>> {
        opening.take()
    }

    fn ask(&mut self, question: Question<'_, Offered>) -> Self::Asking {
        Some(match question {
            Question::Look { .. } => Reply::Looked(Err(not_here())),
            Question::Abandon { .. } => Reply::Abandoned(Err(not_here())),
            Question::Keep { .. } => Reply::Kept(Err(not_here())),
            Question::Concatenate { .. } => Reply::Concatenated(Err(not_here())),
            Question::Finish { .. } => Reply::Finished(Err(not_here())),
        })
    }

    fn replied(&mut self, asking: &mut Self::Asking) -> Option<Reply> {
        asking.take()
    }

    fn set_size(&mut self, _: &mut Offered, _: u64) -> Result<(), Refusal> {
        Err(not_here())
    }

    fn body(
        &mut self,
        offered: &mut Offered,
        extent: Extent,
        check: Option<Algorithm>,
    ) -> Result<(), Refusal> {
        match check {
            None => offered.upload.body(extent),
            Some(_) => Err(not_here()),
        }
    }

    fn write(&mut self, offered: &mut Offered, bytes: Bytes) -> Bytes {
        let room = offered.upload.room(bytes.len());
        offered.upload.write(&bytes[..room]);
        bytes.slice(room..)
    }

    /// Reads and writes. A splice into a file, for what nobody needs a digest of, costs a hop to another
    /// thread for each 64 KiB in stock runtimes and was measured at less than half of this speed; the
    /// blocking form, which spares the hop, would let one silent peer stop all others.
    fn splice(&mut self, offered: &mut Offered, max: u64) -> Result<Spliced, EndOfInput> {
        let most = usize::try_from(max).unwrap_or(usize::MAX).min(READ_BYTES_MAX);
        let max = offered.upload.room(most) as u64;
        if max == 0 {
            return Ok(Spliced::NoRoom);
        }
        let bytes = self.input.read(max).map_err(|_| EndOfInput)?;
        if bytes.is_empty() {
            return Ok(Spliced::NoInput);
        }
        offered.upload.write(&bytes);
        Ok(Spliced::Bytes(bytes.len() as u64))
    }

    fn has_news(&self, offered: &Offered) -> bool {
        offered.upload.is_resumable()
    }

    fn has_body(&self, offered: &Offered) -> bool {
        offered.upload.has_body()
    }

    fn fault(&mut self, offered: &mut Offered) -> Option<Refusal> {
        offered.upload.fault().cloned()
    }

    fn progress(&mut self, offered: &mut Offered) -> Option<u64> {
        offered.upload.progress()
    }

    fn commit(&mut self, offered: Offered, size: u64, digests: Vec<ContentDigest>) -> Self::Commit {
        let Offered { upload, name } = offered;
        let mut digests = digests.into_iter().filter(|it| it.algorithm == Algorithm::Blake3);
        let digest = digests.next().and_then(|it| it.value.try_into().ok()).map(Digest::Blake3);
        Committing::new(&self.shared.orphans, upload.commit(size, digest), &self.peer, name)
    }

    fn outcome(&mut self, commit: &mut Self::Commit) -> Option<Result<Committed, Refusal>> {
        commit.take().map(|outcome| outcome.map(Committed::from))
    }

    fn discard(&mut self, offered: Offered, reason: Option<Refusal>) {
        let told = offered.upload.fault().cloned().or(reason);
        if let Some(refusal) = told {
            self.refused(offered.name.as_deref(), &refusal);
        }
        offered.upload.discard();
    }

    /// No proxies are known here.
    fn forwarded(&mut self, _: &str) {}

    fn authenticate(&mut self, _: Credential) {}

    fn authenticated(&mut self, (): &mut ()) -> Option<Result<Authenticated, Refusal>> {
        // No identities are known here.
        Some(Err(RefusalCode::NotPermitted.into()))
    }

    fn log(&mut self, level: LogLevel, message: &str) {
        if matches!(level, LogLevel::Warn | LogLevel::Error) {
            eprintln!("{}: {}", self.peer, sanitize(message, LOG_CHARS_MAX));
        }
    }
}

/// What only dialects ask for that are not served here.
fn not_here() -> Refusal {
    let words = "this inbox has no keys of its own, checks no parts and computes BLAKE3 alone";
    Refusal::new(RefusalCode::UnsupportedVersion, words)
}

/// A reading of the clock. Milliseconds.
pub(crate) fn now_ms() -> Millis {
    monotonic_clock::now() / NS_PER_MS
}

/// A pollable for a moment of [`now_ms`].
pub(crate) fn timer(at: Millis) -> Pollable {
    monotonic_clock::subscribe_instant(at.saturating_mul(NS_PER_MS))
}
