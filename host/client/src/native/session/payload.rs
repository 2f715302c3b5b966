//! Sending large files: one at a time, as a reader reads it.

use std::sync::Arc;

use sandport_protocol::{Extent, Millis, UploadId};

use super::Session;
use crate::SendEvent;
use crate::file_reader::{Content, FileReader, Piece};
use crate::native::output::Wrote;
use crate::native::shared_transfer::SharedTransfer;
use crate::native::stream::Feed;
use crate::native::upload::{Body, Upload};
use crate::prepare::Links;
use crate::range_scheduler::RangeScheduler;

/// Progress of a large file is reported in steps of this size. Bytes.
const PROGRESS_STEP_BYTES: u64 = 1024 * 1024;

impl Session<'_> {
    /// Begins to read the next accepted large file.
    pub(super) fn start_reader(&mut self) -> bool {
        if self.feed.is_some() || self.output.is_in_frame() || self.output.is_broken() {
            return false;
        }
        let Some((id, missing)) = self.ready.pop_front() else { return false };
        let Some(upload) = self.uploads.get_mut(&id) else { return true };
        self.waiting.remove(upload);
        let feed = match std::mem::replace(&mut upload.body, Body::Gone) {
            Body::Large(links) if upload.key.is_some() => {
                return self.divide(id, links, &missing);
            }
            // Too short to be resumed, or nobody wants to, or only reading it tells its size.
            Body::Large(links) => {
                Feed::File(FileReader::start(Content::of(&upload.file, links), &missing))
            }
            Body::Stream(mut stream) => {
                let offset = missing.first().map_or(0, |extent| extent.offset);
                if let Err(error) = stream.seek(offset) {
                    self.fail(id, error);
                    return true;
                }
                stream.free(offset);
                Feed::Stream(stream)
            }
            other => {
                upload.body = other;
                return true;
            }
        };
        self.feed = Some(feed);
        self.reading = Some(id);
        true
    }

    /// Begins to send a file that can be resumed, which others may help with.
    fn divide(&mut self, id: UploadId, links: Links, missing: &[Extent]) -> bool {
        let Some(mut upload) = self.uploads.remove(&id) else { return true };
        let size = upload.file.size.unwrap_or(0);
        let new = || Arc::new(RangeScheduler::new(size, self.work.changed()));
        let scheduler = Arc::clone(upload.scheduler.get_or_insert_with(new));
        scheduler.begin(missing);
        self.open_transfer(id, SharedTransfer::new(upload, scheduler, links));
        true
    }

    /// Announces the payload that the reader has ready, and no more: of what has not been read nobody knows
    /// whether it can be, and what was announced has to follow. Between two frames small files get their
    /// turn, and a refusal takes effect.
    pub(super) fn start_frame(&mut self) -> bool {
        let (Some(id), Some(chunk)) = (self.reading, &self.chunk) else { return false };
        if self.output.is_in_frame() || self.output.is_broken() {
            return false;
        }
        let (offset, ready) = (chunk.offset, chunk.bytes().len() as u64);
        let length = match self.participants.get_mut(&id) {
            None => ready,
            Some(participant) => match participant.announce(offset) {
                Some(length) => {
                    // Others who carry it have nothing else to wait for.
                    if participant.transfer.end().is_some() {
                        self.work.tell();
                    }
                    length.min(ready)
                }
                None => {
                    self.recycle_chunk();
                    return true;
                }
            },
        };
        if self.checked(|machine| machine.data(id, offset, length)) == Some(false) {
            self.stop_reader();
        }
        true
    }

    pub(in crate::native) fn take_piece(&mut self, piece: Piece) {
        let Some(id) = self.reading else { return };
        match piece {
            Piece::Chunk(chunk) => self.chunk = Some(chunk),
            Piece::End { size, digest } => {
                let feed = self.feed.take();
                self.stop_reader();
                if let Some(upload) = self.uploads.get_mut(&id) {
                    upload.expected = Some((size, digest));
                    if let Some(Feed::Stream(stream)) = feed {
                        upload.body = Body::Played(stream);
                    }
                }
                self.finish(id);
            }
            Piece::Dry => self.stop_reader(),
            Piece::Failed(error) if self.participants.contains_key(&id) => {
                self.fail_part(id, error)
            }
            Piece::Failed(error) => self.fail(id, error),
        }
    }

    /// Notes that the connection took `count` bytes.
    pub(in crate::native) fn wrote(&mut self, now: Millis, count: usize) {
        self.work.sent(count);
        let Wrote { of_chunk, payload } = self.output.wrote(count);
        if let Some(payload) = payload {
            self.machine.handle_sent(now, payload);
            self.progress.sent += payload;
        }
        let Some(chunk) = &mut self.chunk else { return };
        chunk.advance(of_chunk);
        let through = chunk.bytes().is_empty();
        if let Some(id) = self.reading {
            let is_in_frame = self.output.is_in_frame();
            let report = self.work.report;
            let count = |upload: &mut Upload| {
                upload.sent += of_chunk as u64;
                if upload.sent - upload.reported >= PROGRESS_STEP_BYTES || !is_in_frame {
                    upload.reported = upload.sent;
                    report.emit(SendEvent::Progress {
                        file: Arc::clone(&upload.file),
                        sent: upload.sent,
                    });
                }
            };
            if let Some(participant) = self.participants.get(&id) {
                participant.transfer.with(count);
            } else if let Some(upload) = self.uploads.get_mut(&id) {
                count(upload);
            }
        }
        if through {
            self.recycle_chunk();
        }
    }

    fn recycle_chunk(&mut self) {
        if let Some(chunk) = self.chunk.take()
            && let Some(feed) = &self.feed
        {
            feed.recycle(chunk);
        }
    }

    /// Ends the reading of a large file. What was announced of it is in the chunk, and still goes out.
    pub(super) fn stop_reader(&mut self) {
        self.feed = None;
        self.reading = None;
        if !self.output.is_in_frame() {
            self.chunk = None;
        }
    }
}
