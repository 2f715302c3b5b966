//! An upload that is open, and how its bytes go to the inbox.

use alloc::vec::Vec;

use bytes::Bytes;
use sandport_protocol::{Algorithm, ContentDigest, Extent, LARGE_DATA_BYTES, Refusal, RefusalCode};

use crate::bindings::sandport::upload::inbox::{self, Commitment};
use crate::bindings::sandport::upload::types;
use crate::bindings::wasi::io::poll::Pollable;
use crate::bindings::wasi::io::streams::OutputStream;
use crate::convert;
use crate::pending::{Asking, Commit};

/// An open upload. The stream is declared first, so it is dropped first.
pub(crate) struct OpenUpload {
    stream: Option<OutputStream>,
    /// The body of a stream that is checked: whoever has its digest ends it.
    checked: Option<inbox::Body>,
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

impl OpenUpload {
    pub(crate) fn new(upload: inbox::Upload, is_resumable: bool) -> Self {
        let news = is_resumable.then(|| News { ready: upload.subscribe(), durable: 0 });
        Self { stream: None, checked: None, held: None, failed: None, news, upload }
    }

    pub(crate) fn missing(&self) -> Vec<Extent> {
        convert::from_extents(self.upload.missing())
    }

    pub(crate) fn key(&self) -> Option<Vec<u8>> {
        self.upload.key()
    }

    /// What to poll for news of it.
    pub(crate) fn news(&self) -> Option<&Pollable> {
        self.news.as_ref().map(|news| &news.ready)
    }

    pub(crate) fn has_news(&self) -> bool {
        self.news.is_some()
    }

    /// What to poll for room in its body.
    pub(crate) fn room(&self) -> Option<Pollable> {
        self.stream.as_ref().map(OutputStream::subscribe)
    }

    pub(crate) fn has_body(&self) -> bool {
        self.stream.is_some() || self.held.is_some()
    }

    /// The stream of its body, if it has one. What was held goes first.
    pub(crate) fn stream(&mut self) -> Option<&OutputStream> {
        self.let_go();
        self.stream.as_ref()
    }

    /// Begins a body, and ends an earlier one.
    pub(crate) fn body(&mut self, extent: Extent, check: Option<Algorithm>) -> Result<(), Refusal> {
        self.let_go();
        self.stream = None;
        self.checked = None;
        if check.is_none() && self.may_be_held(extent) {
            self.held = Some(Held { extent, bytes: Bytes::new() });
            return Ok(());
        }
        self.begin(extent, check)
    }

    /// Writes what the body takes now; what is left.
    pub(crate) fn write(&mut self, mut bytes: Bytes) -> Bytes {
        if let Some(held) = &mut self.held {
            if held.bytes.is_empty() && held.extent.length == Some(bytes.len() as u64) {
                held.bytes = bytes;
                return Bytes::new();
            }
            self.let_go();
        }
        if let Some(stream) = &self.stream {
            // A body swallows what it cannot take, so an error is of a host that breaks the contract; the
            // commit will say what is missing.
            while !bytes.is_empty()
                && let Ok(room) = stream.check_write()
            {
                if room == 0 {
                    return bytes;
                }
                let now = bytes.split_to(bytes.len().min(room as usize));
                if stream.write(&now).is_err() {
                    break;
                }
            }
        }
        Bytes::new()
    }

    pub(crate) fn fault(&self) -> Option<Refusal> {
        self.failed.clone().or_else(|| self.upload.fault().map(convert::from_refusal))
    }

    /// How much is durable, if that is more than was last said.
    pub(crate) fn progress(&mut self) -> Option<u64> {
        let news = self.news.as_mut()?;
        let durable = self.upload.durable();
        (durable > news.durable).then(|| {
            news.durable = durable;
            durable
        })
    }

    pub(crate) fn set_size(&mut self, size: u64) -> Result<(), Refusal> {
        self.upload.set_size(size).map_err(convert::from_refusal)
    }

    pub(crate) fn keep(&mut self) -> Asking {
        self.let_go();
        Asking::keeping(self.upload.keep())
    }

    pub(crate) fn concatenate(&mut self, parts: &[Vec<u8>]) -> Asking {
        self.let_go();
        Asking::concatenating(self.upload.concatenate(parts))
    }

    /// Ends the checked body.
    pub(crate) fn finish(&mut self, expect: &ContentDigest) -> Asking {
        self.stream = None;
        match self.checked.take() {
            Some(body) => {
                let expect = convert::content_digest(expect);
                Asking::finishing(inbox::Body::finish(body, Some(&expect)))
            }
            None => {
                let words = "no body is checked";
                let refusal = Refusal::new(RefusalCode::InvalidState, words);
                Asking::refused(self.failed.clone().unwrap_or(refusal))
            }
        }
    }

    pub(crate) fn commit(mut self, size: u64, digests: &[ContentDigest]) -> Commit {
        let digests: Vec<types::Digest> = digests.iter().map(convert::content_digest).collect();
        if let Some(held) = self
            .held
            .take_if(|held| held.extent.length == Some(size) && held.bytes.len() as u64 == size)
        {
            return match inbox::Upload::store(self.upload, &held.bytes, &digests) {
                Commitment::Ended(outcome) => Commit::ended(outcome),
                Commitment::Committing(committing) => Commit::pending(committing),
            };
        }
        self.let_go();
        let Self { stream, checked, news, upload, failed, .. } = self;
        drop((stream, checked, news));
        if let Some(refusal) = failed {
            inbox::Upload::discard(upload, Some(&convert::refusal(refusal.clone())));
            return Commit::Ended(Some(Err(refusal)));
        }
        Commit::pending(inbox::Upload::commit(upload, size, &digests))
    }

    pub(crate) fn discard(self, reason: Option<Refusal>) {
        drop((self.stream, self.checked, self.news));
        let reason = reason.map(convert::refusal);
        inbox::Upload::discard(self.upload, reason.as_ref());
    }

    /// Whether it is so small that it should come in one piece.
    fn may_be_held(&self, extent: Extent) -> bool {
        extent.offset == 0
            && extent.length.is_some_and(|length| length < LARGE_DATA_BYTES)
            && self.news.is_none()
    }

    /// Opens the body that it did without, and writes what was held.
    fn let_go(&mut self) {
        let Some(Held { extent, bytes }) = self.held.take() else { return };
        match self.begin(extent, None) {
            Ok(()) => {
                if let Some(stream) = &self.stream {
                    write_all(stream, &bytes);
                }
            }
            Err(refusal) => self.failed = Some(refusal),
        }
    }

    /// Opens a body. Of one that is not checked the stream is all that is kept.
    fn begin(&mut self, extent: Extent, check: Option<Algorithm>) -> Result<(), Refusal> {
        let algorithm = check.map(convert::algorithm);
        let body =
            self.upload.body(convert::extent(extent), algorithm).map_err(convert::from_refusal)?;
        self.stream = body.sink().ok();
        self.checked = check.map(|_| body);
        Ok(())
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
