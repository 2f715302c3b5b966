//! Uploads out of others: what a receiver may ask for that makes no sense, or never ends.

use std::fmt::Write as _;

use crate::bindings::exports::sandport::upload::receiver::OutputStream;
use crate::bindings::sandport::upload::inbox::{Answer, Finishing, Upload};
use crate::bindings::sandport::upload::types::{EntryKind, Extent, Lifetime, Offer, Refusal};
use crate::refusal::malformed;
use crate::resources::{answer, body, offer, outcome};

/// The size of a part that is to cost something. Bytes.
const MUCH_BYTES: usize = 4 * 1024 * 1024;

/// Most parts of an upload.
const PARTS_MAX: usize = 64;

/// Says, line by line, what came of each step.
pub(crate) fn misuse(output: &OutputStream) -> Result<(), Refusal> {
    let mut text = String::new();
    let told = tell(&mut text);
    if let Err(refusal) = &told {
        let _ = writeln!(text, "refused {:?} {:?}", refusal.code, refusal.detail);
    }
    let _ = output.blocking_write_and_flush(text.as_bytes());
    told
}

fn tell(text: &mut String) -> Result<(), Refusal> {
    let part = brought(b"hello")?;
    let key = key_of(&part)?;
    let open = accepted(Some(10))?;
    let unfinished = key_of(&open)?;
    let whole = accepted(None)?;
    let own = key_of(&whole)?;
    for (what, parts) in [
        ("unknown", vec![vec![9; 32]]),
        ("unfinished", vec![key.clone(), unfinished]),
        ("its own", vec![own]),
        ("too many", vec![key.clone(); PARTS_MAX + 1]),
        ("very many", vec![vec![]; 100_000]),
        ("too long", vec![vec![9; 1_000_000]]),
        ("empty", vec![vec![]]),
    ] {
        let ended = finished(&whole.concatenate(&parts)).map_err(|refusal| refusal.code);
        let _ = writeln!(text, "{what}: {ended:?}");
    }
    // Nobody waits for these.
    for _ in 0..PARTS_MAX {
        drop(whole.concatenate(&[key.clone(), key.clone()]));
    }
    finished(&whole.concatenate(&[key.clone(), key.clone()]))?;
    // It outlives the upload.
    let late = whole.concatenate(&[key.clone(), key.clone()]);
    let receipt = outcome(&Upload::commit(whole, 10, &[]))?;
    let _ = writeln!(text, "stored {}", receipt.size);
    let _ = finished(&late);
    let keyless = offer("keyless", EntryKind::File, Some(5));
    let Answer::Accepted(keyless) = answer(&keyless)? else {
        return Err(malformed(Some("not accepted")));
    };
    let ended = finished(&keyless.concatenate(&[key])).map_err(|refusal| refusal.code);
    let _ = writeln!(text, "keyless: {ended:?}");
    Ok(())
}

/// Has the host copy a part again and again.
pub(crate) fn copy_forever() -> Result<(), Refusal> {
    let part = brought(&vec![7; MUCH_BYTES])?;
    let parts = vec![key_of(&part)?; PARTS_MAX];
    loop {
        let whole = accepted(None)?;
        finished(&whole.concatenate(&parts))?;
        Upload::discard(whole, None);
    }
}

fn accepted(size: Option<u64>) -> Result<Upload, Refusal> {
    let lifetime = Lifetime::NewKey;
    match answer(&Offer { lifetime, ..offer("whole", EntryKind::File, size) })? {
        Answer::Accepted(upload) => Ok(upload),
        _ => Err(malformed(Some("not accepted"))),
    }
}

/// An upload that is whole.
fn brought(mut content: &[u8]) -> Result<Upload, Refusal> {
    let upload = accepted(Some(content.len() as u64))?;
    let (_body, sink) = body(&upload, Extent { offset: 0, length: None })?;
    while !content.is_empty() {
        sink.subscribe().block();
        let room = sink.check_write().map_err(|_| malformed(Some("write")))?;
        let (now, later) = content.split_at(content.len().min(room as usize));
        sink.write(now).map_err(|_| malformed(Some("write")))?;
        content = later;
    }
    sink.subscribe().block();
    drop(sink);
    finished(&upload.keep())?;
    Ok(upload)
}

fn key_of(upload: &Upload) -> Result<Vec<u8>, Refusal> {
    upload.key().ok_or_else(|| malformed(Some("no key")))
}

fn finished(finishing: &Finishing) -> Result<(), Refusal> {
    loop {
        if let Some(outcome) = finishing.take() {
            return outcome;
        }
        finishing.subscribe().block();
    }
}
