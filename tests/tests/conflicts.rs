//! A name that is taken: by a file, a directory or a link, under each rule.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::path::Path;
use std::thread;

use sandport_tests::deadline::{joined, until};
use sandport_tests::files::{self, Entry, Tree, file};
use sandport_tests::{Native, Sent, Server, Setup, send};

/// A directory with an inbox in which `report.pdf` is what `taken` makes of it, a link's target outside,
/// and a new `report.pdf` to send.
struct Scene {
    directory: tempfile::TempDir,
}

/// What has the name.
#[derive(Clone, Copy, Debug)]
enum Taken {
    File,
    Directory,
    Link,
    BrokenLink,
}

impl Scene {
    fn new(taken: Taken) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path();
        for made in ["inbox", "new"] {
            fs::create_dir(path.join(made)).unwrap();
        }
        fs::write(path.join("target"), "target").unwrap();
        fs::write(path.join("new/report.pdf"), "new").unwrap();
        let name = path.join("inbox/report.pdf");
        match taken {
            Taken::File => fs::write(name, "old").unwrap(),
            Taken::Directory => fs::create_dir(name).unwrap(),
            Taken::Link => std::os::unix::fs::symlink("../target", name).unwrap(),
            Taken::BrokenLink => std::os::unix::fs::symlink("../made", name).unwrap(),
        }
        Self { directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn send(&self, rule: &str) -> (Server, Sent) {
        let server = Setup::new(["--conflict", rule]).inbox(self.path().join("inbox")).start();
        let file = self.path().join("new/report.pdf");
        let sent = send([file.as_os_str(), server.address().as_ref()]);
        (server, sent)
    }

    /// Nothing was ever written through a link.
    #[track_caller]
    fn expect_outside_untouched(&self) {
        assert_eq!(fs::read(self.path().join("target")).unwrap(), b"target");
        assert!(!self.path().join("made").exists());
    }
}

fn entry(taken: Taken) -> Entry {
    match taken {
        Taken::File => file("old"),
        Taken::Directory => Entry::Directory,
        Taken::Link => Entry::Link(String::from("../target")),
        Taken::BrokenLink => Entry::Link(String::from("../made")),
    }
}

const ALL: [Taken; 4] = [Taken::File, Taken::Directory, Taken::Link, Taken::BrokenLink];

#[test]
fn rename_gives_the_new_file_a_number_and_tells_the_sender() {
    for taken in ALL {
        let scene = Scene::new(taken);
        let (server, sent) = scene.send("rename");
        assert_eq!(sent.expect_success().names("stored"), ["report-1.pdf"], "{taken:?}");
        let expected =
            Tree::from([("report.pdf".into(), entry(taken)), ("report-1.pdf".into(), file("new"))]);
        assert_eq!(server.published(), expected, "{taken:?}");
        scene.expect_outside_untouched();
    }
}

#[test]
fn refuse_leaves_what_is_there_and_tells_the_sender() {
    for taken in ALL {
        let scene = Scene::new(taken);
        let (mut server, sent) = scene.send("refuse");
        assert_eq!((sent.code, sent.failure()), (Some(4), "exists"), "{taken:?}");
        server.wait_refused("exists");
        let expected = Tree::from([("report.pdf".into(), entry(taken))]);
        assert_eq!(server.published(), expected, "{taken:?}");
        server.wait_nothing_staged();
        scene.expect_outside_untouched();
    }
}

#[test]
fn replace_replaces_a_file_or_a_link_and_never_a_directory() {
    for taken in ALL {
        let scene = Scene::new(taken);
        let (server, sent) = scene.send("replace");
        let expected = match taken {
            Taken::Directory => {
                assert_eq!((sent.code, sent.failure()), (Some(4), "exists"), "{taken:?}");
                entry(taken)
            }
            _ => {
                assert_eq!(sent.expect_success().names("stored"), ["report.pdf"], "{taken:?}");
                file("new")
            }
        };
        assert_eq!(server.published(), Tree::from([("report.pdf".into(), expected)]), "{taken:?}");
        server.wait_nothing_staged();
        scene.expect_outside_untouched();
    }
}

#[test]
fn a_reader_never_sees_a_file_that_is_being_replaced_half() {
    const WRITERS: u8 = 4;
    const FILES: u8 = 20;
    // Each file has a size of its own: of one that may be there already, the digest would be asked for.
    let content = |writer: u8, number: u8| {
        vec![writer; 100_000 + usize::from(writer) * usize::from(FILES) + usize::from(number)]
    };
    let server = Server::start(["--conflict", "replace", "--durability", "none"]);
    let writers = (0..WRITERS).map(|writer| {
        let address = server.address().to_owned();
        thread::spawn(move || {
            let mut sender = Native::to(&address);
            for number in 0..FILES {
                sender.send(number.into(), "same", &content(writer, number));
                assert_eq!(sender.outcome(number.into()).unwrap().name, "same");
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let path = server.inbox().join("same");
    let whole = |found: &[u8]| (0..FILES).any(|number| found == content(found[0], number));
    until("the end of all writers", || {
        match fs::read(&path) {
            Ok(found) => assert!(whole(&found), "{} bytes, torn", found.len()),
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
        }
        writers.iter().all(thread::JoinHandle::is_finished)
    });
    for writer in writers {
        joined("the end of a writer", writer);
    }
    assert_eq!(server.published().len(), 1);
}

#[test]
fn many_files_of_one_name_are_all_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("a.tar.gz");
    let mut server = Server::start([]);
    for content in ["first", "second", "third"] {
        fs::write(&path, content).unwrap();
        send([path.as_os_str(), server.address().as_ref()]).expect_success();
    }
    for (name, content) in
        [("a.tar.gz", "first"), ("a-1.tar.gz", "second"), ("a-2.tar.gz", "third")]
    {
        assert_eq!(server.wait_stored(), name);
        assert_eq!(server.content(name), content.as_bytes());
    }
    assert_eq!(
        files::names_in(server.inbox()),
        [".sandport", "a-1.tar.gz", "a-2.tar.gz", "a.tar.gz"]
    );
}
