//! A name that is taken, by setting and by what has it.

use std::os::unix::fs::symlink;

use super::*;
use crate::disk::naming::Call;
use sandport_testkit::patience::Barrier;

/// What can have a name already.
#[derive(Clone, Copy, Debug, PartialEq)]
enum InPlace {
    File,
    Directory,
    DirectoryWithFile,
    LinkToFile,
    LinkToDirectory,
    DanglingLink,
    Socket,
}

const EVERYTHING: [InPlace; 7] = [
    InPlace::File,
    InPlace::Directory,
    InPlace::DirectoryWithFile,
    InPlace::LinkToFile,
    InPlace::LinkToDirectory,
    InPlace::DanglingLink,
    InPlace::Socket,
];

impl InPlace {
    /// Puts it at `name`; links lead out of the inbox.
    fn put(self, bench: &Bench, name: &str) {
        let path = bench.path(name);
        let outside = bench.directory.path().join("outside");
        fs::create_dir_all(outside.join("directory")).unwrap();
        fs::write(outside.join("file"), b"theirs").unwrap();
        match self {
            Self::File => fs::write(path, b"theirs").unwrap(),
            Self::Directory => fs::create_dir(path).unwrap(),
            Self::DirectoryWithFile => {
                fs::create_dir(&path).unwrap();
                fs::write(path.join("inner"), b"theirs").unwrap();
            }
            Self::LinkToFile => symlink(outside.join("file"), path).unwrap(),
            Self::LinkToDirectory => symlink(outside.join("directory"), path).unwrap(),
            Self::DanglingLink => symlink(outside.join("missing"), path).unwrap(),
            Self::Socket => drop(std::os::unix::net::UnixListener::bind(path).unwrap()),
        }
    }

    fn is_directory(self) -> bool {
        matches!(self, Self::Directory | Self::DirectoryWithFile)
    }
}

/// Each durability, since names are chosen at different moments.
fn benches(conflict: Conflict) -> impl Iterator<Item = Bench> {
    [Durability::Commit, Durability::None].into_iter().map(move |durability| {
        Bench::with(InboxOptions { conflict, durability, ..InboxOptions::default() })
    })
}

/// That what the links lead to is as it was.
fn assert_outside_untouched(bench: &Bench) {
    let outside = bench.directory.path().join("outside");
    assert_eq!(fs::read(outside.join("file")).unwrap(), b"theirs");
    assert_eq!(fs::read_dir(outside.join("directory")).unwrap().count(), 0);
    assert_eq!(fs::read_dir(outside).unwrap().count(), 2);
}

#[test]
fn rename_finds_a_free_name_and_leaves_what_is_there() {
    for in_place in EVERYTHING {
        for bench in benches(Conflict::Rename) {
            in_place.put(&bench, "report.pdf");
            let before = fs::symlink_metadata(bench.path("report.pdf")).unwrap().modified();
            let receipt = bench.send("report.pdf", b"ours").unwrap();
            assert_eq!(receipt.name, "report-1.pdf", "{in_place:?}");
            assert_eq!(fs::read(bench.path("report-1.pdf")).unwrap(), b"ours");
            let after = fs::symlink_metadata(bench.path("report.pdf")).unwrap().modified();
            assert_eq!(before.unwrap(), after.unwrap());
            assert_outside_untouched(&bench);
        }
    }
}

#[test]
fn rename_counts_on() {
    for bench in benches(Conflict::Rename) {
        let names: Vec<String> =
            (0..20_u8).map(|n| bench.send("dir/report.pdf", &[n]).unwrap().name).collect();
        assert_eq!(names[0], "dir/report.pdf");
        for (number, name) in names.iter().enumerate().skip(1) {
            assert_eq!(*name, format!("dir/report-{number}.pdf"));
            assert_eq!(fs::read(bench.path(name)).unwrap(), [number as u8]);
        }
    }
}

