//! Many commits at once: what they share, and in which order the disk is told.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};

use super::*;
use crate::disk::Step;
use sandport_testkit::patience::PATIENCE;

/// Holds the committer at its first sync until it is let go, and notes all steps.
struct Gate {
    steps: Arc<Mutex<Vec<Step>>>,
    reached: Receiver<()>,
    go: Sender<()>,
}

impl Gate {
    fn on(bench: &Bench) -> Self {
        let steps = Arc::new(Mutex::new(Vec::new()));
        let (reach, reached) = channel();
        let (go, gone) = channel::<()>();
        let noted = Arc::clone(&steps);
        let mut first = true;
        bench.inbox().handle.core.disk.watch(Box::new(move |step| {
            noted.lock().unwrap().push(step);
            // It is the second if so many files are open that the first was closed.
            let syncs = matches!(step, Step::SyncFile | Step::SyncAll);
            if syncs && std::mem::take(&mut first) {
                reach.send(()).unwrap();
                gone.recv_timeout(PATIENCE).unwrap();
            }
            Ok(())
        }));
        Self { steps, reached, go }
    }
}

/// Commits one file, and `uploads` while the first is being synced, so that they are one batch; the
/// steps of that batch.
pub(super) fn batch(
    bench: &Bench,
    uploads: impl FnOnce(&Inbox) -> Vec<Upload>,
) -> (Vec<CommitHandle>, Vec<Step>) {
    let uploads = uploads(bench.inbox());
    let first = upload(bench.inbox(), &offer("first", b"first"), b"first");
    let gate = Gate::on(bench);
    let first = first.commit(5, None);
    gate.reached.recv_timeout(PATIENCE).expect("the committer syncs the first file");
    // The probe holds its lock while it waits, so nothing else may touch the disk here; commits of
    // files that are written only look at it.
    let pending: Vec<CommitHandle> =
        uploads.into_iter().map(|upload| upload.commit(1, None)).collect();
    gate.go.send(()).unwrap();
    wait(&first).unwrap();
    for pending in &pending {
        block_on("the outcome of a commit", pending.ready());
    }
    let steps = gate.steps.lock().unwrap().clone();
    // The first file's own steps end with the sync of its directory.
    let end = steps.iter().position(|&step| step == Step::SyncDir).unwrap() + 1;
    (pending, steps[end..].to_vec())
}

fn files(inbox: &Inbox, names: impl Iterator<Item = String>) -> Vec<Upload> {
    names.map(|name| upload(inbox, &offer(&name, b"x"), b"x")).collect()
}

fn count(steps: &[Step], wanted: Step) -> usize {
    steps.iter().filter(|&&step| step == wanted).count()
}

#[test]
fn hundreds_of_commits_share_their_syncs() {
    let bench = Bench::new();
    let (pending, steps) =
        batch(&bench, |inbox| files(inbox, (0..400).map(|n| format!("d{}/f{n}", n % 3))));
    for (n, pending) in pending.iter().enumerate() {
        assert_eq!(pending.try_get().unwrap().unwrap().name, format!("d{}/f{n}", n % 3));
    }
    assert_eq!(count(&steps, Step::Publish), 400);
    assert_eq!(count(&steps, Step::SyncFile), 0);
    assert_eq!(count(&steps, Step::SyncAll), 1);
    assert_eq!(count(&steps, Step::SyncLog), 1);
    // Three directories, and the inbox, where they were made.
    assert_eq!(count(&steps, Step::SyncDir), 4);
    assert_eq!((bench.names().len(), bench.staged()), (404, 0));
}

#[test]
fn many_directories_are_synced_together() {
    let bench = Bench::new();
    let (pending, steps) =
        batch(&bench, |inbox| files(inbox, (0..300).map(|n| format!("d{n}/e/f{n}"))));
    assert!(pending.iter().all(|pending| pending.try_get().unwrap().is_ok()));
    assert_eq!((count(&steps, Step::SyncAll), count(&steps, Step::SyncDir)), (2, 0));
}

#[test]
fn a_file_is_synced_itself_where_another_sync_may_hide_a_fault() {
    let bench = Bench::new();
    let (pending, steps) = batch(&bench, |inbox| {
        let mut uploads = files(inbox, (0..10).map(|n| format!("before{n}")));
        let core = &inbox.handle.core;
        core.disk.watch(Box::new(|_| Err(rustix::io::Errno::IO)));
        assert!(core.sync_all().is_err());
        core.disk.watch(Box::new(|_| Ok(())));
        uploads.extend(files(inbox, (0..10).map(|n| format!("after{n}"))));
        uploads
    });
    assert!(pending.iter().all(|pending| pending.try_get().unwrap().is_ok()));
    assert_eq!((count(&steps, Step::SyncAll), count(&steps, Step::SyncFile)), (1, 10));
}

