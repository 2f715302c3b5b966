//! What uploads hold that nobody is at, or that are only begun: nothing that others may need.

use std::os::unix::fs::MetadataExt;
use std::sync::{Arc, Condvar, Mutex};

use rustix::io::Errno;
use sandport_protocol::journal::GROUP_BYTES;
use sandport_protocol::{Resume, ResumeMode};

use super::resume::{
    GROUP, bring, content, extent, finish, offer_of, options, partials, resumable,
};
use super::*;
use crate::disk::Step;
use sandport_testkit::patience::PATIENCE;

/// Waits until no upload is open.
fn wait_closed(bench: &Bench) {
    until("the end of all uploads", || bench.inbox().handle.partials.is_empty());
}

/// How many descriptors this process has of files in `.sandport/partials`.
fn descriptors(bench: &Bench) -> usize {
    let folder = bench.path(".sandport/partials").canonicalize().unwrap();
    let open = fs::read_dir("/proc/self/fd").unwrap();
    let paths = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
    paths.filter(|path| path.starts_with(&folder) && *path != folder).count()
}

fn reserved(bench: &Bench) -> [u64; 2] {
    let [_, _, bytes, files] = bench.inbox().handle.core.usage.as_ref().unwrap().totals();
    [bytes, files]
}

/// What waits to be resumed counts as so many bytes.
fn waiting(bench: &Bench) -> u64 {
    let usage = bench.inbox().handle.core.usage.as_ref().unwrap();
    usage.share(&Identity::ANONYMOUS)[4]
}

fn quota(bytes: u64) -> InboxOptions {
    let quota = Quota::new(Some(bytes), None);
    InboxOptions { quota, identity_quota: quota, ..options(u64::MAX) }
}

fn keyed(key: u8, size: usize) -> Offer {
    let resume = Some(Resume { key: [key; 32], epoch: 1, mode: ResumeMode::TakeOver });
    Offer { resume, ..resumable(&format!("big{key}"), Some(size as u64), ResumeMode::TakeOver) }
}

#[test]
fn refused_offers_leave_nothing_open_and_nothing_reserved() {
    let content = content(3 * GROUP);
    let bench = Bench::in_memory(quota(64 << 20));
    let cut = accept(bench.inbox(), &offer_of(&content));
    cut.body(extent(0, 2 * GROUP)).unwrap().write(&content[..2 * GROUP]);
    drop(cut);
    wait_closed(&bench);
    for size in [2 * GROUP, 5 * GROUP, 40 * GROUP] {
        let other_size = resumable("big", Some(size as u64), ResumeMode::TakeOver);
        assert_eq!(code(bench.inbox().offered(&other_size)), RefusalCode::InvalidState);
        let other_name = resumable("other", Some(content.len() as u64), ResumeMode::TakeOver);
        assert_eq!(code(bench.inbox().offered(&other_name)), RefusalCode::InvalidState);
    }
    wait_closed(&bench);
    assert_eq!((descriptors(&bench), reserved(&bench)), (0, [0, 0]));
    let again = accept(bench.inbox(), &offer_of(&content));
    assert_eq!(again.missing(), [extent(2 * GROUP, GROUP)]);
    bring(&again, &content);
    finish(again, &content);
}

