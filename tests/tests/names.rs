//! Names that senders choose.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;

use sandport_protocol::{EntryKind, Offer, RefusalCode};
use sandport_tests::files::{self, Entry, Tree, file};
use sandport_tests::native::{self, frame, offer};
use sandport_tests::{Native, Server, Setup};

/// Names that no inbox takes.
fn invalid_names() -> Vec<String> {
    let mut names: Vec<String> = [
        "../x",
        "..",
        "a/../b",
        "a/..",
        "/etc/x",
        "/",
        "//x",
        "a//b",
        "a/",
        ".",
        "./a",
        "a/./b",
        "...",
        "",
        "a\0b",
        "a\nb",
        "a\rb",
        "a\tb",
        "\u{1b}[31mred",
        "a\u{7f}b",
        "a\u{9b}b",
        "a\u{202e}fdp.exe",
        "a\u{2066}b",
        "a\u{200f}b",
        "a\u{2028}b",
        "\u{feff}a",
        "re\u{ad}port.pdf",
        "report\u{200b}.pdf",
        "report\u{200d}.pdf",
        "report.pdf\u{e0041}",
        ".sandport",
        ".sandport/x",
        "a/.sandport/x",
        ".SANDPORT/layout",
        ".Sandport",
        ".sandport.",
        ".sandport ",
        "\u{ff0e}sandport",
        ".ſandport",
        ".sand\u{200d}port",
    ]
    .map(str::to_owned)
    .into();
    names.push("a".repeat(5_000));
    names.push("a".repeat(241));
    names.push(vec!["a"; 200].join("/"));
    names.push(vec!["a"; 65].join("/"));
    names.push("ä".repeat(121));
    names
}

#[test]
fn names_that_no_inbox_takes_are_refused_and_nothing_is_created() {
    let directory = tempfile::tempdir().unwrap();
    let inbox = directory.path().join("inbox");
    let mut server = Setup::new([""; 0]).inbox(&inbox).start();
    let before = files::tree(directory.path());
    let names = invalid_names();

    let mut sender = Native::open(&server);
    let mut id = 0;
    for name in &names {
        for kind in [EntryKind::File, EntryKind::Directory] {
            let size = Some(5).filter(|_| kind == EntryKind::File);
            sender.say(&offer(id, Offer { kind, size, ..native::file(name, 5) }));
            let refusal = sender.outcome(id).expect_err(name);
            assert_eq!(refusal.code, RefusalCode::NameInvalid, "{name:?}: {refusal}");
            server.wait_refused("name-invalid");
            id += 1;
        }
    }
    assert_eq!(files::tree(directory.path()), before);
    let log = server.events.stderr();
    assert!(!log.contains(['\u{ad}', '\u{200b}', '\u{e0041}', '\u{202e}']), "{log}");

    // What was refused cost nothing but itself.
    sender.send(id, "fine", b"hello");
    assert_eq!(sender.outcome(id).unwrap().name, "fine");
}

#[test]
fn a_name_that_is_not_utf8_is_refused() {
    let mut server = Server::start([]);
    let mut sender = Native::open(&server);
    for (id, bytes) in
        [b"\xff\xfe\xfd\xfc", b"abc\x80", b"\xc0\xaf..", b"\xed\xa0\x80a"].iter().enumerate()
    {
        let mut frame = frame(&offer(id as u64, native::file("NAME", 5)));
        let at = frame.windows(4).position(|window| window == b"NAME").unwrap();
        frame[at..at + 4].copy_from_slice(*bytes);
        sender.connection.say(frame);
        assert_eq!(sender.outcome(id as u64).unwrap_err().code, RefusalCode::NameInvalid);
    }
    // Payload that was sent ahead of the refusal is skipped.
    sender.data(0, 0, b"hello");
    sender.end(0, b"hello");
    sender.send(4, "fine", b"hello");
    assert_eq!(sender.outcome(4).unwrap().name, "fine");
    drop(sender);
    assert_eq!(server.stop(), Some(0));
    assert_eq!(server.published(), Tree::from([("fine".into(), file("hello"))]));
    assert_eq!(server.staged(), [""; 0]);
}

#[test]
fn unusual_names_that_harm_nobody_are_kept_as_they_are() {
    let server = Server::start([]);
    let mut sender = Native::open(&server);
    let longest = "a".repeat(240);
    let deepest = vec!["d"; 64].join("/");
    let names = [
        " leading and trailing ",
        "日本語.txt",
        "naïve café",
        "e\u{301}",
        "-rf",
        "--help",
        "a:b",
        "a\\b",
        "CON",
        "$(reboot)",
        "`id`",
        "*?",
        ".hidden",
        "..double",
        "a..",
        ".sandport2",
        "👩‍👧.png",
        "کتاب\u{200c}ها.pdf",
        longest.as_str(),
        deepest.as_str(),
    ];
    for (id, name) in names.iter().enumerate() {
        sender.send(id as u64, name, name.as_bytes());
        assert_eq!(sender.outcome(id as u64).unwrap().name, *name);
        assert_eq!(server.content(name), name.as_bytes());
    }
}

#[test]
fn a_name_below_a_link_or_a_file_never_leads_out_of_the_inbox() {
    for rule in ["rename", "refuse", "replace"] {
        let directory = tempfile::tempdir().unwrap();
        let (inbox, outside) = (directory.path().join("inbox"), directory.path().join("outside"));
        for made in [&inbox, &outside] {
            fs::create_dir(made).unwrap();
        }
        fs::write(outside.join("kept"), "kept").unwrap();
        std::os::unix::fs::symlink("../outside", inbox.join("link")).unwrap();
        fs::write(inbox.join("file"), "a file").unwrap();

        let server = Setup::new(["--conflict", rule]).inbox(&inbox).start();
        let mut sender = Native::open(&server);
        for (id, name) in ["link/x", "link/kept", "file/x", "link/a/b"].into_iter().enumerate() {
            sender.send(id as u64, name, b"hello");
            let refusal = sender.outcome(id as u64).expect_err(name);
            assert_eq!(refusal.code, RefusalCode::Exists, "{rule}, {name}: {refusal}");
        }
        assert_eq!(files::tree(&outside), Tree::from([("kept".into(), file("kept"))]));
        let published = server.published();
        assert_eq!(
            published,
            Tree::from([
                ("file".into(), file("a file")),
                ("link".into(), Entry::Link("../outside".into())),
            ])
        );
        server.wait_nothing_staged();
    }
}
