//! Power cuts and failing disks under uploads that can be resumed: a simulated disk that keeps what was
//! synced, and of the rest whatever is worst.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::io::Errno;
use sandport_protocol::ResumeMode;
use sandport_protocol::journal::GROUP_BYTES;

use super::resume::{content, resumable};
use super::*;
use crate::inbox::disk::Step;

const GROUP: usize = GROUP_BYTES as usize;

/// What the disk has for certain.
#[derive(Clone, Default)]
struct Synced {
    data: Vec<u8>,
    journal: Vec<u8>,
    /// Whether the folder has the entries of both files.
    entries: bool,
}

fn options() -> InboxOptions {
    let watermark_interval = Duration::from_secs(3600);
    InboxOptions { watermark_bytes: GROUP_BYTES, watermark_interval, ..InboxOptions::default() }
}

/// The one partial file's data or journal.
fn read(dir: &Path, suffix: &str) -> Vec<u8> {
    let entries = fs::read_dir(dir.join(".sandport/partials")).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_str().unwrap().ends_with(suffix))
        .map_or_else(Vec::new, |path| fs::read(path).unwrap_or_default())
}

/// Notes what each sync makes certain, as if the `omitted` one were not in the code.
fn watch(bench: &Bench, omitted: Option<Step>) -> Arc<Mutex<Synced>> {
    let synced = Arc::new(Mutex::new(Synced::default()));
    let (noted, dir) = (Arc::clone(&synced), bench.dir());
    bench.inbox().handle.core.disk.watch(Box::new(move |step| {
        let mut synced = noted.lock().unwrap();
        match step {
            _ if Some(step) == omitted => {}
            Step::SyncPartial => synced.data = read(&dir, ".data"),
            Step::SyncJournal => synced.journal = read(&dir, ".journal"),
            Step::SyncDir => synced.entries = true,
            _ => {}
        }
        Ok(())
    }));
    synced
}

/// What a power cut can leave: of what was not synced, anything.
fn images(bench: &Bench, synced: &Synced) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (data, journal) = (read(&bench.dir(), ".data"), read(&bench.dir(), ".journal"));
    // The length of a file and its content are different things to a file system.
    let mut zeros = synced.data.clone();
    zeros.resize(data.len(), 0);
    let mut torn = journal.clone();
    torn.truncate(synced.journal.len().midpoint(journal.len()));
    vec![
        (zeros.clone(), journal.clone()),
        (zeros, torn),
        (synced.data.clone(), journal),
        (data, synced.journal.clone()),
    ]
}

/// Sends a file, with a power cut after each watermark.
fn survives(omitted: Option<Step>) -> Result<(), String> {
    let content = content(5 * GROUP + 9);
    let offer = resumable("big", Some(content.len() as u64), ResumeMode::TakeOver);
    let bench = Bench::in_memory(options());
    let synced = watch(&bench, omitted);
    let upload = accept(bench.inbox(), &offer);
    let mut body = upload.body(ALL).unwrap();
    let step = GROUP + GROUP / 2;
    for (number, piece) in content.chunks(step).take(3).enumerate() {
        body.write(piece);
        while upload.durable() < (number * step + GROUP) as u64 {
            block_on(upload.watch().news());
        }
        let told = upload.durable();
        let synced = synced.lock().unwrap().clone();
        for (data, journal) in images(&bench, &synced) {
            let after = Bench::in_memory(options());
            if synced.entries {
                let partials = after.path(".sandport/partials");
                let key = sandport_protocol::Resume { key: [5; 32], mode: ResumeMode::TakeOver };
                let id = partial::Id::of(None, &key);
                fs::write(partials.join(format!("{id}.data")), data).unwrap();
                fs::write(partials.join(format!("{id}.journal")), journal).unwrap();
            }
            check(&after, &offer, &content, told)?;
        }
    }
    Ok(())
}

/// What the sender was told is there, and the upload ends as what was sent.
fn check(after: &Bench, offer: &Offer, content: &[u8], told: u64) -> Result<(), String> {
    let upload = accept(after.inbox(), offer);
    if upload.durable() < told {
        return Err(format!("{} bytes are there of {told}", upload.durable()));
    }
    bring(&upload, content);
    wait(&upload.commit(content.len() as u64, Some(digest(content))))
        .map_err(|refusal| refusal.to_string())?;
    match fs::read(after.path("big")).unwrap() == content {
        true => Ok(()),
        false => Err("a wrong file".to_owned()),
    }
}

/// Brings what is missing, as far as the inbox takes it.
fn bring(upload: &Upload, content: &[u8]) {
    for extent in upload.missing() {
        let start = extent.offset as usize;
        let end = extent.length.map_or(content.len(), |length| start + length as usize);
        if let Ok(mut body) = upload.body(extent) {
            content[start..end].chunks(GROUP / 2 + 1).for_each(|piece| body.write(piece));
        }
    }
}

#[test]
fn a_power_cut_takes_nothing_that_was_told_to_be_durable_and_makes_no_wrong_file() {
    survives(None).unwrap();
}

#[test]
fn each_sync_of_a_partial_file_is_needed() {
    for step in [Step::SyncPartial, Step::SyncJournal, Step::SyncDir] {
        assert!(survives(Some(step)).is_err(), "nothing is lost without {step:?}");
    }
}

/// One step of all fails, and the sender tries again; whether there were as many steps.
fn finishes_though_a_step_fails(number: usize, errno: Errno) -> bool {
    let content = content(3 * GROUP + 5);
    let offer = Offer {
        digest: Some(digest(&content)),
        ..resumable("big", Some(content.len() as u64), ResumeMode::TakeOver)
    };
    let bench = Bench::in_memory(options());
    let steps = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&steps);
    let failed = Arc::new(Mutex::new(None));
    let noted = Arc::clone(&failed);
    bench.inbox().handle.core.disk.watch(Box::new(move |step| {
        if counted.fetch_add(1, Ordering::Relaxed) != number {
            return Ok(());
        }
        *noted.lock().unwrap() = Some(step);
        Err(errno)
    }));
    let stored = (0..3).any(|_| match bench.inbox().open(&offer) {
        Ok(Verdict::Stored(_)) => true,
        Ok(Verdict::Accepted(upload)) => {
            bring(&upload, &content);
            match wait(&upload.commit(content.len() as u64, None)) {
                Ok(_) => true,
                Err(refusal) => {
                    let code = refusal.code;
                    let known = [RefusalCode::Io, RefusalCode::InsufficientSpace].contains(&code);
                    assert!(known, "step {number}: {refusal}");
                    false
                }
            }
        }
        Ok(other) => panic!("{other:?}"),
        Err(refusal) => {
            assert_ne!(refusal.code, RefusalCode::InvalidState, "step {number}");
            false
        }
    });
    assert!(stored, "step {number} fails with {errno}: the upload cannot be finished");
    let published = bench.published();
    let whole = published.iter().all(|(_, found)| *found == content);
    assert!(whole, "step {number}: a wrong file");
    // A name that could not be made durable is not vouched for to the sender, who sends again: of all that
    // can fail, this alone leaves a copy.
    let is_durable = *failed.lock().unwrap() != Some(Step::SyncDir);
    assert!(published.len() == 1 || !is_durable, "step {number}: {:?}", bench.names());
    steps.load(Ordering::Relaxed) > number
}

#[test]
fn a_step_of_the_disk_that_fails_costs_a_try_and_nothing_else() {
    for errno in [Errno::IO, Errno::NOSPC] {
        let mut number = 0;
        while finishes_though_a_step_fails(number, errno) {
            number += 1;
        }
        assert!(number > 15, "{number}");
    }
}
