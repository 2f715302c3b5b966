//! Connections that go on with another instance.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::bindings::exports::sandport::upload::receiver::{Ending, InputStream, OutputStream};
use crate::bindings::sandport::upload::inbox::{Answer, Upload};
use crate::bindings::sandport::upload::types::{EntryKind, Extent, Peer, Refusal};
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::refusal::malformed;
use crate::resources::{answer, body, offer, outcome};

/// How long each instance computes that wants more than its share.
const TURN_NS: u64 = 1_000_000_000;

/// The honest one: requests of one line each, `r` and words. Each is answered by an instance of its own, which
/// says how many it has answered before, whether the host says that there was another one, and the words.
pub(crate) fn serve(
    peer: &Peer,
    input: &InputStream,
    output: &OutputStream,
) -> Result<Ending, Refusal> {
    static ANSWERED: AtomicU32 = AtomicU32::new(0);
    let mut line = Vec::new();
    let rest = loop {
        line.extend(input.blocking_read(4_096).map_err(|_| malformed(Some("cut")))?);
        if let Some(end) = line.iter().position(|&byte| byte == b'\n') {
            break line.split_off(end + 1);
        }
    };
    let answered = ANSWERED.fetch_add(1, Ordering::Relaxed);
    let words = String::from_utf8_lossy(&line);
    let text = format!("{answered} {} r{words}", peer.continued);
    let _ = output.blocking_write_and_flush(text.as_bytes());
    Ok(Ending::Again(rest.len() as u32))
}

/// Wants to give the next instance bytes that never came.
pub(crate) fn leave_more_than_was_read(input: &InputStream) -> Result<Ending, Refusal> {
    let read = input.blocking_read(100).unwrap_or_default();
    Ok(Ending::Again(read.len() as u32 + 1))
}

/// Wants to give the next instance the payload of a file for a request.
pub(crate) fn leave_what_was_spliced(input: &InputStream) -> Result<Ending, Refusal> {
    let Ok(Answer::Accepted(upload)) = answer(&offer("spliced", EntryKind::File, Some(10))) else {
        return Err(malformed(Some("no upload")));
    };
    let (_body, sink) = body(&upload, Extent { offset: 0, length: Some(10) })?;
    let mut left = 10;
    while left > 0 {
        left -= sink.blocking_splice(input, left).map_err(|_| malformed(Some("cut")))?;
    }
    outcome(&Upload::commit(upload, 10, &[]))?;
    Ok(Ending::Again(1))
}

/// Computes for a second, and leaves the byte that made it do so to the next instance, for ever.
pub(crate) fn compute_in_turns() -> Result<Ending, Refusal> {
    let until = monotonic_clock::now() + TURN_NS;
    while monotonic_clock::now() < until {
        std::hint::black_box((0..1_000_u64).map(std::hint::black_box).sum::<u64>());
    }
    Ok(Ending::Again(1))
}
