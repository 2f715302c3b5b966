//! What was left behind: uploads that can be resumed, what a killed server staged, and what others put
//! between them.

use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use sandport_protocol::ResumeMode;
use sandport_protocol::inbox::{JumpResistantClock, Reading};
use sandport_protocol::journal::{Begun, Entry, GROUP_BYTES, Kept, Tail, Writer};

use super::resume::{content, resumable};
use super::*;
use crate::expiry;
use crate::maintenance::{self, LeftoverKind, clean, list_partials};

const DAY: Duration = Duration::from_secs(24 * 3_600);

const ID: &str = "00112233445566778899aabbccddeeff";
const OTHER: &str = "ffeeddccbbaa99887766554433221100";

/// Puts an upload of 4 MiB there that has come to one group and 5 bytes of the next, and that was
/// active some time ago.
fn leave_partial(bench: &Bench, id: &str, name: &str, ago: Duration) {
    let partials = bench.path(".sandport/partials");
    fs::create_dir_all(&partials).unwrap();
    let begun = Begun {
        name: name.to_owned(),
        size: Some(4 * GROUP_BYTES),
        identity: None,
        begun_s: 1_700_000_000,
    };
    let (mut writer, mut journal) = Writer::begin([7; 16], begun);
    let tail = Some(Tail { group: 1, length: 5, value: [0; 32] });
    writer.push(
        &mut journal,
        &Entry::Kept(Kept { boot: None, first: 0, groups: vec![[0; 32]], tail }),
    );
    fs::write(partials.join(format!("{id}.journal")), journal).unwrap();
    fs::write(partials.join(format!("{id}.data")), vec![0; GROUP_BYTES as usize + 5]).unwrap();
    for suffix in ["data", "journal"] {
        set_active(&partials.join(format!("{id}.{suffix}")), ago);
    }
}

fn set_active(path: &Path, ago: Duration) {
    fs::File::open(path).unwrap().set_modified(SystemTime::now() - ago).unwrap();
}

