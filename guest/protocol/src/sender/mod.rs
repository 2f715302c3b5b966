//! The sending end of a connection in the native dialect.
//!
//! > After each call that takes `&mut self`, call [`Sender::poll_output`] until it returns `None` and
//! > carry out each output in order, then [`Sender::poll_event`] until it returns `None`; then read
//! > from the connection, but no longer than until [`Sender::poll_timeout`].

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;

use bytes::Bytes;

use crate::wire::{FrameDecoder, Hello, PREFACE, PrefaceMatcher, SenderMessage, VERSION, cut};
use crate::{AGENT_BYTES_MAX, DETAIL_BYTES_MAX, Millis, Refusal, UploadId};

mod answers;
pub mod classic;
mod clock;
mod course;
mod error;
pub mod http;
mod outbox;
mod output;
mod upload;
mod uploads;

use course::Course;
pub use course::{FRUITLESS_MESSAGES_MAX, PROGRESS_TIMEOUT_MS};
pub use error::{EndReason, Misuse};
use outbox::Outbox;
pub use output::{Event, SenderOutput, Welcomed};
use upload::Upload;

/// The sending end of one native connection.
pub struct Sender {
    stage: Stage,
    input: Bytes,
    frames: FrameDecoder,
    out: Outbox,
    events: VecDeque<Event>,
    /// What the welcome granted.
    granted: Option<Granted>,
    authenticating: bool,
    /// The uploads whose outcome, or whose verdict, is to come.
    uploads: BTreeMap<UploadId, Upload>,
    next_id: UploadId,
    /// Payload that was announced for offers without a verdict. Bytes.
    ahead_bytes: u64,
    /// No more offers will come.
    closing: bool,
    stall_timeout_ms: Millis,
    /// The latest clock reading.
    now: Millis,
    course: Course,
    /// When something last went out that the driver spoke of.
    last_sent: Millis,
    /// Since when nothing has moved while the receiver owed something. `None`: it owes nothing, or it
    /// has not been seen yet when that began.
    still_since: Option<Millis>,
}

enum Stage {
    /// The receiver's preface is coming.
    Preface(PrefaceMatcher),
    /// The welcome is coming.
    Welcome,
    /// Offers and answers.
    Open,
    /// This side is shut down; the end of the other is coming.
    Shutdown,
    Ended,
}

#[derive(Clone, Copy)]
struct Granted {
    max_uploads_ahead: u32,
    max_bytes_ahead: u64,
    keep_alive_ms: Millis,
}

impl Sender {
    /// Begins a connection at `now`: preface and hello are the first output. `agent` is this
    /// program's name and version. `stall_timeout_ms` ends the connection when nothing has moved in
    /// either direction for that long while something was owed; it should be several times
    /// [`crate::KEEP_ALIVE_MS_MAX`], at which a busy receiver gives a sign.
    pub fn new(agent: String, stall_timeout_ms: Millis, now: Millis) -> Self {
        let mut sender = Self {
            stage: Stage::Preface(PrefaceMatcher::default()),
            input: Bytes::new(),
            frames: FrameDecoder::default(),
            out: Outbox::default(),
            events: VecDeque::new(),
            granted: None,
            authenticating: false,
            uploads: BTreeMap::new(),
            next_id: 0,
            ahead_bytes: 0,
            closing: false,
            stall_timeout_ms,
            now,
            course: Course::new(now),
            last_sent: now,
            still_since: Some(now),
        };
        sender.out.send(&PREFACE);
        let agent = cut(agent, AGENT_BYTES_MAX);
        let hello = Hello { version_min: VERSION, version_max: VERSION, agent };
        sender.say_bounded(&SenderMessage::Hello(hello));
        sender
    }

    /// Bytes arrived.
    pub fn handle_input(&mut self, now: Millis, bytes: Bytes) {
        self.tick(now);
        if !bytes.is_empty() && !matches!(self.stage, Stage::Ended) {
            // When all is answered, the end alone is still owed.
            if !matches!(self.stage, Stage::Shutdown) {
                self.moved();
            }
            self.input = bytes;
            self.process();
        }
    }

