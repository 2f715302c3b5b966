//! A disk that is really full.

use std::io::Write as _;

use sandport_protocol::ResumeMode;

use super::resume::{content, resumable};
use super::*;

const SMALL_DISK: &str = "mount -t tmpfs -o size=2m tmpfs \"$0\"";

fn bench_on(dir: &Path, durability: Durability) -> Inbox {
    let options = InboxOptions { durability, ..InboxOptions::default() };
    Inbox::open(&dir.join("inbox"), options).unwrap()
}

#[test]
fn a_full_disk_refuses_the_upload_and_gives_its_room_back() {
    namespace::run_inside(namespace::MOUNT, SMALL_DISK, |dir| {
        for durability in [Durability::Commit, Durability::None] {
            let inbox = bench_on(dir, durability);
            let staging = dir.join("inbox/.sandport/staging");
            // A size that is not known cannot be refused when it is announced.
            let unknown = Offer { size: None, ..offer("big", b"") };
            let upload = accept(&inbox, &unknown);
            let mut body = upload.body(ALL).unwrap();
            for _ in 0..40 {
                body.write(&[7; 64 * 1024]);
            }
            assert_eq!(upload.fault().unwrap().code, RefusalCode::InsufficientSpace);
            settle(&inbox);
            assert_eq!(fs::read_dir(&staging).unwrap().count(), 0);
            drop(body);
            let outcome = wait(&upload.commit(40 * 64 * 1024, None));
            assert_eq!(code(outcome), RefusalCode::InsufficientSpace);
            assert!(!dir.join("inbox/big").exists());

            let content = vec![1; 1024 * 1024];
            let name = format!("fits-{durability:?}");
            send(&inbox, &name, &content).unwrap();
            assert_eq!(fs::read(dir.join("inbox").join(&name)).unwrap(), content);
            fs::remove_file(dir.join("inbox").join(&name)).unwrap();
        }
    });
}

#[test]
fn an_announced_size_is_compared_with_the_free_space() {
    namespace::run_inside(namespace::MOUNT, SMALL_DISK, |dir| {
        let inbox = bench_on(dir, Durability::Commit);
        let announce = |size| inbox.offered(&Offer { size: Some(size), ..offer("a", b"") });
        assert_eq!(code(announce(3 << 20)), RefusalCode::InsufficientSpace);
        assert!(matches!(announce(1 << 20), Ok(OfferResponse::Accepted(_))));
    });
}

#[test]
fn a_floor_of_free_space_is_kept_and_uploads_resume_above_it() {
    namespace::run_inside(namespace::MOUNT, "mount -t tmpfs -o size=8m tmpfs \"$0\"", |dir| {
        for durability in [Durability::Commit, Durability::None] {
            let options = InboxOptions { durability, min_free: 4 << 20, ..InboxOptions::default() };
            let inbox = Inbox::open(&dir.join("inbox"), options).unwrap();
            // Refused when it is announced, although it would fit.
            let announced = inbox.offered(&Offer { size: Some(5 << 20), ..offer("a", b"") });
            assert_eq!(code(announced), RefusalCode::InsufficientSpace);
            // And while bytes pass, where the size was not known.
            let upload = accept(&inbox, &Offer { size: None, ..offer("a", b"") });
            let mut body = upload.body(ALL).unwrap();
            let mut taken = 0;
            while upload.fault().is_none() && taken < 64 {
                body.write(&[7; 256 * 1024]);
                taken += 1;
            }
            assert_eq!(upload.fault().unwrap().code, RefusalCode::InsufficientSpace);
            // The floor, and the megabyte that one upload may go under it.
            assert!(taken <= 5 * 4 + 1, "{taken} quarters of a megabyte");
            drop(body);
            drop(upload);
            settle(&inbox);

            fs::write(dir.join("ballast"), vec![0; 5 << 20]).unwrap();
            assert_eq!(code(send(&inbox, "small", b"x")), RefusalCode::InsufficientSpace);
            fs::remove_file(dir.join("ballast")).unwrap();
            send(&inbox, "small", b"x").unwrap();
            fs::remove_file(dir.join("inbox/small")).unwrap();
        }
    });
}

#[test]
fn no_room_for_the_receipt_publishes_nothing() {
    namespace::run_inside(namespace::MOUNT, SMALL_DISK, |dir| {
        let inbox = bench_on(dir, Durability::Commit);
        let waiting = upload(&inbox, &offer("a", b"hello"), b"hello");
        let fill = |name: &str| fs::write(dir.join(name), vec![0; 3 << 20]);
        fill("ballast").unwrap_err();
        assert_eq!(code(wait(&waiting.commit(5, None))), RefusalCode::InsufficientSpace);
        assert!(!dir.join("inbox/a").exists());
        fs::remove_file(dir.join("ballast")).unwrap();
        send(&inbox, "a", b"hello").unwrap();
    });
}

#[test]
fn no_inodes_left_is_no_space_left() {
    let setup = "mount -t tmpfs -o nr_inodes=60 tmpfs \"$0\"";
    namespace::run_inside(namespace::MOUNT, setup, |dir| {
        let inbox = bench_on(dir, Durability::Commit);
        let refusal = (0..100)
            .map(|n| send(&inbox, &format!("f{n}"), b"x"))
            .find_map(Result::err)
            .expect("the disk fills up");
        assert_eq!(refusal.code, RefusalCode::InsufficientSpace);
        assert!(refusal.to_string().contains("no inode left"), "{refusal}");
        fs::remove_file(dir.join("inbox/f0")).unwrap();
        send(&inbox, "again", b"x").unwrap();
    });
}

