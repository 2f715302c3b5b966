//! Traps at one host call after the other, and streams of several uploads at once.

use std::cell::Cell;

use crate::bindings::exports::sandport::upload::receiver::{InputStream, OutputStream};
use crate::bindings::sandport::upload::inbox::{self, Answer, Opened, Upload};
use crate::bindings::sandport::upload::types::{EntryKind, Extent, Lifetime, Receipt, Refusal};
use crate::bindings::wasi::io::streams::StreamError;
use crate::refusal::malformed;
use crate::resources::{answer, body, offer, outcome};
use crate::trouble;

const WHOLE: Extent = Extent { offset: 0, length: None };

/// How many calls are left until the trap.
struct Turns(Cell<u8>);

impl Turns {
    /// A call has come back with this.
    fn then<T>(&self, value: T) -> T {
        match self.0.get().checked_sub(1) {
            Some(left) => self.0.set(left),
            None => trouble::unreachable(),
        }
        value
    }
}

/// Stores a file, and traps after as many calls of the host as the next byte of the connection says. Where they do not
/// suffice for that, it says so.
pub(crate) fn trap_after_calls(input: &InputStream, output: &OutputStream) {
    let said = input.blocking_read(1).unwrap_or_default();
    let calls = said.first().copied().unwrap_or_default();
    let turns = Turns(Cell::new(calls));
    if store(&turns, &format!("turn-{calls}")).is_some() {
        let _ = output.blocking_write_and_flush(b"whole\n");
    }
}

fn store(turns: &Turns, name: &str) -> Option<Receipt> {
    let opened = turns.then(inbox::open(&offer(name, EntryKind::File, None)));
    let answer = match opened {
        Opened::Answered(answer) => answer,
        Opened::Opening(opening) => loop {
            if let Some(answer) = turns.then(opening.take()) {
                break answer;
            }
            let news = turns.then(opening.subscribe());
            news.block();
        },
    };
    let Ok(Answer::Accepted(upload)) = answer else { return None };
    let body = turns.then(upload.body(WHOLE, None)).ok()?;
    let sink = turns.then(body.sink()).ok()?;
    turns.then(sink.check_write()).ok()?;
    turns.then(sink.write(b"hello")).ok()?;
    turns.then(sink.flush()).ok()?;
    turns.then(sink.blocking_flush()).ok()?;
    turns.then(upload.missing());
    drop(sink);
    turns.then(());
    drop(body);
    turns.then(());
    let committing = turns.then(Upload::commit(upload, 5, &[]));
    loop {
        if let Some(outcome) = turns.then(committing.take()) {
            drop(committing);
            turns.then(());
            return outcome.ok();
        }
        let news = turns.then(committing.subscribe());
        news.block();
    }
}

/// Writes to two uploads in turns, and to each after it has ended; and copies what arrives into both. It says what
/// became of each.
pub(crate) fn cross_streams(input: &InputStream, output: &OutputStream) -> Result<(), Refusal> {
    let mut told = String::new();
    let (one, other) = (open("one")?, open("other")?);
    let ((one_body, one_sink), (other_body, other_sink)) =
        (body(&one, WHOLE)?, body(&other, WHOLE)?);
    for piece in ["fi", "rst"] {
        let _ = one_sink.blocking_write_and_flush(piece.as_bytes());
        let _ = other_sink.blocking_write_and_flush(b"ot");
    }
    // A sink whose body is gone, and a second one of a body that has one.
    drop(one_body);
    let _ = one_sink.blocking_write_and_flush(b"!");
    told += &format!("second sink: {}\n", if other_body.sink().is_ok() { "given" } else { "none" });
    told += &format!("one: {}\n", size(&outcome(&Upload::commit(one, 6, &[]))));
    // Of an upload that has ended into one that has not.
    let _ = one_sink.blocking_write_and_flush(b"behind the end");
    let _ = other_sink.blocking_write_and_flush(b"her");
    told += &format!("other: {}\n", size(&outcome(&Upload::commit(other, 7, &[]))));

    let (third, fourth) = (open("third")?, open("fourth")?);
    let ((_third_body, third_sink), (_fourth_body, fourth_sink)) =
        (body(&third, WHOLE)?, body(&fourth, WHOLE)?);
    Upload::discard(third, None);
    let mut spliced = 0;
    loop {
        // What a sink takes that leads nowhere is gone for the other.
        let _ = third_sink.splice(input, 2);
        match fourth_sink.blocking_splice(input, 3) {
            Ok(count) => spliced += count,
            Err(StreamError::Closed | StreamError::LastOperationFailed(_)) => break,
        }
    }
    told += &format!("fourth: {}\n", size(&outcome(&Upload::commit(fourth, spliced, &[]))));
    let _ = output.blocking_write_and_flush(told.as_bytes());
    Ok(())
}

fn open(name: &str) -> Result<Upload, Refusal> {
    match answer(&offer(name, EntryKind::File, None))? {
        Answer::Accepted(upload) => Ok(upload),
        _ => Err(malformed(Some("no upload"))),
    }
}

fn size(outcome: &Result<Receipt, Refusal>) -> String {
    match outcome {
        Ok(receipt) => format!("{} bytes", receipt.size),
        Err(refusal) => format!("{:?}", refusal.code),
    }
}

/// Says sizes of uploads whose bodies have begun, which are less than what those announce, and writes then.
pub(crate) fn shrink_sizes(output: &OutputStream) -> Result<(), Refusal> {
    let mut told = String::new();
    for (offset, length, size) in [(0, 5, 0), (2 << 20, 5, 1 << 20), (0, (1 << 20) + 5, 1 << 20)] {
        let mut endless = offer("shrunk", EntryKind::File, None);
        endless.lifetime = Lifetime::NewKey;
        let Answer::Accepted(upload) = answer(&endless)? else {
            return Err(malformed(Some("no upload")));
        };
        let (_body, sink) = body(&upload, Extent { offset, length: Some(length) })?;
        upload.set_size(size)?;
        let _ = sink.blocking_write_and_flush(b"hello");
        let code = upload.fault().map(|refusal| refusal.code);
        told += &format!("{code:?}\n");
        Upload::discard(upload, None);
    }
    let _ = output.blocking_write_and_flush(told.as_bytes());
    Ok(())
}
