//! One upload between its offer and its outcome, and the digests that receivers ask for first.

use std::collections::VecDeque;
use std::io::Read;

use bytes::Bytes;
use sandport_protocol::{Digest, Offer, UploadId};
use tokio::task::JoinHandle;

use crate::sender::event::Report;
use crate::sender::prepare::{Item, Links};
use crate::sender::pump::{self, Content};
use crate::sender::{FileError, SendEvent, SendFile};

/// An upload without an outcome.
pub(super) struct Upload {
    pub(super) file: SendFile,
    pub(super) body: Body,
    /// Size and digest of what was read, once it was.
    pub(super) expected: Option<(u64, Digest)>,
    /// Payload that was handed to the connection. Bytes.
    pub(super) sent: u64,
    /// How much of it was last reported. Bytes.
    pub(super) reported: u64,
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
    Stream(Box<dyn Read + Send>),
}

impl Upload {
    pub(super) fn new(file: SendFile, body: Body, expected: Option<(u64, Digest)>) -> Self {
        Self { file, body, expected, sent: 0, reported: 0 }
    }

    /// Whether it waits for its turn to be read by a pump.
    pub(super) fn waits_for_pump(&self) -> bool {
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
pub(super) fn offer(file: &SendFile, digest: Option<Digest>) -> Offer {
    Offer {
        name: file.name.clone(),
        kind: file.kind,
        size: file.size,
        digest,
        modified_ns: file.modified_ns,
        executable: file.executable,
        resume: None,
    }
}

/// Reports an item that needs no connection.
pub(super) fn report_local(item: Item, report: &mut Report<'_>) {
    match item {
        Item::Skipped { path, reason } => {
            report.emit(SendEvent::Skipped { path: &path, reason });
        }
        Item::Failed { path, error } => {
            report.emit(SendEvent::Failed { path: &path, file: None, error: &error });
        }
        Item::Directory(_) | Item::Small { .. } | Item::Large(..) | Item::Stream { .. } => {}
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
            self.running = Some((id, tokio::task::spawn_blocking(move || pump::hash(content))));
        }
    }
}
