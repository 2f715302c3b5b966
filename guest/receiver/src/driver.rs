//! The driving loop: carries out what the protocol machine says, and waits as it wants.
//!
//! Nothing here blocks but `poll`. Reads, splices and writes are tried first, and waited for only
//! when there is nothing to do, which saves a call for each when the connection is busy.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use bytes::Bytes;
use sandport_protocol::receiver::{Opened, Output, Receiver, Want};
use sandport_protocol::{Offer, Refusal, RefusalCode, UploadId};

use crate::bindings::sandport::upload::{gate, inbox, log, types};
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::bindings::wasi::io::poll::{Pollable, poll};
use crate::bindings::wasi::io::streams::{InputStream, OutputStream};
use crate::convert::{self, Verdict};
use crate::outgoing::Outgoing;

/// Most bytes to ask of one splice. The host moves as much of it as it likes to in one step; this
/// only has to be larger than any sensible step.
const SPLICE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// While more than this waits to be sent, nothing more is read: a sender that does not read its
/// answers is not served further. Bytes.
const OUTGOING_BYTES_MAX: usize = 64 * 1024;

const NS_PER_MS: u64 = 1_000_000;

/// Serves one connection: `receiver.serve` of the WIT package.
pub(crate) fn serve(input: &InputStream, output: &OutputStream) -> Result<(), types::Refusal> {
    let machine = Receiver::new(
        convert::limits(gate::get_limits()),
        gate::challenge(),
        String::from(concat!("sandport-receiver/", env!("CARGO_PKG_VERSION"))),
        now_ms(),
    );
    let mut driver = Driver {
        machine,
        input,
        // Subscribed once: a pollable can be polled any number of times.
        input_ready: input.subscribe(),
        outgoing: Outgoing::new(output),
        uploads: BTreeMap::new(),
        commits: VecDeque::new(),
        timer: None,
    };
    let outcome = driver.run();
    driver.finish();
    outcome.map_err(convert::refusal)
}

struct Driver<'a> {
    machine: Receiver,
    input: &'a InputStream,
    input_ready: Pollable,
    outgoing: Outgoing<'a>,
    uploads: BTreeMap<UploadId, Live>,
    /// Commits under way, the oldest first: they finish in this order.
    commits: VecDeque<Commit>,
    timer: Option<Timer>,
}

/// An open upload. The body is declared first, so it is dropped first.
struct Live {
    body: Option<OutputStream>,
    /// Where it can be resumed: there is something to hear of it then without a word of the sender's.
    news: Option<News>,
    upload: inbox::Upload,
}

struct News {
    ready: Pollable,
    /// What was last said to be durable. Bytes.
    durable: u64,
}

/// A commit under way. The pollable is declared first, so it is dropped first.
struct Commit {
    id: UploadId,
    /// Subscribed when it is first waited for: many have their outcome before.
    ready: Option<Pollable>,
    pending: inbox::Pending,
}

struct Timer {
    at_ms: u64,
    ready: Pollable,
}

/// What the connection has to become before there is anything to do.
enum Wait {
    Input,
    Body(UploadId),
    Nothing,
}