#[test]
fn refuse_says_so_before_the_bytes_are_sent() {
    for in_place in EVERYTHING {
        for bench in benches(Conflict::Refuse) {
            in_place.put(&bench, "report.pdf");
            let result = bench.inbox().offered(&offer("report.pdf", b"ours"));
            assert_eq!(code(result), RefusalCode::Exists, "{in_place:?}");
            assert_eq!(bench.staged(), 0);
            assert_outside_untouched(&bench);
        }
    }
}

#[test]
fn refuse_says_so_when_the_name_was_taken_meanwhile() {
    for in_place in EVERYTHING {
        for bench in benches(Conflict::Refuse) {
            let upload = upload(bench.inbox(), &offer("report.pdf", b"ours"), b"ours");
            in_place.put(&bench, "report.pdf");
            let before = bench.published();
            assert_eq!(code(wait(&upload.commit(4, None))), RefusalCode::Exists, "{in_place:?}");
            assert_eq!((bench.published(), bench.staged()), (before, 0));
            assert_outside_untouched(&bench);
        }
    }
}

#[test]
fn replace_replaces_files_and_links_but_not_directories() {
    for in_place in EVERYTHING {
        for bench in benches(Conflict::Replace) {
            in_place.put(&bench, "report.pdf");
            let before = bench.published();
            let result = bench.send("report.pdf", b"ours");
            if in_place.is_directory() {
                assert_eq!(code(result), RefusalCode::Exists, "{in_place:?}");
                assert_eq!(bench.published(), before);
            } else {
                assert_eq!(result.unwrap().name, "report.pdf");
                // A file of its own, and not what a link led to.
                assert_eq!(bench.published(), [("report.pdf".to_owned(), b"ours".to_vec())]);
            }
            assert_eq!(bench.staged(), 0);
            assert_outside_untouched(&bench);
        }
    }
}

#[test]
fn the_last_of_several_replaces() {
    for bench in benches(Conflict::Replace) {
        for content in [b"one", b"two", b"six"] {
            assert_eq!(bench.send("a", content).unwrap().name, "a");
        }
        assert_eq!(bench.published(), [("a".to_owned(), b"six".to_vec())]);
    }
}

#[test]
fn several_that_replace_in_one_batch_leave_the_last() {
    let bench = Bench::conflict(Conflict::Replace);
    let uploads: Vec<Upload> =
        (0..30_u8).map(|n| upload(bench.inbox(), &offer("a", &[n]), &[n])).collect();
    let pending: Vec<CommitHandle> =
        uploads.into_iter().map(|upload| upload.commit(1, None)).collect();
    for (n, pending) in pending.iter().enumerate() {
        assert_eq!(wait(pending).unwrap().digest, digest(&[n as u8]));
    }
    assert_eq!(bench.published(), [("a".to_owned(), vec![29])]);
}

#[test]
fn two_that_finish_at_once_are_both_kept() {
    for bench in benches(Conflict::Rename) {
        let (threads, rounds) = (4_u8, 25_u8);
        let barrier = Barrier::new(usize::from(threads));
        let send_rounds = |thread: u8| {
            let send = |round: u8| {
                let content = [thread, round];
                let offer = offer_with_digest("same.txt", &content);
                let upload = upload(bench.inbox(), &offer, &content);
                barrier.wait();
                (content, wait(&upload.commit(2, None)))
            };
            (0..rounds).map(send).collect::<Vec<_>>()
        };
        let outcomes: Vec<_> = std::thread::scope(|scope| {
            let start = |thread| scope.spawn(move || send_rounds(thread));
            let running: Vec<_> = (0..threads).map(start).collect();
            running.into_iter().flat_map(|thread| joined("a sender", thread)).collect()
        });
        for (content, outcome) in outcomes {
            assert_eq!(fs::read(bench.path(&outcome.unwrap().name)).unwrap(), content);
        }
        let mut contents: Vec<Vec<u8>> =
            bench.published().into_iter().map(|(_, content)| content).collect();
        contents.sort();
        contents.dedup();
        assert_eq!(contents.len(), usize::from(threads) * usize::from(rounds));
    }
}

