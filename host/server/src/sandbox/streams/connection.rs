//! The two directions of a connection.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wasmtime_wasi_io::poll::Pollable;
use wasmtime_wasi_io::streams::{InputStream, OutputStream, StreamError, StreamResult};

use crate::sandbox::connection::Connection;

/// A read of so much comes from a sender who is as fast as this machine: before the bytes are hashed and
/// written there are more. Bytes.
const UNWATCHED_BYTES_MIN: usize = 256 * 1024;

/// What a guest may write before the socket has taken it. Bytes.
const WRITE_BYTES_MAX: usize = 64 * 1024;

/// What arrives.
pub(in crate::sandbox) struct ConnectionInput(pub(in crate::sandbox) Arc<Connection>);

#[async_trait]
impl Pollable for ConnectionInput {
    async fn ready(&mut self) {
        if !self.0.replay.is_empty() {
            return;
        }
        self.0.pause().await;
        if self.0.ahead.is_empty() {
            if self.0.is_truncated() {
                // Nothing comes any more, and that is no end. The host cuts the connection.
                std::future::pending::<()>().await;
            }
            // An error is one that the next read returns.
            let _ = self.0.stream.readable().await;
        }
    }
}

#[async_trait]
impl InputStream for ConnectionInput {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        if size == 0 {
            return Ok(Bytes::new());
        }
        let connection = &self.0;
        let left = connection.replay.read(size);
        if !left.is_empty() {
            connection.replay.handle_read(&left);
            return Ok(left);
        }
        if connection.is_held_up() {
            return Ok(Bytes::new());
        }
        let ahead = connection.ahead.read(size);
        if !ahead.is_empty() {
            connection.replay.handle_read(&ahead);
            return Ok(ahead);
        }
        if connection.is_truncated() {
            return Ok(Bytes::new());
        }
        let read = connection.context.buffers.filled(|buffer| {
            let most = connection.ahead.read_bytes(size).min(buffer.len());
            connection.read(&mut buffer[..most])
        });
        match read {
            Ok(bytes) if bytes.is_empty() => Err(StreamError::Closed),
            Ok(bytes) => {
                if bytes.len() >= UNWATCHED_BYTES_MIN {
                    connection.stream.unwatch();
                }
                let bytes = connection.ahead.keep(bytes, size);
                connection.replay.handle_read(&bytes);
                Ok(bytes)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Bytes::new()),
            Err(_) if connection.handle_broken() => Ok(Bytes::new()),
            // For a guest a reset is the end, like any other.
            Err(_) => Err(StreamError::Closed),
        }
    }

    fn skip(&mut self, count: usize) -> StreamResult<usize> {
        let skipped = self.read(count).map(|bytes| bytes.len());
        self.0.replay.handle_skip();
        skipped
    }

    // wasmtime's own gives up, with a trap, after ten wake-ups without data. A socket may have more.
    async fn blocking_read(&mut self, size: usize) -> StreamResult<Bytes> {
        loop {
            let bytes = self.read(size)?;
            if size == 0 || !bytes.is_empty() {
                return Ok(bytes);
            }
            self.ready().await;
        }
    }
}

/// What is answered.
pub(in crate::sandbox) struct ConnectionOutput(pub(in crate::sandbox) Arc<Connection>);

#[async_trait]
impl Pollable for ConnectionOutput {
    async fn ready(&mut self) {
        let _ = self.0.flushed().await;
    }
}

#[async_trait]
impl OutputStream for ConnectionOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        // Permits are given when nothing is unsent.
        if self.0.unsent_bytes() + bytes.len() > WRITE_BYTES_MAX {
            return Err(StreamError::trap("wrote more than check-write permitted"));
        }
        self.0.replay.handle_write();
        self.0.handle_greeting();
        self.0.write(bytes).map_err(|_| StreamError::Closed)
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        match self.0.flush() {
            Ok(true) => Ok(WRITE_BYTES_MAX),
            Ok(false) => Ok(0),
            Err(_) => Err(StreamError::Closed),
        }
    }

    async fn write_ready(&mut self) -> StreamResult<usize> {
        self.0.flushed().await.map_err(|_| StreamError::Closed)?;
        self.check_write()
    }
}
