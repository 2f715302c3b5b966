//! A client of HTTP and a server with its driver, in memory and with fake time: what a client sends comes in pieces,
//! and each request has a receiver of its own.
#![allow(dead_code, unreachable_pub, reason = "each test uses a part")]

pub mod answers;
pub mod inbox;

use std::collections::VecDeque;

use bytes::Bytes;
use sandport_protocol::driver::{
    Answer, Driver, EndOfInput, On, Question, Reply, Shell, Spliced, Step,
};
use sandport_protocol::receiver::{Committed, LogLevel, Receiver, Wishes};
use sandport_protocol::{
    Algorithm, ContentDigest, Credential, Extent, Identity, Limits, Millis, Offer, Refusal,
    RefusalCode, UploadId,
};

use answers::Answered;
use inbox::{Commit, Inbox, Upload};

/// The token that is known.
pub const TOKEN: &str = "correct horse";

/// When connections begin.
const START: Millis = 5_000;

/// How a connection came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The server closed it.
    Closed(Result<(), Refusal>),
    /// It waits for the next request.
    Idle,
}

/// A server, and the client's side of one connection to it.
pub struct HttpEnd {
    pub limits: Limits,
    pub wire: Wire,
    pub end: Option<End>,
    /// Requests that were handed to a receiver of their own.
    pub receivers: usize,
}

/// What a driver runs on.
pub struct Wire {
    pub inbox: Inbox,
    pub now: Millis,
    /// All that was sent to the client.
    pub sent: Vec<u8>,
    pub logs: Vec<(LogLevel, String)>,
    /// Credentials that were shown.
    pub credentials: Vec<Credential>,
    /// How many bytes were spliced into bodies, written into them, and skipped.
    pub spliced: u64,
    pub written: u64,
    pub skipped: u64,
    /// What is on its way, in pieces.
    pieces: VecDeque<Vec<u8>>,
    /// What has arrived and was not taken.
    arrived: VecDeque<u8>,
    /// What was read since the last splice or skip.
    last_read: Vec<u8>,
    /// The client ends its side after the last piece.
    ends: bool,
    /// The client sends this piece only after `100 Continue`.
    after_continue: Option<Vec<u8>>,
}

impl Default for HttpEnd {
    fn default() -> Self {
        Self::with(Limits::default())
    }
}

impl HttpEnd {
    pub fn with(limits: Limits) -> Self {
        let algorithms = vec![Algorithm::Blake3, Algorithm::Sha256, Algorithm::Sha512];
        let wire = Wire {
            inbox: Inbox::default(),
            now: START,
            sent: vec![],
            logs: vec![],
            credentials: vec![],
            spliced: 0,
            written: 0,
            skipped: 0,
            pieces: VecDeque::new(),
            arrived: VecDeque::new(),
            last_read: vec![],
            ends: false,
            after_continue: None,
        };
        Self { limits: Limits { algorithms, ..limits }, wire, end: None, receivers: 0 }
    }

    /// With a file that this client has stored before.
    pub fn with_file(mut self, name: &str, content: &[u8]) -> Self {
        self.wire.inbox.published.insert(name.into(), content.to_vec());
        self
    }

    /// Sends bytes and keeps the connection open.
    pub fn send(self, bytes: impl AsRef<[u8]>) -> Self {
        self.send_pieces([bytes.as_ref().to_vec()])
    }

    /// Sends bytes one piece after the other: the next when nothing more is to be done with the last.
    pub fn send_pieces(mut self, pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.wire.pieces.extend(pieces);
        self.run();
        self
    }

    /// Sends bytes and ends this side of the connection.
    pub fn send_and_end(self, bytes: impl AsRef<[u8]>) -> Self {
        self.send_pieces_and_end([bytes.as_ref().to_vec()])
    }

    /// Sends bytes one piece after the other and ends this side of the connection.
    pub fn send_pieces_and_end(mut self, pieces: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.wire.ends = true;
        self.send_pieces(pieces)
    }

    /// Sends a head, and the body when it is told to continue.
    pub fn send_expecting(mut self, head: &str, body: &[u8]) -> Self {
        self.wire.after_continue = Some(body.to_vec());
        self.send(head)
    }

