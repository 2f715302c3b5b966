//! An honest receiver that needs more of an upload than one connection: keys that the host makes, questions, keeps,
//! checked bodies. It says, line by line, what came of each step.

use std::fmt::Write as _;

use crate::bindings::exports::sandport::upload::receiver::{InputStream, OutputStream};
use crate::bindings::sandport::upload::inbox::{self, Answer, Finishing, Status, Upload};
use crate::bindings::sandport::upload::types::{
    Algorithm, Digest, EntryKind, Extent, Lifetime, Offer, Refusal, Resume, ResumeMode,
};
use crate::refusal::malformed;
use crate::resources::{answer, body, offer, outcome};

/// How many bytes of digest come first.
const DIGEST_BYTES: usize = 32;

/// `digest`: of ` world`.
pub(crate) fn go_through(input: &InputStream, output: &OutputStream) -> Result<(), Refusal> {
    let mut digest = Vec::new();
    while digest.len() < DIGEST_BYTES {
        let rest = (DIGEST_BYTES - digest.len()) as u64;
        digest.extend(input.blocking_read(rest).map_err(|_| malformed(Some("cut")))?);
    }
    let mut text = String::new();
    let told = tell(&mut text, digest);
    if let Err(refusal) = &told {
        let _ = writeln!(text, "refused {:?}", refusal.code);
    }
    let _ = output.blocking_write_and_flush(text.as_bytes());
    told
}

fn tell(text: &mut String, digest: Vec<u8>) -> Result<(), Refusal> {
    let upload = accepted(&Offer { metadata: metadata(), ..with(Lifetime::NewKey) })?;
    let key = upload.key().ok_or_else(|| malformed(Some("no key")))?;
    let _ = writeln!(text, "key of {}", key.len());
    let _ = writeln!(text, "begun: {}", status(look(&key, false)?));

    let (first, sink) = body(&upload, extent(0, 5))?;
    sink.write(b"hello").map_err(|_| malformed(Some("write")))?;
    drop(sink);
    finished(&inbox::Body::finish(first, None))?;
    finished(&upload.keep())?;
    let _ = writeln!(text, "kept {}", upload.durable());

    // Whoever has it loses it.
    let _ = writeln!(text, "settled: {}", status(look(&key, true)?));
    let fault = upload.fault().map(|fault| fault.code);
    let _ = writeln!(text, "the first has {fault:?}");
    Upload::release(upload);

    let resume = Resume { key: key.clone(), run: 1, mode: ResumeMode::TakeOver };
    let upload = accepted(&Offer { name: None, ..with(Lifetime::Existing(resume)) })?;
    let _ = writeln!(text, "missing from {}", upload.missing()[0].offset);
    for digest in [vec![7; DIGEST_BYTES], digest] {
        let checked = upload.body(extent(5, 6), Some(Algorithm::Blake3))?;
        let sink = checked.sink().map_err(|()| malformed(Some("no stream")))?;
        sink.write(b" world").map_err(|_| malformed(Some("write")))?;
        drop(sink);
        let digest = Digest { algorithm: Algorithm::Blake3, value: digest };
        let ended = finished(&inbox::Body::finish(checked, Some(&digest)));
        let ended = ended.map_err(|refusal| refusal.code);
        let _ = writeln!(text, "checked {ended:?}, missing from {}", upload.missing()[0].offset);
    }
    upload.set_size(11)?;
    let receipt = outcome(&Upload::commit(upload, 11, &[]))?;
    let _ = writeln!(text, "stored {} {}", receipt.name, receipt.size);
    let _ = writeln!(text, "ended: {}", status(look(&key, false)?));

    let other = accepted(&Offer { name: None, ..with(Lifetime::NewKey) })?;
    let key = other.key().ok_or_else(|| malformed(Some("no key")))?;
    let _ = writeln!(text, "abandoned {} {}", abandon(&key)?, abandon(&key)?);
    let _ = writeln!(text, "the other has {:?}", other.fault().map(|fault| fault.code));
    let _ = writeln!(text, "unknown: {}", status(look(&[9; 32], false)?));
    let too_long = look(&[9; 65], false).map_err(|refusal| refusal.code);
    let _ = writeln!(text, "too long: {:?}", too_long.err());
    Ok(())
}

fn metadata() -> Vec<(String, Vec<u8>)> {
    vec![(String::from("filename"), b"kept".to_vec())]
}

fn with(lifetime: Lifetime) -> Offer {
    Offer { lifetime, ..offer("kept", EntryKind::File, None) }
}

fn extent(offset: u64, length: u64) -> Extent {
    Extent { offset, length: Some(length) }
}

fn accepted(offer: &Offer) -> Result<Upload, Refusal> {
    match answer(offer)? {
        Answer::Accepted(upload) => Ok(upload),
        _ => Err(malformed(Some("not accepted"))),
    }
}

fn look(key: &[u8], settle: bool) -> Result<Option<Status>, Refusal> {
    let looking = inbox::look(key, settle);
    loop {
        if let Some(found) = looking.take() {
            return found;
        }
        looking.subscribe().block();
    }
}

fn abandon(key: &[u8]) -> Result<bool, Refusal> {
    let abandoning = inbox::abandon(key);
    loop {
        if let Some(ended) = abandoning.take() {
            return ended;
        }
        abandoning.subscribe().block();
    }
}

fn finished(finishing: &Finishing) -> Result<(), Refusal> {
    loop {
        if let Some(outcome) = finishing.take() {
            return outcome;
        }
        finishing.subscribe().block();
    }
}

fn status(status: Option<Status>) -> String {
    let Some(status) = status else { return String::from("none") };
    let outcome = status.outcome.map(|outcome| match outcome {
        Ok(receipt) => receipt.name,
        Err(refusal) => format!("{:?}", refusal.code),
    });
    let Status { size, received, durable, metadata, expires_in_s, .. } = status;
    let (pairs, expires) = (metadata.len(), expires_in_s.is_some());
    format!("{size:?} {received} {durable} {outcome:?} pairs {pairs} expires {expires}")
}
