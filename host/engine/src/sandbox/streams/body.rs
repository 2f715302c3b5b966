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
use crate::sandbox::connection::Connection;

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
    connection: Arc<Connection>,
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
        connection: Arc<Connection>,
    ) -> Self {
        Self { state: State::Idle(body), writes, connection }
    }

    fn write_here(&mut self, mut body: Body, bytes: &[u8]) {
        let since = Instant::now();
        body.write(bytes);
        if since.elapsed() > SLOW_WRITE {
            self.connection.context.disk.found_slow();
        }
        self.state = State::Idle(body);
    }

    fn write_elsewhere(&mut self, mut body: Body, bytes: Bytes, guard: OwnedMutexGuard<()>) {
        self.state = State::Writing(tokio::task::spawn_blocking(move || {
            body.write(&bytes);
            drop(guard);
            body
        }));
    }

    /// Another body of the upload has taken the room that there was a moment ago.
    fn write_when_there_is_room(&mut self, body: Body, bytes: Bytes) {
        let writes = Arc::clone(&self.writes.0);
        self.state = State::Writing(tokio::spawn(write_in_parts(body, bytes, writes)));
    }
}

/// Writes as there comes room, off the async threads: it is a disk that makes everyone wait.
async fn write_in_parts(mut body: Body, mut bytes: Bytes, writes: Arc<Mutex<()>>) -> Body {
    let _guard = writes.lock_owned().await;
    loop {
        let part = bytes.split_to(body.reserve(bytes.len()));
        let write = tokio::task::spawn_blocking(move || {
            body.write(&part);
            body
        });
        body = match write.await {
            Ok(body) => body,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        };
        if bytes.is_empty() {
            return body;
        }
        body.has_room().await;
    }
}

#[async_trait]
impl Pollable for BodyStream {
    async fn ready(&mut self) {
        let connection = Arc::clone(&self.connection);
        if let State::Writing(writing) = &mut self.state {
            let _waits = connection.wait_for_disk();
            self.state = match writing.await {
                Ok(body) => State::Idle(body),
                Err(_) => State::Broken,
            };
        }
        if let State::Idle(body) = &self.state
            && body.room() == 0
        {
            let _waits = connection.wait_for_disk();
            body.has_room().await;
        }
    }
}

#[async_trait]
impl OutputStream for BodyStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if self.check_write()? < bytes.len() {
            return Err(StreamError::trap("wrote more than check-write permitted"));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let State::Idle(mut body) = std::mem::replace(&mut self.state, State::Broken) else {
            return Err(StreamError::trap("check-write permitted what it must not"));
        };
        if body.reserve(bytes.len()) < bytes.len() {
            self.write_when_there_is_room(body, bytes);
            return Ok(());
        }
        // On this thread the bytes are still in the processor's cache. But other connections live on
        // it, so large writes leave it while the disk makes writers wait.
        if bytes.len() < HOP_BYTES_MIN || !self.connection.context.disk.is_slow() {
            self.write_here(body, &bytes);
            return Ok(());
        }
        match Arc::clone(&self.writes.0).try_lock_owned() {
            Ok(guard) => self.write_elsewhere(body, bytes, guard),
            // Another body of this upload is writing: they are sealed one after the other, and this
            // one waits its turn on this thread.
            Err(_) => self.write_here(body, &bytes),
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
            State::Idle(body) => Ok(body.room().min(STEP_BYTES)),
            _ => Err(StreamError::trap("the inbox failed while it wrote")),
        }
    }

    async fn write_ready(&mut self) -> StreamResult<usize> {
        self.ready().await;
        self.check_write()
    }
}
