//! File systems that do not do what others do: names, renames, times.

use rustix::io::Errno;
use sandport_protocol::PART_BYTES_MAX;

use super::*;
use crate::disk::Step;
use crate::disk::naming::Call;
use sandport_testkit::patience::Barrier;

const DURABILITIES: [Durability; 2] = [Durability::Commit, Durability::None];

/// A disk without some of the ways to give a file a name.
fn lacking(missing: &'static [Call]) -> Disk {
    let disk = Disk::default();
    disk.without(missing);
    disk
}

/// A disk that takes names as Windows does.
fn restricted() -> Disk {
    let disk = Disk::default();
    disk.watch_names(Box::new(|_, _, to| {
        if to.1.contains(['?', ':']) || to.1.ends_with('.') { Err(Errno::INVAL) } else { Ok(()) }
    }));
    disk
}

fn options(conflict: Conflict, durability: Durability) -> InboxOptions {
    InboxOptions { conflict, durability, ..InboxOptions::default() }
}

#[test]
fn the_conflict_rule_holds_without_atomic_renames_and_links() {
    for durability in DURABILITIES {
        for conflict in [Conflict::Rename, Conflict::Refuse, Conflict::Replace] {
            let disk = lacking(&[Call::RenameNoReplace, Call::Link]);
            let bench = Bench::on(disk, options(conflict, durability));
            assert_eq!(bench.inbox().limitations(), [Limitation::NoAtomicNames]);
            bench.send("a/b", b"one").unwrap();
            let second = bench.send("a/b", b"two");
            match conflict {
                Conflict::Rename => assert_eq!(second.unwrap().name, "a/b-1"),
                Conflict::Refuse => assert_eq!(code(second), RefusalCode::Exists),
                Conflict::Replace => assert_eq!(second.unwrap().name, "a/b"),
            }
            assert_eq!(bench.send("a/b", b"two").is_ok(), conflict != Conflict::Refuse);
            assert_eq!(bench.staged(), 0);
        }
    }
}

#[test]
fn senders_without_atomic_renames_do_not_replace_each_other() {
    const SENDERS: u8 = 16;
    for durability in DURABILITIES {
        let disk = lacking(&[Call::RenameNoReplace, Call::Link]);
        let bench = Bench::on(disk, options(Conflict::Rename, durability));
        let barrier = Barrier::new(SENDERS.into());
        std::thread::scope(|scope| {
            for n in 0..SENDERS {
                let (bench, barrier) = (&bench, &barrier);
                scope.spawn(move || {
                    let upload = upload(bench.inbox(), &offer("same", &[n]), &[n]);
                    barrier.wait();
                    wait(&upload.commit(1, None)).unwrap();
                });
            }
        });
        let mut contents: Vec<_> = bench.published().into_iter().map(|(_, it)| it).collect();
        contents.sort();
        assert_eq!(contents, (0..SENDERS).map(|n| vec![n]).collect::<Vec<_>>());
    }
}

#[test]
fn links_take_the_place_of_renames_and_it_is_told() {
    let disk = lacking(&[Call::RenameNoReplace]);
    let bench = Bench::on(disk, InboxOptions::default());
    assert_eq!(bench.inbox().limitations(), [Limitation::NoRenameWithoutReplacing]);
    bench.send("a", b"one").unwrap();
    assert_eq!(bench.send("a", b"two").unwrap().name, "a-1");
}

#[test]
fn a_file_system_that_moves_nothing_is_refused_at_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let disk = lacking(&[Call::RenameNoReplace, Call::Link, Call::Rename]);
    let opened = Inbox::open_on(disk, &directory.path().join("inbox"), InboxOptions::default());
    assert!(matches!(opened, Err(InboxError::Io { .. })), "{opened:?}");
}

