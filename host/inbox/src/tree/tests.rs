#![allow(clippy::unwrap_used, clippy::expect_used)]

//! The walk part by part, which is what a kernel without `openat2` gets, and a race that is lost.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;

/// A directory with the directories `a/b`, the file `file`, and links to directories, one of which is outside.
fn directory() -> (tempfile::TempDir, OwnedFd) {
    let outer = tempfile::tempdir().unwrap();
    let root = outer.path().join("root");
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::create_dir(outer.path().join("outside")).unwrap();
    fs::write(root.join("file"), b"theirs").unwrap();
    symlink("a", root.join("inner")).unwrap();
    symlink("../outside", root.join("link")).unwrap();
    symlink("../../outside", root.join("a/link")).unwrap();
    let fd = OwnedFd::from(fs::File::open(root).unwrap());
    (outer, fd)
}

const OBSTACLES: [&str; 8] =
    ["file", "file/x", "link", "link/x", "a/link", "a/link/x", "inner", "inner/b"];

#[test]
fn a_walk_finds_what_one_call_finds() {
    let (_outer, root) = directory();
    let root = root.as_fd();
    for path in ["a", "a/b", "missing", "a/missing", "a/b/missing/x"].into_iter().chain(OBSTACLES) {
        let inode = |directory: Option<Directory<'_>>| {
            directory.map(|directory| rustix::fs::fstat(&directory).unwrap().st_ino)
        };
        let walked = walk(root, path).map(inode);
        assert_eq!(walked, open_directory(root, Some(path)).map(inode), "{path}");
        assert_eq!(OBSTACLES.contains(&path), walked == Err(Obstacle::InTheWay), "{path}");
    }
}

#[test]
fn a_walk_makes_directories_but_follows_no_link() {
    let (outer, root) = directory();
    let root = root.as_fd();
    let disk = Disk::default();
    for path in OBSTACLES {
        let made = walk_and_make(&disk, root, path, |_, _| panic!("{path}"));
        assert_eq!(made.map(drop), Err(Obstacle::InTheWay), "{path}");
    }
    assert_eq!(fs::read_dir(outer.path().join("outside")).unwrap().count(), 0);

    let mut changed = Vec::new();
    walk_and_make(&disk, root, "a/c/d/e", |path, _| changed.push(path.to_owned())).unwrap();
    walk_and_make(&disk, root, "new", |path, _| changed.push(path.to_owned())).unwrap();
    assert_eq!(changed, ["a", "a/c", "a/c/d", ""]);
    assert!(outer.path().join("root/a/c/d/e").is_dir());
}

#[test]
fn a_link_put_where_a_directory_is_being_made_is_not_followed() {
    let (outer, root) = directory();
    let disk = Disk::default();
    let link = outer.path().join("root/new");
    disk.watch(Box::new(move |_| {
        symlink("../outside", &link).unwrap();
        Ok(())
    }));
    let made = make_directory(&disk, root.as_fd(), Some("new/x"), |_, _| {});
    assert_eq!(made.map(drop), Err(Obstacle::InTheWay));
    assert_eq!(fs::read_dir(outer.path().join("outside")).unwrap().count(), 0);
}
