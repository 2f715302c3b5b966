//! The classic dialect: the size in decimal digits, `ack`, the bytes.
//!
//! The size has no terminator of its own. Digits with a line end are *certain*. Digits that silence
//! has *settled* may be the first part of a size whose rest is late; that rest then counts as payload,
//! and so such a file is published only where nothing follows its last byte.
//!
//! A refusal is a close without a byte, because a client takes any answer for the `ack`.

use alloc::format;
use alloc::vec;

use bytes::Buf;

use super::io::{Io, cut_off, too_large};
use super::{LogLevel, Opened, Output, Want, Wishes};
use crate::{
    CLASSIC_DIGITS_MAX, CLASSIC_QUIET_MS, Extent, Millis, Offer, Refusal, RefusalCode, UploadId,
};

/// The one upload of a classic connection.
const UPLOAD: UploadId = 0;

/// The answer to the size.
const ACK: &[u8] = b"ack";

/// Most bytes to read in one go before the payload and after it: a size with its line end and a
/// little of the payload, which is better spliced. Bytes.
const READ_BYTES_MAX: usize = 64;

/// The receiving end of a classic connection.
pub(super) struct Classic {
    stage: Stage,
}

enum Stage {
    /// The size is coming.
    Size(Size),
    /// The inbox is asked.
    Opening { size: u64, certain: bool },
    /// The payload is coming.
    Payload { size: u64, remaining: u64, certain: bool },
    /// A settled size is reached. What comes now tells whether it was the size.
    Quiet { size: u64 },
    /// The inbox commits. `over`: nothing more of the connection matters.
    Committing { size: u64, over: bool },
}

#[derive(Clone, Copy)]
struct Size {
    digits: usize,
    /// The number so far; `None` once it is 2^64 or more.
    value: Option<u64>,
    carriage_return: bool,
}

impl Classic {
    pub(super) fn new() -> Self {
        Self { stage: Stage::Size(Size { digits: 0, value: Some(0), carriage_return: false }) }
    }

    /// Parses what is in `io.input`, as far as it goes.
    pub(super) fn process(&mut self, io: &mut Io) {
        while !io.input.is_empty() && !io.out.is_closed() {
            match &mut self.stage {
                Stage::Size(_) => self.size_byte(io),
                Stage::Opening { .. } => return,
                Stage::Payload { remaining, .. } => {
                    let length = (*remaining).min(io.input.len() as u64);
                    let bytes = io.input.split_to(length as usize);
                    io.out.push(Output::Write { id: UPLOAD, bytes });
                    self.advance(io, length);
                }
                Stage::Quiet { size } => {
                    let refusal = beyond_settled(*size);
                    self.discard(io, refusal);
                }
                Stage::Committing { size, over } => {
                    if !*over {
                        *over = true;
                        let message = format!(
                            "more bytes arrived than the announced {size}; the file ends there"
                        );
                        io.out.log(LogLevel::Error, message);
                    }
                    io.input.clear();
                }
            }
        }
    }

    pub(super) fn handle_spliced(&mut self, io: &mut Io, count: u64) {
        if let Stage::Payload { remaining, .. } = self.stage {
            self.advance(io, count.min(remaining));
        }
    }

    pub(super) fn handle_eof(&mut self, io: &mut Io) {
        match &mut self.stage {
            Stage::Size(_) => io.out.close(Err(cut_off("within the size"))),
            // The answer comes before anything else, and the end will be seen again.
            Stage::Opening { .. } => {}
            Stage::Payload { size, remaining, .. } => {
                let came = *size - *remaining;
                let refusal = cut_off(&format!("after {came} of {size} bytes"));
                self.discard(io, refusal);
            }
            Stage::Quiet { size } => {
                let size = *size;
                self.commit(io, size, true);
            }
            Stage::Committing { over, .. } => *over = true,
        }
    }

    pub(super) fn handle_timeout(&mut self, io: &mut Io) {
        if self.poll_timeout(io).is_none_or(|due| io.now < due) {
            return;
        }
        match &self.stage {
            Stage::Size(size) if !size.carriage_return => self.size_known(io, *size, false),
            Stage::Size(_) => io.out.close(Err(io.timeout())),
            Stage::Payload { .. } => {
                let refusal = io.timeout();
                self.discard(io, refusal);
            }
            Stage::Quiet { size } => {
                let size = *size;
                self.commit(io, size, false);
            }
            Stage::Opening { .. } | Stage::Committing { .. } => {}
        }
    }

