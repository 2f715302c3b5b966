//! The sending end of a connection in the classic dialect: the size in decimal, `ack`, the bytes.

use bytes::Bytes;

use crate::Millis;

/// What the driver has to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Output {
    /// Send these bytes.
    Send(Bytes),
    /// Send the content of the file, exactly the announced size, then shut the sending side down.
    Payload,
}

/// Why the receiver did not take the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClassicError {
    /// It closed the connection without an answer: that is a refusal in this dialect.
    #[error("the receiver refused the file: it closed the connection without `ack`")]
    Refused,
    /// It answered something else.
    #[error("the receiver answered something other than `ack`")]
    NotAck,
    /// It did not answer in time.
    #[error("the receiver did not answer within {0} ms")]
    Stalled(Millis),
}

/// The sending end of one classic connection, up to the payload.
pub struct ClassicSender {}

impl ClassicSender {
    /// Announces a file of `size` bytes at `now`.
    pub fn new(size: u64, ack_timeout_ms: Millis, now: Millis) -> Self {
        let _ = (size, ack_timeout_ms, now);
        Self {}
    }

    /// Bytes arrived.
    ///
    /// # Errors
    /// [`ClassicError::NotAck`].
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), ClassicError> {
        let _ = bytes;
        Ok(())
    }

    /// The receiver closed.
    ///
    /// # Errors
    /// [`ClassicError::Refused`] before the `ack`.
    pub fn handle_eof(&mut self) -> Result<(), ClassicError> {
        Ok(())
    }

    /// The moment that [`ClassicSender::poll_timeout`] named has come.
    ///
    /// # Errors
    /// [`ClassicError::Stalled`] when no `ack` came in time.
    pub fn handle_timeout(&mut self, now: Millis) -> Result<(), ClassicError> {
        let _ = now;
        Ok(())
    }

    /// What to send next.
    pub fn poll_output(&mut self) -> Option<Output> {
        None
    }

    /// When to call [`ClassicSender::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Millis> {
        None
    }
}