/// What lies in `.sandport/partials`.
fn partials(bench: &Bench) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(bench.path(".sandport/partials"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn resumable_uploads_are_listed_with_what_they_have_come_to() {
    let mut bench = Bench::new();
    assert_eq!(list_partials(&bench.dir()).unwrap().count(), 0);
    leave_partial(&bench, ID, "d/video.mkv", 2 * DAY);
    for _ in 0..2 {
        let found: Vec<_> = list_partials(&bench.dir()).unwrap().map(Result::unwrap).collect();
        assert_eq!(found.len(), 1);
        let partial = &found[0];
        assert_eq!(
            (partial.name.as_deref().unwrap(), partial.size),
            ("d/video.mkv", Some(4 * GROUP_BYTES))
        );
        let identity = Some(Identity::ANONYMOUS);
        assert_eq!((partial.kept, &partial.identity), (GROUP_BYTES + 5, &identity));
        let begun = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        assert_eq!(partial.begun, Some(begun));
        let idle = partial.active.unwrap().elapsed().unwrap();
        assert!(idle >= 2 * DAY - Duration::from_secs(1), "{idle:?}");
        bench.inbox = None;
    }
}

#[test]
fn clean_removes_what_is_overdue_and_says_so_before_where_asked() {
    let mut bench = Bench::new();
    bench.send("stored", b"hello").unwrap();
    bench.inbox = None;
    leave_partial(&bench, ID, "old", 8 * DAY);
    leave_partial(&bench, OTHER, "young", 6 * DAY);
    fs::write(bench.path(".sandport/staging/0"), b"12345").unwrap();
    let before = partials(&bench);
    for dry_run in [true, false] {
        let cleaned = clean(&bench.dir(), 7 * DAY, dry_run).unwrap();
        let mut removed: Vec<_> = cleaned
            .removed
            .iter()
            .map(|leftover| (leftover.kind, leftover.name.as_deref(), leftover.bytes))
            .collect();
        removed.sort_by_key(|(_, _, bytes)| *bytes);
        assert_eq!(
            removed,
            [
                (LeftoverKind::Staged, None, 5),
                (LeftoverKind::Partial, Some("old"), GROUP_BYTES + 5)
            ]
        );
        assert_eq!((cleaned.left, cleaned.served, cleaned.failed.len()), (1, false, 0));
        if dry_run {
            assert_eq!((partials(&bench), bench.staged()), (before.clone(), 1));
        }
    }
    assert_eq!(partials(&bench), [format!("{OTHER}.data"), format!("{OTHER}.journal")]);
    assert_eq!(bench.staged(), 0);
    assert_eq!(bench.names(), ["stored"]);
    bench.restart();
    assert_eq!(bench.send("stored", b"hello").unwrap().name, "stored");
}

#[test]
fn clean_leaves_alone_what_a_server_has_in_use() {
    let bench = Bench::new();
    let under_way = upload(bench.inbox(), &Offer { size: Some(9), ..offer("a", b"") }, b"hello");
    leave_partial(&bench, ID, "in use", 8 * DAY);
    leave_partial(&bench, OTHER, "idle", 8 * DAY);
    let data = fs::File::open(bench.path(&format!(".sandport/partials/{ID}.data"))).unwrap();
    rustix::fs::flock(&data, rustix::fs::FlockOperation::LockShared).unwrap();
    let cleaned = clean(&bench.dir(), 7 * DAY, false).unwrap();
    assert!(cleaned.served);
    let names: Vec<_> = cleaned.removed.iter().map(|it| it.name.as_deref()).collect();
    assert_eq!((names, cleaned.left), (vec![Some("idle")], 1));
    assert_eq!((partials(&bench).len(), bench.staged()), (2, 1));
    drop(under_way);
}

#[test]
fn what_others_put_there_is_left_alone() {
    let mut bench = Bench::new();
    bench.inbox = None;
    let directory = bench.path(".sandport/partials");
    fs::create_dir_all(directory.join(format!("{ID}.data"))).unwrap();
    let outside = bench.directory.path().join("outside");
    fs::write(&outside, b"theirs").unwrap();
    set_active(&outside, 30 * DAY);
    symlink(&outside, directory.join(format!("{OTHER}.data"))).unwrap();
    symlink(&outside, bench.path(".sandport/staging/link")).unwrap();
    fs::create_dir(bench.path(".sandport/staging/directory")).unwrap();
    for name in ["notes", "short.data", &format!("{}.data", "x".repeat(32))] {
        fs::write(directory.join(name), b"theirs").unwrap();
        set_active(&directory.join(name), 30 * DAY);
    }
    // A journal that is none, and one of a later version.
    fs::write(directory.join(format!("{}.journal", "1".repeat(32))), b"theirs").unwrap();
    let before = partials(&bench);
    assert_eq!(list_partials(&bench.dir()).unwrap().count(), 0);
    let cleaned = clean(&bench.dir(), 7 * DAY, false).unwrap();
    assert_eq!(partials(&bench), before);
    assert_eq!(fs::read(&outside).unwrap(), b"theirs");
    let removed: Vec<_> = cleaned.removed.iter().map(|it| it.path.clone()).collect();
    assert_eq!(removed, [Path::new(".sandport/staging/link")]);
    assert_eq!(cleaned.failed.len(), 1);
    assert!(bench.path(".sandport/staging/directory").is_dir());
}

#[test]
fn somebody_elses_directory_in_staging_is_no_reason_to_fail() {
    let mut bench = Bench::new();
    bench.inbox = None;
    // As the first files would be called there.
    for name in ["0", "1"] {
        let directory = bench.path(".sandport/staging").join(name);
        fs::create_dir(&directory).unwrap();
        fs::write(directory.join("theirs"), b"theirs").unwrap();
    }
    bench.restart();
    bench.send("a", b"hello").unwrap();
    assert_eq!((bench.staged(), bench.names()), (2, vec!["a".to_owned()]));
    assert_eq!(fs::read(bench.path(".sandport/staging/1/theirs")).unwrap(), b"theirs");
}

#[test]
fn a_note_of_a_stored_upload_goes_when_nobody_can_ask() {
    let mut bench = Bench::new();
    bench.inbox = None;
    leave_partial(&bench, ID, "stored", 8 * DAY);
    fs::remove_file(bench.path(&format!(".sandport/partials/{ID}.data"))).unwrap();
    assert_eq!(list_partials(&bench.dir()).unwrap().count(), 0);
    assert_eq!(clean(&bench.dir(), 9 * DAY, false).unwrap().removed.len(), 0);
    let cleaned = clean(&bench.dir(), 7 * DAY, false).unwrap();
    assert_eq!(cleaned.removed[0].kind, LeftoverKind::Marker);
    assert_eq!(partials(&bench), [""; 0]);
}

#[test]
fn an_inbox_of_an_older_version_has_nothing_to_clean() {
    let mut bench = Bench::new();
    bench.send("a", b"hello").unwrap();
    bench.inbox = None;
    let _ = fs::remove_dir(bench.path(".sandport/partials"));
    let cleaned = clean(&bench.dir(), DAY, false).unwrap();
    assert_eq!((cleaned.removed.len(), cleaned.left), (0, 0));
    assert_eq!(list_partials(&bench.dir()).unwrap().count(), 0);
    let error = clean(bench.directory.path(), DAY, false).unwrap_err();
    assert!(matches!(error, InboxError::NotAnInbox { .. }));
}

/// The server's pass, an hour after an earlier one, with the system's clock set off by some days.
fn pass_with_clock_off(bench: &Bench, clock: &mut JumpResistantClock, hour: i64, days_off: i64) {
    let now = maintenance::now();
    let reading = Reading {
        wall_s: now.wall_s + hour * 3_600 + days_off * 24 * 3_600,
        boot_s: now.boot_s + hour * 3_600,
    };
    expiry::pass(&bench.inbox().handle.core, 7 * DAY, clock, reading);
}

#[test]
fn the_server_removes_what_is_overdue_by_a_clock_it_believes() {
    let bench = Bench::new();
    let mut clock = JumpResistantClock::default();
    leave_partial(&bench, ID, "old", 8 * DAY);
    leave_partial(&bench, OTHER, "young", 6 * DAY);
    pass_with_clock_off(&bench, &mut clock, 0, 0);
    assert_eq!(partials(&bench).len(), 4, "the clock is not believed yet");
    pass_with_clock_off(&bench, &mut clock, 2, 0);
    assert_eq!(partials(&bench), [format!("{OTHER}.data"), format!("{OTHER}.journal")]);
}

#[test]
fn a_clock_that_jumps_removes_nothing() {
    let bench = Bench::new();
    let mut clock = JumpResistantClock::default();
    leave_partial(&bench, ID, "young", DAY);
    for (hour, days_off) in
        [(0, 0), (2, 0), (3, 3_650), (12, 3_650), (13, 0), (15, -3_650), (16, 0)]
    {
        pass_with_clock_off(&bench, &mut clock, hour, days_off);
        assert_eq!(partials(&bench).len(), 2, "after {hour} hours");
    }
    // What is from the future by then has no age.
    leave_partial(&bench, ID, "young", DAY);
    let cleaned = maintenance::clean(&bench.dir(), DAY / 2, true).unwrap();
    assert_eq!(cleaned.removed.len(), 1);
    let future = SystemTime::now() + 30 * DAY;
    fs::File::open(bench.path(&format!(".sandport/partials/{ID}.data")))
        .unwrap()
        .set_modified(future)
        .unwrap();
    assert_eq!(maintenance::clean(&bench.dir(), DAY / 2, true).unwrap().removed.len(), 0);
}

#[test]
fn an_open_upload_stays_however_old_and_goes_when_abandoned() {
    let mut bench = Bench::new();
    let content = content(3 * GROUP_BYTES as usize);
    let offer = resumable("big", Some(3 * GROUP_BYTES), ResumeMode::TakeOver);
    let upload = accept(bench.inbox(), &offer);
    upload.body(ALL).unwrap().write(&content[..GROUP_BYTES as usize]);
    let age_all = |bench: &Bench| {
        for name in partials(bench) {
            set_active(&bench.path(".sandport/partials").join(name), 8 * DAY);
        }
    };
    age_all(&bench);
    let cleaned = clean(&bench.dir(), 7 * DAY, false).unwrap();
    assert_eq!((cleaned.removed.len(), cleaned.left, cleaned.served), (0, 1, true));
    let mut clock = JumpResistantClock::default();
    pass_with_clock_off(&bench, &mut clock, 0, 0);
    pass_with_clock_off(&bench, &mut clock, 2, 0);
    assert!(partials(&bench).iter().any(|name| name.ends_with(".data")));
    drop(upload);

    bench.restart();
    let found: Vec<_> = list_partials(&bench.dir()).unwrap().map(Result::unwrap).collect();
    assert_eq!((found[0].name.as_deref().unwrap(), found[0].kept), ("big", GROUP_BYTES));
    age_all(&bench);
    let cleaned = clean(&bench.dir(), 7 * DAY, false).unwrap();
    assert_eq!(cleaned.removed[0].name.as_deref(), Some("big"));
    assert_eq!(partials(&bench), [""; 0]);
    // Whoever does come back begins anew.
    let upload = accept(bench.inbox(), &offer);
    assert_eq!(upload.missing()[0].offset, 0);
    upload.body(ALL).unwrap().write(&content);
    wait(&upload.commit(3 * GROUP_BYTES, Some(digest(&content)))).unwrap();
    assert_eq!(bench.names(), ["big"]);
}
