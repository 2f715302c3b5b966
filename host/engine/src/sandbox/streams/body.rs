//! The body of an upload: a stream that hashes and stages what comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::task::JoinHandle;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamError, StreamResult};

use crate::inbox::Body;
use crate::sandbox::buffers::STEP_BYTES;
use crate::sandbox::connection::Context;

/// Writes below this size stay on the async thread whatever the disk does: they cost less than the
/// hop. Bytes.
const HOP_BYTES_MIN: usize = 256 * 1024;

/// A write that takes longer was made to wait. Hashing and copying a step takes less than one. The
/// kernel holds a writer back, for up to 200 ms a time, when too much is dirty.
const SLOW_WRITE: Duration = Duration::from_millis(20);

/// Held by each write of an upload while it is under way, so that a commit comes after them.
#[derive(Clone, Default)]
pub(in crate::sandbox) struct WritesUnderWay(Arc<Mutex<()>>);

impl WritesUnderWay {
    /// Waits for the write that is under way, if one is.
    pub(in crate::sandbox) async fn done(&self) {
        drop(self.0.lock().await);
    }
}

pub(in crate::sandbox) struct BodyStream {
    state: State,
    writes: WritesUnderWay,
    context: Arc<Context>,
}

enum State {
    Idle(Body),
    Writing(JoinHandle<Body>),
    /// A write panicked, which is a bug of the inbox; or this is between two states.
    Broken,
}

impl BodyStream {
    pub(in crate::sandbox) fn new(
        body: Body,
        writes: WritesUnderWay,
        context: Arc<Context>,
    ) -> Self {
        Self { state: State::Idle(body), writes, context }
    }

    fn write_here(&mut self, bytes: Bytes) {
        if let State::Idle(body) = &mut self.state {
            let since = Instant::now();
            body.write(&bytes);
            if since.elapsed() > SLOW_WRITE {
                self.context.disk.found_slow();
            }
        }
    }

    fn write_elsewhere(&mut self, mut body: Body, bytes: Bytes, guard: OwnedMutexGuard<()>) {
        self.state = State::Writing(tokio::task::spawn_blocking(move || {
            body.write(&bytes);
            drop(guard);
            body
        }));
    }
}

#[async_trait]
impl Pollable for BodyStream {
    async fn ready(&mut self) {
        if let State::Writing(writing) = &mut self.state {
            self.state = match writing.await {
                Ok(body) => State::Idle(body),
                Err(_) => State::Broken,
            };
        }
    }
}

#[async_trait]
impl OutputStream for BodyStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if self.check_write()? < bytes.len() {
            return Err(StreamError::trap("wrote more than check-write permitted"));
        }
        // On this thread the bytes are still in the processor's cache. But other connections live on
        // it, so large writes leave it while the disk makes writers wait.
        if bytes.len() < HOP_BYTES_MIN || !self.context.disk.is_slow() {
            self.write_here(bytes);
            return Ok(());
        }
        match (
            std::mem::replace(&mut self.state, State::Broken),
            self.writes.0.clone().try_lock_owned(),
        ) {
            (State::Idle(body), Ok(guard)) => self.write_elsewhere(body, bytes, guard),
            // Another body of this upload is writing: they are sealed one after the other, and this
            // one waits its turn on this thread.
            (state, _) => {
                self.state = state;
                self.write_here(bytes);
            }
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        if let State::Writing(writing) = &mut self.state {
            if !writing.is_finished() {
                return Ok(0);
            }
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            match std::pin::Pin::new(writing).poll(&mut context) {
                std::task::Poll::Ready(Ok(body)) => self.state = State::Idle(body),
                std::task::Poll::Ready(Err(_)) => self.state = State::Broken,
                std::task::Poll::Pending => return Ok(0),
            }
        }
        match &self.state {
            State::Idle(_) => Ok(STEP_BYTES),
            _ => Err(StreamError::trap("the inbox failed while it wrote")),
        }
    }

    async fn write_ready(&mut self) -> StreamResult<usize> {
        self.ready().await;
        self.check_write()
    }
}
