//! What stands in where there is nothing to encrypt with. Nobody can have one of these.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::{Protocol, Trust};
use crate::{SendError, TlsFault};

pub(crate) enum Connector {}

pub(crate) enum TlsStream {}

impl Connector {
    pub(crate) async fn new(to: &str, _: Trust, _: Protocol) -> Result<Self, SendError> {
        Err(SendError::Tls { to: to.to_owned(), fault: TlsFault::Absent })
    }

    pub(crate) async fn connect(
        &self,
        _: TcpStream,
        _: &str,
        _: &str,
    ) -> Result<TlsStream, SendError> {
        match *self {}
    }
}

impl AsyncRead for TlsStream {
    fn poll_read(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        _: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match *self.get_mut() {}
    }
}

impl AsyncWrite for TlsStream {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<io::Result<usize>> {
        match *self.get_mut() {}
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self.get_mut() {}
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        match *self.get_mut() {}
    }
}