    /// The receiver shut its side down, or the connection broke.
    pub fn handle_eof(&mut self, now: Millis) {
        self.tick(now);
        match self.stage {
            Stage::Shutdown if self.frames.is_between_frames() => self.end(Ok(())),
            _ => self.end(Err(EndReason::Closed)),
        }
    }

    /// The connection took `bytes` of payload: the receiver is reading. Call it as payload goes out; not
    /// for [`SenderOutput::Send`], of which a dead connection swallows a good deal.
    pub fn handle_sent(&mut self, now: Millis, bytes: u64) {
        self.tick(now);
        self.last_sent = self.now;
        self.course.took(self.now, bytes);
        self.moved();
    }

    /// The moment that [`Sender::poll_timeout`] named has come. Earlier calls change nothing.
    pub fn handle_timeout(&mut self, now: Millis) {
        self.tick(now);
        if self.stall_at().is_some_and(|due| self.now >= due) {
            self.end(Err(EndReason::Stalled(self.stall_timeout_ms)));
        } else if self.stuck_at().is_some_and(|due| self.now >= due) {
            self.stuck();
        } else if self.keep_alive_at().is_some_and(|due| self.now >= due) {
            self.last_sent = self.now;
            // Where the driver is still busy with earlier output, one more would only pile up.
            if self.out.is_empty() {
                self.say_bounded(&SenderMessage::KeepAlive);
            }
        }
    }

    /// No more offers will come: shuts down when every upload has its outcome.
    pub fn close(&mut self) {
        self.closing = true;
        self.shut_down_if_done();
    }

    /// Ends the connection at once, telling the receiver why. Where an [`SenderOutput::Payload`] is not
    /// carried out to its end, the connection has to be dropped instead of what comes out then.
    pub fn abort(&mut self, reason: Refusal) {
        let reason = presentable(reason);
        self.part(reason.clone(), EndReason::Aborted(reason));
    }

    /// What to send next, in order.
    pub fn poll_output(&mut self) -> Option<SenderOutput> {
        self.out.poll()
    }

    /// What happened, in order.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Sender::handle_timeout`], if nothing else happens before.
    pub fn poll_timeout(&self) -> Option<Millis> {
        // At once, where the moment is to be noted from which on something is owed.
        let stall = if self.is_owed() { self.stall_at().or(Some(self.now)) } else { None };
        stall.into_iter().chain(self.stuck_at()).chain(self.keep_alive_at()).min()
    }

    fn shut_down_if_done(&mut self) {
        let done = self.closing && self.uploads.is_empty() && !self.authenticating;
        if done && matches!(self.stage, Stage::Open) {
            self.stage = Stage::Shutdown;
            self.course.further(self.now);
            self.out.push(SenderOutput::Shutdown);
        }
    }

    /// Ends the connection with a goodbye.
    fn part(&mut self, reason: Refusal, end: EndReason) {
        if matches!(self.stage, Stage::Ended) {
            return;
        }
        if !matches!(self.stage, Stage::Shutdown) {
            self.say_bounded(&SenderMessage::Goodbye(reason));
            self.out.push(SenderOutput::Shutdown);
        }
        self.end(Err(end));
    }

    fn end(&mut self, result: Result<(), EndReason>) {
        if !matches!(self.stage, Stage::Ended) {
            self.stage = Stage::Ended;
            self.events.push_back(Event::Ended(result));
        }
    }

    fn say(&mut self, message: &SenderMessage) -> Result<(), Misuse> {
        let frame = message.encode_frame().map_err(|_| Misuse::TooLong)?;
        self.out.send(&frame);
        Ok(())
    }

    /// Says what fits a frame because its texts were cut.
    fn say_bounded(&mut self, message: &SenderMessage) {
        let said = self.say(message);
        debug_assert!(said.is_ok(), "texts are cut to far less than a frame");
    }
}

/// Cuts the words of a refusal to what is sent at most.
fn presentable(refusal: Refusal) -> Refusal {
    let detail = refusal.detail.map(|detail| cut(detail, DETAIL_BYTES_MAX));
    Refusal { detail, ..refusal }
}
