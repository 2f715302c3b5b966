//! A disk that is really full.

use sandport_protocol::ResumeMode;

use super::resume::{content, resumable};
use super::*;

const SMALL_DISK: &str = "mount -t tmpfs -o size=2m tmpfs \"$0\"";

fn bench_on(dir: &Path, durability: Durability) -> Inbox {
    let options = InboxOptions { durability, ..InboxOptions::default() };
    Inbox::create(&dir.join("inbox"), options).unwrap()
}

#[test]
fn a_full_disk_refuses_the_upload_gives_its_room_back_and_the_inbox_goes_on() {
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
        let announce = |size| inbox.open(&Offer { size: Some(size), ..offer("a", b"") });
        assert_eq!(code(announce(3 << 20)), RefusalCode::InsufficientSpace);
        assert!(matches!(announce(1 << 20), Ok(Verdict::Accepted(_))));
    });
}

#[test]
fn a_floor_of_free_space_is_kept_and_uploads_go_on_when_there_is_room_again() {
    namespace::run_inside(namespace::MOUNT, "mount -t tmpfs -o size=8m tmpfs \"$0\"", |dir| {
        for durability in [Durability::Commit, Durability::None] {
            let options = InboxOptions { durability, free_min: 4 << 20, ..InboxOptions::default() };
            let inbox = Inbox::create(&dir.join("inbox"), options).unwrap();
            // Refused when it is announced, although it would fit.
            let announced = inbox.open(&Offer { size: Some(5 << 20), ..offer("a", b"") });
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
        fs::remove_file(dir.join("inbox/f0")).unwrap();
        send(&inbox, "again", b"x").unwrap();
    });
}

/// Brings an upload of 4 MiB under a resume key until `fault` stops it; after `make_room` it goes on
/// where it was stopped.
fn stopped_and_resumed(inbox: &Inbox, fault: RefusalCode, make_room: impl FnOnce()) {
    let content = content(4 << 20);
    let offer = resumable("big", None, ResumeMode::TakeOver);
    let upload = accept(inbox, &offer);
    let mut body = upload.body(ALL).unwrap();
    content.chunks(1 << 18).for_each(|piece| body.write(piece));
    assert_eq!(upload.fault().unwrap().code, fault);
    drop((body, upload));
    assert!(!inbox.dir().join("big").exists());

    make_room();
    send(inbox, "small", b"x").unwrap();
    let upload = accept(inbox, &offer);
    let missing = upload.missing()[0];
    assert!(missing.offset >= 1 << 20, "what had come is kept: {missing:?}");
    upload.body(missing).unwrap().write(&content[usize::try_from(missing.offset).unwrap()..]);
    let receipt = wait(&upload.commit(4 << 20, Some(digest(&content)))).unwrap();
    assert_eq!(receipt.name, "big");
    assert_eq!(fs::read(inbox.dir().join("big")).unwrap(), content);
}

#[test]
fn an_upload_that_met_a_full_disk_a_floor_or_a_quota_goes_on_when_there_is_room() {
    namespace::run_inside(namespace::MOUNT, "mount -t tmpfs -o size=8m tmpfs \"$0\"", |dir| {
        for durability in [Durability::Full, Durability::Commit, Durability::None] {
            let usual = InboxOptions { durability, ..InboxOptions::default() };
            let quota = Quota::new(Some(5 << 20), None);
            let (full, over) = (RefusalCode::InsufficientSpace, RefusalCode::QuotaExceeded);
            for (options, fault, ballast) in [
                (usual.clone(), full, 5 << 20),
                (InboxOptions { free_min: 1 << 20, ..usual.clone() }, full, 5 << 20),
                (InboxOptions { quota, ..usual.clone() }, over, 3 << 20),
            ] {
                let inbox = dir.join("inbox");
                fs::create_dir(&inbox).unwrap();
                fs::write(inbox.join("ballast"), vec![0; ballast]).unwrap();
                let inbox = Inbox::create(&inbox, options).unwrap();
                let ballast = inbox.dir().join("ballast");
                stopped_and_resumed(&inbox, fault, || {
                    fs::remove_file(ballast).unwrap();
                    if let Some(usage) = &inbox.handle.core.usage {
                        usage.end_pause();
                    }
                });
                let dir = inbox.dir().to_owned();
                drop(inbox);
                fs::remove_dir_all(dir).unwrap();
            }
        }
    });
}
