//! One file on its way over HTTP.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use core::ops::Range;

use super::answer::HttpAnswer;
use super::judge::retry_after_ms;
use super::offered::Offered;
use super::request::Request;
use super::said::Said;
use super::server::{Protocol, Server};
use super::speech::{self, State};
use super::step::{Anew, HttpEvent, HttpStep, Outcome, Pause};
use super::url::HttpUrl;
use crate::{Refusal, RefusalCode};

mod answers;

/// Files of up to this size are sent in the request that begins them, where the protocol allows it: an inbox keeps
/// nothing less of an upload, so there would be nothing to go on with. Bytes.
pub const WHOLE_BYTES_MAX: u64 = crate::journal::GROUP_BYTES;

/// Most that one request appends, where the server wants no less. Bytes. A proxy may pass a request on when it is
/// whole: so much is what a cut costs there. It is twice of what our server makes durable at once, so that waiting for
/// the answer is seldom.
pub const APPEND_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// How often in a row an upload may be begun anew. What loses every upload would take each of them from the beginning.
const ANEWS_MAX: u32 = 3;

/// An upload that an earlier run has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptUrl {
    /// The target of requests to it: what [`HttpEvent::Begun`] said.
    pub url: String,
    /// The file has changed since: nothing of it can be gone on with.
    pub changed: bool,
}

/// One file on its way to a server.
#[derive(Debug)]
pub struct HttpUpload {
    server: Server,
    at: HttpUrl,
    /// Where it is begun.
    target: String,
    file: Offered,
    stage: Stage,
    /// The target of requests to the upload, once it has a URL.
    url: Option<String>,
    /// How much the server has, by its last word.
    offset: u64,
    /// The most that it has ever said to have of this upload.
    safe: u64,
    /// The same of this upload and of those that were begun before it.
    safe_ever: u64,
    /// What can be sent: all of a file, and of a stream what was read and is kept.
    content: Range<u64>,
    /// Whether the server has been told how long the upload is.
    is_size_told: bool,
    redirects: u32,
    /// How often it was begun anew, and how often something else was in vain, since it last came further.
    anews: u32,
    setbacks: u32,
    pause: Option<Pause>,
    outcome: Option<Outcome>,
    events: VecDeque<HttpEvent>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// What the server has of the file as it was is to go.
    Cancelling,
    /// It is to be begun.
    Creating { is_whole: bool },
    /// How far it is, is to be asked.
    Asking,
    /// How far it is, is known.
    Ready,
    /// A part is on its way.
    Appending { offset: u64, length: u64, completes: bool },
    /// All is there; what the server says of the file is to be asked.
    Finishing,
}

impl HttpUpload {
    /// An upload of a file to where `at` says. `kept`: of an earlier run.
    pub fn new(server: &Server, at: &HttpUrl, file: Offered, kept: Option<KeptUrl>) -> Self {
        let target = match (&file.name, server.protocol) {
            // tus knows the name by its metadata alone.
            (Some(name), Protocol::Resumable | Protocol::Plain) => at.below(name),
            _ => String::from(at.path()),
        };
        let mut upload = Self {
            server: server.clone(),
            at: at.clone(),
            target,
            stage: Stage::Asking,
            url: None,
            offset: 0,
            safe: 0,
            safe_ever: 0,
            content: 0..file.size.unwrap_or(0),
            is_size_told: file.size.is_some(),
            file,
            redirects: 0,
            anews: 0,
            setbacks: 0,
            pause: None,
            outcome: None,
            events: VecDeque::new(),
        };
        match kept.filter(|_| server.protocol != Protocol::Plain) {
            Some(KeptUrl { url, changed }) => {
                upload.url = Some(url);
                if changed {
                    upload.events.push_back(HttpEvent::Restarted(Anew::Changed));
                    upload.stage = Stage::Cancelling;
                }
            }
            None => upload.begin(),
        }
        upload
    }

    /// What is to be done now.
    pub fn poll_step(&mut self) -> HttpStep {
        if let Some(outcome) = &self.outcome {
            return HttpStep::Over(outcome.clone());
        }
        if let Some(pause) = self.pause.take() {
            return HttpStep::Wait(pause);
        }
        let url = self.url.clone().unwrap_or_default();
        match self.stage {
            Stage::Cancelling => HttpStep::Send(speech::cancel(&self.server, &url)),
            Stage::Creating { is_whole } => {
                if let Some(refusal) = self.server.refusal(&self.file) {
                    self.never(refusal);
                    return self.poll_step();
                }
                HttpStep::Send(speech::create(&self.server, &self.target, &self.file, is_whole))
            }
            Stage::Asking => HttpStep::Send(speech::ask(&self.server, &url)),
            Stage::Ready if self.offset == self.content.end && self.file.size.is_none() => {
                HttpStep::Fetch
            }
            Stage::Ready => {
                let most = self.server.max_append_size.unwrap_or(u64::MAX).min(APPEND_BYTES_MAX);
                let length = self.content.end.saturating_sub(self.offset).min(most);
                let completes = self.file.size == Some(self.offset + length);
                self.stage = Stage::Appending { offset: self.offset, length, completes };
                HttpStep::Send(self.append(&url, self.offset, length, completes))
            }
            Stage::Appending { offset, length, completes } => {
                HttpStep::Send(self.append(&url, offset, length, completes))
            }
            Stage::Finishing => HttpStep::Send(self.append(&url, self.offset, 0, true)),
        }
    }