#[test]
fn a_name_that_the_file_system_forbids_is_refused_before_a_byte() {
    for durability in DURABILITIES {
        let bench = Bench::on(restricted(), options(Conflict::Rename, durability));
        assert_eq!(bench.inbox().limitations(), [Limitation::RestrictedNames]);
        for name in ["what?", "a:b/c", "d/e:", "d./f"] {
            assert_eq!(code(bench.inbox().offered(&offer(name, b"x"))), RefusalCode::NameInvalid);
            assert_eq!(
                code(bench.inbox().offered(&offer_directory(name))),
                RefusalCode::NameInvalid
            );
        }
        bench.send("d/é", b"fine").unwrap();
        assert_eq!(bench.names(), ["d/", "d/é"]);
        assert_eq!(bench.staged(), 0);
    }
}

#[test]
fn a_name_that_only_its_directory_forbids_is_refused_for_good() {
    for durability in DURABILITIES {
        for conflict in [Conflict::Rename, Conflict::Replace] {
            let bench = Bench::with(options(conflict, durability));
            bench.inbox().handle.core.disk.watch_names(Box::new(|_, _, to| {
                if to.1.contains('?') { Err(Errno::INVAL) } else { Ok(()) }
            }));
            assert_eq!(code(bench.send("what?", b"x")), RefusalCode::NameInvalid);
            assert_eq!((bench.names(), bench.staged()), (Vec::new(), 0));
        }
    }
}

#[test]
fn a_forbidden_name_of_unnamed_uploads_is_refused_before_a_byte() {
    let classic_name = Some("c:".to_owned());
    let bench = Bench::on(restricted(), InboxOptions { classic_name, ..InboxOptions::default() });
    let unnamed = Offer { name: None, ..offer("", b"hello") };
    assert_eq!(code(bench.inbox().offered(&unnamed)), RefusalCode::NameInvalid);
}

#[test]
fn a_time_that_is_not_kept_is_told_once_for_each_reason() {
    for durability in DURABILITIES {
        let bench = Bench::with(InboxOptions { durability, ..InboxOptions::default() });
        let core = &bench.inbox().handle.core;
        let mut reasons = [Errno::PERM, Errno::PERM, Errno::INVAL].into_iter();
        core.disk.watch(Box::new(move |step| match step {
            Step::SetTimes => reasons.next().map_or(Ok(()), Err),
            _ => Ok(()),
        }));
        for name in ["a", "b", "c"] {
            let timed = Offer { modified_ns: Some(1_000), ..offer(name, b"x") };
            commit(bench.inbox(), &timed, b"x").unwrap();
        }
        assert_eq!(core.lost_times.reasons(), [Errno::PERM, Errno::INVAL]);
    }
}

#[test]
fn the_longest_name_that_is_taken_has_room_for_a_number() {
    let bench = Bench::new();
    let part = "p".repeat(PART_BYTES_MAX);
    let parts = [part.as_str(); 8].join("/");
    let longest = format!("{parts}/{}", "q".repeat(2_041 - parts.len() - 1));
    bench.send(&longest, b"one").unwrap();
    let renamed = bench.send(&longest, b"two").unwrap().name;
    assert!(renamed.len() <= sandport_protocol::NAME_BYTES_MAX, "{}", renamed.len());
    let longer = format!("{longest}q");
    assert_eq!(code(bench.inbox().offered(&offer(&longer, b"x"))), RefusalCode::NameInvalid);
}

#[test]
fn a_directory_where_nothing_can_be_made_is_refused_early() {
    let setup = "mkdir -p \"$0/inbox/fixed\" && mount -t tmpfs -o ro tmpfs \"$0/inbox/fixed\"";
    namespace::run_inside(namespace::MOUNT, setup, |top| {
        let inbox = Inbox::open(&top.join("inbox"), InboxOptions::default()).unwrap();
        let announced = |name| inbox.offered(&Offer { size: Some(1 << 20), ..offer(name, b"") });
        announced("fixed/a").unwrap_err();
        announced("fixed/new/a").unwrap_err();
        announced("a").unwrap();
    });
}
