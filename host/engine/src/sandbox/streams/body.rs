//! The body of an upload: a stream that hashes and stages what comes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::oneshot::error::TryRecvError;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamError, StreamResult};

use crate::inbox::Body;
use crate::sandbox::buffers::STEP_BYTES;
use crate::sandbox::connection::Connection;
use crate::sandbox::writers::Writers;

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
    Writing(oneshot::Receiver<Body>),
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

    /// The body, unless a write is under way.
    fn idle(&mut self) -> StreamResult<Option<&Body>> {
        if let State::Writing(writing) = &mut self.state {
            match writing.try_recv() {
                Ok(body) => self.state = State::Idle(body),
                Err(TryRecvError::Closed) => self.state = State::Broken,
                Err(TryRecvError::Empty) => return Ok(None),
            }
        }
        match &self.state {
            State::Idle(body) => Ok(Some(body)),
            _ => Err(StreamError::trap("the inbox failed while it wrote")),
        }
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
        self.state = State::Writing(self.connection.context.writers.run(move || {
            body.write(&bytes);
            drop(guard);
            body
        }));
    }
}

/// Writes as there comes room, which other connections have taken a moment ago. Off the async threads: it is
/// a disk that makes everyone wait. `None`: a write has panicked.
async fn write_in_parts(
    writers: &Writers,
    mut body: Body,
    mut bytes: Bytes,
    guard: OwnedMutexGuard<()>,
) -> Option<Body> {
    let _guard = guard;
    loop {
        let part = bytes.split_to(body.reserve(bytes.len()));
        let write = writers.run(move || {
            body.write(&part);
            body
        });
        body = write.await.ok()?;
        if bytes.is_empty() {
            return Some(body);
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
        // Not what `room` says now: other connections may have taken what was permitted.
        let most = self.idle()?.map_or(0, |_| STEP_BYTES);
        if bytes.len() > most {
            return Err(StreamError::trap("wrote more than check-write permitted"));
        }
        if bytes.is_empty() {
            return Ok(());
        }
        let State::Idle(mut body) = std::mem::replace(&mut self.state, State::Broken) else {
            return Err(StreamError::trap("check-write permitted what it must not"));
        };
        // The guard is taken here, so that a commit that comes next waits for these bytes.
        if body.reserve(bytes.len()) < bytes.len()
            && let Ok(guard) = Arc::clone(&self.writes.0).try_lock_owned()
        {
            let (written, writing) = oneshot::channel();
            let context = Arc::clone(&self.connection.context);
            tokio::spawn(async move {
                if let Some(body) = write_in_parts(&context.writers, body, bytes, guard).await {
                    // The stream may be gone.
                    let _ = written.send(body);
                }
            });
            self.state = State::Writing(writing);
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
            // one waits its turn on this thread. A guest that writes two at once may go beyond the room.
            Err(_) => self.write_here(body, &bytes),
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(self.idle()?.map_or(0, |body| body.room().min(STEP_BYTES)))
    }

    async fn write_ready(&mut self) -> StreamResult<usize> {
        self.ready().await;
        self.check_write()
    }
}
