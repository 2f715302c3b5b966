//! One upload between its offer and its outcome, and the digests that receivers ask for first.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use sandport_protocol::{Digest, Offer, ResumeMode, UploadId};
use tokio::task::JoinHandle;

use super::stream::Stream;
use crate::file_reader::{self, Content};
use crate::keys::Key;
use crate::prepare::{Item, Links};
use crate::range_scheduler::RangeScheduler;
use crate::report::Report;
use crate::{FileError, SendEvent, SendFile};

/// An upload without an outcome.
pub(super) struct Upload {
    pub(super) file: Arc<SendFile>,
    pub(super) body: Body,
    /// Size and digest of what was read, once it was.
    pub(super) expected: Option<(u64, Digest)>,
    /// Payload that was handed to the connection. Bytes.
    pub(super) sent: u64,
    /// How much of it was last reported. Bytes.
    pub(super) reported: u64,
    /// How it is resumed.
    pub(super) key: Option<Key>,
    /// Where its content comes from, to be had again.
    pub(super) origin: Origin,
    /// How much the server had when it last accepted it. Bytes.
    pub(super) kept: u64,
    /// The most that any connection has ever heard to be safe at the server. Bytes.
    pub(super) safe: u64,
    /// It was begun anew once, because what the server had did not fit.
    pub(super) restarted: bool,
    /// What is known of its hash, once it was begun.
    pub(super) scheduler: Option<Arc<RangeScheduler>>,
    /// Whether several connections have carried it.
    pub(super) was_joined: bool,
}

/// Where content comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// A file.
    File(Links),
    /// A stream.
    Stream,
    /// A directory has none.
    Nowhere,
}

/// What of it still has to be sent.
pub(super) enum Body {
    /// Nothing, or it is on its way.
    Gone,
    /// A small file that waits for its verdict.
    Retained(Bytes),
    /// A large file that waits for its verdict or its turn.
    Large(Links),
    /// A stream that does.
    Stream(Box<Stream>),
    /// A stream that was sent, and whose outcome is to come.
    Played(Box<Stream>),
}

impl Upload {
    pub(super) fn new(
        file: SendFile,
        body: Body,
        origin: Origin,
        expected: Option<(u64, Digest)>,
        key: Option<Key>,
    ) -> Self {
        Self {
            file: Arc::new(file),
            body,
            expected,
            sent: 0,
            reported: 0,
            key,
            origin,
            kept: 0,
            safe: 0,
            restarted: false,
            scheduler: None,
            was_joined: false,
        }
    }

    /// The same, to be offered on another connection.
    pub(super) fn again(mut self) -> Self {
        self.body = match (std::mem::replace(&mut self.body, Body::Gone), self.origin) {
            (Body::Stream(stream) | Body::Played(stream), _) => Body::Stream(stream),
            (_, Origin::File(links)) => Body::Large(links),
            (body, _) => body,
        };
        (self.sent, self.reported) = (0, 0);
        self
    }

    /// It is over: nothing is to be resumed.
    pub(super) fn forget_key(&self) {
        if let Some(key) = &self.key {
            key.forget();
        }
    }

    /// The server has accepted it: from now on it is resumed.
    pub(super) fn accepted(&mut self) {
        if let Some(key) = &mut self.key {
            key.accepted();
        }
    }

    /// So much of it is safe at the server; how much more that is than ever before. Bytes.
    pub(super) fn note_safe(&mut self, bytes: u64) -> u64 {
        let bytes = bytes.min(self.file.size.unwrap_or(u64::MAX));
        let more = bytes.saturating_sub(self.safe);
        self.safe += more;
        more
    }

    /// Whether a later run resumes it.
    pub(super) fn is_resumable(&self) -> bool {
        self.key.as_ref().is_some_and(Key::is_kept)
    }

    /// It is to be begun anew, whatever the server has of it.
    pub(super) fn restart(&mut self) {
        (self.restarted, self.kept, self.scheduler) = (true, 0, None);
        self.was_joined = false;
        if let Some(key) = &mut self.key {
            key.resume.mode = ResumeMode::Restart;
        }
    }

    /// Whether it waits for its turn to be read by a reader.
    pub(super) fn waits_for_reader(&self) -> bool {
        matches!(self.body, Body::Large(_) | Body::Stream(_))
    }

    /// How much of a small file is kept in memory. Bytes.
    pub(super) fn retained(&self) -> u64 {
        match &self.body {
            Body::Retained(content) => content.len() as u64,
            _ => 0,
        }
    }
}

/// The offer of a file, with its digest where that is known.
pub(super) fn offer(upload: &Upload) -> Offer {
    let file = &upload.file;
    let digest = upload.expected.map(|(_, digest)| digest);
    Offer {
        name: file.name.clone(),
        kind: file.kind,
        size: file.size,
        digest,
        modified_ns: file.modified_ns,
        executable: file.executable,
        resume: upload.key.as_ref().map(|key| key.resume),
    }
}

/// Reports an item that needs no connection.
pub(super) fn report_local(item: Item, report: &Report) {
    match item {
        Item::Skipped { path, reason } => {
            report.emit(SendEvent::Skipped { path, reason });
        }
        Item::Failed { path, error } => {
            report.emit(SendEvent::Failed { path, file: None, error });
        }
        Item::Directory(_) | Item::Small { .. } | Item::Large { .. } | Item::Stream { .. } => {}
    }
}

/// The digest of one upload's file.
pub(super) type Hashed = (UploadId, Result<Digest, FileError>);

/// Files to hash before they are offered again, one at a time: they share one disk.
#[derive(Default)]
pub(super) struct Hashing {
    waiting: VecDeque<(UploadId, Content)>,
    running: Option<(UploadId, JoinHandle<Result<Digest, FileError>>)>,
}

impl Hashing {
    pub(super) fn push(&mut self, id: UploadId, content: Content) {
        self.waiting.push_back((id, content));
        self.start_next();
    }

    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// The next digest. Safe to cancel; never ready while nothing is running.
    pub(super) async fn next(&mut self) -> Hashed {
        let Some((id, running)) = &mut self.running else { std::future::pending().await };
        let id = *id;
        let result = running.await.unwrap_or_else(|error| Err(FileError::Read(error.into())));
        self.running = None;
        self.start_next();
        (id, result)
    }

    fn start_next(&mut self) {
        if self.running.is_none()
            && let Some((id, content)) = self.waiting.pop_front()
        {
            self.running =
                Some((id, tokio::task::spawn_blocking(move || file_reader::hash(content))));
        }
    }
}
