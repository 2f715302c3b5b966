//! Servers that are killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::resume::{GROUP, content, offer_of, options, wait_durable};
use super::*;
use crate::disk::Step;

/// What a server that is killed now leaves behind, opened by another one.
pub(super) fn killed(bench: &Bench) -> Bench {
    killed_now(bench, |_, _| ())
}

/// The same, of whose files `change` says what the disk made of them, by their names.
pub(super) fn killed_now(bench: &Bench, change: impl Fn(&str, &mut [u8])) -> Bench {
    let directory = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let inbox = directory.path().join("inbox");
    copy(&bench.dir(), &inbox);
    for entry in fs::read_dir(inbox.join(".sandport/partials")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        change(path.file_name().unwrap().to_str().unwrap(), &mut bytes);
        fs::write(path, bytes).unwrap();
    }
    Bench::in_directory(directory, bench.options.clone())
}

pub(super) fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[test]
fn what_an_earlier_server_wrote_is_synced_before_it_is_believed() {
    let content = content(3 * GROUP);
    for (durability, is_begun) in
        [(Durability::Full, true), (Durability::Full, false), (Durability::None, true)]
    {
        let options = InboxOptions { durability, ..options(GROUP as u64) };
        let mut bench = Bench::in_memory(options.clone());
        if is_begun {
            let upload = accept(bench.inbox(), &offer_of(&content));
            upload.body(ALL).unwrap().write(&content[..2 * GROUP]);
            wait_durable(&upload, 2 * GROUP);
        }
        drop(bench.inbox.take());
        let (disk, is_synced) = (Disk::default(), Arc::<AtomicBool>::default());
        let noted = Arc::clone(&is_synced);
        disk.watch(Box::new(move |step| {
            noted.fetch_or(step == Step::SyncAll, Ordering::Relaxed);
            Ok(())
        }));
        drop(Inbox::open_on(disk, &bench.dir(), options).unwrap());
        let expected = durability == Durability::Full && is_begun;
        assert_eq!(is_synced.load(Ordering::Relaxed), expected, "{durability:?} {is_begun}");
    }
}
