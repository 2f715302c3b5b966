//! The connection of this instance, and the inbox behind it, as the driver of the protocol crate sees them.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use bytes::Bytes;
use sandport_protocol::driver::{Answer, EndOfInput, Host, Question, Reply, Spliced};
use sandport_protocol::receiver::{Committed, Lifetime, LogLevel, Wishes};
use sandport_protocol::{
    Algorithm, Authenticated, ContentDigest, Credential, Extent, Offer, Refusal,
};

use crate::bindings::sandport::upload::{gate, inbox, log};
use crate::bindings::wasi::io::poll::Pollable;
use crate::bindings::wasi::io::streams::{InputStream, OutputStream};
use crate::clock::now_ms;
use crate::convert;
use crate::open_upload::OpenUpload;
use crate::outgoing::Outgoing;
use crate::pending::{Asking, Authenticating, Commit, Offered, Opening};

/// Most bytes to ask of one splice. The host moves as much of it as it likes to in one step; this
/// only has to be larger than any sensible step.
const SPLICE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The connection.
pub(crate) struct HostImpl<'a> {
    input: &'a InputStream,
    outgoing: Outgoing<'a>,
}

impl<'a> HostImpl<'a> {
    pub(crate) fn new(input: &'a InputStream, output: &'a OutputStream) -> Self {
        Self { input, outgoing: Outgoing::new(output) }
    }

    /// What to poll before more can be sent, if anything is unsent.
    pub(crate) fn waits_for(&self) -> Option<&Pollable> {
        self.outgoing.waits_for()
    }

    /// Sends all that is unsent, however long that takes.
    pub(crate) fn drain(&mut self) {
        self.outgoing.drain();
    }
}

impl Host for HostImpl<'_> {
    type Upload = OpenUpload;
    type Commit = Commit;
    type Opening = Opening;
    type Asking = Asking;
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

    fn open(&mut self, offer: Offer, wishes: Wishes) -> Opening {
        let is_resumable = offer.resume.is_some() || wishes.lifetime != Lifetime::AsOffered;
        let has_new_key = wishes.lifetime == Lifetime::NewKey;
        let size = offer.size;
        let offered = Offered::new(inbox::open(&convert::offer(offer, wishes)));
        Opening { offered, is_resumable, has_new_key, size }
    }

    fn opened(&mut self, opening: &mut Opening) -> Option<Result<Answer<OpenUpload>, Refusal>> {
        Some(match opening.offered.take()? {
            Ok(inbox::Answer::Stored(receipt)) => {
                convert::from_receipt(receipt).map(Answer::Stored)
            }
            Ok(inbox::Answer::DigestFirst) => Ok(Answer::DigestFirst),
            Ok(inbox::Answer::Accepted(upload)) => {
                let upload = OpenUpload::new(upload, opening.is_resumable);
                let key = if opening.has_new_key { upload.key() } else { None };
                match key {
                    Some(key) => Ok(Answer::Begun(upload, key)),
                    None => {
                        let missing = if opening.is_resumable {
                            upload.missing()
                        } else if opening.size == Some(0) {
                            Vec::new()
                        } else {
                            vec![Extent { offset: 0, length: opening.size }]
                        };
                        Ok(Answer::Accepted(upload, missing))
                    }
                }
            }
            Err(refusal) => Err(convert::from_refusal(refusal)),
        })
    }

    fn ask(&mut self, question: Question<'_, OpenUpload>) -> Asking {
        match question {
            Question::Look { key, settle } => Asking::looking(inbox::look(&key, settle)),
            Question::Abandon { key } => Asking::abandoning(inbox::abandon(&key)),
            Question::Keep { upload } => upload.keep(),
            Question::Concatenate { upload, parts } => upload.concatenate(&parts),
            Question::Finish { upload, expect } => upload.finish(&expect),
        }
    }

    fn replied(&mut self, asking: &mut Asking) -> Option<Reply> {
        asking.take()
    }

    fn set_size(&mut self, upload: &mut OpenUpload, size: u64) -> Result<(), Refusal> {
        upload.set_size(size)
    }

    fn body(
        &mut self,
        upload: &mut OpenUpload,
        extent: Extent,
        check: Option<Algorithm>,
    ) -> Result<(), Refusal> {
        upload.body(extent, check)
    }

    fn has_news(&self, upload: &OpenUpload) -> bool {
        upload.has_news()
    }

    fn has_body(&self, upload: &OpenUpload) -> bool {
        upload.has_body()
    }

    fn write(&mut self, upload: &mut OpenUpload, bytes: Bytes) -> Bytes {
        upload.write(bytes)
    }

    fn splice(&mut self, upload: &mut OpenUpload, max: u64) -> Result<Spliced, EndOfInput> {
        let Some(stream) = upload.stream() else {
            return self.skip(max).map(Spliced::Bytes);
        };
        match stream.splice(self.input, max.min(SPLICE_BYTES_MAX)) {
            Ok(0) if matches!(stream.check_write(), Ok(0)) => Ok(Spliced::NoRoom),
            Ok(0) => Ok(Spliced::NoInput),
            Ok(count) => Ok(Spliced::Bytes(count)),
            Err(_) => Err(EndOfInput),
        }
    }

    fn fault(&mut self, upload: &mut OpenUpload) -> Option<Refusal> {
        upload.fault()
    }

    fn progress(&mut self, upload: &mut OpenUpload) -> Option<u64> {
        upload.progress()
    }

    fn commit(&mut self, upload: OpenUpload, size: u64, digests: Vec<ContentDigest>) -> Commit {
        upload.commit(size, &digests)
    }

    fn outcome(&mut self, commit: &mut Commit) -> Option<Result<Committed, Refusal>> {
        commit.take()
    }

    fn discard(&mut self, upload: OpenUpload, reason: Option<Refusal>) {
        upload.discard(reason);
    }

    fn forwarded(&mut self, address: &str) {
        if let Err(refusal) = gate::forwarded(address) {
            let words = refusal.detail.unwrap_or_default();
            log::emit(log::Level::Warn, &format!("the address of a proxy's client: {words}"));
        }
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
    ) -> Option<Result<Authenticated, Refusal>> {
        authenticating.take()
    }

    fn log(&mut self, level: LogLevel, message: &str) {
        log::emit(convert::level(level), message);
    }
}
