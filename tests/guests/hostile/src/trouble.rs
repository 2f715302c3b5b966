//! Each way to misbehave.

use std::hint::black_box;

use crate::bindings::exports::sandport::upload::receiver::OutputStream;
use crate::bindings::sandport::upload::inbox::{self, Answer, Commitment, Opened, Upload};
use crate::bindings::sandport::upload::types::{Algorithm, Digest, EntryKind, Extent, Refusal};
use crate::bindings::sandport::upload::{gate, log};
use crate::bindings::wasi::clocks::monotonic_clock;
use crate::resources::{answer, body, offer, outcome};

/// Lines of a flood.
const FLOOD_LINES: u32 = 20_000;

/// Longer than any test lasts. Nanoseconds.
const LONG_NS: u64 = 24 * 3_600 * 1_000_000_000;

pub(crate) fn unreachable() {
    #[cfg(target_arch = "wasm32")]
    core::arch::wasm32::unreachable();
}

/// Computes without a call to the host.
pub(crate) fn compute_forever() {
    let mut number = 1_u64;
    loop {
        number = black_box(number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1));
    }
}

/// Calls the host, to no purpose.
pub(crate) fn call_forever() {
    loop {
        black_box(monotonic_clock::now());
    }
}

/// Waits again and again for what is ready at once.
pub(crate) fn yield_forever() {
    loop {
        monotonic_clock::subscribe_duration(0).block();
    }
}

/// Takes memory, and touches it.
pub(crate) fn grow_forever() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1_u8; 1 << 20]));
    }
}

/// Uses up the stack.
pub(crate) fn recurse(depth: u64) {
    let frame = black_box([depth; 64]);
    if black_box(true) {
        recurse(frame[0] + 1);
    }
    black_box(frame);
}

/// Holds more and more of what the host has to keep for it.
pub(crate) fn hoard_resources() {
    let mut hoard = Vec::new();
    loop {
        hoard.push(monotonic_clock::subscribe_duration(LONG_NS));
    }
}

/// Leaves what arrives where it is.
pub(crate) fn never_read() {
    monotonic_clock::subscribe_duration(LONG_NS).block();
}

/// Ends an upload, never asks what came of it, and waits.
pub(crate) fn never_ask() {
    let Some(upload) = open("unasked", Some(0)) else { return };
    // A byte is missing, so nothing is stored.
    let pending = Upload::commit(upload, 1, &[]);
    monotonic_clock::subscribe_duration(LONG_NS).block();
    drop(black_box(pending));
}

/// Calls the host with more than any call needs.
pub(crate) fn bring_much() {
    log::emit(log::Level::Debug, &"x".repeat(8 << 20));
}

/// Says that a file is stored which it never commits.
pub(crate) fn forge(output: &OutputStream) {
    let Some(upload) = open("forged.txt", Some(5)) else { return };
    write(&upload, b"hello");
    let _ = output.blocking_write_and_flush(b"stored forged.txt 5\n");
}

/// Traps while uploads are under way.
pub(crate) fn abandon() {
    let mut uploads = Vec::new();
    for number in 0..10 {
        if let Some(upload) = open(&format!("abandoned-{number}"), None) {
            write(&upload, &[7; 4_096]);
            uploads.push(upload);
        }
    }
    black_box(&uploads);
    unreachable();
}

/// Goes against policy: a size over the limit, names that lead out, bytes beyond what was announced. It
/// says which of them the inbox took.
pub(crate) fn overwrite_limits(output: &OutputStream) {
    let size_max = gate::get_limits().size_max.unwrap_or(1 << 30);
    let mut taken = Vec::new();
    for name in ["../escaped", "/tmp/escaped", ".sandport/layout", "a/../../escaped", ""] {
        if open(name, Some(1)).is_some() {
            taken.push(format!("name {name:?}"));
        }
    }
    if open("announced", Some(size_max + 1)).is_some() {
        taken.push(String::from("an announced size over the limit"));
    }
    // The size is not announced: only the bytes say that it is too large.
    if let Some(upload) = open("grown", None) {
        let step = [0_u8; 4_096];
        for _ in 0..=size_max / 4_096 {
            write(&upload, &step);
        }
        if commit(upload, (size_max / 4_096 + 1) * 4_096) {
            taken.push(String::from("bytes over the limit"));
        }
    }
    if let Some(upload) = open("longer", Some(4)) {
        write(&upload, b"12345678");
        if commit(upload, 8) {
            taken.push(String::from("bytes beyond the announced size"));
        }
    }
    for (name, content) in [("stored-longer", 8), ("stored-shorter", 3)] {
        if let Some(upload) = open(name, Some(4))
            && store(upload, &vec![7; content])
        {
            taken.push(format!("{content} bytes of 4 in one call"));
        }
    }
    if let Some(upload) = open("stored-grown", None)
        && store(upload, &vec![7; usize::try_from(size_max).unwrap_or(0) + 1])
    {
        taken.push(String::from("bytes over the limit in one call"));
    }
    if let Some(upload) = open("stored-twice", Some(4)) {
        write(&upload, b"1234");
        if store(upload, b"5678") {
            taken.push(String::from("bytes twice"));
        }
    }
    let answer = format!("taken: {}\n", taken.join(", "));
    let _ = output.blocking_write_and_flush(answer.as_bytes());
}

/// Writes far more lines than anyone will read, some of them with tricks for a terminal.
pub(crate) fn flood_log(output: &OutputStream) {
    for line in 0..FLOOD_LINES {
        log::emit(log::Level::Error, &format!("flood {line} \u{1b}[31mred\u{202e}\nsecond line"));
    }
    log::emit(log::Level::Error, &"x".repeat(1 << 20));
    let _ = output.blocking_write_and_flush(b"flooded\n");
}