#[test]
fn refusals_lost_connections_and_a_full_disk_leave_no_excess() {
    let content = content(3 * GROUP);
    let bench = Bench::in_memory(quota(64 << 20));
    let bring_again = |key: u8| {
        let offer = keyed(key, content.len());
        let upload = accept(bench.inbox(), &offer);
        upload.body(extent(0, 2 * GROUP)).unwrap().write(&content[..2 * GROUP]);
        for size in [2 * GROUP, 5 * GROUP] {
            let other = Offer { size: Some(size as u64), ..offer.clone() };
            assert_eq!(code(bench.inbox().offered(&other)), RefusalCode::InvalidState);
        }
        drop(upload);
        wait_closed(&bench);
        let upload = accept(bench.inbox(), &offer);
        let disk = &bench.inbox().handle.core.disk;
        disk.watch(Box::new(|step| match step {
            Step::Write => Err(Errno::NOSPC),
            _ => Ok(()),
        }));
        upload.body(extent(2 * GROUP, GROUP)).unwrap().write(&content[2 * GROUP..]);
        assert_eq!(upload.fault().map(|fault| fault.code), Some(RefusalCode::InsufficientSpace));
        drop(upload);
        wait_closed(&bench);
        disk.watch(Box::new(|_| Ok(())));
        assert_eq!((descriptors(&bench), reserved(&bench)), (0, [0, 0]));
        assert_eq!(waiting(&bench), 2 * GROUP as u64);
        let upload = accept(bench.inbox(), &offer);
        bring(&upload, &content);
        finish(upload, &content);
        wait_closed(&bench);
    };
    for key in 1..=12 {
        bring_again(key);
        assert_eq!((descriptors(&bench), reserved(&bench), waiting(&bench)), (0, [0, 0], 0));
        assert_eq!(partials(&bench), [""; 0]);
    }
}

#[test]
fn an_offer_that_nobody_waits_for_any_more_leaves_nothing_open() {
    let content = content(3 * GROUP);
    let bench = Bench::in_memory(quota(64 << 20));
    let offer = offer_of(&content);
    for _ in 0..20 {
        let mut opening = Box::pin(bench.inbox().offer(&Identity::ANONYMOUS, &offer));
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let _ = opening.as_mut().poll(&mut context);
    }
    wait_closed(&bench);
    assert_eq!((descriptors(&bench), reserved(&bench)), (0, [0, 0]));
}

#[test]
fn a_byte_far_out_does_not_take_the_quota_of_what_was_announced() {
    let size = 270 * GROUP;
    let bench = Bench::in_memory(quota(300 << 20));
    let upload = accept(bench.inbox(), &keyed(1, size));
    upload.body(extent(size - GROUP, 1)).unwrap().write(b"x");
    drop(upload);
    wait_closed(&bench);
    assert!(waiting(&bench) <= 4096, "{}", waiting(&bench));
    // Another one of the same size fits beside it.
    accept(bench.inbox(), &keyed(2, size));
}

#[test]
fn the_unkept_rest_of_an_upload_takes_no_room_after_its_end() {
    let count = 100;
    let bench = Bench::in_memory(options(u64::MAX));
    let upload = accept(bench.inbox(), &keyed(1, count * GROUP));
    let bodies: Vec<Body> = (0..count)
        .map(|group| {
            let mut body = upload.body(extent(group * GROUP, 8192)).unwrap();
            body.write(&[7; 8192]);
            body
        })
        .collect();
    drop((bodies, upload));
    wait_closed(&bench);
    let name = partials(&bench).into_iter().find(|name| name.ends_with(".data")).unwrap();
    let data = fs::metadata(bench.path(".sandport/partials").join(name)).unwrap();
    // The first of them is kept.
    assert!(data.blocks() * 512 <= 8192, "{} blocks", data.blocks());
}

#[test]
fn what_is_kept_takes_at_most_twice_what_was_sent() {
    let lengths = (0..24_000).step_by(1_024).flat_map(|length| [length, length + 1]);
    for length in lengths.chain([8_191, GROUP - 1, GROUP + 1]) {
        let bench = Bench::in_memory(options(u64::MAX));
        let upload = accept(bench.inbox(), &keyed(1, 40 * GROUP));
        upload.body(extent(0, length)).unwrap().write(&vec![7; length]);
        drop(upload);
        wait_closed(&bench);
        let files = partials(&bench).into_iter();
        let blocks = files.map(|name| {
            fs::metadata(bench.path(".sandport/partials").join(name)).unwrap().blocks()
        });
        let bytes = blocks.sum::<u64>() * 512;
        assert!(bytes <= 2 * length as u64, "{bytes} bytes of disk for {length}");
        assert_eq!(bytes > 0, length >= 8_192, "{bytes} bytes of disk for {length}");
    }
}

