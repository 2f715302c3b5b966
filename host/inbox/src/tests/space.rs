//! Uploads that want more of the disk than there is, together, and what becomes of the disk.

use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, SystemTime};

use rustix::io::Errno;
use sandport_protocol::inbox::{JumpResistantClock, Reading};
use sandport_protocol::{Resume, ResumeMode};

use super::resume::{content, resumable};
use super::*;
use crate::disk::Step;
use crate::expiry;
use crate::maintenance;

const MIB: usize = 1 << 20;

const DISK_OF_16_MIB: &str = "mount -t tmpfs -o size=16m tmpfs \"$0\"";

/// Runs `work` over an empty inbox on a disk of 16 MiB.
fn on_16_mib(work: impl Fn(&Inbox)) {
    namespace::run_inside(namespace::MOUNT, DISK_OF_16_MIB, |dir| {
        let inbox = Inbox::open(&dir.join("inbox"), InboxOptions::default()).unwrap();
        work(&inbox);
    });
}

/// An upload of so much that can be resumed, by its key.
fn keyed(key: u8, size: Option<usize>) -> Offer {
    let resume = Some(Resume { key: [key; 32], epoch: 1, mode: ResumeMode::TakeOver });
    let name = format!("big{key}");
    let size = size.map(|size| size as u64);
    Offer { resume, ..resumable(&name, size, ResumeMode::TakeOver) }
}

fn is_full<T: fmt::Debug>(result: Result<T, Refusal>) -> bool {
    code(result) == RefusalCode::InsufficientSpace
}

/// Brings all that is missing of an upload, and ends it.
fn finish(upload: Upload, content: &[u8]) -> Result<Receipt, Refusal> {
    super::resume::bring(&upload, content);
    wait(&upload.commit(content.len() as u64, Some(digest(content))))
}

fn partials(inbox: &Inbox) -> usize {
    settle(inbox);
    fs::read_dir(inbox.dir().join(".sandport/partials")).unwrap().count()
}

#[test]
fn of_two_uploads_that_fit_alone_the_first_is_stored() {
    on_16_mib(|inbox| {
        let content = content(10 * MIB);
        let with_key = [keyed(1, Some(content.len())), keyed(2, Some(content.len()))];
        let plain = with_key.clone().map(|offer| Offer { resume: None, ..offer });
        for [first, second] in [with_key, plain] {
            // Both are announced before anything has come.
            let (first, second) = (accept(inbox, &first), accept(inbox, &second));
            let mut body = first.body(extent_of(0, MIB)).unwrap();
            body.write(&content[..MIB]);
            drop(body);
            second.body(ALL).unwrap().write(&content[..MIB]);
            assert_eq!(second.fault().unwrap().code, RefusalCode::InsufficientSpace);
            // And nobody else is let in meanwhile whose file would not fit beside it.
            assert!(is_full(inbox.offered(&offer("third", &content))));
            drop(second);
            let receipt = finish(first, &content).unwrap();
            send(inbox, "tiny", b"tiny").unwrap();
            fs::remove_file(inbox.dir().join(receipt.name)).unwrap();
            fs::remove_file(inbox.dir().join("tiny")).unwrap();
        }
    });
}

fn extent_of(offset: u64, length: usize) -> Extent {
    Extent { offset, length: Some(length as u64) }
}

#[test]
fn an_upload_whose_connection_is_gone_claims_nothing() {
    on_16_mib(|inbox| {
        let content = content(10 * MIB);
        let first = accept(inbox, &keyed(1, Some(content.len())));
        first.body(ALL).unwrap().write(&content[..MIB]);
        assert!(is_full(inbox.offered(&keyed(2, Some(content.len())))));
        drop(first);
        let second = accept(inbox, &keyed(2, Some(content.len())));
        let receipt = finish(second, &content).unwrap();
        fs::remove_file(inbox.dir().join(receipt.name)).unwrap();
        // What it holds it keeps.
        let again = accept(inbox, &keyed(1, Some(content.len())));
        assert_eq!(again.missing(), [extent_of(MIB as u64, 9 * MIB)]);
    });
}

#[test]
fn connections_that_carry_one_upload_claim_it_once() {
    on_16_mib(|inbox| {
        let content = content(12 * MIB);
        let first = accept(inbox, &keyed(1, Some(content.len())));
        first.body(extent_of(0, MIB)).unwrap().write(&content[..MIB]);
        let mut join = keyed(1, Some(content.len()));
        join.resume = join.resume.map(|resume| Resume { mode: ResumeMode::Join, ..resume });
        let second = accept(inbox, &join);
        super::resume::bring(&second, &content);
        let pending = second.commit(content.len() as u64, None);
        wait(&first.commit(content.len() as u64, None)).unwrap();
        wait(&pending).unwrap();
    });
}