impl Driver<'_> {
    fn run(&mut self) -> Result<(), Refusal> {
        loop {
            while let Some(output) = self.machine.poll_output() {
                if let Output::Close(outcome) = output {
                    return outcome;
                }
                self.carry_out(output);
            }
            // Before anything is sent: the receipts of a read full of small files go out in one write
            // with the verdicts on them.
            if self.collect_commits() {
                continue;
            }
            self.outgoing.flush();
            // The connection first, then the clock: silence has a meaning in the classic dialect, and
            // bytes that are here already, while this guest was not running, are not silence.
            let Some(wait) = self.advance() else { continue };
            let now = now_ms();
            if self.machine.poll_timeout().is_some_and(|at| at <= now) {
                self.machine.handle_timeout(now);
                continue;
            }
            self.wait(&wait);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Send(bytes) => self.outgoing.push(&bytes),
            Output::Open { id, offer } => self.open(id, offer),
            Output::Body { id, extent } => {
                let Some(live) = self.uploads.get_mut(&id) else { return };
                live.body = None;
                match live.upload.body(convert::extent(extent)) {
                    Ok(body) => live.body = Some(body),
                    Err(refusal) => {
                        self.machine.handle_fault(now_ms(), id, convert::from_refusal(refusal));
                    }
                }
            }
            Output::Write { id, bytes } => {
                if let Some(body) = self.uploads.get(&id).and_then(|live| live.body.as_ref()) {
                    write_all(body, &bytes);
                }
            }
            Output::Commit { id, size, digest } => {
                if let Some(live) = self.uploads.remove(&id) {
                    drop(live.body);
                    let digest = digest.map(convert::digest);
                    let pending = inbox::Upload::commit(live.upload, size, digest.as_ref());
                    self.commits.push_back(Commit { id, ready: None, pending });
                }
            }
            Output::Release { id } => drop(self.uploads.remove(&id)),
            Output::Discard { id, reason } => {
                if let Some(live) = self.uploads.remove(&id) {
                    drop(live.body);
                    let reason = reason.map(convert::refusal);
                    inbox::Upload::discard(live.upload, reason.as_ref());
                }
            }
            Output::Authenticate(credential) => {
                let outcome = match convert::credential(credential) {
                    Some(credential) => gate::authenticate(&credential)
                        .map(convert::from_identity)
                        .map_err(convert::from_refusal),
                    None => Err(RefusalCode::NotPermitted.into()),
                };
                self.machine.handle_authenticated(now_ms(), outcome);
            }
            Output::Log { level, message } => log::emit(convert::level(level), &message),
            // `Close` ends the loop in `run`; a kind of output that this driver does not know can
            // not come from the protocol crate that it was built with.
            _ => {}
        }
    }

    fn open(&mut self, id: UploadId, offer: Offer) {
        let resumable = offer.resume.is_some();
        let opened = match convert::from_verdict(inbox::open(&convert::offer(offer))) {
            Ok(Verdict::Stored(receipt)) => Ok(Opened::Stored(receipt)),
            Ok(Verdict::DigestFirst) => Ok(Opened::DigestFirst),
            Ok(Verdict::Accepted(upload)) => {
                let missing = convert::from_extents(upload.missing());
                let news = || News { ready: upload.subscribe(), durable: 0 };
                let news = resumable.then(news);
                self.uploads.insert(id, Live { body: None, news, upload });
                Ok(Opened::Accepted(missing))
            }
            Err(refusal) => Err(refusal),
        };
        self.machine.handle_opened(now_ms(), id, opened);
    }

    /// Reports the commits that are done. Only the oldest is asked, until one is not done.
    fn collect_commits(&mut self) -> bool {
        let mut any = false;
        while let Some(outcome) = self.commits.front().and_then(|commit| commit.pending.get()) {
            if let Some(Commit { id, .. }) = self.commits.pop_front() {
                let outcome =
                    outcome.map_err(convert::from_refusal).and_then(convert::from_receipt);
                self.machine.handle_committed(now_ms(), id, outcome);
                any = true;
            }
        }
        any
    }

    /// Does what the machine wants of the connection. `None`: something moved.
    fn advance(&mut self) -> Option<Wait> {
        if self.outgoing.len() > OUTGOING_BYTES_MAX {
            return Some(Wait::Nothing);
        }
        match self.machine.want() {
            Want::Read { max } => match self.input.read(max as u64) {
                Ok(bytes) if bytes.is_empty() => Some(Wait::Input),
                Ok(bytes) => {
                    self.machine.handle_input(now_ms(), Bytes::from(bytes));
                    None
                }
                Err(_) => self.end_of_input(),
            },
            Want::Splice { id, max } => self.splice(id, max),
            Want::Skip { max } => self.skip(max),
            _ => Some(Wait::Nothing),
        }
    }

    fn splice(&mut self, id: UploadId, max: u64) -> Option<Wait> {
        let Some(Live { body: Some(body), news, upload }) = self.uploads.get_mut(&id) else {
            // The body could not be opened; the machine knows and skips from now on.
            return self.skip(max);
        };
        match body.splice(self.input, max.min(SPLICE_BYTES_MAX)) {
            Ok(0) if matches!(body.check_write(), Ok(0)) => Some(Wait::Body(id)),
            Ok(0) => Some(Wait::Input),
            Ok(count) => {
                let now = now_ms();
                self.machine.handle_spliced(now, count);
                if let Some(fault) = upload.fault() {
                    self.machine.handle_fault(now, id, convert::from_refusal(fault));
                } else if let Some(news) = news
                    && let Some(durable) = news.advanced(upload)
                {
                    self.machine.handle_progress(now, id, durable);
                }
                None
            }
            Err(_) => self.end_of_input(),
        }
    }

    fn skip(&mut self, max: u64) -> Option<Wait> {
        match self.input.skip(max) {
            Ok(0) => Some(Wait::Input),
            Ok(count) => {
                self.machine.handle_spliced(now_ms(), count);
                None
            }
            Err(_) => self.end_of_input(),
        }
    }

    /// Takes notice of what happened to uploads without a word of the sender's: they came to be durable, or
    /// another connection took them over.
    fn hear_news(&mut self) {
        for (&id, live) in &mut self.uploads {
            let Live { body: Some(_), news: Some(news), upload } = live else { continue };
            if let Some(fault) = upload.fault() {
                self.machine.handle_fault(now_ms(), id, convert::from_refusal(fault));
            } else if let Some(durable) = news.advanced(upload) {
                self.machine.handle_progress(now_ms(), id, durable);
            }
        }
    }

    fn end_of_input(&mut self) -> Option<Wait> {
        self.machine.handle_eof(now_ms());
        None
    }

    fn wait(&mut self, wait: &Wait) {
        if let Some(at_ms) = self.machine.poll_timeout() {
            // A timer that fires too early only wakes the loop once for nothing. So an old one is
            // kept while the deadline moves away, as it does with every byte.
            if self.timer.as_ref().is_none_or(|timer| timer.at_ms > at_ms) {
                let ready = monotonic_clock::subscribe_instant(at_ms.saturating_mul(NS_PER_MS));
                self.timer = Some(Timer { at_ms, ready });
            }
        } else {
            self.timer = None;
        }
        let body_ready = match wait {
            Wait::Body(id) => self
                .uploads
                .get(id)
                .and_then(|live| live.body.as_ref())
                .map(OutputStream::subscribe),
            _ => None,
        };
        if let Some(commit) = self.commits.front_mut() {
            commit.ready.get_or_insert_with(|| commit.pending.subscribe());
        }
        let mut ready: Vec<&Pollable> = Vec::with_capacity(5);
        ready.extend(self.timer.as_ref().map(|timer| &timer.ready));
        ready.extend(body_ready.as_ref());
        ready.extend(self.outgoing.waits_for());
        ready.extend(self.commits.front().and_then(|commit| commit.ready.as_ref()));
        let begun = self.uploads.values().filter(|live| live.body.is_some());
        let before = ready.len();
        ready.extend(begun.filter_map(|live| live.news.as_ref()).map(|news| &news.ready));
        let hears_news = ready.len() > before;
        if matches!(wait, Wait::Input) {
            ready.push(&self.input_ready);
        }
        // An empty list would trap. It could only come from a machine that waits for nothing.
        if !ready.is_empty() {
            poll(&ready);
        }
        if self.timer.as_ref().is_some_and(|timer| timer.at_ms <= now_ms()) {
            self.timer = None;
        }
        if hears_news {
            self.hear_news();
        }
    }

    /// Sends what is left. The host ends a connection whose peer does not read.
    fn finish(mut self) {
        // Gives the disk back before the peer is waited for.
        self.uploads.clear();
        self.outgoing.drain();
    }
}

impl News {
    /// How much is durable, if that is more than was last said.
    fn advanced(&mut self, upload: &inbox::Upload) -> Option<u64> {
        let durable = upload.durable();
        (durable > self.durable).then(|| {
            self.durable = durable;
            durable
        })
    }
}

/// Writes bytes that came along with a header. The host takes them as fast as the disk does.
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
