//! The body of an upload: a stream that hashes and stages what comes, and what ends it.
//!
//! A guest may drop the one and keep the other, in any order. So both hold what they share.

use std::sync::{Arc, Mutex as StdMutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::{Mutex, Notify, OwnedMutexGuard};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamError, StreamResult};

use crate::sandbox::buffers::STEP_BYTES;
use crate::sandbox::connection::Connection;
use sandport_inbox::Body;

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
    /// Whether a write is under way.
    pub(in crate::sandbox) fn any(&self) -> bool {
        self.0.try_lock().is_err()
    }

    /// Waits for the write that is under way, if one is.
    pub(in crate::sandbox) async fn done(&self) {
        drop(self.0.lock().await);
    }
}

/// The stream of a body. It ends its body when it is dropped, where nothing of it is to be checked.
pub(in crate::sandbox) struct BodyStream(Arc<Shared>);

/// What ends a body while its stream may still be there.
pub(in crate::sandbox) struct BodyEnd(Arc<Shared>);

struct Shared {
    inner: StdMutex<Inner>,
    /// Told when a write is over.
    written: Notify,
    writes: WritesUnderWay,
    connection: Arc<Connection>,
    /// Whether the bytes count only when they are found to be what they should be.
    is_checked: bool,
}

struct Inner {
    state: State,
    /// Nobody is to bring more of it: it ends when the write that is under way is over.
    ends: bool,
}

enum State {
    Idle(Body),
    /// Somebody has it: a write that is under way, on this thread or on another one, or who waits for room.
    Lent,
    Ended,
    /// A write panicked, which is a bug of the inbox.
    Broken,
}

/// A body, and the stream for its bytes.
pub(in crate::sandbox) fn body(
    body: Body,
    is_checked: bool,
    writes: WritesUnderWay,
    connection: Arc<Connection>,
) -> (BodyEnd, BodyStream) {
    let inner = StdMutex::new(Inner { state: State::Idle(body), ends: false });
    let shared = Arc::new(Shared { inner, written: Notify::new(), writes, connection, is_checked });
    (BodyEnd(Arc::clone(&shared)), BodyStream(shared))
}

impl BodyEnd {
    /// Ends the body once the write that is under way is over: whoever asks has the rest of it to do. `None`: it has
    /// ended with its stream.
    pub(in crate::sandbox) async fn end(&self) -> Option<Body> {
        loop {
            let written = self.0.written.notified();
            {
                let mut inner = self.0.lock();
                match std::mem::replace(&mut inner.state, State::Ended) {
                    State::Idle(body) => return Some(body),
                    State::Ended => return None,
                    state @ (State::Lent | State::Broken) => inner.state = state,
                }
                if matches!(inner.state, State::Broken) {
                    return None;
                }
            }
            written.await;
        }
    }
}

impl Drop for BodyEnd {
    /// Nobody can say any more what the bytes should be.
    fn drop(&mut self) {
        if self.0.is_checked {
            self.0.end();
        }
    }
}

impl Drop for BodyStream {
    fn drop(&mut self) {
        if !self.0.is_checked {
            self.0.end();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self) {
        let mut inner = self.lock();
        inner.ends = true;
        let ended = match std::mem::replace(&mut inner.state, State::Ended) {
            State::Idle(body) => Some(body),
            state => {
                inner.state = state;
                None
            }
        };
        drop(inner);
        // Not under the lock: the inbox hears of it.
        drop(ended);
    }

    /// Takes the body, if nobody has it.
    fn lend(self: &Arc<Self>) -> Option<Lent> {
        let mut inner = self.lock();
        match std::mem::replace(&mut inner.state, State::Lent) {
            State::Idle(body) => Some(Lent { shared: Arc::clone(self), body: Some(body) }),
            state => {
                inner.state = state;
                None
            }
        }
    }

    fn give_back(&self, body: Option<Body>) {
        let mut inner = self.lock();
        let ended = match body {
            None => {
                inner.state = State::Broken;
                None
            }
            Some(body) if inner.ends => {
                inner.state = State::Ended;
                Some(body)
            }
            Some(body) => {
                inner.state = State::Idle(body);
                None
            }
        };
        drop(inner);
        drop(ended);
        self.written.notify_waiters();
    }

    /// How much the stream takes now.
    fn room(&self) -> StreamResult<usize> {
        let inner = self.lock();
        match &inner.state {
            State::Idle(body) => Ok(body.room().min(STEP_BYTES)),
            // It swallows.
            State::Ended => Ok(STEP_BYTES),
            State::Lent if inner.ends => Ok(STEP_BYTES),
            State::Lent => Ok(0),
            State::Broken => Err(broken()),
        }
    }
}

/// A body that comes back whatever happens; without the body where a write has panicked.
struct Lent {
    shared: Arc<Shared>,
    body: Option<Body>,
}

impl Lent {
    fn body(&mut self) -> Option<&mut Body> {
        self.body.as_mut()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        self.shared.give_back(self.body.take());
    }
}

fn broken() -> StreamError {
    StreamError::trap("the inbox failed while it wrote")
}

impl BodyStream {
    fn write_here(&self, mut lent: Lent, bytes: &[u8]) {
        let since = Instant::now();
        if let Some(body) = lent.body() {
            body.write(bytes);
        }
        if since.elapsed() > SLOW_WRITE {
            self.0.connection.context.disk.found_slow();
        }
    }

