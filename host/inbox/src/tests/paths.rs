//! Names that lead elsewhere.

use std::os::unix::fs::symlink;

use super::*;

const BAD_NAMES: [&str; 17] = [
    "../x",
    "/etc/x",
    "a//b",
    ".",
    "..",
    "",
    "a\0b",
    "a\nb",
    "a\x1b[2J",
    "a\u{202E}b",
    "a/../../x",
    "a/",
    "./a",
    ".sandport/receipts",
    ".SANDPORT",
    "a/.sandport",
    "...",
];

#[test]
fn a_bad_name_is_refused_and_nothing_is_created() {
    let long = "x/".repeat(2_500);
    let deep = "d/".repeat(199) + "d";
    for conflict in [Conflict::Rename, Conflict::Refuse, Conflict::Replace] {
        let bench = Bench::conflict(conflict);
        let above = fs::read_dir(bench.directory.path()).unwrap().count();
        for name in BAD_NAMES.iter().copied().chain([long.as_str(), deep.as_str()]) {
            for offer in [offer(name, b"x"), offer_with_digest(name, b"x"), offer_directory(name)] {
                let result = bench.inbox().offered(&offer);
                assert_eq!(code(result), RefusalCode::NameInvalid, "{name:?}");
            }
        }
        assert!(bench.names().is_empty());
        assert_eq!(fs::read_dir(bench.directory.path()).unwrap().count(), above);
    }
}

#[test]
fn a_directory_needs_a_name() {
    let bench = Bench::new();
    let unnamed = Offer { name: None, ..offer_directory("") };
    assert_eq!(code(bench.inbox().offered(&unnamed)), RefusalCode::NameInvalid);
}

/// A bench with a file `file`, and links `link` and `dangling` that lead out of the inbox.
fn bench_with_obstacles(durability: Durability) -> Bench {
    let bench = Bench::with(InboxOptions { durability, ..InboxOptions::default() });
    let outside = bench.directory.path().join("outside");
    fs::create_dir_all(outside.join("deeper")).unwrap();
    fs::create_dir(bench.path("directory")).unwrap();
    fs::write(bench.path("file"), b"theirs").unwrap();
    symlink(&outside, bench.path("link")).unwrap();
    symlink(&outside, bench.path("directory/link")).unwrap();
    symlink("../directory", bench.path("directory/inner")).unwrap();
    symlink(bench.directory.path().join("nowhere"), bench.path("dangling")).unwrap();
    bench
}

const BEHIND_OBSTACLES: [&str; 8] = [
    "file/x",
    "file/a/b",
    "link/x",
    "link/deeper/x",
    "link/new/x",
    "directory/link/x",
    "directory/inner/x",
    "dangling/x",
];

#[test]
fn a_path_through_a_file_or_a_link_is_refused() {
    for durability in [Durability::Commit, Durability::None] {
        let bench = bench_with_obstacles(durability);
        let before = bench.published();
        for name in BEHIND_OBSTACLES {
            assert_eq!(code(bench.send(name, b"ours")), RefusalCode::Exists, "{name}");
            let directory = commit(bench.inbox(), &offer_directory(name), b"");
            assert_eq!(code(directory), RefusalCode::Exists, "{name}");
        }
        assert_eq!((bench.published(), bench.staged()), (before, 0));
        let outside = bench.directory.path().join("outside");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
        assert_eq!(fs::read_dir(outside.join("deeper")).unwrap().count(), 0);
        assert!(!bench.directory.path().join("nowhere").exists());
    }
}

#[test]
fn a_large_file_behind_an_obstacle_is_refused_before_it_is_sent() {
    let bench = bench_with_obstacles(Durability::Commit);
    for name in BEHIND_OBSTACLES {
        for size in [Some(1 << 20), None] {
            let offer = Offer { size, ..offer(name, b"") };
            assert_eq!(code(bench.inbox().offered(&offer)), RefusalCode::Exists, "{name}");
        }
    }
}

#[test]
fn a_link_that_appears_after_the_offer_is_not_followed() {
    for durability in [Durability::Commit, Durability::None] {
        let bench = bench_with_obstacles(durability);
        let upload = upload(bench.inbox(), &offer("late/x", b"ours"), b"ours");
        symlink(bench.directory.path().join("outside"), bench.path("late")).unwrap();
        assert_eq!(code(wait(&upload.commit(4, None))), RefusalCode::Exists);
        assert!(!bench.directory.path().join("outside/x").exists());
    }
}

#[test]
fn a_directory_offer_does_not_take_a_file_for_a_directory() {
    let bench = bench_with_obstacles(Durability::Commit);
    for name in ["file", "link", "dangling"] {
        let result = commit(bench.inbox(), &offer_directory(name), b"");
        assert_eq!(code(result), RefusalCode::Exists, "{name}");
    }
}

#[test]
fn directories_are_not_made_for_what_is_not_published() {
    let bench = Bench::new();
    drop(upload(bench.inbox(), &offer("a/b/c", b"ours"), b"ours"));
    let broken = upload(bench.inbox(), &offer("d/e/f", b"ours"), b"ours");
    wait(&broken.commit(4, Some(digest(b"other")))).unwrap_err();
    assert!(bench.names().is_empty());
}

#[test]
fn a_directory_that_vanishes_at_the_last_moment_is_made_again() {
    for durability in [Durability::Commit, Durability::None] {
        let bench = Bench::with(InboxOptions { durability, ..InboxOptions::default() });
        let directory = bench.path("a");
        let mut once = true;
        bench.inbox().handle.core.disk.watch(Box::new(move |step| {
            if step == disk::Step::Publish && std::mem::take(&mut once) {
                fs::remove_dir_all(&directory).unwrap();
            }
            Ok(())
        }));
        assert_eq!(bench.send("a/b", b"ours").unwrap().name, "a/b");
        assert_eq!(fs::read(bench.path("a/b")).unwrap(), b"ours");
    }
}

#[test]
fn a_deep_tree_of_long_names_is_stored() {
    let bench = Bench::new();
    let part = "x".repeat(30);
    let name = vec![part; sandport_protocol::NAME_DEPTH_MAX].join("/");
    assert_eq!(bench.send(&name, b"deep").unwrap().name, name);
    assert_eq!(bench.send(&name, b"more").unwrap().name, format!("{name}-1"));
    let longest = "y".repeat(sandport_protocol::PART_BYTES_MAX);
    bench.send(&longest, b"one").unwrap();
    assert_eq!(bench.send(&longest, b"two").unwrap().name, format!("{longest}-1"));
}