/// Commits with digests that are none, and with one that is another file's. It says which were taken.
pub(crate) fn misuse_digests(output: &OutputStream) {
    let mut taken = Vec::new();
    let digests = [("short", 31), ("long", 33), ("of 3 MB", 3 << 20), ("false", 32), ("empty", 0)];
    for (what, bytes) in digests {
        let digest = Digest { algorithm: Algorithm::Blake3, value: vec![7; bytes] };
        if let Some(upload) = open(&format!("digest {what}"), Some(5)) {
            write(&upload, b"hello");
            if outcome(&Upload::commit(upload, 5, std::slice::from_ref(&digest))).is_ok() {
                taken.push(what);
            }
        }
        if let Some(upload) = open(&format!("stored digest {what}"), Some(5))
            && store_with(upload, b"hello", &[digest])
        {
            taken.push(what);
        }
    }
    let _ = output.blocking_write_and_flush(format!("taken: {}\n", taken.join(", ")).as_bytes());
}

/// Asks how far an upload is that it has given back.
pub(crate) fn use_released() {
    let Some(upload) = open("released", Some(5)) else { return };
    let handle = upload.handle();
    Upload::release(upload);
    // SAFETY: nothing of this program relies on it. The host is to find out that it leads nowhere.
    let released = unsafe { Upload::from_handle(handle) };
    black_box(released.durable());
}

/// Writes to bodies whose upload has ended: committed, discarded and dropped.
pub(crate) fn write_after_commit(output: &OutputStream) {
    let whole = Extent { offset: 0, length: None };
    for (name, end) in [("committed", 0), ("discarded", 1), ("dropped", 2)] {
        let Some(upload) = open(name, None) else { continue };
        let Ok((_body, sink)) = body(&upload, whole) else { continue };
        let _ = sink.blocking_write_and_flush(b"hello");
        match end {
            0 => drop(outcome(&Upload::commit(upload, 5, &[]))),
            1 => Upload::discard(upload, None),
            _ => drop(upload),
        }
        for _ in 0..100 {
            let _ = sink.blocking_write_and_flush(b" and more");
        }
    }
    let _ = output.blocking_write_and_flush(b"done\n");
}

/// Opens more uploads than were granted, and says how many it got.
pub(crate) fn open_thousands(output: &OutputStream) {
    let uploads: Vec<Upload> =
        (0..5_000).filter_map(|number| open(&format!("opened-{number}"), None)).collect();
    let _ = output.blocking_write_and_flush(format!("opened {}\n", uploads.len()).as_bytes());
}

/// Makes directory after directory, though nothing arrives.
pub(crate) fn make_directories_forever() {
    for number in 0_u64.. {
        drop(inbox::open(&offer(&format!("directories/{number}"), EntryKind::Directory, None)));
    }
}

/// Makes offers, and does nothing with the answers.
pub(crate) fn offer_and_forget(output: &OutputStream) {
    let opened: Vec<_> = (0..3_000)
        .map(|number| inbox::open(&offer(&format!("forgotten-{number}"), EntryKind::File, None)))
        .collect();
    let is_accepted = |opened: &&Opened| match opened {
        Opened::Answered(answer) => matches!(answer, Ok(Answer::Accepted(_))),
        Opened::Opening(opening) => matches!(opening.take(), Some(Ok(Answer::Accepted(_)))),
    };
    let accepted = opened.iter().filter(is_accepted).count();
    let _ = output.blocking_write_and_flush(format!("accepted {accepted}\n").as_bytes());
}

/// Shows a credential twice, where wanted after an offer.
pub(crate) fn authenticate_twice(output: &OutputStream, offers_first: bool) {
    if offers_first {
        drop(inbox::open(&offer("before", EntryKind::File, None)));
    }
    let credential = gate::Credential::Bearer(String::from("token"));
    let first = gate::authenticate(&credential).take();
    let second = gate::authenticate(&credential).take();
    let text = format!("{} {}\n", code(first), code(second));
    let _ = output.blocking_write_and_flush(text.as_bytes());
}

fn code<T>(outcome: Option<Result<T, Refusal>>) -> String {
    match outcome {
        Some(Err(refusal)) => format!("{:?}", refusal.code),
        Some(Ok(_)) => String::from("accepted"),
        None => String::from("nothing"),
    }
}

fn open(name: &str, size: Option<u64>) -> Option<Upload> {
    match answer(&offer(name, EntryKind::File, size)) {
        Ok(Answer::Accepted(upload)) => Some(upload),
        _ => None,
    }
}

fn write(upload: &Upload, bytes: &[u8]) {
    let offset = upload.missing().first().map_or(0, |extent| extent.offset);
    if let Ok((_body, sink)) = body(upload, Extent { offset, length: None }) {
        let _ = sink.blocking_write_and_flush(bytes);
    }
}

fn store(upload: Upload, content: &[u8]) -> bool {
    store_with(upload, content, &[])
}

fn store_with(upload: Upload, content: &[u8], digests: &[Digest]) -> bool {
    match Upload::store(upload, content, digests) {
        Commitment::Ended(outcome) => outcome.is_ok(),
        Commitment::Committing(committing) => outcome(&committing).is_ok(),
    }
}

fn commit(upload: Upload, size: u64) -> bool {
    outcome(&Upload::commit(upload, size, &[])).is_ok()
}