    /// What has happened, in order.
    pub fn poll_event(&mut self) -> Option<HttpEvent> {
        self.events.pop_front()
    }

    /// Of a stream, `content` was read and is kept; `is_end`: that is where it ends.
    pub fn handle_content(&mut self, content: Range<u64>, is_end: bool) {
        self.content = content;
        if is_end {
            self.file.size = Some(self.content.end);
        }
    }

    /// The request of the last step was answered.
    pub fn handle_answer(&mut self, answer: &HttpAnswer) {
        if self.outcome.is_some() {
            return;
        }
        match self.stage {
            // Whatever it says: what is left there expires.
            Stage::Cancelling => self.forget_and_begin(),
            Stage::Creating { is_whole } => self.created(answer, is_whole),
            Stage::Asking => self.asked(answer),
            Stage::Appending { offset, length, completes } => {
                self.appended(answer, offset..offset + length, completes);
            }
            Stage::Finishing => {
                let said = if answer.is_success() { Said::of(answer) } else { Said::default() };
                self.over(Outcome::Stored(said));
            }
            Stage::Ready => {}
        }
    }

    /// The request of the last step was cut, or could not be sent.
    pub fn handle_cut(&mut self) {
        let is_stream = self.file.size.is_none();
        match self.stage {
            _ if self.outcome.is_some() => return,
            Stage::Creating { is_whole: true } if is_stream => {
                self.over(Outcome::Lost);
                return;
            }
            Stage::Creating { .. } | Stage::Asking | Stage::Finishing | Stage::Cancelling => {}
            Stage::Ready | Stage::Appending { .. } => self.stage = Stage::Asking,
        }
        self.pause = Some(Pause { refusal: None, at_least_ms: 0 });
    }

    /// The request that ends what the server has of it, if it has something: for who gives the upload up.
    pub fn cancel(&self) -> Option<Request> {
        let url = self.url.as_ref().filter(|_| self.server.takes_deletes)?;
        Some(speech::cancel(&self.server, url))
    }

    fn append(&self, url: &str, offset: u64, length: u64, completes: bool) -> Request {
        let size = self.file.size.filter(|_| completes && !self.is_size_told);
        speech::append(&self.server, url, (offset, length), completes, size)
    }

    /// Begins it, for the first time or again.
    fn begin(&mut self) {
        (self.offset, self.safe) = (0, 0);
        let is_small = self.file.size.is_some_and(|size| size <= WHOLE_BYTES_MAX);
        let is_whole = match self.server.protocol {
            Protocol::Plain => true,
            Protocol::Resumable => is_small,
            Protocol::Tus => is_small && self.server.takes_content_first,
        };
        self.stage = Stage::Creating { is_whole };
    }

    fn forget_and_begin(&mut self) {
        if self.url.take().is_some() {
            self.events.push_back(HttpEvent::Forgotten);
        }
        self.begin();
    }

    /// What the server has of it is of no use.
    fn anew(&mut self, why: Anew) {
        self.anews += 1;
        if self.content.start > 0 {
            self.over(Outcome::Lost);
            return;
        }
        if self.anews > ANEWS_MAX {
            let words = match why {
                Anew::Damaged => {
                    "the server has less of the upload than it has said, again and again"
                }
                _ => "the server forgets the upload, again and again",
            };
            self.never(Refusal::new(RefusalCode::OffsetMismatch, words));
            return;
        }
        self.events.push_back(HttpEvent::Restarted(why));
        self.forget_and_begin();
    }

    /// Something was in vain that should not be: it is asked how far the upload is, not in haste.
    fn set_back(&mut self, answer: &HttpAnswer) {
        self.stage = Stage::Asking;
        self.setbacks += 1;
        if self.setbacks > 1 {
            let words = format!(
                "the server and this program do not agree how far the upload is ({})",
                answer.status
            );
            let refusal = Some(Refusal::new(RefusalCode::OffsetMismatch, words));
            self.pause = Some(Pause { refusal, at_least_ms: retry_after_ms(answer) });
        }
    }

    /// Whether an offset can be of this upload: it never goes back, nor beyond the file.
    fn fits(&self, offset: u64, state: State) -> bool {
        let is_of_file = match self.file.size {
            Some(size) => {
                let is_whole = state.is_complete != Some(true) || offset == size;
                offset <= size && is_whole && state.size.is_none_or(|said| said == size)
            }
            None => offset <= self.content.end && state.is_complete != Some(true),
        };
        is_of_file && offset >= self.safe
    }

    /// The server has so much.
    fn reach(&mut self, offset: u64) {
        self.offset = offset;
        if offset > self.safe {
            self.safe = offset;
            self.setbacks = 0;
        }
        if offset > self.safe_ever {
            self.safe_ever = offset;
            self.anews = 0;
            self.events.push_back(HttpEvent::Safe { bytes: offset });
        }
    }

    fn never(&mut self, refusal: Refusal) {
        self.over(Outcome::Refused(refusal));
    }

    /// Ends it. What may be gone on with later keeps its URL.
    fn over(&mut self, outcome: Outcome) {
        let may_go_on =
            matches!(&outcome, Outcome::Refused(refusal) if refusal.code.is_temporary());
        if !may_go_on && self.url.take().is_some() {
            self.events.push_back(HttpEvent::Forgotten);
        }
        self.outcome = Some(outcome);
    }
}
