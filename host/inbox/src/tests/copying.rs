//! Directories to which a file can only be copied: on another file system, another mount, another subvolume.

use rustix::io::Errno;
use sandport_protocol::ResumeMode;

use super::resume::{bring, content, resumable};
use super::*;
use crate::disk::Step;
use crate::maintenance::{
    FileState, Integrity as Compared, StoredFile, list as stored_files, verify,
};

const DURABILITIES: [Durability; 3] = [Durability::Full, Durability::Commit, Durability::None];

/// A directory of the same file system that is mounted into the inbox, and one of another.
const MOUNTS: &str = "mount -t tmpfs tmpfs \"$0\" && mkdir -p \"$0/other\" \"$0/inbox/bound\" \
    \"$0/inbox/far\" && mount --bind \"$0/other\" \"$0/inbox/bound\" && \
    mount -t tmpfs -o size=3m tmpfs \"$0/inbox/far\"";

/// More than a chunk group: it is resumed.
const LARGE_BYTES: usize = 1_200_000;

fn large(name: &str) -> (Offer, Vec<u8>) {
    let content = content(LARGE_BYTES);
    (resumable(name, Some(content.len() as u64), ResumeMode::TakeOver), content)
}

fn store_large(inbox: &Inbox, name: &str) -> Result<Receipt, Refusal> {
    let (offer, content) = large(name);
    let upload = accept(inbox, &offer);
    bring(&upload, &content);
    wait(&upload.commit(content.len() as u64, Some(digest(&content))))
}

/// What is in `.sandport` that is of uploads.
fn leftovers(dir: &Path) -> usize {
    ["staging", "partials"]
        .map(|directory| fs::read_dir(dir.join(".sandport").join(directory)).unwrap().count())
        .iter()
        .sum()
}

#[test]
fn files_for_a_mount_in_the_inbox_are_stored_there() {
    namespace::run_inside(namespace::MOUNT, MOUNTS, |top| {
        let dir = top.join("inbox");
        for durability in DURABILITIES {
            for conflict in [Conflict::Rename, Conflict::Refuse, Conflict::Replace] {
                for mount in ["bound", "far"] {
                    let options = InboxOptions { durability, conflict, ..InboxOptions::default() };
                    let inbox = Inbox::open(&dir, options).unwrap();
                    let name = |leaf: &str| format!("{mount}/{leaf}");
                    send(&inbox, &name("new/small"), b"hello").unwrap();
                    send(&inbox, &name("empty"), b"").unwrap();
                    let modified_ns = Some(1_600_000_000_000_000_000);
                    let timed = Offer { modified_ns, ..offer(&name("timed"), b"timed") };
                    commit(&inbox, &timed, b"timed").unwrap();
                    store_large(&inbox, &name("large")).unwrap();

                    // Once more: nothing is sent, and nothing is there twice.
                    send(&inbox, &name("new/small"), b"hello").unwrap();
                    let (large, content) = large(&name("large"));
                    let large = Offer { digest: Some(digest(&content)), ..large };
                    assert!(matches!(inbox.offered(&large).unwrap(), OfferResponse::Stored(_)));
                    let taken = send(&inbox, &name("empty"), b"no more");
                    match conflict {
                        Conflict::Rename => assert_eq!(taken.unwrap().name, name("empty-1")),
                        Conflict::Refuse => assert_eq!(code(taken), RefusalCode::Exists),
                        Conflict::Replace => assert_eq!(taken.unwrap().name, name("empty")),
                    }
                    let mut found = Vec::new();
                    list(&dir.join(mount), "", &mut found);
                    let files = if conflict == Conflict::Rename { 6 } else { 5 };
                    assert_eq!(found.len(), files, "{found:?}");
                    settle(&inbox);
                    assert!(!dir.join(mount).join(".sandport").exists());
                    assert_eq!(fs::read(dir.join(name("large"))).unwrap(), content);
                    let time = fs::metadata(dir.join(name("timed"))).unwrap().modified().unwrap();
                    let since = time.duration_since(std::time::UNIX_EPOCH).unwrap();
                    assert_eq!(since.as_secs(), 1_600_000_000);
                    assert_eq!(leftovers(&dir), 0);
                    drop(inbox);

                    assert!(
                        verify(&dir).unwrap().all(|file| matches!(
                            file.integrity,
                            Compared::Whole | Compared::Missing
                        ))
                    );
                    let is_stored = |file: StoredFile| matches!(file.state, FileState::Stored(_));
                    assert!(stored_files(&dir).unwrap().all(|file| is_stored(file.unwrap())));
                    for entry in fs::read_dir(dir.join(mount)).unwrap() {
                        let path = entry.unwrap().path();
                        if path.is_dir() {
                            fs::remove_dir_all(path).unwrap();
                        } else {
                            fs::remove_file(path).unwrap();
                        }
                    }
                }
            }
        }
    });
}

