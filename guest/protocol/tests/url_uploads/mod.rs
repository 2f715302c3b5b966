//! Clients of HTTP whose uploads have URLs, and a server that serves several connections at once, in memory and with
//! fake time. Each request has a receiver of its own.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, clippy::expect_used)]

pub mod inbox;
pub mod session;
pub mod state;
pub mod tus;

use std::cell::{Cell, Ref, RefMut};
use std::collections::VecDeque;
use std::rc::Rc;

use bytes::Bytes;
use sandport_protocol::driver::{Answer, Driver, EndOfInput, Host, Question, Reply, Spliced, Step};
use sandport_protocol::receiver::{Committed, LogLevel, Receiver, Wishes};
use sandport_protocol::{
    Algorithm, Authenticated, ContentDigest, Credential, Extent, Limits, Millis, Offer, Refusal,
};

pub use crate::http_answers::Answered;
use inbox::Asking;
use session::{Commit, Upload};
use state::{Kept, Shared, State};

/// What time of day it is at the beginning: Sun, 06 Nov 1994 08:49:37 GMT.
const UNIX_S: i64 = 784_111_777;

/// A server.
pub struct Server {
    pub limits: Limits,
    state: Shared,
    now: Rc<Cell<Millis>>,
}

/// The client's side of a connection, with what serves it.
pub struct Connection {
    driver: Driver<Wire>,
    wire: Wire,
    pub end: Option<End>,
    /// How many bytes are behind the request that has ended.
    unread: usize,
}

/// How a request came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The server closed the connection.
    Closed,
    /// The next request may come.
    Next,
}

/// What came back of one request.
#[derive(Clone, Debug)]
pub struct Exchanged {
    pub interims: Vec<Answered>,
    pub answer: Answered,
    pub end: End,
}

impl std::ops::Deref for Exchanged {
    type Target = Answered;

    fn deref(&self) -> &Answered {
        &self.answer
    }
}

impl Default for Server {
    fn default() -> Self {
        Self::with(Limits::default())
    }
}

impl Server {
    pub fn with(limits: Limits) -> Self {
        let algorithms = Algorithm::ALL.to_vec();
        let limits = Limits { algorithms, ..limits };
        Self { limits, state: Shared::default(), now: Rc::new(Cell::new(5_000)) }
    }

    pub fn inbox(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }

    /// The upload that a location leads to.
    pub fn kept(&self, location: &str) -> Ref<'_, Kept> {
        use base64ct::Encoding as _;
        let key = location.strip_prefix("/files/").expect("a location below /files/");
        let key = base64ct::Base64UrlUnpadded::decode_vec(key).expect("a key");
        Ref::map(self.state.borrow(), |state| state.kept.get(&key).expect("an upload"))
    }

    /// How many uploads there are that were not published.
    pub fn unfinished(&self) -> usize {
        self.state.borrow().kept.values().filter(|kept| kept.outcome.is_none()).count()
    }

    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.state.borrow().published.get(name).cloned()
    }

    pub fn pass(&self, milliseconds: Millis) {
        self.now.set(self.now.get() + milliseconds);
    }

    pub fn connect(&self) -> Connection {
        let wire = Wire {
            state: Rc::clone(&self.state),
            now: Rc::clone(&self.now),
            arrived: VecDeque::new(),
            has_ended: false,
            sent: vec![],
        };
        let now = self.now.get();
        let mut machine = Receiver::new(self.limits.clone(), vec![7; 32], "receiver/1".into(), now);
        machine.set_date(now, UNIX_S + (now / 1_000) as i64);
        Connection { driver: Driver::new(machine), wire, end: None, unread: 0 }
    }

    /// Sends a request whole, and waits for its answer.
    pub fn request(&self, head: &str, content: &[u8]) -> Exchanged {
        let mut connection = self.connect();
        connection.send(head.as_bytes());
        connection.send(content);
        connection.run();
        connection.exchanged(head.starts_with("HEAD"))
    }

    /// Sends as much of a request as there is, and lets the connection break.
    pub fn cut(&self, head: &str, content: &[u8]) -> Vec<Answered> {
        let mut connection = self.connect();
        connection.send(head.as_bytes());
        connection.send(content);
        connection.run();
        connection.break_off();
        connection.answers(false)
    }
}

impl Connection {
    pub fn send(&mut self, bytes: &[u8]) {
        self.wire.arrived.extend(bytes);
    }

    /// Goes on as far as it goes without more bytes and without time passing.
    pub fn run(&mut self) {
        for _ in 0..100_000 {
            if self.end.is_some() {
                return;
            }
            self.driver.hear_news(&mut self.wire);
            match self.driver.step(&mut self.wire) {
                Step::Again => {}
                Step::Wait(wait) => {
                    assert!(wait.until.is_none_or(|until| until > self.wire.now.get()));
                    self.driver.hear_news(&mut self.wire);
                    let has_answer = self.driver.step(&mut self.wire);
                    match has_answer {
                        Step::Wait(_) => return,
                        step => self.over(&step),
                    }
                }
                step => self.over(&step),
            }
        }
        panic!("no end after many steps");
    }

    fn over(&mut self, step: &Step) {
        self.end = match step {
            Step::Closed(_) => Some(End::Closed),
            Step::Next { unread } => {
                self.unread = *unread;
                Some(End::Next)
            }
            Step::Again | Step::Wait(_) => return,
        };
        self.driver.drop_uploads();
    }