/// Bytes of an upload that meets a limit. Four groups.
const STOPPED_BYTES: usize = 4 << 20;

/// Brings an upload under a resume key until `fault` stops it. `fill` comes between offer and bytes.
fn stopped(inbox: &Inbox, offer: &Offer, fault: RefusalCode, fill: impl FnOnce()) {
    // Made before: what is counted by then is believed for a second.
    let content = content(STOPPED_BYTES);
    let upload = accept(inbox, offer);
    fill();
    let mut body = upload.body(ALL).unwrap();
    content.chunks(1 << 18).for_each(|piece| body.write(piece));
    assert_eq!(upload.fault().unwrap().code, fault);
    drop((body, upload));
    assert!(!inbox.dir().join("big").exists());
}

/// Sends what is missing of it; from where on that was.
fn gone_on(inbox: &Inbox, offer: &Offer) -> u64 {
    send(inbox, "small", b"x").unwrap();
    let content = content(STOPPED_BYTES);
    let upload = accept(inbox, offer);
    let missing = upload.missing()[0];
    upload.body(missing).unwrap().write(&content[usize::try_from(missing.offset).unwrap()..]);
    let receipt = wait(&upload.commit(STOPPED_BYTES as u64, Some(digest(&content)))).unwrap();
    assert_eq!(receipt.name, "big");
    assert_eq!(fs::read(inbox.dir().join("big")).unwrap(), content);
    missing.offset
}

/// Runs `work` in an empty inbox for each of the options and each durability, on a disk of 8 MiB.
fn on_8_mib(cases: &[(InboxOptions, RefusalCode)], work: impl Fn(&Inbox, RefusalCode)) {
    namespace::run_inside(namespace::MOUNT, "mount -t tmpfs -o size=8m tmpfs \"$0\"", |dir| {
        for durability in [Durability::Full, Durability::Commit, Durability::None] {
            for (options, fault) in cases {
                let path = dir.join("inbox");
                let options = InboxOptions { durability, ..options.clone() };
                work(&Inbox::open(&path, options).unwrap(), *fault);
                fs::remove_dir_all(path).unwrap();
            }
        }
    });
}

#[test]
fn an_upload_that_met_a_full_disk_or_a_floor_resumes_with_room() {
    let floor = InboxOptions { min_free: 1 << 20, ..InboxOptions::default() };
    let full = RefusalCode::InsufficientSpace;
    on_8_mib(&[(InboxOptions::default(), full), (floor, full)], |inbox, fault| {
        let ballast = inbox.dir().join("ballast");
        let offer = resumable("big", Some(STOPPED_BYTES as u64), ResumeMode::TakeOver);
        stopped(inbox, &offer, fault, || fs::write(&ballast, vec![0; 5 << 20]).unwrap());
        fs::remove_file(ballast).unwrap();
        let from = gone_on(inbox, &offer);
        assert!(from >= 1 << 20, "what had come is kept: {from}");
    });
}

#[test]
fn a_stream_that_met_a_full_disk_can_be_sent_when_there_is_room() {
    let quota = Quota::new(Some(5 << 20), None);
    let quota = InboxOptions { quota, ..InboxOptions::default() };
    let (full, over) = (RefusalCode::InsufficientSpace, RefusalCode::QuotaExceeded);
    on_8_mib(&[(InboxOptions::default(), full), (quota, over)], |inbox, fault| {
        let ballast = inbox.dir().join("ballast");
        let offer = resumable("big", None, ResumeMode::TakeOver);
        let usage = inbox.handle.core.usage.as_ref();
        stopped(inbox, &offer, fault, || {
            // With the quota there is room on the disk.
            fs::write(&ballast, vec![0; if fault == over { 3 } else { 5 } << 20]).unwrap();
            usage.inspect(|usage| usage.count_now());
        });
        let partials = inbox.dir().join(".sandport/partials");
        until("the end of the stream", || fs::read_dir(&partials).unwrap().count() == 0);
        fs::remove_file(ballast).unwrap();
        usage.inspect(|usage| usage.count_now());
        assert_eq!(gone_on(inbox, &offer), 0);
    });
}

#[test]
fn an_inbox_on_a_full_disk_is_served_again() {
    namespace::run_inside(namespace::MOUNT, SMALL_DISK, |dir| {
        drop(bench_on(dir, Durability::Commit));
        let mut ballast = fs::File::create(dir.join("ballast")).unwrap();
        // What is left of the last block is filled too.
        for chunk in [vec![0; 64 * 1024], vec![0; 1]] {
            while ballast.write_all(&chunk).is_ok() {}
        }
        drop(ballast);
        let inbox = bench_on(dir, Durability::Commit);
        assert_eq!(code(send(&inbox, "a", b"content")), RefusalCode::InsufficientSpace);
        fs::remove_file(dir.join("ballast")).unwrap();
        send(&inbox, "a", b"content").unwrap();
    });
}
