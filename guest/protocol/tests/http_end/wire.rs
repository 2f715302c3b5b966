//! What a driver runs on: a connection that brings pieces, and an inbox in memory.

use std::collections::VecDeque;

use bytes::Bytes;
use sandport_protocol::driver::{Answer, EndOfInput, Host, Question, Reply, Spliced};
use sandport_protocol::receiver::{Committed, LogLevel, Wishes};
use sandport_protocol::{
    Algorithm, Authenticated, ContentDigest, Credential, Extent, Millis, Offer, Refusal,
    RefusalCode,
};

use super::inbox::{self, Commit, Inbox, Upload};

/// The token that is known.
pub const TOKEN: &str = "correct horse";

/// What a driver runs on.
pub struct Wire {
    pub inbox: Inbox,
    pub now: Millis,
    /// All that was sent to the client.
    pub sent: Vec<u8>,
    pub logs: Vec<(LogLevel, String)>,
    /// Credentials that were shown.
    pub credentials: Vec<Credential>,
    /// Where trusted proxies have said that the client is.
    pub forwarded: Vec<String>,
    /// How many bytes were spliced into bodies, written into them, and skipped.
    pub spliced: u64,
    pub written: u64,
    pub skipped: u64,
    /// What is on its way, in pieces.
    pub pieces: VecDeque<Vec<u8>>,
    /// What has arrived and was not taken.
    pub arrived: VecDeque<u8>,
    /// What was read since the last splice or skip.
    pub last_read: Vec<u8>,
    /// The client ends its side after the last piece.
    pub ends: bool,
    /// The client sends this piece only after `100 Continue`.
    pub after_continue: Option<Vec<u8>>,
}

impl Wire {
    pub fn new(now: Millis) -> Self {
        Self {
            inbox: Inbox::default(),
            now,
            sent: vec![],
            logs: vec![],
            credentials: vec![],
            forwarded: vec![],
            spliced: 0,
            written: 0,
            skipped: 0,
            pieces: VecDeque::new(),
            arrived: VecDeque::new(),
            last_read: vec![],
            ends: false,
            after_continue: None,
        }
    }

    /// Lets the next piece arrive, or the end of the client's side.
    pub fn more_arrives(&mut self) -> bool {
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

impl Host for Wire {
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
        self.inbox.outcome(commit, self.now)
    }

    fn discard(&mut self, upload: Upload, reason: Option<Refusal>) {
        self.inbox.discard(upload, reason);
    }

    fn forwarded(&mut self, address: &str) {
        assert_eq!(self.inbox.opened, 0, "the address comes before the first offer");
        assert_eq!(self.credentials, [], "and before credentials");
        self.forwarded.push(address.into());
    }

    fn authenticate(&mut self, credential: Credential) -> Option<Credential> {
        assert_eq!(self.inbox.opened, 0, "credentials come before the first offer");
        self.credentials.push(credential.clone());
        Some(credential)
    }

    fn authenticated(
        &mut self,
        credential: &mut Option<Credential>,
    ) -> Option<Result<Authenticated, Refusal>> {
        credential.take().map(|credential| match credential {
            Credential::Bearer(token) if token == TOKEN => {
                self.inbox.is_known = true;
                Ok(Authenticated { name: Some("known".into()) })
            }
            _ => Err(RefusalCode::NotPermitted.into()),
        })
    }

    fn log(&mut self, level: LogLevel, message: &str) {
        self.logs.push((level, message.into()));
    }
}
