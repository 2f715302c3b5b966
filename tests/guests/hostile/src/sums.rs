//! Digests of other algorithms than BLAKE3: an honest receiver that says what came of each step, and two that have the
//! host compute without end.

use std::fmt::Write as _;

use crate::bindings::exports::sandport::upload::receiver::OutputStream;
use crate::bindings::sandport::upload::gate;
use crate::bindings::sandport::upload::inbox::{Answer, Body, Commitment, Finishing, Upload};
use crate::bindings::sandport::upload::types::{
    Algorithm, Digest, EntryKind, Extent, Lifetime, Offer, Receipt, Refusal,
};
use crate::refusal::malformed;
use crate::resources::{answer, body, offer, outcome};

/// What a file with all digests holds, and how long those are that are read again and again.
const CONTENT: &[u8] = b"abc";
const MUCH_BYTES: usize = 8 << 20;

/// Goes through all of it.
pub(crate) fn go_through(output: &OutputStream) -> Result<(), Refusal> {
    let mut text = String::new();
    let told = tell(&mut text);
    if let Err(refusal) = &told {
        let _ = writeln!(text, "refused {:?}", refusal.code);
    }
    let _ = output.blocking_write_and_flush(text.as_bytes());
    told
}

fn tell(text: &mut String) -> Result<(), Refusal> {
    let all = gate::get_limits().algorithms;
    let _ = writeln!(text, "{} algorithms", all.len());
    let wanting = |name| Offer { want: all.clone(), ..file(name, CONTENT.len()) };
    let receipt = stored(Upload::store(accepted(&wanting("stored"))?, CONTENT, &[]))?;
    for digest in &receipt.digests {
        let _ = writeln!(text, "{:?} {}", digest.algorithm, hex(&digest.value));
    }
    let digest = |algorithm| receipt.digests.iter().find(|it| it.algorithm == algorithm).cloned();
    let digest = |algorithm| digest(algorithm).ok_or_else(|| malformed(Some("no digest")));
    let sha256 = digest(Algorithm::Sha256)?;
    let md5 = digest(Algorithm::Md5)?;

    let code = |refused: Refusal| refused.code;
    let twice = Offer { digests: vec![sha256.clone(); 2], ..file("twice", 3) };
    let _ = writeln!(text, "twice: {:?}", answer(&twice).map(drop).map_err(code));
    let short = Digest { value: vec![7; 15], ..md5.clone() };
    let short = Offer { digests: vec![short], ..file("short", 3) };
    let _ = writeln!(text, "short: {:?}", answer(&short).map(drop).map_err(code));

    let claiming = Offer { digests: vec![sha256.clone()], ..file("wrong", 3) };
    let wrong = stored(Upload::store(accepted(&claiming)?, b"abd", &[]));
    let _ = writeln!(text, "wrong: {:?}", wrong.map(drop).map_err(code));

    // Claimed when all is here.
    let upload = accepted(&file("late", CONTENT.len()))?;
    bring(&upload, CONTENT)?;
    let late = outcome(&Upload::commit(upload, 3, std::slice::from_ref(&md5)))?;
    let _ = writeln!(text, "late: {}", kinds(&late));

    // A file that is here already, by its BLAKE3.
    let again = Offer { digests: vec![digest(Algorithm::Blake3)?], ..wanting("stored") };
    let Answer::Stored(again) = answer(&again)? else { return Err(malformed(Some("not there"))) };
    let _ = writeln!(text, "again: {}", kinds(&again));

    // Whoever claims another digest of it as well sends it. What is claimed of a directory means nothing.
    let claims = vec![digest(Algorithm::Blake3)?, sha256.clone()];
    let claiming = Offer { digests: claims.clone(), ..file("stored", CONTENT.len()) };
    let claimed = stored(Upload::store(accepted(&claiming)?, CONTENT, &[]))?;
    let _ = writeln!(text, "claimed: {} {}", claimed.name, kinds(&claimed));
    let directory = Offer { digests: claims, ..offer("directory", EntryKind::Directory, None) };
    let Answer::Stored(directory) = answer(&directory)? else {
        return Err(malformed(Some("no directory")));
    };
    let _ = writeln!(text, "directory: {}", kinds(&directory));

    // A body that is checked, by another algorithm first.
    let upload = accepted(&Offer { lifetime: Lifetime::NewKey, ..file("checked", 3) })?;
    for (expect, what) in [(&md5, "another"), (&sha256, "right")] {
        let extent = Extent { offset: 0, length: Some(3) };
        let checked = upload.body(extent, Some(Algorithm::Sha256))?;
        let sink = checked.sink().map_err(|()| malformed(Some("no stream")))?;
        sink.write(CONTENT).map_err(|_| malformed(Some("write")))?;
        drop(sink);
        let ended = finished(&Body::finish(checked, Some(expect))).map_err(code);
        let _ = writeln!(text, "checked by {what}: {ended:?}");
    }
    let checked = outcome(&Upload::commit(upload, 3, &[]))?;
    let _ = writeln!(text, "checked: {}", kinds(&checked));
    Ok(())
}

/// Has the host read files again, for a digest that they have not and that is claimed when all is here.
pub(crate) fn read_forever() -> Result<(), Refusal> {
    let wrong = Digest { algorithm: Algorithm::Sha512, value: vec![7; 64] };
    loop {
        let upload = accepted(&file("much", MUCH_BYTES))?;
        bring(&upload, &vec![7; MUCH_BYTES])?;
        let _ = outcome(&Upload::commit(upload, MUCH_BYTES as u64, std::slice::from_ref(&wrong)));
    }
}

/// Has the host compute all digests there are of bytes that never came.
pub(crate) fn write_forever() -> Result<(), Refusal> {
    let want = gate::get_limits().algorithms;
    let endless = Offer { size: None, want, ..file("endless", 0) };
    let upload = accepted(&endless)?;
    loop {
        bring(&upload, &vec![7; MUCH_BYTES])?;
    }
}

fn file(name: &str, size: usize) -> Offer {
    offer(name, EntryKind::File, Some(size as u64))
}

fn accepted(offer: &Offer) -> Result<Upload, Refusal> {
    match answer(offer)? {
        Answer::Accepted(upload) => Ok(upload),
        _ => Err(malformed(Some("not accepted"))),
    }
}

/// Writes as much as there is room for, until all of it is written.
fn bring(upload: &Upload, mut bytes: &[u8]) -> Result<(), Refusal> {
    let offset = upload.missing().first().map_or(0, |extent| extent.offset);
    let (_body, sink) = body(upload, Extent { offset, length: None })?;
    while !bytes.is_empty() {
        sink.subscribe().block();
        let room = sink.check_write().map_err(|_| malformed(Some("write")))?;
        let (now, later) = bytes.split_at(bytes.len().min(room as usize));
        sink.write(now).map_err(|_| malformed(Some("write")))?;
        bytes = later;
    }
    sink.subscribe().block();
    Ok(())
}

fn stored(commitment: Commitment) -> Result<Receipt, Refusal> {
    match commitment {
        Commitment::Ended(ended) => ended,
        Commitment::Committing(committing) => outcome(&committing),
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

fn kinds(receipt: &Receipt) -> String {
    let kinds: Vec<String> =
        receipt.digests.iter().map(|digest| format!("{:?}", digest.algorithm)).collect();
    kinds.join(" ")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