    fn write_elsewhere(&self, mut lent: Lent, bytes: Bytes, guard: OwnedMutexGuard<()>) {
        // It comes back with `lent`, and nobody has to wait for the thread itself.
        let elsewhere = self.0.connection.elsewhere.clone();
        let held = self.0.connection.memory().hold_for(bytes.len() as u64);
        drop(self.0.connection.context.writers.run(move || {
            let _held = held;
            if let Some(mut body) = lent.body.take() {
                elsewhere.measure(|| body.write(&bytes));
                lent.body = Some(body);
            }
            drop(lent);
            drop(guard);
        }));
    }
}

/// Writes as there comes room, which other connections have taken a moment ago. Off the async threads: it is
/// a disk that makes everyone wait.
async fn write_in_parts(mut lent: Lent, mut bytes: Bytes, guard: OwnedMutexGuard<()>) {
    let _guard = guard;
    let _held = lent.shared.connection.memory().hold_for(bytes.len() as u64);
    while let Some(mut body) = lent.body.take() {
        let part = bytes.split_to(body.reserve(bytes.len()));
        let elsewhere = lent.shared.connection.elsewhere.clone();
        let write = lent.shared.connection.context.writers.run(move || {
            elsewhere.measure(|| body.write(&part));
            body
        });
        lent.body = write.await.ok();
        if bytes.is_empty() {
            return;
        }
        if let Some(body) = &lent.body {
            body.has_room().await;
        }
    }
}

#[async_trait]
impl Pollable for BodyStream {
    async fn ready(&mut self) {
        loop {
            let written = self.0.written.notified();
            if !matches!(self.0.room(), Ok(0)) {
                return;
            }
            let _waits = self.0.connection.wait_for_disk();
            match self.0.lend() {
                Some(lent) => {
                    if let Some(body) = &lent.body {
                        body.has_room().await;
                    }
                }
                None => written.await,
            }
        }
    }
}

#[async_trait]
impl OutputStream for BodyStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > STEP_BYTES {
            return Err(StreamError::trap("wrote more than check-write permitted"));
        }
        // Not what `room` says now: other connections may have taken what was permitted.
        let Some(mut lent) = self.0.lend() else {
            return match self.0.room()? {
                0 if !bytes.is_empty() => {
                    Err(StreamError::trap("wrote more than check-write permitted"))
                }
                _ => Ok(()),
            };
        };
        if bytes.is_empty() {
            return Ok(());
        }
        if self.0.connection.replay.handle_write() {
            self.0.connection.ahead.handle_splice(bytes.len());
        }
        self.0.connection.handle_payload(bytes.len());
        let reserved = lent.body().map_or(0, |body| body.reserve(bytes.len()));
        let writes = Arc::clone(&self.0.writes.0);
        // The guard is taken here, so that a commit that comes next waits for these bytes.
        if reserved < bytes.len()
            && let Ok(guard) = Arc::clone(&writes).try_lock_owned()
        {
            tokio::spawn(write_in_parts(lent, bytes, guard));
            return Ok(());
        }
        // On this thread the bytes are still in the processor's cache. But other connections live on
        // it, so large writes leave it while the disk makes writers wait, or where they are hashed by slow algorithms.
        let takes_long = self.0.connection.context.disk.is_slow()
            || lent.body().is_some_and(|body| body.is_slow());
        if bytes.len() < HOP_BYTES_MIN || !takes_long {
            self.write_here(lent, &bytes);
            return Ok(());
        }
        match writes.try_lock_owned() {
            Ok(guard) => self.write_elsewhere(lent, bytes, guard),
            // Another body of this upload is writing: they are sealed one after the other, and this
            // one waits its turn on this thread. A guest that writes two at once may go beyond the room.
            Err(_) => self.write_here(lent, &bytes),
        }
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.0.room()
    }

    async fn write_ready(&mut self) -> StreamResult<usize> {
        self.ready().await;
        self.check_write()
    }
}
