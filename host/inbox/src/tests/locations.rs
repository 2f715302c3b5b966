//! Directories that cannot be an inbox, and what a start does with those that can.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::*;

fn create(dir: &Path) -> Result<Inbox, InboxError> {
    Inbox::open(dir, InboxOptions::default())
}

/// The error, after a look at its words: they name the place, and no option of a program.
fn refused(dir: &Path) -> InboxError {
    let error = create(dir).unwrap_err();
    assert!(error.to_string().contains(dir.file_name().unwrap().to_str().unwrap()), "{error}");
    assert!(!error.to_string().contains("--"), "{error}");
    error
}

#[test]
fn a_missing_inbox_is_made_if_the_directory_above_it_exists() {
    let directory = tempfile::tempdir().unwrap();
    let dir = directory.path().join("inbox");
    let inbox = create(&dir).unwrap();
    assert_eq!(inbox.dir(), dir);
    let mode = fs::metadata(dir.join(".sandport")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    assert_eq!(fs::read_to_string(dir.join(".sandport/layout")).unwrap(), "1\n");
}

#[test]
fn an_existing_directory_keeps_what_is_in_it() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("theirs"), b"theirs").unwrap();
    drop(create(directory.path()).unwrap());
    drop(create(directory.path()).unwrap());
    assert_eq!(fs::read(directory.path().join("theirs")).unwrap(), b"theirs");
}

#[test]
fn a_link_to_a_directory_is_an_inbox() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir(directory.path().join("real")).unwrap();
    symlink("real", directory.path().join("inbox")).unwrap();
    let inbox = create(&directory.path().join("inbox")).unwrap();
    send(&inbox, "a", b"hello").unwrap();
    assert_eq!(fs::read(directory.path().join("real/a")).unwrap(), b"hello");
}

#[test]
fn a_missing_parent_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    match refused(&missing.join("more/inbox")) {
        InboxError::ParentMissing { parent, .. } => assert_eq!(parent, missing),
        other => panic!("{other:?}"),
    }
    assert!(!missing.exists());
}

#[test]
fn a_file_in_the_place_of_a_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    fs::write(&file, b"theirs").unwrap();
    for dir in [file.clone(), file.join("inbox")] {
        match create(&dir).unwrap_err() {
            InboxError::NotADirectory { path } => assert_eq!(path, file),
            other => panic!("{other:?}"),
        }
    }
    symlink("nowhere", directory.path().join("dangling")).unwrap();
    refused(&directory.path().join("dangling"));
}

#[test]
fn state_that_is_a_file_or_leads_elsewhere_is_not_used() {
    for link in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let inbox = directory.path().join("inbox");
        fs::create_dir_all(directory.path().join("outside")).unwrap();
        fs::create_dir(&inbox).unwrap();
        let state = inbox.join(".sandport");
        if link {
            symlink("../outside", &state).unwrap();
        } else {
            fs::write(&state, b"theirs").unwrap();
        }
        match create(&inbox).unwrap_err() {
            InboxError::NotADirectory { path } => assert_eq!(path, state),
            other => panic!("{other:?}"),
        }
        assert_eq!(fs::read_dir(directory.path().join("outside")).unwrap().count(), 0);
    }
}

#[test]
fn an_inbox_has_one_server() {
    let mut bench = Bench::new();
    match refused(&bench.dir()) {
        InboxError::Locked { process, .. } => assert_eq!(process, Some(std::process::id())),
        other => panic!("{other:?}"),
    }
    bench.restart();
    bench.send("a", b"hello").unwrap();
}

#[test]
fn the_lock_is_given_up_though_a_started_process_inherited_it() {
    let mut bench = Bench::new();
    let inherited = rustix::io::dup(&bench.inbox().handle.core.layout.lock).unwrap();
    bench.restart();
    drop(inherited);
}

#[test]
fn a_layout_from_the_future_is_left_alone() {
    for found in ["2\n", "1.5", "one", "99999999999999999999"] {
        let mut bench = Bench::new();
        bench.inbox = None;
        fs::write(bench.path(".sandport/layout"), found).unwrap();
        fs::write(bench.path(".sandport/staging/theirs"), b"theirs").unwrap();
        let error = refused(&bench.dir());
        assert!(matches!(error, InboxError::WrongLayout { .. }), "{error}");
        assert_eq!(bench.staged(), 1);
    }
}

#[test]
fn a_start_that_was_cut_short_is_finished_by_the_next() {
    let mut bench = Bench::new();
    bench.inbox = None;
    fs::write(bench.path(".sandport/layout"), "").unwrap();
    fs::remove_dir(bench.path(".sandport/staging")).unwrap();
    fs::remove_file(bench.path(".sandport/receipts")).unwrap();
    bench.restart();
    bench.send("a", b"hello").unwrap();
}

#[test]
fn what_a_killed_server_left_in_staging_is_removed() {
    let mut bench = Bench::new();
    bench.inbox = None;
    for name in ["0", "1", "ff"] {
        fs::write(bench.path(".sandport/staging").join(name), b"partial").unwrap();
    }
    bench.restart();
    assert_eq!(bench.staged(), 0);
    bench.send("a", b"hello").unwrap();
}

#[test]
fn the_operators_name_for_unnamed_files_has_to_be_one() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["", "../x", "/x", "a\nb", ".sandport"] {
        let classic_name = Some(name.to_owned());
        let options = InboxOptions { classic_name, ..InboxOptions::default() };
        let error = Inbox::open(&directory.path().join("inbox"), options).unwrap_err();
        assert!(matches!(error, InboxError::NameInvalid { .. }), "{error}");
    }
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_that_may_not_be_written_is_named() {
    // Without a mapping a user has no capabilities, even if it is the superuser outside.
    namespace::run_inside(&["--user"], "", |_| {
        let directory = tempfile::tempdir().unwrap();
        let dir = directory.path().join("inbox");
        drop(create(&dir).unwrap());
        for (closed, inbox) in [
            (dir.clone(), dir.clone()),
            (dir.clone(), dir.join("inner")),
            (dir.join(".sandport"), dir.clone()),
            (dir.join(".sandport/staging"), dir.clone()),
        ] {
            fs::set_permissions(&closed, fs::Permissions::from_mode(0o555)).unwrap();
            match refused(&inbox) {
                InboxError::NotWritable { path, .. } => assert!(path.starts_with(&closed)),
                other => panic!("{other:?}"),
            }
            fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
        }
        create(&dir).unwrap();
    });
}

#[test]
fn a_read_only_file_system_is_named() {
    namespace::run_inside(namespace::MOUNT, "mount -t tmpfs -o ro tmpfs \"$0\"", |dir| {
        for inbox in [dir.to_path_buf(), dir.join("inner")] {
            assert!(matches!(refused(&inbox), InboxError::NotWritable { .. }));
        }
    });
}

#[test]
fn capabilities_count_where_the_server_asks_what_it_may_write() {
    let setup = "mkdir -p \"$0/inbox/closed\" && chmod 0555 \"$0/inbox\" \"$0/inbox/closed\"";
    namespace::run_inside(namespace::CAPABLE_USER, setup, |top| {
        let inbox = create(&top.join("inbox")).unwrap();
        // So long that it is asked before the bytes come.
        let content = vec![7; admission::PATH_CHECK_BYTES_MIN as usize];
        send(&inbox, "closed/a", &content).unwrap();
        assert!(inbox.loss().is_none());
    });
}