    /// The client is gone.
    pub fn break_off(&mut self) {
        self.wire.has_ended = true;
        self.run();
        self.driver.drop_uploads();
    }

    /// All that was sent to the client.
    pub fn sent(&self) -> &[u8] {
        &self.wire.sent
    }

    pub fn answers(&self, is_head: bool) -> Vec<Answered> {
        crate::http_answers::parse(&self.wire.sent, |_| is_head)
    }

    /// What came back of a request that is over.
    pub fn exchanged(&self, is_head: bool) -> Exchanged {
        let end = self.end.clone().expect("an end of the request");
        assert_eq!(self.unread, 0, "bytes are unread");
        let mut answers = self.answers(is_head);
        let answer = answers.pop().expect("an answer");
        assert!(answer.status >= 200);
        assert!(answers.iter().all(|answer| answer.status < 200));
        assert_eq!(end == End::Closed, answer.field("connection") == Some("close"));
        Exchanged { interims: answers, answer, end }
    }
}

/// What a driver runs on.
pub struct Wire {
    state: Shared,
    now: Rc<Cell<Millis>>,
    arrived: VecDeque<u8>,
    has_ended: bool,
    sent: Vec<u8>,
}

impl Wire {
    fn take(&mut self, max: u64) -> Result<Vec<u8>, EndOfInput> {
        if self.arrived.is_empty() && self.has_ended {
            return Err(EndOfInput);
        }
        let count = max.min(self.arrived.len() as u64) as usize;
        Ok(self.arrived.drain(..count).collect())
    }
}

impl Host for Wire {
    type Upload = Upload;
    type Commit = Commit;
    type Opening = (Offer, Wishes);
    type Asking = Asking;
    type Authenticating = ();

    fn now(&mut self) -> Millis {
        self.now.get()
    }

    fn read(&mut self, max: usize) -> Result<Bytes, EndOfInput> {
        self.take(max as u64).map(Bytes::from)
    }

    fn skip(&mut self, max: u64) -> Result<u64, EndOfInput> {
        self.take(max).map(|bytes| bytes.len() as u64)
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

    fn open(&mut self, offer: Offer, wishes: Wishes) -> Self::Opening {
        (offer, wishes)
    }

    fn opened(&mut self, opening: &mut Self::Opening) -> Option<Result<Answer<Upload>, Refusal>> {
        Some(inbox::open(&self.state, &opening.0, &opening.1))
    }

    fn ask(&mut self, question: Question<'_, Upload>) -> Asking {
        inbox::ask(&self.state, question)
    }

    fn replied(&mut self, asking: &mut Asking) -> Option<Reply> {
        inbox::replied(&self.state, asking)
    }

    fn set_size(&mut self, upload: &mut Upload, size: u64) -> Result<(), Refusal> {
        upload.set_size(size)
    }

    fn body(
        &mut self,
        upload: &mut Upload,
        extent: Extent,
        check: Option<Algorithm>,
    ) -> Result<(), Refusal> {
        upload.body(extent, check)
    }

    fn write(&mut self, upload: &mut Upload, bytes: Bytes) -> Bytes {
        upload.write(&bytes);
        Bytes::new()
    }

    fn splice(&mut self, upload: &mut Upload, max: u64) -> Result<Spliced, EndOfInput> {
        let bytes = self.take(max)?;
        upload.write(&bytes);
        Ok(match bytes.len() {
            0 => Spliced::NoInput,
            count => Spliced::Bytes(count as u64),
        })
    }

    fn has_news(&self, upload: &Upload) -> bool {
        upload.has_news()
    }

    fn has_body(&self, upload: &Upload) -> bool {
        upload.has_body()
    }

    fn fault(&mut self, upload: &mut Upload) -> Option<Refusal> {
        upload.fault()
    }

    fn progress(&mut self, upload: &mut Upload) -> Option<u64> {
        upload.progress()
    }

    fn commit(&mut self, upload: Upload, size: u64, digests: Vec<ContentDigest>) -> Commit {
        upload.commit(size, &digests)
    }

    fn outcome(&mut self, commit: &mut Commit) -> Option<Result<Committed, Refusal>> {
        commit.outcome()
    }

    fn discard(&mut self, upload: Upload, _reason: Option<Refusal>) {
        upload.discard();
    }

    fn forwarded(&mut self, _address: &str) {}

    fn authenticate(&mut self, _credential: Credential) {}

    fn authenticated(
        &mut self,
        _authenticating: &mut (),
    ) -> Option<Result<Authenticated, Refusal>> {
        Some(Ok(Authenticated { name: None }))
    }

    fn log(&mut self, _level: LogLevel, _message: &str) {}
}

/// Base64, as fields have it.
pub fn base64(bytes: &[u8]) -> String {
    use base64ct::Encoding as _;
    base64ct::Base64::encode_string(bytes)
}

/// One chunk, and the last.
pub fn chunked(content: &[u8], trailers: &str) -> Vec<u8> {
    let mut body = vec![];
    if !content.is_empty() {
        body.extend_from_slice(format!("{:x}\r\n", content.len()).as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("0\r\n{trailers}\r\n").as_bytes());
    body
}
