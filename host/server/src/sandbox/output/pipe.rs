//! The standard streams of a guest, as wasmtime wants them.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{OutputStream, StreamError, StreamResult};

use super::Stream;

/// How much may be written in one call. Bytes. It is read at once and not kept.
pub(in crate::sandbox) const WRITE_BYTES_MAX: usize = 64 * 1024;

/// Who reads what a guest writes.
pub(in crate::sandbox) trait Sink: Send + Sync + 'static {
    /// Takes all of it, without waiting.
    fn write(&self, stream: Stream, bytes: &[u8]);
}

/// One of the two streams, into a sink.
pub(in crate::sandbox) struct Pipe<S> {
    sink: Arc<S>,
    stream: Stream,
}

impl<S> Pipe<S> {
    pub(in crate::sandbox) fn new(sink: &Arc<S>, stream: Stream) -> Self {
        Self { sink: Arc::clone(sink), stream }
    }
}

impl<S: Sink> IsTerminal for Pipe<S> {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl<S: Sink> StdoutStream for Pipe<S> {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(Self::new(&self.sink, self.stream))
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(Self::new(&self.sink, self.stream))
    }
}

#[async_trait]
impl<S: Sink> Pollable for Pipe<S> {
    async fn ready(&mut self) {}
}

impl<S: Sink> OutputStream for Pipe<S> {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_BYTES_MAX {
            return Err(StreamError::trap("wrote more than check-write permitted"));
        }
        self.sink.write(self.stream, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES_MAX)
    }
}

impl<S: Sink> AsyncWrite for Pipe<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.sink.write(self.stream, bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Nobody;

    impl Sink for Nobody {
        fn write(&self, _stream: Stream, _bytes: &[u8]) {}
    }

    #[test]
    fn more_than_was_permitted_is_not_taken() {
        let mut pipe = Pipe::new(&Arc::new(Nobody), Stream::Stdout);
        assert!(pipe.write(Bytes::from(vec![b'x'; WRITE_BYTES_MAX])).is_ok());
        assert!(pipe.write(Bytes::from(vec![b'x'; WRITE_BYTES_MAX + 1])).is_err());
    }
}