    pub(super) fn handle_opened(&mut self, io: &mut Io, opened: Result<Opened, Refusal>) {
        let Stage::Opening { size, certain } = self.stage else { return };
        match opened {
            Ok(Opened::Accepted(_)) => {
                io.out.send(ACK);
                if size > 0 {
                    let extent = Extent { offset: 0, length: Some(size) };
                    io.out.push(Output::Body { id: UPLOAD, extent, check: None });
                }
                self.stage = Stage::Payload { size, remaining: size, certain };
                self.advance(io, 0);
                self.process(io);
            }
            Ok(Opened::Stored(_) | Opened::DigestFirst | Opened::Begun { .. }) => {
                let detail = "the inbox asks for a digest, which this dialect does not have";
                io.out.close(Err(Refusal::new(RefusalCode::Other, detail)));
            }
            Err(refusal) => io.out.close(Err(refusal)),
        }
    }

    pub(super) fn handle_fault(&mut self, io: &mut Io, fault: Refusal) {
        match self.stage {
            Stage::Payload { .. } | Stage::Quiet { .. } => self.discard(io, fault),
            // The commit names the fault, unless it was not even begun.
            Stage::Committing { .. } if io.out.retract_commit(UPLOAD) => self.discard(io, fault),
            _ => {}
        }
    }

    pub(super) fn handle_committed(&mut self, io: &mut Io, outcome: Result<(), Refusal>) {
        if matches!(self.stage, Stage::Committing { .. }) {
            io.out.close(outcome);
        }
    }

    pub(super) fn want(&self) -> Want {
        match self.stage {
            Stage::Size(_) | Stage::Quiet { .. } | Stage::Committing { over: false, .. } => {
                Want::Read { max: READ_BYTES_MAX }
            }
            Stage::Payload { remaining, .. } => Want::Splice { id: UPLOAD, max: remaining },
            Stage::Opening { .. } | Stage::Committing { over: true, .. } => Want::Nothing,
        }
    }

    pub(super) fn poll_timeout(&self, io: &Io) -> Option<Millis> {
        match &self.stage {
            Stage::Size(size) if !size.carriage_return => {
                Some(io.quiet_since.saturating_add(io.limits.settle_ms.into()))
            }
            Stage::Size(_) | Stage::Payload { .. } => Some(io.idle_at()),
            Stage::Quiet { .. } => Some(io.quiet_since.saturating_add(CLASSIC_QUIET_MS)),
            Stage::Opening { .. } | Stage::Committing { .. } => None,
        }
    }

    fn size_byte(&mut self, io: &mut Io) {
        let Stage::Size(size) = &mut self.stage else { return };
        if !io.input.has_remaining() {
            return;
        }
        let byte = io.input.get_u8();
        match byte {
            b'0'..=b'9' if !size.carriage_return => {
                size.digits += 1;
                let digit = u64::from(byte - b'0');
                size.value = size.value.and_then(|value| value.checked_mul(10)?.checked_add(digit));
                if size.digits > CLASSIC_DIGITS_MAX {
                    let detail = format!("a size has {CLASSIC_DIGITS_MAX} digits at most");
                    io.out.close(Err(Refusal::new(RefusalCode::TooLarge, detail)));
                }
            }
            b'\r' if !size.carriage_return => size.carriage_return = true,
            b'\n' => {
                let size = *size;
                self.size_known(io, size, true);
            }
            _ => {
                let detail = format!(
                    "the byte 0x{byte:02x} follows the digits of the size before the ack, so that \
                     nothing tells where the size ends"
                );
                io.out.close(Err(Refusal::new(RefusalCode::Malformed, detail)));
            }
        }
    }

    fn size_known(&mut self, io: &mut Io, size: Size, certain: bool) {
        let max_file_size = io.limits.max_file_size.unwrap_or(u64::MAX);
        match size.value {
            Some(size) if size <= max_file_size => {
                let offer = Offer::of_file(None, Some(size));
                self.stage = Stage::Opening { size, certain };
                io.out.push(Output::Open { id: UPLOAD, offer, wishes: Wishes::default() });
            }
            _ => io.out.close(Err(too_large(max_file_size))),
        }
    }

    /// `length` bytes of payload went to the body.
    fn advance(&mut self, io: &mut Io, length: u64) {
        let Stage::Payload { size, remaining, certain } = &mut self.stage else { return };
        *remaining -= length;
        if *remaining == 0 {
            let size = *size;
            if *certain {
                self.commit(io, size, false);
            } else {
                self.stage = Stage::Quiet { size };
            }
        }
    }

    fn commit(&mut self, io: &mut Io, size: u64, over: bool) {
        self.stage = Stage::Committing { size, over };
        io.out.push(Output::Commit { id: UPLOAD, size, digest: None, digests: vec![] });
    }

    fn discard(&mut self, io: &mut Io, refusal: Refusal) {
        io.out.push(Output::Discard { id: UPLOAD, reason: None });
        io.out.close(Err(refusal));
    }
}

fn beyond_settled(size: u64) -> Refusal {
    let detail = format!(
        "more bytes arrived than the {size} of a size that had no line end: the digits may have been \
         the first part of a longer size"
    );
    Refusal::new(RefusalCode::Malformed, detail)
}
