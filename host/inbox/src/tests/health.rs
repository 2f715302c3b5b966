//! What a disk that fails comes to: for the file, for its sender, and for the inbox as a whole.

use std::process::Command;

use rustix::io::Errno;

use super::*;
use crate::disk::Step;

/// The steps that a file on its way in comes by.
const STEPS: [Step; 7] = [
    Step::Create,
    Step::Write,
    Step::SyncFile,
    Step::MakeDir,
    Step::WriteLog,
    Step::Publish,
    Step::SyncDir,
];

/// Sends a file while one step fails.
fn send_while_failing(step: Step, errno: Errno) -> RefusalCode {
    let bench = Bench::in_memory(InboxOptions::default());
    bench.inbox().handle.core.disk.watch(Box::new(
        move |at| {
            if at == step { Err(errno) } else { Ok(()) }
        },
    ));
    let refusal = bench.send("d/file", b"content").unwrap_err();
    assert!(bench.inbox().loss().is_none(), "{step:?} {errno}: of one file alone");
    refusal.code
}

#[test]
fn what_will_never_succeed_is_not_called_temporary_at_any_step() {
    use RefusalCode as Code;
    for (errno, code) in [
        (Errno::NOSPC, Code::InsufficientSpace),
        (Errno::DQUOT, Code::InsufficientSpace),
        (Errno::FBIG, Code::TooLarge),
        (Errno::NAMETOOLONG, Code::NameInvalid),
        (Errno::MFILE, Code::TooMany),
        (Errno::ROFS, Code::NotPermitted),
        (Errno::PERM, Code::NotPermitted),
        (Errno::ACCESS, Code::NotPermitted),
        (Errno::XDEV, Code::Other),
        (Errno::OPNOTSUPP, Code::Other),
        (Errno::IO, Code::Io),
    ] {
        for step in STEPS {
            assert_eq!(send_while_failing(step, errno), code, "{step:?} {errno}");
        }
    }
    for (step, code) in [
        // File systems say so of names that they forbid.
        (Step::Publish, Code::NameInvalid),
        (Step::MakeDir, Code::NameInvalid),
        (Step::Write, Code::Other),
        (Step::SyncFile, Code::Other),
    ] {
        assert_eq!(send_while_failing(step, Errno::INVAL), code, "{step:?}");
    }
}

/// The inbox is lost: every offer hears the same, and its owner why.
fn assert_lost(inbox: &Inbox, code: RefusalCode, word: &str) {
    assert_eq!(block_on_with_time(inbox.lost()).code(), word);
    for name in ["a", "b"] {
        let refusal = inbox.offered(&offer(name, b"x")).unwrap_err();
        assert_eq!(refusal.code, code);
        assert!(inbox.is_of_loss(&refusal), "{refusal}");
    }
}

fn block_on_with_time<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let patience = std::time::Duration::from_secs(120);
    let waited = async { tokio::time::timeout(patience, future).await };
    runtime.block_on(waited).expect("the inbox is found to be lost")
}

#[test]
fn an_inbox_that_is_removed_is_lost_at_the_next_file() {
    for what in ["", ".sandport", ".sandport/staging", ".sandport/partials"] {
        let bench = Bench::new();
        let before = upload(bench.inbox(), &offer("before", b"x"), b"x");
        fs::remove_dir_all(bench.path(what)).unwrap();
        drop(before);
        // Where the upload does not need what was removed, nobody has noticed.
        let refused = bench.send("file", b"x").err();
        assert!(refused.is_none_or(|it| bench.inbox().is_of_loss(&it)), "{what}");
        assert_lost(bench.inbox(), RefusalCode::Io, "inbox-gone");
    }
}

#[test]
fn an_inbox_that_nobody_sends_to_is_found_to_be_lost() {
    let bench = Bench::new();
    fs::remove_dir_all(bench.dir()).unwrap();
    assert_lost(bench.inbox(), RefusalCode::Io, "inbox-gone");
}

#[test]
fn an_inbox_that_was_moved_goes_on() {
    let bench = Bench::new();
    let moved = bench.directory.path().join("moved");
    fs::rename(bench.dir(), &moved).unwrap();
    assert!(bench.inbox().handle.core.examine().is_none());
    bench.send("file", b"x").unwrap();
    assert_eq!(fs::read(moved.join("file")).unwrap(), b"x");
}

#[test]
fn an_inbox_whose_disk_was_unmounted_is_lost() {
    let setup = "mkdir \"$0/disk\" && mount -t tmpfs tmpfs \"$0/disk\"";
    namespace::run_inside(namespace::MOUNT, setup, |dir| {
        let inbox = Inbox::open(&dir.join("disk/inbox"), InboxOptions::default()).unwrap();
        send(&inbox, "file", b"x").unwrap();
        assert!(inbox.handle.core.examine().is_none());
        let unmounted = Command::new("umount").arg("--lazy").arg(dir.join("disk")).status();
        assert!(unmounted.unwrap().success());
        assert_lost(&inbox, RefusalCode::Io, "inbox-gone");
    });
}

#[test]
fn an_inbox_that_may_not_be_written_any_more_is_lost() {
    use std::os::unix::fs::PermissionsExt;
    // Without a mapping a user has no capabilities, even if it is the superuser outside.
    namespace::run_inside(&["--user"], "", |_| {
        let bench = Bench::new();
        let closed = fs::Permissions::from_mode(0o500);
        fs::set_permissions(bench.path(".sandport/staging"), closed).unwrap();
        assert_eq!(code(bench.send("file", b"x")), RefusalCode::NotPermitted);
        assert_lost(bench.inbox(), RefusalCode::NotPermitted, "inbox-not-writable");
    });
}

#[test]
fn a_closed_directory_of_the_inbox_concerns_its_files_alone() {
    use std::os::unix::fs::PermissionsExt;
    namespace::run_inside(&["--user"], "", |_| {
        let bench = Bench::new();
        bench.send("d/file", b"x").unwrap();
        fs::set_permissions(bench.path("d"), fs::Permissions::from_mode(0o500)).unwrap();
        assert_eq!(code(bench.send("d/other", b"x")), RefusalCode::NotPermitted);
        bench.send("file", b"x").unwrap();
        assert!(bench.inbox().loss().is_none());
    });
}