#[test]
fn a_stream_does_not_take_what_an_upload_has_announced() {
    on_16_mib(|inbox| {
        let content = content(10 * MIB);
        for resume in [None, keyed(2, None).resume] {
            let first = accept(inbox, &keyed(1, Some(content.len())));
            first.body(extent_of(0, MIB)).unwrap().write(&content[..MIB]);
            let stream = accept(inbox, &Offer { resume, ..keyed(2, None) });
            let mut body = stream.body(ALL).unwrap();
            let taken = (0..64).take_while(|_| {
                body.write(&[7; MIB / 4]);
                stream.fault().is_none()
            });
            let taken = taken.count();
            assert!((8..=24).contains(&taken), "{taken} quarters of a megabyte");
            assert_eq!(stream.fault().unwrap().code, RefusalCode::InsufficientSpace);
            drop((body, stream));
            let receipt = finish(first, &content).unwrap();
            fs::remove_file(inbox.dir().join(receipt.name)).unwrap();
        }
    });
}

/// Fills the disk with an upload that another program leaves too little room for.
fn refused_for_space(inbox: &Inbox, key: u8) {
    let ballast = inbox.dir().join("ballast");
    let upload = accept(inbox, &keyed(key, Some(10 * MIB)));
    fs::write(&ballast, vec![0; 9 * MIB]).unwrap();
    let mut body = upload.body(ALL).unwrap();
    content(10 * MIB).chunks(MIB / 4).for_each(|piece| body.write(piece));
    assert_eq!(upload.fault().unwrap().code, RefusalCode::InsufficientSpace);
    drop((body, upload));
    until("the end of the upload", || inbox.handle.registry.is_empty());
    assert!(partials(inbox) > 0, "what came is kept");
}

#[test]
fn a_full_disk_takes_a_small_file_for_a_refused_upload() {
    on_16_mib(|inbox| {
        refused_for_space(inbox, 1);
        send(inbox, "tiny", b"tiny").unwrap();
        assert_eq!(partials(inbox), 0, "the upload is gone");
        let again = accept(inbox, &keyed(1, Some(5 * MIB)));
        assert_eq!(again.missing(), [extent_of(0, 5 * MIB)], "it begins anew");
    });
}

#[test]
fn a_full_disk_takes_an_upload_in_place_of_one_that_was_refused() {
    on_16_mib(|inbox| {
        refused_for_space(inbox, 1);
        let content = content(5 * MIB);
        let too_large = keyed(2, Some(15 * MIB));
        assert!(is_full(inbox.offered(&too_large)), "it would not fit in its place either");
        let next = accept(inbox, &keyed(3, Some(content.len())));
        assert!(partials(inbox) > 0, "the other goes when something comes of this one");
        finish(next, &content).unwrap();
    });
}

#[test]
fn an_upload_that_was_refused_and_is_resumed_is_not_given_up() {
    on_16_mib(|inbox| {
        refused_for_space(inbox, 1);
        fs::remove_file(inbox.dir().join("ballast")).unwrap();
        let content = content(10 * MIB);
        let again = accept(inbox, &keyed(1, Some(content.len())));
        let missing = again.missing()[0].offset;
        assert!(missing >= MIB as u64, "what had come is kept: {missing}");
        fs::write(inbox.dir().join("ballast"), vec![0; 8 * MIB]).unwrap();
        // Another file finds no room, and does not get it from this one.
        assert!(is_full(inbox.offered(&offer("other", &content))));
        fs::remove_file(inbox.dir().join("ballast")).unwrap();
        assert_eq!(finish(again, &content).unwrap().name, "big1");
    });
}

/// Runs `work` over an inbox that keeps 4 MiB of its disk of 16 MiB free and has refused an upload therefore: some 6
/// MiB of that wait to be resumed, and nobody has them open.
fn with_one_refused(work: impl Fn(&Inbox)) {
    namespace::run_inside(namespace::MOUNT, DISK_OF_16_MIB, |dir| {
        let watermark_interval = Duration::from_millis(1);
        let options =
            InboxOptions { min_free: 4 << 20, watermark_interval, ..InboxOptions::default() };
        let inbox = Inbox::open(&dir.join("inbox"), options).unwrap();
        let upload = accept(&inbox, &keyed(1, Some(10 * MIB)));
        fs::write(dir.join("ballast"), vec![0; 6 * MIB]).unwrap();
        let mut body = upload.body(ALL).unwrap();
        content(10 * MIB).chunks(MIB / 4).for_each(|piece| body.write(piece));
        assert_eq!(upload.fault().unwrap().code, RefusalCode::InsufficientSpace);
        drop((body, upload));
        until("nobody has the upload open", || inbox.handle.registry.is_empty());
        work(&inbox);
    });
}

