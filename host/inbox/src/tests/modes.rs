//! What a file has to inherit from its directory: group and ACL, as a file that is made there.

use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::fs::{Gid, XattrFlags};
use sandport_protocol::ResumeMode;

use super::resume::{bring, content, resumable};
use super::*;

const DURABILITIES: [Durability; 3] = [Durability::Full, Durability::Commit, Durability::None];

/// The default ACL `u::rwx,u:1235:rwx,g::r-x,m::rwx,o::---`, as the attribute has it.
fn default_acl() -> Vec<u8> {
    let entry = |tag: u16, permissions: u16, id: u32| {
        [tag.to_le_bytes().to_vec(), permissions.to_le_bytes().to_vec(), id.to_le_bytes().to_vec()]
            .concat()
    };
    let none = u32::MAX;
    [
        2_u32.to_le_bytes().to_vec(),
        entry(0x01, 7, none),
        entry(0x02, 7, 1235),
        entry(0x04, 5, none),
        entry(0x10, 7, none),
        entry(0x20, 0, none),
    ]
    .concat()
}

fn attribute(path: &Path, name: &str) -> Option<Vec<u8>> {
    let mut value = vec![0; 1_024];
    let length = rustix::fs::lgetxattr(path, name, &mut value[..]).ok()?;
    value.truncate(length);
    Some(value)
}

/// Mode, group and ACL.
fn access(path: &Path) -> (u32, u32, Option<Vec<u8>>) {
    let metadata = fs::metadata(path).unwrap();
    (metadata.mode(), metadata.gid(), attribute(path, "system.posix_acl_access"))
}

/// A group other than its own that this user may give a directory; `None`: there is none.
fn another_group() -> Option<Gid> {
    let own = rustix::process::getegid();
    if rustix::process::geteuid().is_root() {
        return Some(Gid::from_raw(1234));
    }
    rustix::process::getgroups().unwrap().into_iter().find(|group| *group != own)
}

/// Stores a file of every kind in `team`, and in a directory that is made there.
fn store(inbox: &Inbox) -> Vec<String> {
    let large = content(1_200_000);
    let mut names = Vec::new();
    for directory in ["team", "team/new"] {
        let executable = Offer { executable: true, ..offer(&format!("{directory}/run"), b"#!") };
        names.push(commit(inbox, &executable, b"#!").unwrap().name);
        names.push(send(inbox, &format!("{directory}/small"), b"hello").unwrap().name);
        names.push(send(inbox, &format!("{directory}/empty"), b"").unwrap().name);
        let mut offer = resumable(
            &format!("{directory}/large"),
            Some(large.len() as u64),
            ResumeMode::TakeOver,
        );
        // A key for each.
        offer.resume.as_mut().unwrap().key[0] = names.len() as u8;
        let upload = accept(inbox, &offer);
        bring(&upload, &large);
        names.push(wait(&upload.commit(large.len() as u64, None)).unwrap().name);
    }
    names
}

/// Compares what `store` makes with files that are made in the same directory.
fn are_as_made_there(prepare: impl Fn(&Path)) {
    for durability in DURABILITIES {
        for moves in [true, false] {
            let bench = Bench::with(InboxOptions {
                durability,
                allow_executable: true,
                ..InboxOptions::default()
            });
            if !moves {
                bench.inbox().handle.core.disk.without_moves();
            }
            fs::create_dir(bench.path("team")).unwrap();
            prepare(&bench.path("team"));
            for name in store(bench.inbox()) {
                let path = bench.path(&name);
                let beside = path.with_file_name("made-here");
                fs::write(&beside, b"").unwrap();
                if name.ends_with("run") {
                    // Whoever may read it may run it.
                    let mode = fs::metadata(&beside).unwrap().permissions().mode();
                    let mode = mode | (mode & 0o444) >> 2;
                    fs::set_permissions(&beside, fs::Permissions::from_mode(mode)).unwrap();
                }
                assert_eq!(access(&path), access(&beside), "{name}, {durability:?}, {moves}");
                fs::remove_file(beside).unwrap();
            }
            assert_eq!(bench.staged(), 0);
        }
    }
}

#[test]
fn files_get_the_default_acl_of_their_directory() {
    are_as_made_there(|team| {
        let acl = default_acl();
        rustix::fs::setxattr(team, "system.posix_acl_default", &acl, XattrFlags::empty())
            .expect("the disk of this test has ACLs");
    });
}

#[test]
fn files_get_the_group_of_a_setgid_directory() {
    let Some(group) = another_group() else {
        eprintln!("left out: this user is in one group alone");
        return;
    };
    are_as_made_there(|team| {
        rustix::fs::chown(team, None, Some(group)).unwrap();
        fs::set_permissions(team, fs::Permissions::from_mode(0o2775)).unwrap();
    });
}

#[test]
fn files_do_not_get_what_the_inbox_has_for_others() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().join("inbox");
    fs::create_dir(&dir).unwrap();
    let acl = default_acl();
    rustix::fs::setxattr(&dir, "system.posix_acl_default", &acl, XattrFlags::empty())
        .expect("the disk of this test has ACLs");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o2775)).unwrap();
    fs::create_dir(dir.join("plain")).unwrap();
    rustix::fs::removexattr(dir.join("plain"), "system.posix_acl_default").unwrap();
    fs::set_permissions(dir.join("plain"), fs::Permissions::from_mode(0o755)).unwrap();
    for _ in 0..2 {
        let inbox = Inbox::open(&dir, InboxOptions::default()).unwrap();
        for (name, beside) in [("plain/a", "plain/made-here"), ("a", "made-here")] {
            let name = send(&inbox, name, b"hello").unwrap().name;
            fs::write(dir.join(beside), b"").unwrap();
            assert_eq!(access(&dir.join(name)), access(&dir.join(beside)));
        }
    }
}
