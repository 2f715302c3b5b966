//! What can be read and written in the way of tokio, with the calls of a socket: reads and writes that do not wait, and
//! waits that neither read nor write.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;

use super::raw::{Io, RawStream};

/// Most that is taken in to be looked at. Bytes: a PROXY header is read in looks of this size.
const PEEK_BYTES_MAX: usize = 256;

/// A connection that is no socket of its own. All calls take `&self`.
pub(super) struct Adapter {
    inner: Mutex<Inner>,
    wakes: Arc<Wakes>,
    waker: Waker,
}

struct Inner {
    io: Pin<Box<dyn Io>>,
    /// Was looked at, and is still to be read.
    peeked: Bytes,
    /// How reading has ended, where that was found behind bytes. An error is told once, as by a socket, and is the end
    /// from then on.
    end: Option<io::Result<()>>,
}

/// Wakes whoever waits, in both directions: encryption may have to write before it can read.
#[derive(Default)]
struct Wakes {
    /// The last read found nothing, and nothing has happened since.
    reads_wait: AtomicBool,
    /// The same of writes.
    writes_wait: AtomicBool,
    woken: Notify,
}

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.reads_wait.store(false, Ordering::Release);
        self.writes_wait.store(false, Ordering::Release);
        self.woken.notify_waiters();
    }
}

impl Wakes {
    async fn until_clear(&self, flag: &AtomicBool) {
        loop {
            // Made before the look: `notify_waiters` reaches every `Notified` that exists by then.
            let woken = self.woken.notified();
            if !flag.load(Ordering::Acquire) {
                return;
            }
            woken.await;
        }
    }
}

impl Adapter {
    pub(super) fn new(io: impl AsyncRead + AsyncWrite + Send + 'static) -> Self {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let inner = Inner { io: Box::pin(io), peeked: Bytes::new(), end: None };
        Self { inner: Mutex::new(inner), wakes, waker }
    }

    /// The connection, with what was looked at before the rest.
    pub(super) fn into_raw(self) -> RawStream {
        let inner = self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        RawStream::other(inner.peeked, inner.io)
    }

    /// Waits until a read makes sense.
    pub(super) async fn readable(&self) {
        self.wakes.until_clear(&self.wakes.reads_wait).await;
    }

    /// Waits until a write makes sense.
    pub(super) async fn writable(&self) {
        self.wakes.until_clear(&self.wakes.writes_wait).await;
    }

    /// Reads what is there. 0 is the end.
    ///
    /// # Errors
    /// `WouldBlock` when nothing is there; otherwise that of the connection.
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut inner = self.lock();
        if !inner.peeked.is_empty() {
            let count = inner.peeked.len().min(buffer.len());
            inner.peeked.copy_to_slice(&mut buffer[..count]);
            return Ok(count);
        }
        self.read(&mut inner, buffer)
    }

    /// Looks at what is there, and leaves it. 0 is the end.
    ///
    /// # Errors
    /// As of [`Adapter::try_read`].
    pub(super) fn try_peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut inner = self.lock();
        if inner.peeked.is_empty() {
            let mut looked = [0; PEEK_BYTES_MAX];
            let count = self.read(&mut inner, &mut looked)?;
            inner.peeked = Bytes::copy_from_slice(&looked[..count]);
        }
        let count = inner.peeked.len().min(buffer.len());
        buffer[..count].copy_from_slice(&inner.peeked[..count]);
        Ok(count)
    }

    /// Writes what the connection takes.
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing; otherwise that of the connection.
    pub(super) fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self.poll_write_side(|io, context| io.poll_write(context, bytes)) {
            Poll::Ready(written) => written,
            Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    /// `false`: some of what was written is still kept.
    ///
    /// # Errors
    /// That of the connection.
    pub(super) fn try_flush(&self) -> io::Result<bool> {
        match self.poll_write_side(|io, context| io.poll_flush(context)) {
            Poll::Ready(flushed) => flushed.map(|()| true),
            Poll::Pending => Ok(false),
        }
    }

    /// Says that nothing more will be written.
    ///
    /// # Errors
    /// That of the connection; the peer may be gone.
    pub(super) async fn shutdown_write(&self) -> io::Result<()> {
        loop {
            match self.poll_write_side(|io, context| io.poll_shutdown(context)) {
                Poll::Ready(outcome) => return outcome,
                Poll::Pending => self.writable().await,
            }
        }
    }

    /// Reads as much as there is room for: what encrypts gives a record of 16 KiB at a time.
    fn read(&self, inner: &mut Inner, buffer: &mut [u8]) -> io::Result<usize> {
        let mut context = Context::from_waker(&self.waker);
        let mut buffer = ReadBuf::new(buffer);
        while inner.end.is_none() && buffer.remaining() > 0 {
            let before = buffer.filled().len();
            // Before the call: what wakes during it is not to be forgotten.
            self.wakes.reads_wait.store(true, Ordering::Release);
            let polled = inner.io.as_mut().poll_read(&mut context, &mut buffer);
            if polled.is_ready() {
                self.wakes.reads_wait.store(false, Ordering::Release);
            }
            match polled {
                Poll::Pending if before > 0 => break,
                Poll::Pending => return Err(io::ErrorKind::WouldBlock.into()),
                Poll::Ready(Ok(())) if buffer.filled().len() == before => inner.end = Some(Ok(())),
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(error)) => inner.end = Some(Err(error)),
            }
        }
        match &mut inner.end {
            Some(end @ Err(_)) if buffer.filled().is_empty() => {
                std::mem::replace(end, Ok(())).map(|()| 0)
            }
            _ => Ok(buffer.filled().len()),
        }
    }

    fn poll_write_side<T>(
        &self,
        call: impl FnOnce(Pin<&mut dyn Io>, &mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        let mut inner = self.lock();
        self.wakes.writes_wait.store(true, Ordering::Release);
        let polled = call(inner.io.as_mut(), &mut Context::from_waker(&self.waker));
        if polled.is_ready() {
            self.wakes.writes_wait.store(false, Ordering::Release);
        }
        polled
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Adapter").finish_non_exhaustive()
    }
}