#[test]
fn the_same_file_that_is_sent_twice_at_once_is_there_once() {
    for durability in [Durability::Commit, Durability::None] {
        let bench = Bench::in_memory(InboxOptions { durability, ..InboxOptions::default() });
        let (threads, rounds) = (3, 300);
        let barrier = Barrier::new(threads);
        let send_rounds = || {
            (0..rounds)
                .map(|round| {
                    let name = format!("f{round}");
                    let content = name.as_bytes();
                    let upload = upload(bench.inbox(), &offer(&name, content), content);
                    barrier.wait();
                    let receipt = wait(&upload.commit(content.len() as u64, None)).unwrap();
                    // Nobody offers the next one before all have this one's receipt.
                    barrier.wait();
                    receipt.name
                })
                .collect::<Vec<_>>()
        };
        let names: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(send_rounds)).collect();
            running.into_iter().map(|thread| joined("a sender", thread)).collect()
        });
        assert!(names.iter().all(|told| *told == names[0]), "{durability:?}");
        assert_eq!(bench.names().len(), rounds, "{durability:?}");
    }
}

#[test]
fn only_one_of_two_that_finish_at_once_is_not_refused() {
    for bench in benches(Conflict::Refuse) {
        let uploads: Vec<Upload> =
            (0..10_u8).map(|n| upload(bench.inbox(), &offer("same.txt", &[n]), &[n])).collect();
        let pending: Vec<CommitHandle> =
            uploads.into_iter().map(|upload| upload.commit(1, None)).collect();
        let outcomes: Vec<_> = pending.iter().map(wait).collect();
        assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
        assert_eq!(bench.published(), [("same.txt".to_owned(), vec![0])]);
    }
}

#[test]
fn an_outsider_who_takes_the_name_last_is_not_replaced() {
    for durability in [Durability::Commit, Durability::None] {
        for flags in [true, false] {
            let bench = Bench::with(InboxOptions { durability, ..InboxOptions::default() });
            let core = &bench.inbox().handle.core;
            if !flags {
                core.disk.without(&[Call::RenameNoReplace]);
            }
            let path = bench.path("report.pdf");
            core.disk.watch(Box::new(move |step| {
                if step == disk::Step::Publish && !path.exists() {
                    fs::write(&path, b"theirs").unwrap();
                }
                Ok(())
            }));
            assert_eq!(bench.send("report.pdf", b"ours").unwrap().name, "report-1.pdf");
            assert_eq!(fs::read(bench.path("report.pdf")).unwrap(), b"theirs");
            assert_eq!(fs::read(bench.path("report-1.pdf")).unwrap(), b"ours");
            assert_eq!(bench.staged(), 0);
        }
    }
}

#[test]
fn an_outsider_who_takes_every_name_does_not_block_the_inbox() {
    let bench = Bench::new();
    let dir = bench.dir();
    bench.inbox().handle.core.disk.watch(Box::new(move |step| {
        if step == disk::Step::Publish {
            fs::write(dir.join("a"), b"theirs").unwrap();
            for number in 1..300 {
                let path = dir.join(format!("a-{number}"));
                if !path.exists() {
                    fs::write(path, b"theirs").unwrap();
                    break;
                }
            }
        }
        Ok(())
    }));
    assert_eq!(code(bench.send("a", b"ours")), RefusalCode::Exists);
    assert_eq!(bench.staged(), 0);
}

#[test]
fn without_rename_flags_files_are_linked_into_place() {
    for conflict in [Conflict::Rename, Conflict::Refuse, Conflict::Replace] {
        for bench in benches(conflict) {
            bench.inbox().handle.core.disk.without(&[Call::RenameNoReplace]);
            bench.send("a/b", b"one").unwrap();
            let second = bench.send("a/b", b"two");
            match conflict {
                Conflict::Rename => assert_eq!(second.unwrap().name, "a/b-1"),
                Conflict::Refuse => assert_eq!(code(second), RefusalCode::Exists),
                Conflict::Replace => assert_eq!(second.unwrap().name, "a/b"),
            }
            assert_eq!(bench.staged(), 0);
        }
    }
}