    /// The final and interim answers, in their order. None of them is to a `HEAD`.
    pub fn answers(&self) -> Vec<Answered> {
        answers::parse(&self.wire.sent, |_| false)
    }

    /// The answer, where there is one alone.
    pub fn answer(&self) -> Answered {
        let mut answers = self.answers();
        assert_eq!(answers.len(), 1, "{}", String::from_utf8_lossy(&self.wire.sent));
        answers.remove(0)
    }

    /// The content of what was published under this name.
    pub fn file(&self, name: &str) -> Option<&[u8]> {
        self.wire.inbox.published.get(name).map(Vec::as_slice)
    }

    pub fn names(&self) -> Vec<&str> {
        self.wire.inbox.published.keys().map(String::as_str).collect()
    }

    /// The code with which the connection was closed.
    pub fn code(&self) -> Option<RefusalCode> {
        match &self.end {
            Some(End::Closed(Err(refusal))) => Some(refusal.code),
            _ => None,
        }
    }

    pub fn is_idle(&self) -> bool {
        self.end == Some(End::Idle)
    }

    /// Whether the client has not got rid of something, because the server took no more.
    pub fn untaken(&self) -> usize {
        self.wire.arrived.len() + self.wire.pieces.iter().map(Vec::len).sum::<usize>()
    }

    fn run(&mut self) {
        if matches!(self.end, Some(End::Closed(_))) {
            return;
        }
        loop {
            if self.wire.arrived.is_empty() {
                let Some(piece) = self.wire.pieces.pop_front() else { break };
                self.wire.arrived.extend(piece);
                continue;
            }
            // A receiver is made when a byte is there.
            match self.serve() {
                Step::Closed(outcome) => {
                    self.end = Some(End::Closed(outcome));
                    return;
                }
                Step::Next { unread } => {
                    let read = &self.wire.last_read;
                    assert!(unread <= read.len(), "{unread} of {} bytes are unread", read.len());
                    assert!(unread <= 65_536, "{unread} bytes are unread");
                    for &byte in read[read.len() - unread..].iter().rev() {
                        self.wire.arrived.push_front(byte);
                    }
                }
                step => panic!("{step:?}"),
            }
        }
        self.end = Some(match self.wire.ends {
            true => End::Closed(Ok(())),
            false => End::Idle,
        });
    }

    /// One receiver, from its first byte to its end.
    fn serve(&mut self) -> Step {
        self.receivers += 1;
        self.wire.last_read.clear();
        let now = self.wire.now;
        let limits = self.limits.clone();
        let machine = match self.receivers {
            1 => Receiver::new(limits, vec![7; 32], "receiver/1".into(), now),
            _ => Receiver::after_http(limits, now),
        };
        let mut driver = Driver::new(machine);
        for _ in 0..1_000_000 {
            match driver.step(&mut self.wire) {
                Step::Again => {}
                Step::Wait(wait) => {
                    if self.wire.inbox.pass_time() {
                        driver.hear_news(&mut self.wire);
                        continue;
                    }
                    if matches!(wait.on, On::Input) && self.wire.more_arrives() {
                        continue;
                    }
                    let until = wait.until.expect("something to wait for");
                    assert!(until > self.wire.now, "a moment that stays due");
                    self.wire.now = until;
                }
                over => {
                    driver.drop_uploads();
                    assert_eq!(self.wire.inbox.take_open(), 0, "uploads that were left behind");
                    return over;
                }
            }
        }
        panic!("no end after a million steps");
    }
}

impl Wire {
    /// Lets the next piece arrive, or the end of the client's side.
    fn more_arrives(&mut self) -> bool {
        let continued = self.sent.ends_with(b"HTTP/1.1 100 Continue\r\n\r\n");
        if let Some(body) = self.after_continue.take_if(|_| continued) {
            self.pieces.push_back(body);
        }
        match self.pieces.pop_front() {
            Some(piece) => {
                self.arrived.extend(piece);
                true
            }
            None => self.ends,
        }
    }

    fn take(&mut self, max: u64) -> Result<Vec<u8>, EndOfInput> {
        assert!(max > 0, "nothing is wanted");
        if self.arrived.is_empty() && self.pieces.is_empty() && self.ends {
            return Err(EndOfInput);
        }
        let count = max.min(self.arrived.len() as u64) as usize;
        Ok(self.arrived.drain(..count).collect())
    }
}