/// Fills what is left of the disk.
fn fill(inbox: &Inbox) {
    let mut ballast = fs::File::create(inbox.dir().join("more-ballast")).unwrap();
    while ballast.write_all(&[7; 64 * 1024]).is_ok() {}
}

#[test]
fn an_upload_that_expired_makes_no_room_for_another() {
    with_one_refused(|inbox| {
        let week = Duration::from_secs(7 * 86_400);
        for entry in fs::read_dir(inbox.dir().join(".sandport/partials")).unwrap() {
            let file = fs::File::options().write(true).open(entry.unwrap().path()).unwrap();
            file.set_modified(SystemTime::now() - 2 * week).unwrap();
        }
        let mut clock = JumpResistantClock::default();
        let now = maintenance::now();
        let mut hour_s = 0;
        // Who closes it may be at that still.
        until("it has expired", || {
            let reading = Reading { wall_s: now.wall_s + hour_s, boot_s: now.boot_s + hour_s };
            expiry::pass(&inbox.handle.core, week, &mut clock, reading);
            hour_s += 3_600;
            partials(inbox) == 0
        });
        fill(inbox);
        assert!(is_full(inbox.offered(&keyed(2, Some(MIB + 1)))));
    });
}

#[test]
fn an_upload_that_another_program_removed_makes_no_room() {
    with_one_refused(|inbox| {
        assert!(partials(inbox) > 0);
        for entry in fs::read_dir(inbox.dir().join(".sandport/partials")).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        fill(inbox);
        assert!(is_full(inbox.offered(&offer("tiny", b"tiny"))));
        fs::remove_file(inbox.dir().join("more-ballast")).unwrap();
        // The system frees it when nobody has it open, as who moves watermarks may.
        until("there is room", || send(inbox, "tiny", b"tiny").is_ok());
    });
}

/// A disk of 16 MiB with an inbox, and another directory of it that is mounted there.
const BOUND: &str = "mount -t tmpfs -o size=16m tmpfs \"$0\" && mkdir -p \"$0/other\" \"$0/inbox/bound\" && \
    mount --bind \"$0/other\" \"$0/inbox/bound\"";

/// Runs `work` over an inbox on a disk of 16 MiB for each directory into which files can only be copied: a mount of the
/// same disk, and one that has what this user may not give a file.
fn where_files_take_room_twice(work: impl Fn(&Inbox, &str)) {
    namespace::run_inside(namespace::MOUNT, BOUND, |dir| {
        let inbox = Inbox::open(&dir.join("inbox"), InboxOptions::default()).unwrap();
        let team = dir.join("inbox/team");
        fs::create_dir(&team).unwrap();
        fs::set_permissions(&team, fs::Permissions::from_mode(0o2775)).unwrap();
        inbox.handle.core.disk.watch(Box::new(|step| match step {
            Step::SetAccess => Err(Errno::PERM),
            _ => Ok(()),
        }));
        work(&inbox, "bound");
        work(&inbox, "team");
    });
}

#[test]
fn a_file_that_will_be_copied_is_refused_where_only_one_fits() {
    where_files_take_room_twice(|inbox, directory| {
        for with_key in [true, false] {
            let announced = |key: u8, directory: &str, size: usize| {
                let offer = keyed(key, Some(size));
                let resume = offer.resume.filter(|_| with_key);
                inbox.offered(&Offer { name: Some(format!("{directory}/{key}")), resume, ..offer })
            };
            assert!(is_full(announced(1, directory, 10 * MIB)), "{directory}");
            assert!(matches!(announced(2, "plain", 10 * MIB), Ok(OfferResponse::Accepted(_))));
            let Ok(OfferResponse::Accepted(upload)) = announced(3, directory, 6 * MIB) else {
                panic!("two of them fit")
            };
            let receipt = finish(upload, &content(6 * MIB)).unwrap();
            fs::remove_file(inbox.dir().join(receipt.name)).unwrap();
        }
    });
}

#[test]
fn others_do_not_take_the_room_of_a_copy() {
    where_files_take_room_twice(|inbox, directory| {
        let content = content(6 * MIB);
        let first = Offer { name: Some(format!("{directory}/a")), ..keyed(1, Some(content.len())) };
        let first = accept(inbox, &first);
        first.body(extent_of(0, MIB)).unwrap().write(&content[..MIB]);
        assert!(is_full(inbox.offered(&keyed(2, Some(6 * MIB)))), "{directory}");
        let receipt = finish(first, &content).unwrap();
        fs::remove_file(inbox.dir().join(receipt.name)).unwrap();
    });
}