#[test]
fn mounts_in_the_inbox_are_told_at_the_start() {
    namespace::run_inside(namespace::MOUNT, MOUNTS, |top| {
        let inbox = Inbox::open(&top.join("inbox"), InboxOptions::default()).unwrap();
        let directories = ["bound", "far"].map(PathBuf::from).to_vec();
        assert!(inbox.limitations().contains(&Limitation::Mounts { directories }));
    });
}

#[test]
fn what_does_not_fit_on_a_mount_is_refused_when_it_is_announced() {
    namespace::run_inside(namespace::MOUNT, MOUNTS, |top| {
        let inbox = Inbox::open(&top.join("inbox"), InboxOptions::default()).unwrap();
        let announced = |name| inbox.offered(&Offer { size: Some(5 << 20), ..offer(name, b"") });
        assert_eq!(code(announced("far/new/a")), RefusalCode::InsufficientSpace);
        assert!(matches!(announced("near/a"), Ok(OfferResponse::Accepted(_))));
    });
}

#[test]
fn a_mount_over_the_directory_of_an_inbox_is_refused_at_start() {
    let setup = "mkdir -p \"$0/inbox/.sandport\" && mount -t tmpfs tmpfs \"$0/inbox/.sandport\"";
    namespace::run_inside(namespace::MOUNT, setup, |top| {
        let opened = Inbox::open(&top.join("inbox"), InboxOptions::default());
        assert!(matches!(opened, Err(InboxError::Split { .. })), "{opened:?}");
    });
}

#[test]
fn a_file_for_a_mount_leaves_its_batch_no_sync_of_content() {
    namespace::run_inside(namespace::MOUNT, MOUNTS, |top| {
        let inbox = Inbox::open(&top.join("inbox"), InboxOptions::default()).unwrap();
        let (note, steps) = std::sync::mpsc::channel();
        inbox.handle.core.disk.watch(Box::new(move |step| {
            note.send(step).unwrap();
            Ok(())
        }));
        send(&inbox, "far/a", b"hello").unwrap();
        let steps: Vec<Step> = steps.try_iter().collect();
        let copied = steps.iter().position(|step| *step == Step::Copy).unwrap();
        let is_sync = |step: &&Step| {
            matches!(step, Step::SyncFile | Step::SyncAll | Step::SyncLog | Step::SyncDir)
        };
        let syncs = |steps: &[Step]| steps.iter().filter(is_sync).copied().collect::<Vec<_>>();
        assert_eq!(syncs(&steps[..copied]), [Step::SyncFile]);
        // The copy itself; then its batch.
        assert_eq!(syncs(&steps[copied..]), [Step::SyncFile, Step::SyncLog, Step::SyncDir]);
    });
}