#[test]
fn a_few_commits_do_not_wait_for_the_rest_of_the_disk() {
    let bench = Bench::new();
    let (_, steps) = batch(&bench, |inbox| files(inbox, (0..3).map(|n| format!("f{n}"))));
    assert_eq!(
        steps,
        [
            vec![Step::SyncFile; 3],
            vec![Step::WriteLog, Step::SyncLog],
            vec![Step::Publish; 3],
            vec![Step::SyncDir],
        ]
        .concat()
    );
}

#[test]
fn content_and_receipt_are_durable_before_name_and_answer() {
    for files_count in [1, 7, 8, 200] {
        let bench = Bench::new();
        let (_, steps) = batch(&bench, |inbox| {
            files(inbox, (0..files_count).map(|n| format!("d{}/f{n}", n % 20)))
        });
        let first = |wanted: &[Step]| steps.iter().position(|step| wanted.contains(step)).unwrap();
        let last = |wanted: &[Step]| steps.iter().rposition(|step| wanted.contains(step)).unwrap();
        let first_publish = first(&[Step::Publish]);
        assert!(first(&[Step::SyncFile, Step::SyncAll]) < first(&[Step::WriteLog]), "{steps:?}");
        assert!(last(&[Step::WriteLog]) < last(&[Step::SyncLog]), "{steps:?}");
        assert!(last(&[Step::SyncLog]) < first_publish, "{steps:?}");
        assert!(last(&[Step::Publish]) < last(&[Step::SyncDir, Step::SyncAll]), "{steps:?}");
        if files_count < 8 {
            assert!(last(&[Step::SyncFile]) < first_publish, "{steps:?}");
        }
    }
}

#[test]
fn one_bad_name_in_a_batch_costs_no_other() {
    let bench = Bench::new();
    fs::write(bench.path("file"), b"theirs").unwrap();
    let (pending, _) = batch(&bench, |inbox| {
        files(inbox, ["good", "file/bad", "also-good"].map(str::to_owned).into_iter())
    });
    let outcomes: Vec<_> = pending.iter().map(|pending| pending.try_get().unwrap()).collect();
    assert_eq!(outcomes[0].as_ref().unwrap().name, "good");
    assert_eq!(outcomes[1].as_ref().unwrap_err().code, RefusalCode::Exists);
    assert_eq!(outcomes[2].as_ref().unwrap().name, "also-good");
}

#[test]
fn more_files_than_descriptors_are_kept_open_are_written_whole() {
    let bench = Bench::with(InboxOptions { max_open_files: 32, ..InboxOptions::default() });
    let content: Vec<u8> = (0..30_000_u32).map(|n| (n % 241) as u8).collect();
    let uploads: Vec<Upload> =
        (0..600).map(|n| accept(bench.inbox(), &offer(&format!("f{n}"), &content))).collect();
    let mut bodies: Vec<Body> = uploads.iter().map(|upload| upload.body(ALL).unwrap()).collect();
    for piece in content.chunks(10_000) {
        for body in &mut bodies {
            body.write(piece);
        }
        let open = bench.inbox().handle.core.files_open.load(std::sync::atomic::Ordering::Relaxed);
        assert!(open <= 16, "{open}");
    }
    let pending: Vec<CommitHandle> =
        uploads.into_iter().map(|upload| upload.commit(30_000, Some(digest(&content)))).collect();
    for pending in &pending {
        wait(pending).unwrap();
    }
    assert!(bench.published().iter().all(|(_, found)| *found == content));
    assert_eq!(bench.published().len(), 600);
    let open = &bench.inbox().handle.core.files_open;
    assert_eq!(open.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[test]
fn a_file_closed_between_writes_is_not_synced_by_a_descriptor() {
    let bench = Bench::new();
    let others: Vec<Upload> =
        (0..300).map(|n| upload(bench.inbox(), &offer(&format!("f{n}"), b"more"), b"x")).collect();
    let closed = accept(bench.inbox(), &offer("closed", b"hello"));
    let mut body = closed.body(ALL).unwrap();
    body.write(b"hel");
    drop(others);
    body.write(b"lo");
    let gate = Gate::on(&bench);
    let pending = closed.commit(5, Some(digest(b"hello")));
    gate.reached.recv_timeout(PATIENCE).expect("the committer syncs the file");
    gate.go.send(()).unwrap();
    wait(&pending).unwrap();
    let steps = gate.steps.lock().unwrap();
    assert_eq!((count(&steps, Step::SyncAll), count(&steps, Step::SyncFile)), (1, 0));
}
