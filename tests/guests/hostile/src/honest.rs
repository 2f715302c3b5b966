//! The honest connection among the hostile ones: `PUT name`, a line end, the content, the end of the
//! connection. The answer is `stored NAME SIZE` or `refused CODE`, and a line end.

use crate::bindings::exports::sandport::upload::receiver::{InputStream, OutputStream};
use crate::bindings::sandport::upload::inbox::{Answer, Upload};
use crate::bindings::sandport::upload::types::{EntryKind, Extent, Receipt, Refusal};
use crate::bindings::wasi::io::streams::StreamError;
use crate::resources;

/// Longest first line. Bytes.
const LINE_BYTES_MAX: usize = 4_096;

/// Most bytes of one splice.
const STEP_BYTES: u64 = 1 << 20;

/// Serves a connection of which `begun` was read already.
pub(crate) fn serve(
    input: &InputStream,
    output: &OutputStream,
    begun: Vec<u8>,
) -> Result<(), Refusal> {
    let outcome = receive(input, begun);
    let answer = match &outcome {
        Ok(receipt) => format!("stored {} {}\n", receipt.name, receipt.size),
        Err(refusal) => format!("refused {:?}\n", refusal.code),
    };
    // A client that is gone does not want the answer.
    let _ = output.blocking_write_and_flush(answer.as_bytes());
    outcome.map(|_| ())
}

fn receive(input: &InputStream, mut begun: Vec<u8>) -> Result<Receipt, Refusal> {
    let line = loop {
        if let Some(end) = begun.iter().position(|&byte| byte == b'\n') {
            let rest = begun.split_off(end + 1);
            break std::mem::replace(&mut begun, rest);
        }
        if begun.len() > LINE_BYTES_MAX {
            return Err(malformed("the first line is too long"));
        }
        match input.blocking_read(LINE_BYTES_MAX as u64) {
            Ok(bytes) => begun.extend_from_slice(&bytes),
            Err(_) => return Err(malformed("the connection ended within the first line")),
        }
    };
    let line = String::from_utf8_lossy(&line);
    let name = line
        .strip_prefix("PUT ")
        .ok_or_else(|| malformed("the first line does not begin with PUT"))?;

    let offer = resources::offer(name.trim_end(), EntryKind::File, None);
    let Answer::Accepted(upload) = resources::answer(&offer)? else {
        return Err(malformed("nothing is stored without a digest"));
    };
    let size = copy(input, &upload, &begun)?;
    resources::outcome(&Upload::commit(upload, size, &[]))
}

/// Moves the content into the upload, up to the end of the connection, and counts it.
fn copy(input: &InputStream, upload: &Upload, begun: &[u8]) -> Result<u64, Refusal> {
    let (_body, sink) = resources::body(upload, Extent { offset: 0, length: None })?;
    let mut size = begun.len() as u64;
    for piece in begun.chunks(LINE_BYTES_MAX) {
        sink.blocking_write_and_flush(piece).map_err(|_| malformed("the body is closed"))?;
    }
    loop {
        match sink.blocking_splice(input, STEP_BYTES) {
            Ok(count) => size += count,
            Err(StreamError::Closed) => return Ok(size),
            Err(StreamError::LastOperationFailed(_)) => {
                return Err(malformed("the connection broke"));
            }
        }
    }
}

fn malformed(detail: &str) -> Refusal {
    crate::refusal::malformed(Some(detail))
}