impl Shell for Wire {
    type Upload = Upload;
    type Commit = Commit;
    type Opening = (Offer, Wishes, usize);
    type Asking = inbox::Asking;
    type Authenticating = Option<Credential>;

    fn now(&mut self) -> Millis {
        self.now
    }

    fn read(&mut self, max: usize) -> Result<Bytes, EndOfInput> {
        let bytes = self.take(max as u64)?;
        self.last_read.extend(&bytes);
        Ok(bytes.into())
    }

    fn skip(&mut self, max: u64) -> Result<u64, EndOfInput> {
        let count = self.take(max)?.len() as u64;
        self.last_read.clear();
        self.skipped += count;
        Ok(count)
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
        self.inbox.considering += 1;
        let patience = self.inbox.slowness;
        self.inbox.waits += patience;
        (offer, wishes, patience)
    }

    fn opened(&mut self, opening: &mut Self::Opening) -> Option<Result<Answer<Upload>, Refusal>> {
        if self.inbox.waits > 0 {
            return None;
        }
        let (offer, wishes, _) = opening;
        self.inbox.considering -= 1;
        Some(self.inbox.open(offer.clone(), wishes.clone()))
    }

    fn ask(&mut self, question: Question<'_, Upload>) -> Self::Asking {
        self.inbox.ask(question)
    }

    fn replied(&mut self, asking: &mut Self::Asking) -> Option<Reply> {
        asking.take()
    }

    fn set_size(&mut self, upload: &mut Upload, size: u64) -> Result<(), Refusal> {
        self.inbox.set_size(upload, size)
    }

    fn body(
        &mut self,
        upload: &mut Upload,
        extent: Extent,
        check: Option<Algorithm>,
    ) -> Result<(), Refusal> {
        self.inbox.body(upload, extent, check)
    }

    fn write(&mut self, upload: &mut Upload, bytes: Bytes) -> Bytes {
        assert!(!bytes.is_empty());
        self.written += bytes.len() as u64;
        self.inbox.write(upload, &bytes);
        Bytes::new()
    }

    fn splice(&mut self, upload: &mut Upload, max: u64) -> Result<Spliced, EndOfInput> {
        let bytes = self.take(max)?;
        self.last_read.clear();
        self.spliced += bytes.len() as u64;
        self.inbox.write(upload, &bytes);
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

    fn progress(&mut self, _: &mut Upload) -> Option<u64> {
        None
    }

    fn commit(&mut self, upload: Upload, size: u64, digests: Vec<ContentDigest>) -> Commit {
        self.inbox.commit(upload, size, &digests)
    }

    fn outcome(&mut self, commit: &mut Commit) -> Option<Result<Committed, Refusal>> {
        self.inbox.outcome(commit)
    }

    fn discard(&mut self, upload: Upload, reason: Option<Refusal>) {
        self.inbox.discard(upload, reason);
    }

    fn authenticate(&mut self, credential: Credential) -> Option<Credential> {
        assert_eq!(self.inbox.opened, 0, "credentials come before the first offer");
        self.credentials.push(credential.clone());
        Some(credential)
    }

    fn authenticated(
        &mut self,
        credential: &mut Option<Credential>,
    ) -> Option<Result<Identity, Refusal>> {
        credential.take().map(|credential| match credential {
            Credential::Bearer(token) if token == TOKEN => {
                self.inbox.is_known = true;
                Ok(Identity { name: Some("known".into()) })
            }
            _ => Err(RefusalCode::NotPermitted.into()),
        })
    }

    fn log(&mut self, level: LogLevel, message: &str) {
        self.logs.push((level, message.into()));
    }
}

/// The number of an upload, which tests do not care for.
pub type Id = UploadId;

/// Cuts bytes at these places, which count modulo its length.
pub fn cut(bytes: &[u8], places: &[usize]) -> Vec<Vec<u8>> {
    let mut places: Vec<_> = places.iter().map(|place| place % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.dedup();
    places.windows(2).map(|ends| bytes[ends[0]..ends[1]].to_vec()).collect()
}
