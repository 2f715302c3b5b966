//! The sending end of a connection in the classic dialect: the size in decimal, `ack`, the bytes.

use alloc::string::ToString;

use bytes::Bytes;

use crate::Millis;

/// What the receiver answers to a size that it takes.
const ACK: &[u8] = b"ack";

/// What the driver has to do now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ClassicOutput {
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
pub struct ClassicSender {
    stage: Stage,
    output: Option<ClassicOutput>,
    ack_timeout_ms: Millis,
    ack_due: Millis,
}

enum Stage {
    /// The size is out; this many bytes of the `ack` have come.
    Announced(usize),
    /// The `ack` has come. What else comes means nothing in this dialect.
    Acknowledged,
    Failed,
}

impl ClassicSender {
    /// Announces a file of `size` bytes at `now`.
    ///
    /// The size goes out without a line end, as receivers of this dialect expect it.
    pub fn new(size: u64, ack_timeout_ms: Millis, now: Millis) -> Self {
        Self {
            stage: Stage::Announced(0),
            output: Some(ClassicOutput::Send(size.to_string().into())),
            ack_timeout_ms,
            ack_due: now.saturating_add(ack_timeout_ms),
        }
    }

    /// Bytes arrived.
    ///
    /// # Errors
    /// [`ClassicError::NotAck`].
    pub fn handle_input(&mut self, bytes: &[u8]) -> Result<(), ClassicError> {
        let Stage::Announced(matched) = &mut self.stage else { return Ok(()) };
        let rest = ACK.get(*matched..).unwrap_or_default();
        let (piece, _) = bytes.split_at(rest.len().min(bytes.len()));
        if !rest.starts_with(piece) {
            return self.fail(ClassicError::NotAck);
        }
        *matched += piece.len();
        if *matched == ACK.len() {
            self.stage = Stage::Acknowledged;
            self.output = Some(ClassicOutput::Payload);
        }
        Ok(())
    }

    /// The receiver closed.
    ///
    /// # Errors
    /// [`ClassicError::Refused`] before the `ack`.
    pub fn handle_eof(&mut self) -> Result<(), ClassicError> {
        match self.stage {
            Stage::Announced(0) => self.fail(ClassicError::Refused),
            Stage::Announced(_) => self.fail(ClassicError::NotAck),
            Stage::Acknowledged | Stage::Failed => Ok(()),
        }
    }

    /// The moment that [`ClassicSender::poll_timeout`] named has come. Earlier calls change nothing.
    ///
    /// # Errors
    /// [`ClassicError::Stalled`] when no `ack` came in time.
    pub fn handle_timeout(&mut self, now: Millis) -> Result<(), ClassicError> {
        match self.poll_timeout() {
            Some(due) if now >= due => self.fail(ClassicError::Stalled(self.ack_timeout_ms)),
            _ => Ok(()),
        }
    }

    /// What to send next.
    pub fn poll_output(&mut self) -> Option<ClassicOutput> {
        self.output.take()
    }

    /// When to call [`ClassicSender::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Millis> {
        matches!(self.stage, Stage::Announced(_)).then_some(self.ack_due)
    }

    fn fail(&mut self, error: ClassicError) -> Result<(), ClassicError> {
        self.stage = Stage::Failed;
        self.output = None;
        Err(error)
    }
}
