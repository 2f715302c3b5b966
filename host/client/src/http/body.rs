//! The content of one request, as the HTTP library takes it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::task::{Context, Poll};

use bytes::Buf;
use hyper::body::{Body, Frame, SizeHint};
use sandport_protocol::sender::http::Content;

use super::payload::Payload;
use super::wire::Moved;
use crate::FileError;
use crate::file_reader::Chunk;
use crate::shared::Shared;

/// What a request brings of a file.
pub(super) struct RequestBody {
    /// `None`: nothing.
    source: Option<Arc<Shared<Payload>>>,
    offset: u64,
    /// How much is left; `None`: up to the end of a stream.
    left: Option<u64>,
    used: Option<Sender<Vec<u8>>>,
    state: Arc<State>,
    moved: Arc<Moved>,
}

/// What became of the content of a request.
#[derive(Default)]
pub(super) struct State {
    /// Bytes that the connection has taken.
    sent: Arc<AtomicU64>,
    /// What went wrong with the file.
    failure: Shared<Option<FileError>>,
}

impl State {
    /// Bytes that the connection has taken.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// What went wrong with the file.
    pub(super) fn take_failure(&self) -> Option<FileError> {
        self.failure.take()
    }
}

impl RequestBody {
    pub(super) fn new(
        content: Content,
        payload: &Arc<Shared<Payload>>,
        state: &Arc<State>,
        moved: &Arc<Moved>,
    ) -> Self {
        let (offset, left) = match content {
            Content::Part { offset, length } => (offset, Some(length)),
            Content::Stream => (0, None),
            // Of kinds that this version does not know there are none.
            _ => (0, Some(0)),
        };
        let source = (left != Some(0)).then(|| Arc::clone(payload));
        let mut used = None;
        if let Some(source) = &source {
            source.lock().seek(offset);
            used = source.lock().used();
        }
        Self { source, offset, left, used, state: Arc::clone(state), moved: Arc::clone(moved) }
    }

    /// The body of a request without content.
    pub(super) fn empty(moved: &Arc<Moved>) -> Self {
        let state = Arc::default();
        Self { source: None, offset: 0, left: Some(0), used: None, state, moved: Arc::clone(moved) }
    }
}

impl Body for RequestBody {
    type Data = Portion;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Portion>>>> {
        let this = self.get_mut();
        let Some(source) = this.source.as_ref().filter(|_| this.left != Some(0)) else {
            return Poll::Ready(None);
        };
        let most = this.left.unwrap_or(u64::MAX);
        let polled = source.lock().poll_next(cx, this.offset, most);
        this.moved.set_ours(polled.is_pending());
        polled.map(|next| match next {
            Ok(Some(chunk)) => {
                let length = chunk.bytes().len() as u64;
                this.offset += length;
                this.left = this.left.map(|left| left.saturating_sub(length));
                let (used, sent) = (this.used.clone(), Arc::clone(&this.state.sent));
                Some(Ok(Frame::data(Portion { chunk: Some(chunk), used, sent })))
            }
            Ok(None) if this.left.is_none() => None,
            // The request has announced more than there is.
            Ok(None) => Some(Err(this.fail(FileError::Changed))),
            Err(error) => Some(Err(this.fail(error))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.left == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl RequestBody {
    /// Keeps the error for who has to tell it: the library has one of its own.
    fn fail(&mut self, error: FileError) -> io::Error {
        self.source = None;
        let words = error.to_string();
        *self.state.failure.lock() = Some(error);
        io::Error::other(words)
    }
}

/// Some bytes on their way. Its buffer goes back to the thread that reads.
pub(super) struct Portion {
    chunk: Option<Chunk>,
    used: Option<Sender<Vec<u8>>>,
    sent: Arc<AtomicU64>,
}

impl Buf for Portion {
    fn remaining(&self) -> usize {
        self.chunk().len()
    }

    fn chunk(&self) -> &[u8] {
        self.chunk.as_ref().map_or(&[], Chunk::bytes)
    }

    fn advance(&mut self, count: usize) {
        if let Some(chunk) = &mut self.chunk {
            chunk.advance(count);
            self.sent.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
}

impl Drop for Portion {
    fn drop(&mut self) {
        if let Some(buffer) = self.chunk.take().and_then(Chunk::into_buffer)
            && let Some(used) = &self.used
        {
            // The thread may be through already.
            let _ = used.send(buffer);
        }
    }
}