#[test]
fn uploads_of_a_byte_have_no_file_and_no_descriptor() {
    let bench = Bench::in_memory(options(u64::MAX));
    let uploads: Vec<Upload> = (0..100)
        .map(|key| {
            let upload = accept(bench.inbox(), &keyed(key, 3 * GROUP));
            upload.body(extent(0, 1)).unwrap().write(b"x");
            upload
        })
        .collect();
    assert_eq!((descriptors(&bench), partials(&bench).len()), (0, 0));
    drop(uploads);
    wait_closed(&bench);
    // So little is sooner sent again than kept.
    assert_eq!((descriptors(&bench), partials(&bench).len()), (0, 0));
}

#[test]
fn many_uploads_share_few_descriptors_and_all_are_stored() {
    let content = content(2 * GROUP);
    let bench = Bench::in_memory(InboxOptions { max_open_files: 8, ..options(GROUP_BYTES / 2) });
    let uploads: Vec<Upload> = (0..40)
        .map(|key| {
            let upload = accept(bench.inbox(), &keyed(key, content.len()));
            upload.body(extent(0, GROUP + 5)).unwrap().write(&content[..GROUP + 5]);
            upload
        })
        .collect();
    assert!(descriptors(&bench) <= 16, "{}", descriptors(&bench));
    for upload in uploads {
        bring(&upload, &content);
        finish(upload, &content);
    }
    assert!(bench.published().iter().all(|(_, found)| *found == content));
}

#[test]
fn beginning_anew_frees_what_is_here_before_it_asks_for_room() {
    let content = content(4 * GROUP);
    let bench = Bench::in_memory(quota(4 * GROUP_BYTES));
    let cut = accept(bench.inbox(), &offer_of(&content));
    cut.body(extent(0, 2 * GROUP)).unwrap().write(&content[..2 * GROUP]);
    drop(cut);
    wait_closed(&bench);
    bench.send("other", &vec![1; 2 * GROUP]).unwrap();
    let anew = resumable("big", Some(2 * GROUP_BYTES), ResumeMode::Restart);
    let upload = accept(bench.inbox(), &anew);
    bring(&upload, &content[..2 * GROUP]);
    finish(upload, &content[..2 * GROUP]);
}

/// Lets no sync of data end before it is dropped.
struct Held(Arc<(Mutex<(bool, bool)>, Condvar)>);

impl Held {
    fn of(bench: &Bench) -> Self {
        let gate = Arc::<(Mutex<(bool, bool)>, Condvar)>::default();
        let held = Arc::clone(&gate);
        bench.inbox().handle.core.disk.watch_syncs(Box::new(move |step, _, _| {
            if step == Step::SyncPartial {
                let mut gate = held.0.lock().unwrap();
                gate.0 = true;
                let waited = held.1.wait_timeout_while(gate, PATIENCE, |(_, is_open)| !*is_open);
                assert!(!waited.unwrap().1.timed_out(), "waited {PATIENCE:?} to be let go");
            }
        }));
        Self(gate)
    }

    fn is_reached(&self) -> bool {
        self.0.0.lock().unwrap().0
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().1 = true;
        self.0.1.notify_all();
    }
}

#[test]
fn an_upload_that_waits_for_the_disk_keeps_no_other_waiting() {
    let content = content(3 * GROUP);
    let bench = Bench::in_memory(options(u64::MAX));
    let left = accept(bench.inbox(), &keyed(1, content.len()));
    left.body(extent(0, GROUP)).unwrap().write(&content[..GROUP]);
    let held = Held::of(&bench);
    drop(left);
    until("the last watermark of the upload", || held.is_reached());
    // Others begin, come far, and are given up.
    for key in [2, 3] {
        let other = accept(bench.inbox(), &keyed(key, content.len()));
        bring(&other, &content);
        other.discard();
    }
    // Nor is who comes back for this very one kept waiting for the disk.
    let again = accept(bench.inbox(), &keyed(1, content.len()));
    assert_eq!(again.missing(), [extent(GROUP, 2 * GROUP)]);
    drop(held);
}