#[test]
fn directories_of_a_mount_are_synced_however_many_others_are() {
    namespace::run_inside(namespace::MOUNT, MOUNTS, |top| {
        let inbox = Inbox::open(&top.join("inbox"), InboxOptions::default()).unwrap();
        let core = &inbox.handle.core;
        let (note, noted) = std::sync::mpsc::channel();
        core.disk.watch_syncs(Box::new(move |_, _, directory| {
            note.send(directory.map(|directory| rustix::fs::fstat(directory).unwrap().st_dev))
                .unwrap();
        }));
        let mut directories = crate::directories::Directories::new(core, true);
        let near = (0..20).map(|n| format!("near/{n}/new"));
        for path in near.chain(["far/new".to_owned()]) {
            directories.make(Some(path.as_str())).unwrap();
        }
        directories.sync().unwrap();
        let far = rustix::fs::stat(top.join("inbox/far")).unwrap().st_dev;
        let synced: Vec<_> = noted.try_iter().collect();
        assert_eq!(synced, [None, Some(far)], "all that the inbox's disk has, and the mount");
    });
}

/// A bench whose directories are as if on file systems of their own.
fn bench(durability: Durability) -> Bench {
    let bench = Bench::with(InboxOptions { durability, ..InboxOptions::default() });
    bench.inbox().handle.core.disk.without_moves();
    bench
}

#[test]
fn an_upload_whose_copy_fails_can_be_resumed() {
    for durability in DURABILITIES {
        let bench = bench(durability);
        let core = &bench.inbox().handle.core;
        let mut fails = true;
        core.disk.watch(Box::new(move |step| match step {
            Step::Copy if std::mem::take(&mut fails) => Err(Errno::NOSPC),
            _ => Ok(()),
        }));
        let outcome = store_large(bench.inbox(), "d/large");
        assert_eq!(code(outcome), RefusalCode::InsufficientSpace);
        settle(bench.inbox());
        assert!(!bench.path("d/.sandport").exists());
        // All of it is here.
        let (offer, content) = large("d/large");
        let upload = accept(bench.inbox(), &offer);
        assert_eq!(upload.missing(), []);
        wait(&upload.commit(content.len() as u64, None)).unwrap();
        assert_eq!(bench.names(), ["d/", "d/large"]);
        settle(bench.inbox());
        assert_eq!(leftovers(&bench.dir()), 0);
    }
}

#[test]
fn a_copy_that_a_crash_left_is_in_nobodys_way() {
    for durability in DURABILITIES {
        let bench = bench(durability);
        fs::create_dir(bench.path("d")).unwrap();
        fs::write(bench.path("d/.sandport"), b"half a fi").unwrap();
        assert_eq!(stored_files(&bench.dir()).unwrap().count(), 0);
        bench.send("d/a", b"hello").unwrap();
        settle(bench.inbox());
        assert!(!bench.path("d/.sandport").exists());
        assert_eq!(bench.names(), ["d/", "d/a"]);
    }
}

#[test]
fn someone_outside_who_takes_the_name_of_a_copy_is_not_replaced() {
    for durability in DURABILITIES {
        let bench = bench(durability);
        let path = bench.path("d/report.pdf");
        bench.inbox().handle.core.disk.watch(Box::new(move |step| {
            if step == Step::Publish && path.parent().unwrap().exists() && !path.exists() {
                fs::write(&path, b"theirs").unwrap();
            }
            Ok(())
        }));
        assert_eq!(bench.send("d/report.pdf", b"ours").unwrap().name, "d/report-1.pdf");
        assert_eq!(fs::read(bench.path("d/report.pdf")).unwrap(), b"theirs");
        settle(bench.inbox());
        assert!(!bench.path("d/.sandport").exists());
    }
}

#[test]
fn a_quota_counts_a_copied_file_once() {
    let quota = Quota::new(Some(100), Some(3));
    let bench = Bench::with(InboxOptions { quota, ..InboxOptions::default() });
    bench.inbox().handle.core.disk.without_moves();
    bench.send("d/a", b"hello").unwrap();
    let usage = bench.inbox().handle.core.usage.as_ref().unwrap();
    assert_eq!(usage.totals(), [5, 2, 0, 0]);
    usage.count_now();
    assert_eq!(usage.totals(), [5, 2, 0, 0]);
}
