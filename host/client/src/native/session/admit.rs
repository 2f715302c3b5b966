//! Taking new work in: offers, and small files that go with them.

use std::sync::Arc;

use bytes::Bytes;
use sandport_protocol::sender::Misuse;
use sandport_protocol::{Extent, UploadId};

use super::Session;
use crate::file_reader::Content;
use crate::native::stream::Stream;
use crate::native::upload::{self, Body, Hashed, Origin, Upload};
use crate::native::work::Job;
use crate::prepare::Item;
use crate::{FileError, RestartReason, SendEvent};

/// Large files that are offered before the first of them is through: their verdicts come while
/// others are sent, and a receiver stages no more than that in vain.
const LARGE_AHEAD_MAX: usize = 64;

/// Bytes of large files that one of several connections keeps waiting, before it leaves the next to
/// another. What a fast connection sends in a few round trips.
const LARGE_AHEAD_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Small files kept in memory for their verdicts, where their data may not be sent ahead. Bytes.
const RETAINED_BYTES_MAX: u64 = 16 * 1024 * 1024;

impl Session<'_> {
    /// Takes the next item in; `false` where none is there or it has to wait.
    pub(super) fn admit(&mut self) -> bool {
        if !self.output.has_room() || !self.machine.can_offer() || self.has_enough_large() {
            return false;
        }
        let item = match self.work.take() {
            None => return false,
            Some(Job::Again(upload)) => {
                self.offer(*upload, false);
                return true;
            }
            Some(Job::New(item)) => item,
        };
        let origin = |links| Origin::File(links);
        let begun = match item {
            Item::Directory(file) => Upload::new(file, Body::Gone, Origin::Nowhere, None, None),
            Item::Large { file, links, key } => {
                Upload::new(file, Body::Large(links), origin(links), None, key)
            }
            Item::Stream { file, reader, key } => {
                let body = Body::Stream(Box::new(Stream::new(reader)));
                Upload::new(file, body, Origin::Stream, None, key)
            }
            Item::Small { file, content, digest, links } => {
                let length = content.len() as u64;
                let sent_ahead = self.ahead && self.machine.can_send_ahead(length);
                let window_opens = self.ahead && length <= self.max_bytes_ahead;
                let memory_is_full =
                    self.retained > 0 && self.retained + length > RETAINED_BYTES_MAX;
                if !sent_ahead && (window_opens || memory_is_full) {
                    self.work.put_back(Item::Small { file, content, digest, links });
                    return false;
                }
                let expected = Some((length, digest));
                if sent_ahead {
                    let upload = Upload::new(file, Body::Gone, origin(links), expected, None);
                    if let Some(id) = self.offer(upload, true) {
                        self.send_small(id, &content, &[]);
                    }
                    return true;
                }
                Upload::new(file, Body::Retained(content), origin(links), expected, None)
            }
            local @ (Item::Skipped { .. } | Item::Failed { .. }) => {
                upload::report_local(local, self.work.report);
                return true;
            }
        };
        self.offer(begun, true);
        true
    }

    fn has_enough_large(&self) -> bool {
        self.waiting.files >= LARGE_AHEAD_MAX
            || (self.work.is_shared() && self.waiting.bytes >= LARGE_AHEAD_BYTES_MAX)
    }

    /// Offers an upload, the first time or on another connection.
    fn offer(&mut self, mut upload: Upload, first: bool) -> Option<UploadId> {
        if let Body::Stream(stream) = &upload.body {
            upload.expected = stream.end();
        }
        let id = match self.machine.offer(upload::offer(&upload)) {
            Err(Misuse::TooLong) => {
                let (path, error) = (upload.file.path.clone(), FileError::NameTooLong);
                self.emit(SendEvent::Failed { path, file: None, error });
                return None;
            }
            offered => self.checked(|_| offered)?,
        };
        self.work.begun();
        if first {
            self.work.report.start(&mut upload.file);
            if upload.key.as_ref().is_some_and(|key| key.changed) {
                let reason = RestartReason::Changed;
                self.emit(SendEvent::Restarted { file: Arc::clone(&upload.file), reason });
            }
        }
        self.waiting.add(&upload);
        self.retained += upload.retained();
        self.uploads.insert(id, upload);
        Some(id)
    }

    /// Sends the missing parts of a small file (all of it where nothing is said of them), and
    /// finishes it.
    pub(super) fn send_small(&mut self, id: UploadId, content: &Bytes, missing: &[Extent]) {
        let all = [Extent { offset: 0, length: None }];
        let size = content.len();
        for extent in if missing.is_empty() { &all[..] } else { missing } {
            let start = usize::try_from(extent.offset).unwrap_or(usize::MAX).min(size);
            let length = extent
                .length
                .map_or(usize::MAX, |length| usize::try_from(length).unwrap_or(usize::MAX));
            let part = content.slice(start..start.saturating_add(length).min(size));
            if part.is_empty() {
                continue;
            }
            let (offset, length) = (start as u64, part.len() as u64);
            if self.checked(|machine| machine.data(id, offset, length)) == Some(true) {
                self.announced.push_back(part);
            }
        }
        self.finish(id);
    }

    /// Says that all of an upload was sent.
    pub(super) fn finish(&mut self, id: UploadId) {
        let Some((size, digest)) = self.uploads.get(&id).and_then(|upload| upload.expected) else {
            return;
        };
        if self.checked(|machine| machine.finish(id, size, digest)) == Some(true)
            && let Some(upload) = self.uploads.get(&id)
        {
            self.emit(SendEvent::Verifying { file: Arc::clone(&upload.file) });
        }
    }

    pub(super) fn hash_first(&mut self, id: UploadId) {
        let Some(upload) = self.uploads.get_mut(&id) else { return };
        match &upload.body {
            Body::Large(links) => self.hashing.push(id, Content::of(&upload.file, *links)),
            // The digest was in the offer, or there cannot be one before the stream is over.
            _ => self.fail(id, FileError::DigestOfStream),
        }
    }

    pub(in crate::native) fn take_hashed(&mut self, (id, hashed): Hashed) {
        let Some(upload) = self.uploads.get_mut(&id) else { return };
        match hashed {
            Ok(digest) => {
                upload.expected = Some((upload.file.size.unwrap_or(0), digest));
                self.checked(|machine| machine.offer_digest(id, digest));
            }
            Err(error) => self.fail(id, error),
        }
    }
}
